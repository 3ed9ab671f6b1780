package election

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/minikafka/minikafka/log"
)

// Command is something the controller is asked to do. Each type says what Do
// answers. Results carry one error per item, in the order of the request; Do's
// own error is for the whole command.
type Command interface{ command() }

// CreateTopics creates topics (RCM.createTopics). Result: []CreateTopicResult.
type CreateTopics struct {
	Topics       []NewTopic
	ValidateOnly bool
	// Internal lets the broker create the internal topics.
	Internal bool
}

// NewTopic is a topic to create. Partitions and ReplicationFactor -1 mean the
// broker defaults; Assignment, when not nil, names the replicas by partition.
type NewTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Assignment        map[int32][]int32
	// DuplicatePartitions is set when the request named a partition twice.
	DuplicatePartitions bool
	Configs             map[string]string
}

// CreateTopicResult is what became of one topic.
type CreateTopicResult struct {
	Name              string
	ID                log.TopicID
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string
	Err               error
	Index             uint64 // controller log index at which it is there
}

// DeleteTopics deletes topics. Result: []TopicResult.
type DeleteTopics struct{ Topics []TopicRef }

// TopicRef names a topic by name, or by id when Name is "".
type TopicRef struct {
	Name string
	ID   log.TopicID
}

// TopicResult is what became of one topic.
type TopicResult struct {
	Name  string
	ID    log.TopicID
	Err   error
	Index uint64
}

// CreatePartitions adds partitions up to Count. Result: []TopicResult.
type CreatePartitions struct {
	Topics       []MorePartitions
	ValidateOnly bool
}

// MorePartitions is a topic with the number of partitions it shall have.
type MorePartitions struct {
	Name       string
	Count      int32
	Assignment [][]int32 // of the new partitions; nil: automatic
}

// ConfigResource names what configs belong to.
type ConfigResource struct {
	// Topic is the topic's name when the resource is a topic.
	Topic string
	// IsBroker: a broker's dynamic configs; Broker -1 is the cluster default.
	IsBroker bool
	Broker   int32
	// Named is a resource that is neither; its configs are validated by the
	// sender.
	Named NamedResource
}

// NamedResource is a resource that the controller knows by its configs alone: a
// group (Kind 32) or a client metrics subscription (16), numbered as in the
// protocol. The zero value is none.
type NamedResource struct {
	Kind int8
	Name string
}

// MarshalText makes it a key in the controller's file.
func (r NamedResource) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d:%s", r.Kind, r.Name), nil
}

// UnmarshalText reads what MarshalText wrote.
func (r *NamedResource) UnmarshalText(text []byte) error {
	kind, name, _ := strings.Cut(string(text), ":")
	n, err := strconv.ParseInt(kind, 10, 8)
	if err != nil {
		return fmt.Errorf("%w: resource %q", errEntry, text)
	}
	*r = NamedResource{int8(n), name}
	return nil
}

// ConfigOp is IncrementalAlterConfigs' operation.
type ConfigOp int8

// The operations, numbered as in the protocol.
const (
	OpSet ConfigOp = iota
	OpDelete
	OpAppend
	OpSubtract
)

// ConfigChange is one change; Value nil with OpSet is refused.
type ConfigChange struct {
	Name  string
	Op    ConfigOp
	Value *string
}

// AlterConfigs changes configs, each resource all or nothing. With Replace the
// given configs (all OpSet) become the whole override set (legacy AlterConfigs).
// Result: []error, nil where it went through.
type AlterConfigs struct {
	Resources    []ResourceChange
	Replace      bool
	ValidateOnly bool
}

// ResourceChange is one resource's changes.
type ResourceChange struct {
	Resource ConfigResource
	Changes  []ConfigChange
}

// ElectLeaders elects (RCM.electLeaders). Result: []ElectResult; with
// Partitions nil all partitions, without those that need no election.
type ElectLeaders struct {
	Unclean    bool
	Partitions []PartitionRef
}

// PartitionRef names a partition by its topic's name.
type PartitionRef struct {
	Topic     string
	Partition int32
}

// ElectResult is what became of one election.
type ElectResult struct {
	PartitionRef
	Err error
}

// AlterReassignments starts or (Replicas nil) cancels reassignments. Result:
// []ElectResult in request order.
type AlterReassignments struct {
	Partitions []Reassignment
	// AllowReplicationFactorChange is v1's flag.
	AllowReplicationFactorChange bool
}

// Reassignment is a partition and its target replicas.
type Reassignment struct {
	PartitionRef
	Replicas []int32
}

// AllocateProducerIDs leases a block of producer ids. Result: ProducerIDBlock.
type AllocateProducerIDs struct {
	Broker int32
	Epoch  int64
}

// ProducerIDBlock is the ids [First, First+Count).
type ProducerIDBlock struct {
	First int64
	Count int64
}

// AlterPartition is a leader's ISR change (RCM.alterPartition). Result:
// AlterPartitionResult. What is wrong is found in Kafka's order.
// ErrNewLeaderElected comes though the change is in force: it has completed a
// reassignment, and another leads now.
type AlterPartition struct {
	Broker         int32
	BrokerEpoch    int64
	Partition      log.PartitionID
	LeaderEpoch    int32
	PartitionEpoch int32
	NewISR         []ISRMember
	// Recovering is set when the leader reports LeaderRecoveryState RECOVERING.
	Recovering bool
}

// ISRMember is a proposed member with the broker epoch the leader saw it
// fetch with (-1: unknown).
type ISRMember struct {
	ID    int32
	Epoch int64
}

// AlterPartitionResult is the partition as it stands after the change.
type AlterPartitionResult struct {
	Partition Partition
}

// ReportOffline tells that a broker can no longer serve replicas on its store.
// Result: nil.
type ReportOffline struct {
	Broker      int32
	BrokerEpoch int64
	Partitions  []log.PartitionID // nil: all
	// Recovered takes back a report of all: the store hung, and goes on.
	Recovered bool
}

// UpdateFeatures changes finalized feature levels, all of them or none: a refusal
// is the error of the whole command (ErrInvalidUpdateVersion, as Kafka answers
// it). Result: map[string]error, nil for each feature named.
type UpdateFeatures struct {
	Updates      []FeatureUpdate
	ValidateOnly bool
}

// FeatureUpdate is one feature's new level; UpgradeType as in the protocol.
type FeatureUpdate struct {
	Name        string
	Level       int16
	UpgradeType int8
}

// UnregisterBroker removes a registration. Result: nil.
type UnregisterBroker struct{ Broker int32 }

func (*CreateTopics) command()        {}
func (*DeleteTopics) command()        {}
func (*CreatePartitions) command()    {}
func (*AlterConfigs) command()        {}
func (*ElectLeaders) command()        {}
func (*AlterReassignments) command()  {}
func (*AllocateProducerIDs) command() {}
func (*AlterPartition) command()      {}
func (*ReportOffline) command()       {}
func (*UpdateFeatures) command()      {}
func (*UnregisterBroker) command()    {}
