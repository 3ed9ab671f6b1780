package election

import (
	"maps"
	"slices"

	"github.com/minikafka/minikafka/log"
)

// hidden is the part of the metadata that brokers need not see.
type hidden struct {
	// NextProducerID is the first id of the next block.
	NextProducerID int64
	// Placed counts the partitions of user topics that were placed
	// automatically: the placer goes on where it stopped.
	Placed int64
	// Static are the static configs of the active controller, as of its claim,
	// so that every controller and every restart decides alike.
	Static map[string]string
	// Offline are the replicas that their brokers have reported unusable, until
	// the broker registers again.
	Offline map[int32]offline
}

// offline is what one broker cannot serve.
type offline struct {
	All        bool
	Partitions []log.PartitionID
}

func (o offline) holds(id log.PartitionID) bool {
	return o.All || slices.Contains(o.Partitions, id)
}

// edit is an image under construction: a copy of the last one that shares with
// it all that has not changed. It lives on the state machine's goroutine, and
// for one batch of commands.
type edit struct {
	Image
	hidden
	rules ConfigRules

	changed bool
	// What of the image is ours to change in place, since it was copied by this
	// edit already.
	ownBrokers, ownTopics, ownBrokerConfigs bool
	ownPartitions                           map[log.TopicID]bool
}

func newEdit(m *Image, h hidden, rules ConfigRules) *edit {
	return &edit{Image: *m, hidden: h, rules: rules, ownPartitions: map[log.TopicID]bool{}}
}

// fork is an edit on top of this one that is thrown away: what it makes will be
// in no image.
func (e *edit) fork() *edit {
	f := newEdit(&e.Image, e.hidden, e.rules)
	f.Index = 0
	return f
}

func (e *edit) setBroker(b *Broker) {
	if !e.ownBrokers {
		e.Brokers, e.ownBrokers = cloned(e.Brokers), true
	}
	e.Brokers[b.ID] = b
	e.changed = true
}

func (e *edit) removeBroker(id int32) {
	if !e.ownBrokers {
		e.Brokers, e.ownBrokers = cloned(e.Brokers), true
	}
	delete(e.Brokers, id)
	e.changed = true
}

func (e *edit) ownTopicMaps() {
	if !e.ownTopics {
		e.Topics, e.TopicsByID, e.ownTopics = cloned(e.Topics), cloned(e.TopicsByID), true
	}
	e.changed = true
}

// setTopic adds or replaces a topic.
func (e *edit) setTopic(t *Topic) {
	e.ownTopicMaps()
	e.Topics[t.Name] = t
	e.TopicsByID[t.ID] = t
}

func (e *edit) removeTopic(t *Topic) {
	e.ownTopicMaps()
	delete(e.Topics, t.Name)
	delete(e.TopicsByID, t.ID)
}

// setPartition replaces partition i of a topic, or appends it.
func (e *edit) setPartition(id log.TopicID, i int, p *Partition) {
	t := e.TopicsByID[id]
	if !e.ownPartitions[id] {
		c := *t
		c.Partitions = slices.Clone(t.Partitions)
		t = &c
		e.setTopic(t)
		e.ownPartitions[id] = true
	}
	if i == len(t.Partitions) {
		t.Partitions = append(t.Partitions, p)
	} else {
		t.Partitions[i] = p
	}
	e.changed = true
}

// setTopicConfigs replaces a topic's overrides.
func (e *edit) setTopicConfigs(id log.TopicID, configs map[string]string) {
	t := *e.TopicsByID[id]
	t.Configs = configs
	e.setTopic(&t)
}

// setBrokerConfigs replaces the dynamic configs of a broker, or of the cluster
// when broker is -1.
func (e *edit) setBrokerConfigs(broker int32, configs map[string]string) {
	e.changed = true
	if broker < 0 {
		e.ClusterConfigs = configs
		return
	}
	if !e.ownBrokerConfigs {
		e.BrokerConfigs, e.ownBrokerConfigs = cloned(e.BrokerConfigs), true
	}
	if len(configs) == 0 {
		delete(e.BrokerConfigs, broker)
	} else {
		e.BrokerConfigs[broker] = configs
	}
}

// setNamedConfigs replaces the configs of a group or a subscription.
func (e *edit) setNamedConfigs(r NamedResource, configs map[string]string) {
	e.NamedConfigs, e.changed = cloned(e.NamedConfigs), true
	if len(configs) == 0 {
		delete(e.NamedConfigs, r)
	} else {
		e.NamedConfigs[r] = configs
	}
}

// active tells whether a broker is registered, unfenced and not shutting down
// (ClusterControlManager.isActive).
func (e *edit) active(id int32) bool { return e.Brokers[id].Alive() }

// sortedTopics lists the topics by name.
func (e *edit) sortedTopics() []*Topic {
	return slices.SortedFunc(maps.Values(e.Topics), func(a, b *Topic) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
}

// cloned copies a map, and makes one of a nil one.
func cloned[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m)+1)
	maps.Copy(c, m)
	return c
}
