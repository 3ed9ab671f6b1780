package election_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
)

// skeleton is the life of a small cluster.
func skeleton(t *testing.T) {
	c := newCluster(t, fast(), 1).run()
	defer c.stop()
	start := time.Now()
	c.startBrokers(1, 2, 3)
	t.Logf("three brokers unfenced after %v", time.Since(start))
	b := c.brokers[2]
	topic := c.createTopic(b, "orders", 3, 3, nil)
	for i, p := range topic.Partitions {
		if p.Leader != int32(i+1) || len(p.ISR) != 3 || p.LeaderEpoch != 0 {
			t.Errorf("partition %d: %+v", i, *p)
		}
	}

	start = time.Now()
	c.brokers[1].crash()
	m := b.wait(c, "another leader of orders-0", func(m *election.Image) bool { return partition(m, "orders").Leader == 2 })
	t.Logf("another leader after %v", time.Since(start))
	p := partition(m, "orders")
	if !same(p.ISR, 2, 3) || p.LeaderEpoch != 1 || p.PartitionEpoch != 1 {
		t.Errorf("after the crash: %+v", *p)
	}

	c.startBrokers(1)
	m = b.wait(c, "broker 1 back", func(m *election.Image) bool { return m.Brokers[1].Alive() })
	r := do[election.AlterPartitionResult](c, b, &election.AlterPartition{
		Broker: 2, BrokerEpoch: b.Epoch(), Partition: log.PartitionID{Topic: topic.ID},
		LeaderEpoch: 1, PartitionEpoch: 1,
		NewISR: []election.ISRMember{{ID: 2, Epoch: b.Epoch()}, {ID: 3, Epoch: -1}, {ID: 1, Epoch: m.Brokers[1].Epoch}},
	})
	if !same(r.Partition.ISR, 2, 3, 1) || r.Partition.LeaderEpoch != 1 || r.Partition.PartitionEpoch != 2 {
		t.Errorf("after the return: %+v", r.Partition)
	}
}

func TestSkeleton(t *testing.T) {
	t.Parallel()
	skeleton(t)
}

func TestSkeletonInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, skeleton)
}
