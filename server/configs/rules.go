package configs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/minikafka/minikafka/election"
)

// Rules is the catalogue as the controller asks for it (election.ConfigRules).
// Its errors carry Kafka's message and wrap an election sentinel.
type Rules struct{}

// ValidateTopic refuses names that no topic config has, and values that do not
// fit (LogConfig.validate): election.ErrInvalidConfig.
func (Rules) ValidateTopic(configs map[string]string) error {
	if err := checkLengths(configs); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		c := Lookup(Topic, name)
		if c == nil {
			return invalid("Unknown topic config name: " + name)
		}
		if _, err := c.Parse(configs[name]); err != nil {
			return invalid(err.Error())
		}
	}
	return validateTopicTogether(BrokerValues{}.Topic(configs))
}

// validateTopicTogether checks what concerns more than one config.
func validateTopicTogether(t TopicValues) error {
	if least, most := t.Int("min.compaction.lag.ms"), t.Int("max.compaction.lag.ms"); least > most {
		return invalid(fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
			least, most))
	}
	if t.Bool("remote.storage.enable") {
		return invalid("Tiered Storage functionality is disabled in the broker. " +
			"Topic cannot be configured with remote log storage.")
	}
	return nil
}

// ValidateBroker refuses values that are too long, and nothing else: a broker's
// configs were checked by the broker that was asked ([Rules.CheckBrokerChange]),
// and Kafka's controller does not look at them again
// (ControllerConfigurationValidator).
func (Rules) ValidateBroker(configs map[string]string) error { return checkLengths(configs) }

// IsList tells whether a config is a list, in any scope.
func (Rules) IsList(name string) bool {
	for _, s := range []Scope{Topic, Broker, Group, ClientMetrics} {
		if c := Lookup(s, name); c != nil && c.Type == List {
			return true
		}
	}
	return false
}

// Default is the value of a topic's or broker's config when nothing sets it; ""
// when Kafka's is null or there is no such config.
func (Rules) Default(name string) string {
	for _, s := range []Scope{Broker, Topic, Group, ClientMetrics} {
		if c := Lookup(s, name); c != nil {
			if c.Default == nil {
				return ""
			}
			return *c.Default
		}
	}
	return ""
}

// CheckBrokerChange checks the dynamic configs that a broker would have after a
// change, as the broker does before it sends it to the controller
// (DynamicBrokerConfig.validate): known configs must be dynamic, and have a
// value that fits. Unknown ones are taken. one is set for the configs of one
// broker, and not for those of all. Errors are election.ErrInvalidRequest.
func (Rules) CheckBrokerChange(configs map[string]string, one bool) error {
	names := slices.Sorted(maps.Keys(configs))
	var fixed, bare, each []string
	for _, name := range names {
		switch dynamics(name) {
		case neverDynamic:
			fixed = append(fixed, name)
		case byListener:
			bare = append(bare, name)
		case byBroker:
			each = append(each, name)
		case freelyDynamic:
		}
	}
	switch {
	case fixed != nil:
		return refuseNames("Cannot update these configs dynamically", fixed)
	case bare != nil:
		return refuseNames("These security configs can be dynamically updated only per-listener using the listener prefix", bare)
	}
	for _, name := range names {
		base, _ := listenerConfig(name)
		if c := Lookup(Broker, base); c != nil && c.Update != ReadOnly {
			if _, err := c.Parse(configs[name]); err != nil {
				return refuse(election.ErrInvalidRequest, err.Error())
			}
		}
	}
	if each != nil && !one {
		return refuseNames("Cannot update these configs at default cluster level, broker id must be specified", each)
	}
	if message := logsTogether(BrokerValues{Own: configs}); message != "" {
		return refuse(election.ErrInvalidRequest, message)
	}
	return nil
}

// dynamic says how a broker config may be changed dynamically.
type dynamic int

const (
	freelyDynamic dynamic = iota
	byBroker              // not for all brokers at once
	byListener            // only with the prefix of a listener
	neverDynamic
)

func dynamics(name string) dynamic {
	base, listener := listenerConfig(name)
	c := Lookup(Broker, base)
	switch {
	case listener:
		switch base {
		case "max.connections", "max.connection.creation.rate", "num.network.threads":
			return freelyDynamic
		}
		return byBroker
	case c == nil:
		return freelyDynamic
	case c.Update == ReadOnly:
		return neverDynamic
	case isStore(name):
		return byListener
	case c.Update == PerBroker:
		return byBroker
	}
	return freelyDynamic
}

// isStore tells whether a config is about keys and certificates
// (SslConfigs.RECONFIGURABLE_CONFIGS).
func isStore(name string) bool {
	return name == "ssl.key.password" || strings.HasPrefix(name, "ssl.keystore.") || strings.HasPrefix(name, "ssl.truststore.")
}

// CheckStatic checks what a broker shall be started with: values of known
// configs must fit. Unknown names are taken, as Kafka takes them. See also
// [CheckTogether].
func CheckStatic(configs map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		if c := Lookup(Broker, name); c != nil {
			if _, err := c.Parse(configs[name]); err != nil {
				return invalid(err.Error())
			}
		}
	}
	return nil
}

// listenerConfig takes the prefix listener.name.NAME. off a name.
func listenerConfig(name string) (base string, ok bool) {
	m := regexp.MustCompile(`^listener\.name\.[^.]*\.(.*)$`).FindStringSubmatch(name)
	if m == nil {
		return name, false
	}
	return m[1], true
}

func refuseNames(why string, names []string) error {
	return refuse(election.ErrInvalidRequest, why+": ["+strings.Join(names, ", ")+"]")
}

func invalid(message string) error { return refuse(election.ErrInvalidConfig, message) }

func refuse(sentinel error, message string) error {
	return &election.Error{Err: sentinel, Message: message}
}
