package minikafka

import (
	"fmt"
	"slices"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// PartitionState is a partition as the metadata has it, and as it is on each
// replica.
type PartitionState struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Leader is -1 when there is none. It may be a broker that has just ended.
	Leader         int32   `json:"leader"`
	LeaderEpoch    int32   `json:"leader_epoch"`
	PartitionEpoch int32   `json:"partition_epoch"`
	Replicas       []int32 `json:"replicas"`
	ISR            []int32 `json:"isr"`
	// ELR and LastKnownELR are the eligible leader replicas of KIP-966.
	ELR          []int32 `json:"elr,omitempty"`
	LastKnownELR []int32 `json:"last_known_elr,omitempty"`
	// HighWatermark and LogStart are the leader's; -1 when no leader serves.
	HighWatermark int64 `json:"high_watermark"`
	LogStart      int64 `json:"log_start"`
	// Logs are the replicas as they are, in the order of Replicas.
	Logs []ReplicaState `json:"logs"`
	// Held tells whether HoldReplication is in force.
	Held bool `json:"held,omitempty"`
}

// ReplicaState is one replica's log. Its offsets are -1 when its broker does not
// run or does not have it yet.
type ReplicaState struct {
	Broker        int32 `json:"broker"`
	Leading       bool  `json:"leading"`
	LogStart      int64 `json:"log_start"`
	LogEnd        int64 `json:"log_end"`
	HighWatermark int64 `json:"high_watermark"`
}

// Log is the state of the replica on a broker; the offsets are -1 when the
// broker has none.
func (s PartitionState) Log(broker int32) ReplicaState {
	for _, l := range s.Logs {
		if l.Broker == broker {
			return l
		}
	}
	return ReplicaState{Broker: broker, LogStart: -1, LogEnd: -1, HighWatermark: -1}
}

// PartitionState tells the state of a partition.
func (c *Cluster) PartitionState(topic string, partition int32) PartitionState {
	c.tb.Helper()
	id, err := c.cluster.partitionID(topic, partition)
	c.check(err)
	p := c.cluster.partition(topic, partition)
	if p == nil {
		c.check(c.cluster.unknownPartition(topic, partition))
	}
	return c.cluster.partitionState(topic, id, p)
}

// Leader is the broker that leads a partition; the test fails when none does
// that runs. After a fault, [Cluster.WaitLeader] waits for the next one.
func (c *Cluster) Leader(topic string, partition int32) *Broker {
	c.tb.Helper()
	n, err := c.cluster.leader(topic, partition)
	c.check(err)
	return c.brokerAt(n)
}

// Topics are the names of all topics, internal ones included, in order.
func (c *Cluster) Topics() []string {
	image := c.cluster.image()
	if image == nil {
		return nil
	}
	names := make([]string, 0, len(image.Topics))
	for name := range image.Topics {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *Cluster) brokerAt(n *brokerNode) *Broker {
	for _, b := range c.brokers {
		if b.place == n {
			return b
		}
	}
	return nil
}

func (c *cluster) node(id int32) *brokerNode {
	for _, n := range c.brokers {
		if n.plan.id == id {
			return n
		}
	}
	return nil
}

func (c *cluster) unknownPartition(topic string, partition int32) error {
	if c.isClosed() {
		return ErrClosed
	}
	return fmt.Errorf("%w: %s/%d", ErrUnknownTopic, topic, partition)
}

// missing is the error of a partition that the newest metadata does not have, nil
// while no node has any.
func (c *cluster) missing(topic string, partition int32) error {
	if c.image() == nil || c.partition(topic, partition) != nil {
		return nil
	}
	return c.unknownPartition(topic, partition)
}

// partition finds a partition in the newest metadata, or nil.
func (c *cluster) partition(topic string, partition int32) *election.Partition {
	image := c.image()
	if image == nil {
		return nil
	}
	t := image.Topics[topic]
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[partition]
}

func (c *cluster) partitionID(topic string, partition int32) (log.PartitionID, error) {
	if c.partition(topic, partition) == nil {
		return log.PartitionID{}, c.unknownPartition(topic, partition)
	}
	image := c.image()
	if image == nil || image.Topics[topic] == nil {
		return log.PartitionID{}, c.unknownPartition(topic, partition)
	}
	return log.PartitionID{Topic: image.Topics[topic].ID, Partition: partition}, nil
}

// leader is the broker that the newest metadata names as leader, if it runs.
func (c *cluster) leader(topic string, partition int32) (*brokerNode, error) {
	p := c.partition(topic, partition)
	if p == nil {
		return nil, c.unknownPartition(topic, partition)
	}
	n := c.node(p.Leader)
	switch {
	case p.Leader < 0:
		return nil, fmt.Errorf("%w: %s/%d", ErrNoLeader, topic, partition)
	case n == nil || n.running() == nil:
		return nil, fmt.Errorf("%w: %s/%d: broker %d does not run", ErrNoLeader, topic, partition, p.Leader)
	}
	return n, nil
}

// leading is the leader of the newest metadata, and its replica, once it serves
// clients in that epoch.
func (c *cluster) leading(topic string, partition int32) (*brokerNode, *replication.Replica) {
	p := c.partition(topic, partition)
	if p == nil {
		return nil, nil
	}
	n, err := c.leader(topic, partition)
	if err != nil || n.isPaused() {
		return nil, nil
	}
	id, err := c.partitionID(topic, partition)
	if err != nil {
		return nil, nil
	}
	r := n.replica(id)
	if r == nil {
		return nil, nil
	}
	if s := r.State(); !s.Leading || s.LeaderEpoch != p.LeaderEpoch {
		return nil, nil
	}
	return n, r
}

// replica is the broker's replica of a partition, or nil.
func (n *brokerNode) replica(id log.PartitionID) *replication.Replica {
	life := n.running()
	if life == nil {
		return nil
	}
	return life.Manager().Replica(id)
}

func (c *cluster) partitionState(topic string, id log.PartitionID, p *election.Partition) PartitionState {
	s := PartitionState{
		Topic: topic, Partition: id.Partition,
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Replicas: slices.Clone(p.Replicas), ISR: slices.Clone(p.ISR),
		ELR: slices.Clone(p.ELR), LastKnownELR: slices.Clone(p.LastKnownELR),
		HighWatermark: -1, LogStart: -1, Held: c.isHeld(id),
	}
	for _, broker := range p.Replicas {
		l := ReplicaState{Broker: broker, LogStart: -1, LogEnd: -1, HighWatermark: -1}
		if n := c.node(broker); n != nil {
			if r := n.replica(id); r != nil {
				now := r.State()
				l.Leading, l.LogStart, l.LogEnd, l.HighWatermark = now.Leading, now.LogStartOffset, now.LogEndOffset, now.HighWatermark
			}
		}
		if l.Leading && broker == p.Leader {
			s.HighWatermark, s.LogStart = l.HighWatermark, l.LogStart
		}
		s.Logs = append(s.Logs, l)
	}
	return s
}
