package configs

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Parse checks a value's type and range and gives it the form in which Kafka
// tells it (ConfigDef.parseType, convertToString). Errors carry Kafka's message.
func (c *Config) Parse(value string) (string, error) {
	parsed, err := parseType(c, value)
	if err != nil {
		return "", err
	}
	if c.valid != nil {
		if err := c.valid(c, parsed); err != nil {
			return "", err
		}
	}
	return parsed, nil
}

// told is an error in Kafka's words.
type told string

func (e told) Error() string { return string(e) }

func (c *Config) invalid(value, why string) error {
	return told("Invalid value " + value + " for configuration " + c.Name + ": " + why)
}

func parseType(c *Config, value string) (string, error) {
	trimmed := strings.TrimSpace(value)
	switch c.Type {
	case Boolean:
		lower := strings.ToLower(trimmed)
		if lower != "true" && lower != "false" {
			return "", c.invalid(value, "Expected value to be either true or false")
		}
		return lower, nil
	case Short, Int, Long:
		n, err := strconv.ParseInt(trimmed, 10, bits(c.Type))
		if err != nil {
			return "", c.notANumber(value)
		}
		return strconv.FormatInt(n, 10), nil
	case Double:
		d, err := parseDouble(trimmed)
		if err != nil {
			return "", c.notANumber(value)
		}
		return formatDouble(d), nil
	case List:
		return strings.Join(unique(splitList(trimmed)), ","), nil
	case String, Class, Password:
		return trimmed, nil
	default:
		return value, nil
	}
}

func (c *Config) notANumber(value string) error {
	return c.invalid(value, "Not a number of type "+c.Type.String())
}

func bits(t Type) int {
	switch t {
	case Short:
		return 16
	case Int:
		return 32
	default:
		return 64
	}
}

// parseDouble reads what Java's Double.parseDouble reads, as far as anybody
// writes it.
func parseDouble(s string) (float64, error) {
	s = strings.TrimRight(s, "fFdD")
	return strconv.ParseFloat(s, 64)
}

// formatDouble writes a number as Java's Double.toString does: plain from 0.001
// to 10 million, else with an exponent, and always with a fraction.
func formatDouble(d float64) string {
	abs := math.Abs(d)
	switch {
	case math.IsNaN(d):
		return "NaN"
	case math.IsInf(d, 1):
		return "Infinity"
	case math.IsInf(d, -1):
		return "-Infinity"
	case abs == 0 || abs >= 1e-3 && abs < 1e7:
		s := strconv.FormatFloat(d, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(d, 'E', -1, 64), "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}

// splitList splits at commas and the blanks around them.
func splitList(s string) []string {
	if s == "" {
		return nil
	}
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// unique drops what has come before, but keeps empty parts, which are refused.
func unique(parts []string) []string {
	var all []string
	for _, s := range parts {
		if s == "" || !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
