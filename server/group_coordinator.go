package server

import (
	"math"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// newGroups makes the runtime of the groups' state (GroupCoordinatorService). It
// has a shard for each partition of __consumer_offsets that this broker leads.
func (b *broker) newGroups() *coordinator.Runtime[*groups.Shard] {
	v := configs.BrokerValues{Static: b.config.Static}
	c := groups.Config{Settings: b.static, Group: b.groupValues}
	return coordinator.New(coordinator.Config[*groups.Shard]{
		Topic:        consumerOffsets,
		NewShard:     func(ctx coordinator.Context) *groups.Shard { return groups.New(ctx, c) },
		Logger:       b.logger,
		Linger:       time.Duration(v.Int("group.coordinator.append.linger.ms")) * time.Millisecond,
		WriteTimeout: time.Duration(b.static.OffsetsCommitTimeoutMs) * time.Millisecond,
		LoadBuffer:   int(v.Int("offsets.load.buffer.size")),
		Codec:        log.Codec(v.Int("offsets.topic.compression.codec")),
		Pass:         b.pauses.gate.pass,
	})
}

// groupValues are the configs of a group.
func (b *broker) groupValues(id string) configs.GroupValues {
	m := b.image()
	return b.values(m).Group(m.NamedConfigs[named(kmsg.ConfigResourceTypeGroupConfig, id)])
}

// groupPartition is the partition of __consumer_offsets that holds a group
// (GroupCoordinatorService.partitionFor).
func (b *broker) groupPartition(groupID string) int32 {
	return CoordinatorPartition(groupID, b.groupPartitions())
}

// groupPartitions is how many partitions __consumer_offsets has, or will have.
func (b *broker) groupPartitions() int32 {
	if m := b.image(); m != nil {
		if t := m.Topics[consumerOffsets]; t != nil {
			return int32(len(t.Partitions))
		}
	}
	return b.static.OffsetsTopicNumPartitions
}

// CoordinatorPartition is the partition that a group or a transactional id belongs
// to: Utils.abs(key.hashCode()) % partitions.
func CoordinatorPartition(key string, partitions int32) int32 {
	var h int32
	for _, c := range utf16.Encode([]rune(key)) {
		h = 31*h + int32(c)
	}
	if h == math.MinInt32 {
		return 0
	}
	return max(h, -h) % partitions
}

// coordinate has the partitions of the coordinators' topics loaded that this
// broker leads from the image on, and unloads those it led before
// (BrokerMetadataPublisher.updateCoordinator). The roles are in force.
func (b *broker) coordinate(old, m *election.Image) {
	b.coordinateTopic(old, m, consumerOffsets, b.groups, coordinator.NewLog)
	b.coordinateTopic(old, m, shareGroupState, b.shareStates, coordinator.NewLog)
	b.coordinateTopic(old, m, transactionState, b.transactions, coordinator.NewReplicatedLog)
}

// shards is a [coordinator.Runtime].
type shards interface {
	Lead(number, epoch int32, l coordinator.Log)
	Resign(number, epoch int32)
	Update(m *election.Image)
}

func (b *broker) coordinateTopic(
	old, m *election.Image, name string, rt shards, open func(*replication.Replica, func() int) coordinator.Log,
) {
	var was *election.Topic
	if old != nil {
		was = old.Topics[name]
	}
	now := m.Topics[name]
	if was != nil && (now == nil || now.ID != was.ID) {
		for n := range was.Partitions {
			rt.Resign(int32(n), math.MaxInt32)
		}
		was = nil
	}
	if now != nil && now != was {
		for n, p := range now.Partitions {
			if was != nil && n < len(was.Partitions) && was.Partitions[n] == p {
				continue
			}
			if p.Leader != b.config.ID {
				rt.Resign(int32(n), p.LeaderEpoch)
				continue
			}
			id := log.PartitionID{Topic: now.ID, Partition: int32(n)}
			if r := b.replicas.Replica(id); r != nil {
				rt.Lead(int32(n), p.LeaderEpoch, open(r, func() int { return b.maxMessageBytes(id.Topic) }))
			}
		}
	}
	rt.Update(m)
}

// maxMessageBytes is max.message.bytes of a topic.
func (b *broker) maxMessageBytes(id log.TopicID) int {
	m := b.image()
	if t := m.TopicsByID[id]; t != nil {
		return b.topicSettings(m, t).rules.MaxMessageBytes
	}
	return math.MaxInt32
}

// Coordinates tells whether this broker has loaded the state that a partition of an
// internal topic holds, as its leader. Partitions of other topics hold none.
func (b *Broker) Coordinates(topic string, partition int32) bool {
	switch topic {
	case consumerOffsets:
		return b.groups.Serves(partition)
	case transactionState:
		return b.transactions.Serves(partition)
	case shareGroupState:
		return b.shareStates.Serves(partition)
	}
	return true
}

// CoordinatorsChanged are closed when the state that this broker coordinates may
// have changed: of groups, transactions, or shares.
func (b *Broker) CoordinatorsChanged() []<-chan struct{} {
	return []<-chan struct{}{b.groups.Changed(), b.transactions.Changed(), b.shareStates.Changed()}
}

// CreateInternal has an internal topic created, in the background.
func (b *Broker) CreateInternal(topic string) { _ = b.autoCreate([]string{topic}) }
