package server

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// partition finds a partition by its topic's name, and its replica here. Errors
// are those of ReplicaManager.getPartitionOrError.
func (b *broker) partition(m *election.Image, topic string, partition int32) (*election.Topic, *replication.Replica, error) {
	t := m.Topics[topic]
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return nil, nil, kerr.UnknownTopicOrPartition
	}
	r := b.replicas.Replica(log.PartitionID{Topic: t.ID, Partition: partition})
	if r == nil {
		return t, nil, replication.ErrNotHosted
	}
	return t, r, nil
}
