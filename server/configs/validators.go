package configs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// validator says what is wrong with a parsed value of a config.
type validator func(c *Config, value string) error

// parseValid reads the catalogue's column of valid values, which has the form
// that Kafka's validators print themselves in.
func parseValid(c *Config, text string) validator {
	if c.Type == List {
		if v := parseValidList(text); v != nil {
			return v
		}
	}
	switch text {
	case "", "non-null string":
		return nil
	case "[1,...,9] or -1":
		return gzipLevel
	case "[partitionId]:[brokerId],[partitionId]:[brokerId],...":
		return throttledReplicas()
	case "non-empty string":
		return nonEmpty
	case "[latest, earliest, by_duration:PnDTnHnMn.nS]":
		return offsetReset
	}
	foldCase := false
	if rest, ok := strings.CutPrefix(text, "(case insensitive) "); ok {
		foldCase, text = true, rest
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if low, high, ok := strings.Cut(inner, ",..."); ok {
		return inRange(low, strings.TrimPrefix(high, ","))
	}
	return oneOf(strings.Split(inner, ", "), foldCase)
}

// parseValidList reads what is valid for a list: "non-empty", then the names that
// it may hold; neither is any list without empty parts.
func parseValidList(text string) validator {
	rest, full := strings.CutPrefix(text, "non-empty")
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return list(nil, full)
	}
	names, ok := strings.CutPrefix(rest, "[")
	if !ok || strings.HasPrefix(rest, "[partitionId]") {
		return nil
	}
	return list(strings.Split(strings.TrimSuffix(names, "]"), ", "), full)
}

// inRange checks a number; high "" means no upper bound.
func inRange(low, high string) validator {
	least := mustNumber(low)
	most := 0.0
	if high != "" {
		most = mustNumber(high)
	}
	return func(c *Config, value string) error {
		n, err := parseDouble(value)
		switch {
		case err != nil: // the type was checked before
			return c.notANumber(value)
		case n < least:
			return c.invalid(value, "Value must be at least "+low)
		case high != "" && n > most:
			return c.invalid(value, "Value must be no more than "+high)
		}
		return nil
	}
}

func mustNumber(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("configs: a bound that is no number: %q", s))
	}
	return n
}

func gzipLevel(c *Config, value string) error {
	if n, err := strconv.Atoi(value); err != nil || n != -1 && (n < 1 || n > 9) {
		return c.invalid(value, "Value must be between 1 and 9 or equal to -1")
	}
	return nil
}

func oneOf(names []string, foldCase bool) validator {
	why := "String must be one of: " + strings.Join(names, ", ")
	if foldCase {
		why = "String must be one of (case insensitive): " + strings.Join(names, ", ")
	}
	return func(c *Config, value string) error {
		known := slices.ContainsFunc(names, func(n string) bool {
			return n == value || foldCase && strings.EqualFold(n, value)
		})
		if !known {
			return c.invalid(value, why)
		}
		return nil
	}
}

// list checks each part of a list (ConfigDef.ValidList); no names means that any
// will do.
func list(names []string, full bool) validator {
	one := oneOf(names, false)
	which := "any non-empty value"
	if names != nil {
		which = "[" + strings.Join(names, ", ") + "]"
	}
	return func(c *Config, value string) error {
		parts := splitList(value)
		switch {
		case full && len(parts) == 0:
			return fmt.Errorf("Configuration '%s' must not be empty. Valid values include: %s", c.Name, which) //nolint:staticcheck // Kafka's words.
		case slices.Contains(parts, ""):
			return fmt.Errorf("Configuration '%s' values must not be empty.", c.Name) //nolint:staticcheck,revive // Kafka's words.
		case names == nil:
			return nil
		}
		for _, s := range parts {
			if err := one(c, s); err != nil {
				return err
			}
		}
		return nil
	}
}

func nonEmpty(c *Config, value string) error {
	if value == "" {
		return c.invalid(value, "String must be non-empty")
	}
	return nil
}

// throttledReplicas is ThrottledReplicaListValidator.
func throttledReplicas() validator {
	one := regexp.MustCompile(`^[0-9]+:[0-9]+$`)
	return func(c *Config, value string) error {
		if value == "*" {
			return nil
		}
		parts := splitList(value)
		for _, s := range parts {
			if !one.MatchString(s) {
				return c.invalid("["+strings.Join(parts, ", ")+"]", c.Name+
					" must be the literal '*' or a list of replicas in the following format: "+
					"[partitionId]:[brokerId],[partitionId]:[brokerId],...")
			}
		}
		return nil
	}
}

// offsetReset is ShareGroupAutoOffsetResetStrategy's validator, for durations of
// days, hours, minutes and seconds.
func offsetReset(c *Config, value string) error {
	if value == "latest" || value == "earliest" {
		return nil
	}
	if d, ok := strings.CutPrefix(value, "by_duration:P"); ok && isDuration(d) {
		return nil
	}
	return c.invalid(value, fmt.Sprintf("Invalid value `%s` for configuration %s. The value must be either "+
		"'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.", value, c.Name))
}

// isDuration tells whether s is an ISO 8601 duration after its P.
func isDuration(s string) bool {
	days, rest, ok := strings.Cut(s, "D")
	if ok {
		if _, err := strconv.ParseUint(days, 10, 32); err != nil || rest == "" {
			return err == nil
		}
		s = rest
	}
	s, ok = strings.CutPrefix(s, "T")
	if !ok || strings.HasPrefix(s, "-") {
		return false
	}
	_, err := time.ParseDuration(strings.ToLower(s))
	return err == nil
}
