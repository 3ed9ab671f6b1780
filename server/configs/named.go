package configs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/minikafka/minikafka/election"
)

const rackTags = "streams.rack.aware.assignment.tags"

// ValidateGroup refuses names that no group config has, values that do not fit,
// and values outside what the broker's configs allow (GroupConfig.validate):
// election.ErrInvalidConfig.
func (b BrokerValues) ValidateGroup(set map[string]string) error {
	if err := checkLengths(set); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		c := Lookup(Group, name)
		if c == nil {
			return invalid("Unknown group config name: " + name)
		}
		value, err := c.Parse(set[name])
		if err != nil {
			return invalid(err.Error())
		}
		if err := b.withinLimits(c, value); err != nil {
			return err
		}
	}
	// A list has lost its duplicates once it is parsed.
	tags := splitList(strings.TrimSpace(set[rackTags]))
	if len(unique(tags)) < len(tags) {
		return invalid(rackTags + " must not contain duplicate tag keys.")
	}
	g := b.Group(set)
	for _, kind := range []string{"consumer", "share", "streams"} {
		session, heartbeat := kind+".session.timeout.ms", kind+".heartbeat.interval.ms"
		if g.Int(session) <= g.Int(heartbeat) {
			return invalid(session + " must be greater than " + heartbeat)
		}
	}
	return nil
}

// withinLimits checks a group's config against the broker configs with .min. and
// .max. in their names, and against what Kafka has besides.
func (b BrokerValues) withinLimits(c *Config, value string) error {
	switch c.Name {
	case "streams.assignor.name":
		known := b.List(c.Broker)
		if !slices.Contains(known, value) {
			return invalid(fmt.Sprintf("%s '%s' is not a registered task assignor. Registered assignors are: [%s].",
				c.Name, value, strings.Join(known, ", ")))
		}
		return nil
	case "errors.deadletterqueue.topic.name":
		if strings.HasPrefix(value, "__") {
			return invalid(c.Name + ": DLQ topic name must not start with '__'")
		}
		return nil
	}
	low, high := groupLimits(c.Name)
	atLeast, atMost := low != "", high != ""
	switch {
	case atLeast && atMost:
		if n := mustInt(c.Name, value); n < b.Int(low) || n > b.Int(high) {
			return invalid(fmt.Sprintf("%s must be in the range %d to %d inclusive.", c.Name, b.Int(low), b.Int(high)))
		}
	case atLeast:
		if least := b.Int(low); mustInt(c.Name, value) < least {
			return invalid(fmt.Sprintf("%s must be greater than or equal to %d", c.Name, least))
		}
	case atMost:
		if most := b.Int(high); mustInt(c.Name, value) > most {
			return invalid(fmt.Sprintf("%s must be less than or equal to %d", c.Name, most))
		}
	}
	return nil
}

// groupLimits are the broker configs with .min. and .max. in their names that
// bound a group's config; empty where there is none.
func groupLimits(name string) (low, high string) {
	kind, rest, _ := strings.Cut(name, ".")
	rest = strings.TrimPrefix(rest, "num.")
	low, high = "group."+kind+".min."+rest, "group."+kind+".max."+rest
	if Lookup(Broker, low) == nil {
		low = ""
	}
	if Lookup(Broker, high) == nil {
		high = ""
	}
	return low, high
}

// clamped is a group's value within the broker's limits, which may have changed
// since it was set (KIP-1240, GroupConfig.evaluate).
func (b BrokerValues) clamped(name, value string) string {
	low, high := groupLimits(name)
	switch {
	case low != "" && mustInt(name, value) < b.Int(low):
		value, _ = b.Value(low)
	case high != "" && mustInt(name, value) > b.Int(high):
		value, _ = b.Value(high)
	}
	return value
}

// ValidateClientMetrics refuses unknown names, and values that do not fit
// (ClientMetricsConfigs.validate): election.ErrInvalidRequest or
// election.ErrInvalidConfig.
func ValidateClientMetrics(set map[string]string) error {
	if err := checkLengths(set); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		c := Lookup(ClientMetrics, name)
		if c == nil {
			return refuse(election.ErrInvalidRequest, "Unknown client metrics configuration: "+name)
		}
		value, err := c.Parse(set[name])
		if err != nil {
			return invalid(err.Error())
		}
		switch name {
		case "interval.ms":
			const least, most = 100, 3_600_000
			if n, err := strconv.Atoi(value); err != nil || n < least || n > most {
				return refuse(election.ErrInvalidRequest, fmt.Sprintf(
					"Invalid value %s for interval.ms, interval must be between %d and %d (1 hour)", value, least, most))
			}
		case "match":
			if err := checkMatch(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMatch checks the patterns by which a subscription selects clients.
func checkMatch(value string) error {
	for _, pattern := range splitList(value) {
		name, expression, ok := strings.Cut(pattern, "=")
		switch strings.TrimSpace(name) {
		case "client_instance_id", "client_id", "client_software_name", "client_software_version",
			"client_source_address", "client_source_port":
		default:
			ok = false
		}
		if _, err := regexp.Compile(strings.TrimSpace(expression)); !ok || err != nil {
			return invalid("Illegal client matching pattern: " + pattern)
		}
	}
	return nil
}

// DescribeClientMetrics tells a subscription's configs, sorted by name
// (ConfigHelper.createClientMetricsConfigEntry).
func DescribeClientMetrics(set map[string]string) []Entry {
	all := catalogue().told[ClientMetrics]
	entries := make([]Entry, 0, len(all))
	for _, c := range all {
		value := c.Default
		e := c.entry(value)
		if v, ok := set[c.Name]; ok {
			e = c.entry(&v)
			e.Synonyms = []Synonym{{c.Name, &v, FromClientMetrics}}
		}
		entries = append(entries, e.fromSynonyms())
	}
	return entries
}
