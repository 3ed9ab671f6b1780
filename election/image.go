package election

import "github.com/minikafka/minikafka/log"

// Image is the cluster metadata as of one applied command. It is immutable:
// whoever has one may read it without a lock, and share its parts.
type Image struct {
	// Term and Index of the controller log say how new the image is; brokers
	// never go back to an older one. Index counts alone: (Term, Index) grow
	// together.
	Term, Index uint64
	ClusterID   string
	// Brokers holds every registered broker, fenced ones too.
	Brokers map[int32]*Broker
	// Topics by name and TopicsByID hold the same topics.
	Topics     map[string]*Topic
	TopicsByID map[log.TopicID]*Topic
	// ClusterConfigs are the dynamic cluster-wide broker configs (resource
	// name ""), BrokerConfigs those of one broker.
	ClusterConfigs map[string]string
	BrokerConfigs  map[int32]map[string]string
	// NamedConfigs are the configs of groups and client metrics subscriptions.
	NamedConfigs map[NamedResource]map[string]string
	// Features are the finalized feature levels, by Kafka's names.
	Features map[string]int16
	// FeaturesEpoch grows with each change of Features.
	FeaturesEpoch int64
}

// Broker is one broker's registration (ClusterControlManager's
// BrokerRegistration).
type Broker struct {
	ID          int32
	Epoch       int64 // the index of the registration in the controller's log
	Incarnation [16]byte
	Host        string
	Port        int32
	Rack        string // "" means none
	// Fenced brokers lead nothing, are in no ISR and are not in Metadata.
	Fenced bool
	// ShuttingDown is set while a controlled shutdown is under way.
	ShuttingDown bool
}

// Alive tells whether the broker may lead and be in an ISR.
func (b *Broker) Alive() bool { return b != nil && !b.Fenced && !b.ShuttingDown }

// Topic is one topic.
type Topic struct {
	ID         log.TopicID
	Name       string
	Partitions []*Partition
	Configs    map[string]string // topic-level overrides
}

// Partition is one partition's registration (PartitionRegistration).
type Partition struct {
	Replicas []int32
	ISR      []int32
	// ELR and LastKnownELR are KIP-966's.
	ELR, LastKnownELR []int32
	Adding, Removing  []int32
	Leader            int32 // -1: none
	LeaderEpoch       int32
	PartitionEpoch    int32
	// Recovering is Kafka's LeaderRecoveryState RECOVERING.
	Recovering bool
}

// Partition finds a partition, or nil.
func (m *Image) Partition(id log.PartitionID) *Partition {
	t := m.TopicsByID[id.Topic]
	if t == nil || id.Partition < 0 || int(id.Partition) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[id.Partition]
}

// TopicName is the name of a topic id, or "".
func (m *Image) TopicName(id log.TopicID) string {
	if t := m.TopicsByID[id]; t != nil {
		return t.Name
	}
	return ""
}
