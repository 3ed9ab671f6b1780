package election

import (
	"strconv"
	"strings"
)

// The configs that the controller reads itself.
const (
	minISRConfig        = "min.insync.replicas"
	uncleanConfig       = "unclean.leader.election.enable"
	numPartitionsConfig = "num.partitions"
	defaultRFConfig     = "default.replication.factor"
	deleteTopicConfig   = "delete.topic.enable"
)

// static is a static broker config, or its default.
func (e *edit) static(name string) string {
	if v, ok := e.Static[name]; ok {
		return v
	}
	return e.rules.Default(name)
}

// intConfig is a static numeric config; 1 when it is no number.
func (e *edit) intConfig(name string) int { return number(e.static(name)) }

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1
	}
	return n
}

// topicConfig is the value of a config for a topic: the topic's override, the
// cluster's dynamic default, the static value, the default
// (ConfigurationControlManager.getTopicConfig).
func (e *edit) topicConfig(t *Topic, name string) string {
	if v, ok := t.Configs[name]; ok {
		return v
	}
	if v, ok := e.ClusterConfigs[name]; ok {
		return v
	}
	return e.static(name)
}

func (e *edit) minISR(t *Topic) int { return number(e.topicConfig(t, minISRConfig)) }

func (e *edit) uncleanAllowed(t *Topic) bool {
	return strings.EqualFold(e.topicConfig(t, uncleanConfig), "true")
}

// producerIDBlockSize is how many producer ids a broker leases at a time.
const producerIDBlockSize = 1000

// apply leases the next block of producer ids (ProducerIdControlManager).
func (c *AllocateProducerIDs) apply(e *edit) (any, error) {
	if _, err := e.brokerAt(c.Broker, c.Epoch); err != nil {
		return nil, err
	}
	block := ProducerIDBlock{First: e.NextProducerID, Count: producerIDBlockSize}
	e.NextProducerID += producerIDBlockSize
	return block, nil
}

// overrides are the dynamic configs of a resource.
func (e *edit) overrides(r ConfigResource) map[string]string {
	switch {
	case r.Named.Kind != 0:
		return e.NamedConfigs[r.Named]
	case !r.IsBroker:
		if t := e.Topics[r.Topic]; t != nil {
			return t.Configs
		}
		return nil
	case r.Broker < 0:
		return e.ClusterConfigs
	}
	return e.BrokerConfigs[r.Broker]
}

// setOverrides replaces them, and forgets eligible replicas where the minimum
// ISR they were reckoned with has been set: the next change of each partition
// reckons anew (createClearElrRecordsAsNeeded).
func (e *edit) setOverrides(r ConfigResource, configs map[string]string, minISRSet bool) {
	switch {
	case r.Named.Kind != 0:
		e.setNamedConfigs(r.Named, configs)
	case r.IsBroker:
		e.setBrokerConfigs(max(r.Broker, -1), configs)
	default:
		e.setTopicConfigs(e.Topics[r.Topic].ID, configs)
	}
	if !minISRSet || !e.elrOn() {
		return
	}
	e.eachPartition(func(p *Partition) bool { return len(p.ELR) > 0 || len(p.LastKnownELR) > 0 },
		func(t *Topic, i int, p *Partition) {
			if r.IsBroker || t.Name == r.Topic {
				next := *p
				next.ELR, next.LastKnownELR = nil, nil
				next.PartitionEpoch++
				e.setPartition(t.ID, i, &next)
			}
		})
}

// touches tells whether a change of overrides writes a config: on a topic when
// its value changes, on a broker always.
func touches(r ConfigResource, old, next, asked map[string]string, name string) bool {
	a, was := old[name]
	b, is := next[name]
	if was != is || a != b {
		return true
	}
	_, named := asked[name]
	return r.IsBroker && named
}
