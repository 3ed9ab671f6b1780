package configs

import (
	"maps"
	"slices"
)

// Entry is a config as DescribeConfigs tells it.
type Entry struct {
	Name      string
	Value     *string // nil: null, or sensitive
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Type      Type
	Synonyms  []Synonym // strongest first
	Doc       string    // what the config does here
}

// Synonym is one place where an entry's value could come from.
type Synonym struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic tells a topic's configs, sorted by name
// (ConfigHelper.createTopicConfigEntry).
func (b BrokerValues) DescribeTopic(overrides map[string]string) []Entry {
	t := b.Topic(overrides)
	all := catalogue().told[Topic]
	entries := make([]Entry, 0, len(all))
	for _, c := range all {
		value, _ := t.resolve(c)
		e := c.entry(&value)
		if _, ok := overrides[c.Name]; ok {
			e.Synonyms = append(e.Synonyms, Synonym{c.Name, &value, FromTopic})
		}
		if c.Broker != "" {
			e.Synonyms = append(e.Synonyms, b.brokerSynonyms(c.Broker, c.Sensitive())...)
		}
		entries = append(entries, e.fromSynonyms())
	}
	return entries
}

// CreatedTopic tells the configs of a topic that was just created, sorted by
// name (ConfigurationControlManager.computeEffectiveTopicConfigs): sources
// only, and found by another rule than DescribeTopic's.
func (b BrokerValues) CreatedTopic(overrides map[string]string) []Entry {
	t := b.Topic(overrides)
	all := catalogue().told[Topic]
	entries := make([]Entry, 0, len(all))
	for _, c := range all {
		value, source := t.resolve(c)
		e := c.entry(&value)
		e.Source = source
		entries = append(entries, e)
	}
	return entries
}

// DescribeGroup tells a group's configs, sorted by name
// (ConfigHelper.createGroupConfigEntry).
func (b BrokerValues) DescribeGroup(overrides map[string]string) []Entry {
	g := b.Group(overrides)
	all := catalogue().told[Group]
	entries := make([]Entry, 0, len(all))
	for _, c := range all {
		value, _ := g.told(c.Name)
		e := c.entry(&value)
		if _, ok := overrides[c.Name]; ok {
			e.Synonyms = append(e.Synonyms, Synonym{c.Name, &value, FromGroup})
		}
		if c.Broker != "" {
			e.Synonyms = append(e.Synonyms, b.brokerSynonyms(c.Broker, c.Sensitive())...)
		} else {
			e.Synonyms = append(e.Synonyms, Synonym{c.Name, c.Default, FromDefault})
		}
		entries = append(entries, e.fromSynonyms())
	}
	return entries
}

// DescribeBroker tells all configs of one broker, sorted by name: those Kafka
// knows, and those somebody has set (ConfigHelper.createBrokerConfigEntry).
func (b BrokerValues) DescribeBroker() []Entry {
	all := catalogue().told[Broker]
	entries := make([]Entry, 0, len(all))
	for _, c := range all {
		var value *string
		if v, ok := b.Value(c.Name); ok {
			value = &v
		}
		e := c.entry(value)
		e.Synonyms = b.brokerSynonyms(c.Name, c.Sensitive())
		entries = append(entries, e.fromSynonyms())
	}
	for _, name := range b.unknown() {
		entries = append(entries, unknownEntry(name, b.brokerSynonyms(name, true)))
	}
	slices.SortFunc(entries, func(x, y Entry) int { return compare(x.Name, y.Name) })
	return entries
}

// DescribeCluster tells the dynamic configs of all brokers, sorted by name: only
// those that are set.
func (b BrokerValues) DescribeCluster() []Entry {
	entries := make([]Entry, 0, len(b.Cluster))
	for _, name := range slices.Sorted(maps.Keys(b.Cluster)) {
		value := b.Cluster[name]
		c := Lookup(Broker, name)
		sensitive := c == nil || c.Sensitive()
		e := unknownEntry(name, nil)
		if c != nil {
			e = c.entry(&value)
		}
		for _, s := range b.brokerSynonyms(name, sensitive) {
			if s.Source == FromCluster {
				e.Synonyms = append(e.Synonyms, s)
			}
		}
		entries = append(entries, e.fromSynonyms())
	}
	return entries
}

func (c *Config) entry(value *string) Entry {
	e := Entry{
		Name: c.Name, Value: value, Type: c.Type, Sensitive: c.Sensitive(),
		ReadOnly: c.Scope == Broker && c.Update == ReadOnly,
		Source:   FromDefault, Doc: c.Effect,
	}
	if e.Sensitive {
		e.Value = nil
	}
	return e
}

// unknownEntry is a config that Kafka has no name for; its value counts as
// sensitive (KafkaConfig.maybeSensitive).
func unknownEntry(name string, synonyms []Synonym) Entry {
	e := Entry{Name: name, Sensitive: true, ReadOnly: true, Source: FromDefault, Synonyms: synonyms}
	return e.fromSynonyms()
}

// fromSynonyms makes the first synonym's source the entry's.
func (e Entry) fromSynonyms() Entry {
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	return e
}

// unknown are the names that are set and not in the catalogue.
func (b BrokerValues) unknown() []string {
	seen := map[string]bool{}
	for _, l := range b.layers() {
		for name := range l.set {
			if Lookup(Broker, name) == nil {
				seen[name] = true
			}
		}
	}
	return slices.Collect(maps.Keys(seen))
}

// brokerSynonyms are the places that set a broker config, as they were written
// (ConfigHelper.configSynonyms): what comes before the first of the config's own
// name is dropped, and everything when there is none.
func (b BrokerValues) brokerSynonyms(name string, sensitive bool) []Synonym {
	names := synonyms(name)
	if names == nil {
		names = []synonym{{name, 0}}
	}
	var all []Synonym
	add := func(name string, value *string, from Source) {
		if sensitive {
			value = nil
		}
		all = append(all, Synonym{name, value, from})
	}
	for _, l := range b.layers() {
		for _, s := range names {
			if v, ok := l.set[s.name]; ok {
				add(s.name, &v, l.source)
			}
		}
	}
	for _, s := range names {
		if c := Lookup(Broker, s.name); c != nil && c.Default != nil {
			add(s.name, c.Default, FromDefault)
		}
	}
	own := slices.IndexFunc(all, func(s Synonym) bool { return s.Name == name })
	if own < 0 {
		return nil
	}
	return all[own:]
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
