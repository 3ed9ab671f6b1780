package election_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// TestQuorum sees who follows the active controller, and who has stopped to.
func TestQuorum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1, 2, 3).run()
		defer c.stop()
		c.startBrokers(1, 2)
		c.createTopic(c.brokers[1], "a", 1, 1, nil)
		<-time.After(time.Second)
		ask := func() *election.Quorum {
			q, err := c.brokers[2].Quorum(c.ctx())
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		before := ask()
		if before.Leader != 1 || before.Epoch < 1 || before.HighWatermark < 1 {
			t.Errorf("quorum %+v", before)
		}
		for i, v := range slices.Concat(before.Voters, before.Observers) {
			if want := []int32{1, 2, 3, 1, 2}[i]; v.ID != want || v.LogEnd != before.HighWatermark || v.LastCaughtUp.IsZero() {
				t.Errorf("replica %d: %+v, high watermark %d", want, v, before.HighWatermark)
			}
		}
		c.fabric.Cut(fabric.Controller(3), fabric.Controller(1))
		c.createTopic(c.brokers[1], "b", 1, 1, nil)
		after := ask()
		if after.HighWatermark <= before.HighWatermark || after.Voters[1].LogEnd != after.HighWatermark {
			t.Errorf("after another topic: %+v", after)
		}
		if v := after.Voters[2]; v.LogEnd >= after.HighWatermark || v.LastCaughtUp.After(before.Voters[2].LastCaughtUp.Add(time.Second)) {
			t.Errorf("a controller that cannot answer: %+v, high watermark %d", v, after.HighWatermark)
		}
	})
}

func TestQuorumWithoutController(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1).run()
		defer c.stop()
		c.startBrokers(1)
		if err := c.controllers[1].Crash(); err != nil {
			t.Fatal(err)
		}
		delete(c.controllers, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if q, err := c.brokers[1].Quorum(ctx); err == nil {
			t.Errorf("without a controller: %+v", q)
		}
	})
}
