package minikafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/minikafka/minikafka"
)

// An administrator does at random what changes the replicas and the log starts of
// a topic, which is written to now and then.
type administrator struct {
	cluster *minikafka.Cluster
	client  *kadm.Client
	rng     *rand.Rand
	topic   string
}

func (a *administrator) work(ctx context.Context, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		a.act(limited)
		cancel()
	}
}

// act does one thing; what is refused is not repeated.
func (a *administrator) act(ctx context.Context) {
	p := int32(a.rng.IntN(2))
	switch a.rng.IntN(4) {
	case 0:
		leader := a.cluster.PartitionState(a.topic, p).Leader
		if leader >= 0 {
			_, _ = a.cluster.Broker(leader).Produce(a.topic, p, minikafka.Values("a", "b", "c")...)
		}
	case 1:
		var upTo kadm.Offsets
		upTo.Add(kadm.Offset{Topic: a.topic, Partition: p, At: max(0, a.cluster.PartitionState(a.topic, p).HighWatermark-int64(a.rng.IntN(2)))})
		_, _ = a.client.DeleteRecords(ctx, upTo)
	default:
		var replicas []int32
		for _, b := range a.rng.Perm(3)[:1+a.rng.IntN(3)] {
			replicas = append(replicas, int32(b))
		}
		var to kadm.AlterPartitionAssignmentsReq
		to.Assign(a.topic, p, replicas)
		_, _ = a.client.AlterPartitionAssignments(ctx, to)
	}
}

// Whatever replicas come and go, and however much is deleted, in a time of chaos:
// when it is over all replicas are in sync, though nobody writes any more.
func TestChaosWithAnAdministrator(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("moved", 2), minikafka.Network(minikafka.PipeNetwork()),
					minikafka.Timing(minikafka.KafkaTimings), minikafka.Seed(seed), quiet())
				cl := client(t, c, onPipes(c)...)
				a := administrator{c, kadm.NewClient(cl), rand.New(rand.NewPCG(seed, 1)), "moved"}
				ctx, stop := context.WithCancel(t.Context())
				var working sync.WaitGroup
				working.Go(func() { a.work(ctx, 3*time.Second) })
				run := c.Chaos(seed, minikafka.ChaosOptions{For: 5 * time.Minute, Every: 10 * time.Second, Lasting: 8 * time.Second})
				<-run.Done()
				stop()
				working.Wait()
				run.Wait()
				for range 10 {
					b := c.Broker(int32(a.rng.IntN(3)))
					b.Crash()
					a.act(within(t, time.Minute))
					a.act(within(t, time.Minute))
					b.Restart()
					a.act(within(t, time.Minute))
					a.act(within(t, time.Minute))
					c.WaitHealthy()
				}
				cl.Close()
			})
		})
	}
}
