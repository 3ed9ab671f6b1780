package election_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/election"
)

// slowBroker has a broker take its time for each image once it has been told to.
func slowBroker(slow *time.Duration) func(*election.ClientConfig) {
	return func(c *election.ClientConfig) {
		note := c.OnImage
		c.OnImage = func(m *election.Image) {
			if *slow > 0 {
				<-time.After(*slow)
			}
			note(m)
		}
	}
}

// TestSettle waits for a slow leader, for a slow broker that leads nothing only
// a moment, and not beyond its context.
func TestSettle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what     string
		topic    string
		slow     time.Duration
		patience time.Duration
		atLeast  time.Duration
		atMost   time.Duration
		err      error
	}{
		{"a leader", "led", 400 * time.Millisecond, time.Second, 400 * time.Millisecond, 401 * time.Millisecond, nil},
		{"another broker", "other", 400 * time.Millisecond, time.Second, 100 * time.Millisecond, 101 * time.Millisecond, nil},
		{"another broker that is quick", "other", 40 * time.Millisecond, time.Second, 40 * time.Millisecond, 41 * time.Millisecond, nil},
		{"nobody", "led", 0, time.Second, 0, time.Millisecond, nil},
		{"a leader, in vain", "led", time.Minute, 300 * time.Millisecond, 300 * time.Millisecond, 301 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var slow time.Duration
				k := newCluster(t, kafka(), 1).run()
				defer k.stop()
				k.startBrokers(1)
				k.startBroker(2, slowBroker(&slow))
				k.await("broker 2 unfenced", k.brokers[2].Unfenced())
				do[[]election.CreateTopicResult](k, k.brokers[1], &election.CreateTopics{Topics: []election.NewTopic{
					{Name: "led", Partitions: -1, ReplicationFactor: -1, Assignment: map[int32][]int32{0: {2}}},
					{Name: "other", Partitions: -1, ReplicationFactor: -1, Assignment: map[int32][]int32{0: {1}}},
				}})
				synctest.Wait()
				slow = c.slow
				do[[]error](k, k.brokers[1], &election.AlterConfigs{Resources: []election.ResourceChange{{
					Resource: election.ConfigResource{Topic: c.topic},
					Changes:  []election.ConfigChange{{Name: "retention.ms", Value: new("5")}},
				}}})
				ctx, cancel := context.WithTimeout(t.Context(), c.patience)
				defer cancel()
				start := time.Now()
				if err := k.brokers[1].Settle(ctx, []string{c.topic}); !errors.Is(err, c.err) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				if took := time.Since(start); took < c.atLeast || took > c.atMost {
					t.Errorf("it took %v, want %v", took, c.atLeast)
				}
			})
		})
	}
}
