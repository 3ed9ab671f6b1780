package configs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Source is where a value was set, numbered as in the protocol (ConfigSource).
type Source int8

// The sources.
const (
	FromTopic         Source = 1
	FromBroker        Source = 2 // dynamic, this broker
	FromCluster       Source = 3 // dynamic, all brokers
	FromStatic        Source = 4
	FromDefault       Source = 5
	FromLogger        Source = 6
	FromClientMetrics Source = 7
	FromGroup         Source = 8
)

// BrokerValues are the configs of one broker, by where they were set. The maps
// are read, never written. A value that does not fit its config counts as not
// set; it was refused where it was to be set.
type BrokerValues struct {
	Own     map[string]string // dynamic configs of this broker
	Cluster map[string]string // dynamic configs of all brokers
	Static  map[string]string // what the broker was started with
}

// layer is one place where configs are set.
type layer struct {
	set    map[string]string
	source Source
}

// layers has the strongest first.
func (b BrokerValues) layers() [3]layer {
	return [3]layer{{b.Own, FromBroker}, {b.Cluster, FromCluster}, {b.Static, FromStatic}}
}

// Value is the effective value of a broker config, ok false where it is null.
// A layer that sets a config hides what weaker layers say of its synonyms
// (DynamicBrokerConfig.overrideProps). It panics for names Kafka does not know.
func (b BrokerValues) Value(name string) (value string, ok bool) {
	c := mustLookup(Broker, name)
	for _, l := range b.layers() {
		if v, set := l.set[name]; set {
			if parsed, err := c.Parse(v); err == nil {
				return parsed, true
			}
			continue
		}
		if setsSynonym(l.set, name) {
			break
		}
	}
	if c.Default == nil {
		return "", false
	}
	return *c.Default, true
}

func setsSynonym(set map[string]string, name string) bool {
	for _, s := range synonyms(name) {
		if _, ok := set[s.name]; ok {
			return true
		}
	}
	return false
}

// synonym is a broker config that sets the same thing in another unit.
type synonym struct {
	name string
	unit int64 // ms; 0: as it is
}

// synonyms are the configs that set the same thing as the broker config name,
// in their order of precedence; nil where there is only the one.
func synonyms(name string) []synonym {
	const minute, hour = 60_000, 60 * 60_000
	switch name {
	case "log.roll.ms", "log.roll.hours":
		return []synonym{{"log.roll.ms", 0}, {"log.roll.hours", hour}}
	case "log.roll.jitter.ms", "log.roll.jitter.hours":
		return []synonym{{"log.roll.jitter.ms", 0}, {"log.roll.jitter.hours", hour}}
	case "log.flush.interval.ms":
		return []synonym{{"log.flush.interval.ms", 0}, {"log.flush.scheduler.interval.ms", 0}}
	case "log.retention.ms", "log.retention.minutes", "log.retention.hours":
		return []synonym{{"log.retention.ms", 0}, {"log.retention.minutes", minute}, {"log.retention.hours", hour}}
	}
	return nil
}

// TopicValues are the effective configs of one topic on one broker.
type TopicValues struct {
	broker    BrokerValues
	overrides map[string]string
}

// Topic gives a topic's configs their defaults from the broker's.
func (b BrokerValues) Topic(overrides map[string]string) TopicValues {
	return TopicValues{b, overrides}
}

// Value is the effective value of a topic config; no topic config is null.
func (t TopicValues) Value(name string) string {
	v, _ := t.resolve(mustLookup(Topic, name))
	return v
}

// resolve finds a value and its source as Kafka's controller does
// (KafkaConfigSchema.resolveEffectiveTopicConfig).
func (t TopicValues) resolve(c *Config) (string, Source) {
	if v, ok := t.overrides[c.Name]; ok {
		if parsed, err := c.Parse(v); err == nil {
			return parsed, FromTopic
		}
	}
	return t.broker.resolve(c)
}

// resolve finds what the broker's configs say of a topic's or a group's config.
func (b BrokerValues) resolve(c *Config) (string, Source) {
	if c.Broker == "" {
		return *c.Default, FromDefault
	}
	names := synonyms(c.Broker)
	if names == nil {
		names = []synonym{{c.Broker, 0}}
	}
	for _, l := range b.layers() {
		for _, s := range names {
			if v, ok := l.set[s.name]; ok {
				if converted, err := s.convert(v); err == nil {
					return converted, l.source
				}
			}
		}
	}
	if c.Default == nil { // a group's assignor: the first of the broker's
		v, _ := b.Value(c.Broker)
		first, _, _ := strings.Cut(v, ",")
		return first, FromDefault
	}
	return *c.Default, FromDefault
}

// convert gives a synonym's value in the unit of the topic config; negative
// means unlimited.
func (s synonym) convert(value string) (string, error) {
	parsed, err := mustLookup(Broker, s.name).Parse(value)
	if err != nil || s.unit == 0 {
		return parsed, err
	}
	n, err := strconv.ParseInt(parsed, 10, 64)
	if err != nil {
		return "", err
	}
	if n < 0 {
		return "-1", nil
	}
	return strconv.FormatInt(n*s.unit, 10), nil
}

// GroupValues are the effective configs of one group on one broker.
type GroupValues struct {
	broker    BrokerValues
	overrides map[string]string
}

// Group gives a group's configs their defaults from the broker's.
func (b BrokerValues) Group(overrides map[string]string) GroupValues {
	return GroupValues{b, overrides}
}

// Value is the effective value of a group config, within the broker's limits.
func (g GroupValues) Value(name string) string {
	v, set := g.told(name)
	if set {
		return g.broker.clamped(name, v)
	}
	return v
}

// told is the value that is told of a group config, and whether somebody has set
// it.
func (g GroupValues) told(name string) (value string, set bool) {
	c := mustLookup(Group, name)
	if v, ok := g.overrides[name]; ok {
		if parsed, err := c.Parse(v); err == nil {
			return parsed, true
		}
	}
	v, _ := g.broker.resolve(c)
	return v, false
}

// Typed reads: they panic when the config is of another type, or null.

// Int is the value of a SHORT, INT or LONG config.
func (b BrokerValues) Int(name string) int64 { v, _ := b.Value(name); return mustInt(name, v) }

// Bool is the value of a BOOLEAN config.
func (b BrokerValues) Bool(name string) bool { v, _ := b.Value(name); return v == "true" }

// Ms is the value of a config in milliseconds.
func (b BrokerValues) Ms(name string) time.Duration { return ms(b.Int(name)) }

// List is the value of a LIST config.
func (b BrokerValues) List(name string) []string { v, _ := b.Value(name); return splitList(v) }

// Int is the value of a SHORT, INT or LONG config.
func (t TopicValues) Int(name string) int64 { return mustInt(name, t.Value(name)) }

// Bool is the value of a BOOLEAN config.
func (t TopicValues) Bool(name string) bool { return t.Value(name) == "true" }

// Ms is the value of a config in milliseconds; those that lie beyond what a
// Duration holds are its maximum.
func (t TopicValues) Ms(name string) time.Duration { return ms(t.Int(name)) }

// List is the value of a LIST config.
func (t TopicValues) List(name string) []string { return splitList(t.Value(name)) }

// Double is the value of a DOUBLE config.
func (t TopicValues) Double(name string) float64 {
	d, err := parseDouble(t.Value(name))
	if err != nil {
		panic(fmt.Sprintf("configs: %s is no number: %v", name, err))
	}
	return d
}

// Int is the value of an INT or LONG config.
func (g GroupValues) Int(name string) int64 { return mustInt(name, g.Value(name)) }

// Ms is the value of a config in milliseconds.
func (g GroupValues) Ms(name string) time.Duration { return ms(g.Int(name)) }

func ms(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(max(min(n, most), -most)) * time.Millisecond
}

func mustInt(name, value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("configs: %s is no number: %q", name, value))
	}
	return n
}

func mustLookup(s Scope, name string) *Config {
	c := Lookup(s, name)
	if c == nil {
		panic(fmt.Sprintf("configs: there is no config %q", name))
	}
	return c
}
