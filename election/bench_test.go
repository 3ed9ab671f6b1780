package election_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/internal/cputime"
	"github.com/minikafka/minikafka/log"
)

// BenchmarkIdle measures what the control plane of an idle cluster of three
// brokers costs, in hundredths of one core.
func BenchmarkIdle(b *testing.B) {
	for _, peers := range [][]int32{{1}, {1, 2, 3}} {
		b.Run(fmt.Sprint(len(peers), " controllers"), func(b *testing.B) {
			c := newCluster(b, fast(), peers...).run()
			defer c.stop()
			c.startBrokers(1, 2, 3)
			start, used := time.Now(), cputime.Used()
			for b.Loop() {
				<-time.After(100 * time.Millisecond)
			}
			b.ReportMetric(float64(cputime.Used()-used)/float64(time.Since(start))*100, "%core")
		})
	}
}

// BenchmarkCommand is one command after the other.
func BenchmarkCommand(b *testing.B) {
	c := newCluster(b, fast(), 1).run()
	defer c.stop()
	c.startBrokers(1)
	for b.Loop() {
		do[election.ProducerIDBlock](c, c.brokers[1], &election.AllocateProducerIDs{Broker: 1, Epoch: c.brokers[1].Epoch()})
	}
}

// BenchmarkReturn is a broker with 1000 partitions in 10 topics that dies,
// returns, and joins every ISR again.
func BenchmarkReturn(b *testing.B) {
	c := newCluster(b, fast(), 1).run()
	defer c.stop()
	c.startBrokers(1, 2, 3)
	for i := range 10 {
		c.createTopic(c.brokers[2], fmt.Sprint("t", i), 100, 3, nil)
	}
	for b.Loop() {
		c.brokers[1].crash()
		c.startBrokers(1)
		m := c.brokers[2].wait(c, "broker 1 back", func(m *election.Image) bool {
			return m.Brokers[1].Alive() && m.Brokers[1].Epoch == c.brokers[1].Epoch()
		})
		joinAll(c, m)
	}
}

// joinAll puts every broker into every ISR, as leaders would.
func joinAll(c *cluster, m *election.Image) {
	var wg sync.WaitGroup
	for _, topic := range m.Topics {
		for i, p := range topic.Partitions {
			wg.Go(func() {
				leader := c.brokers[p.Leader]
				do[election.AlterPartitionResult](c, leader, &election.AlterPartition{
					Broker: p.Leader, BrokerEpoch: leader.Epoch(), Partition: log.PartitionID{Topic: topic.ID, Partition: int32(i)},
					LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
					NewISR: []election.ISRMember{{ID: 1, Epoch: -1}, {ID: 2, Epoch: -1}, {ID: 3, Epoch: -1}},
				})
			})
		}
	}
	wg.Wait()
}
