package configs

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Scope is what a config belongs to, numbered as in the protocol
// (ConfigResource.Type).
type Scope int8

// The scopes.
const (
	Topic         Scope = 2
	Broker        Scope = 4
	BrokerLogger  Scope = 8
	ClientMetrics Scope = 16
	Group         Scope = 32
)

// Type is a config's type, numbered as in the protocol (ConfigType).
type Type int8

// The types.
const (
	Unknown Type = iota
	Boolean
	String
	Int
	Short
	Long
	Double
	List
	Class
	Password
)

// Update says how a broker config may change while the broker runs.
type Update int8

// The update modes.
const (
	ReadOnly    Update = iota
	PerBroker          // for one broker
	ClusterWide        // for one broker, or for all
)

// Config is one config of Kafka's.
type Config struct {
	Scope Scope
	Name  string
	Type  Type
	// Default is nil where Kafka's is null.
	Default *string
	// Update matters for broker configs alone.
	Update Update
	// Internal configs are accepted and not told.
	Internal bool
	// Broker is the broker config that gives a topic's or a group's config its
	// default; "" means none.
	Broker string
	// Effect says what the config does here; "" means nothing.
	Effect string
	valid  validator
}

// Sensitive configs are told without their value.
func (c *Config) Sensitive() bool { return c.Type == Password }

// Lookup finds a config, or nil.
func Lookup(s Scope, name string) *Config { return catalogue().byName[key{s, name}] }

// All lists the configs of a scope by name, without the internal ones. The slice
// is the caller's, the configs are shared: do not change them.
func All(s Scope) []*Config { return slices.Clone(catalogue().told[s]) }

type key struct {
	scope Scope
	name  string
}

type table struct {
	byName map[key]*Config
	told   map[Scope][]*Config
}

//go:embed catalogue.tsv
var catalogueText string

// catalogue reads the table once for the process: it never changes.
//
//nolint:gochecknoglobals // Read-only, and 450 lines to parse.
var catalogue = sync.OnceValue(func() *table {
	t := &table{byName: map[key]*Config{}, told: map[Scope][]*Config{}}
	effects := effects()
	for line := range strings.Lines(catalogueText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := parseConfig(strings.TrimRight(line, "\n"))
		c.Effect = effects[key{c.Scope, c.Name}]
		delete(effects, key{c.Scope, c.Name})
		t.byName[key{c.Scope, c.Name}] = c
		if !c.Internal {
			t.told[c.Scope] = append(t.told[c.Scope], c)
		}
	}
	for k := range effects {
		panic(fmt.Sprintf("configs: an effect of the unknown config %s", k.name))
	}
	t.inherit()
	for _, s := range slices.Collect(maps.Keys(t.told)) {
		slices.SortFunc(t.told[s], func(a, b *Config) int { return strings.Compare(a.Name, b.Name) })
	}
	return t
})

// The columns of catalogue.tsv.
const (
	colScope = iota
	colName
	colType
	colDefault
	colUpdate
	colValid
	colBroker
	columns
)

func parseConfig(line string) *Config {
	f := strings.Split(line, "\t")
	if len(f) != columns {
		panic(fmt.Sprintf("configs: a catalogue line of %d columns: %q", len(f), line))
	}
	c := &Config{
		Scope:    scopes()[f[colScope]],
		Name:     f[colName],
		Type:     types()[f[colType]],
		Internal: strings.HasPrefix(f[colUpdate], "internal"),
		Broker:   f[colBroker],
	}
	if f[colDefault] != "null" {
		c.Default = &f[colDefault]
	}
	switch strings.TrimPrefix(f[colUpdate], "internal ") {
	case "per-broker":
		c.Update = PerBroker
	case "cluster-wide":
		c.Update = ClusterWide
	}
	if c.Scope == 0 || c.Type == Unknown {
		panic(fmt.Sprintf("configs: a catalogue line of unknown scope or type: %q", line))
	}
	c.valid = parseValid(c, f[colValid])
	return c
}

func scopes() map[string]Scope {
	return map[string]Scope{"TOPIC": Topic, "BROKER": Broker, "GROUP": Group, "CLIENT_METRICS": ClientMetrics}
}

func types() map[string]Type {
	return map[string]Type{
		"BOOLEAN": Boolean, "STRING": String, "INT": Int, "SHORT": Short, "LONG": Long,
		"DOUBLE": Double, "LIST": List, "CLASS": Class, "PASSWORD": Password,
	}
}

// String is the type's name in Kafka.
func (t Type) String() string {
	for name, u := range types() {
		if t == u {
			return name
		}
	}
	return "UNKNOWN"
}
