package replication_test

import (
	"testing"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// Replicas that come and go within an epoch, or leave the ISR and return.

func TestRule10AReplicaIsAddedWithinAnEpoch(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 1)
	c.change(func(a *replication.Assignment) {
		a.Replicas, a.ISR = []int32{0, 1}, []int32{0, 1}
		a.LeaderEpoch++
	})
	c.publishTo(0)
	c.publishTo(1)
	c.brokers[2].manager.Apply(nil, []replication.Gone{{ID: c.id}}, c)
	c.must(0, -1, "a")
	c.change(func(a *replication.Assignment) { a.Replicas = []int32{0, 1, 2} })
	c.publish()
	c.wait("the new replica to join the ISR", func() bool { return len(c.replica(0).State().ISR) == 3 })
	c.must(0, -1, "b")
	c.waitSame()
	if got := c.contents(2); got != "0:1:a 1:1:b" {
		t.Fatalf("the new replica holds %q", got)
	}
	for i, l := uint64(1), c.replica(2).Log(); i <= l.LastIndex(); i++ {
		if e, err := l.Entry(i); err != nil || (e.Kind == log.KindControl && len(e.Data) > 0) {
			t.Fatalf("entry %d: %+v, %v: a configuration entered the log", i, e, err)
		}
	}
}

// TestRule10AReplicaIsGivenBackWithinAnEpoch takes a replica away and gives it back
// while nobody writes: raft believes that it has everything, and it may have.
func TestRule10AReplicaIsGivenBackWithinAnEpoch(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]func(c *cluster, takeAway func()){
		"its broker has not noticed": func(c *cluster, _ func()) { c.publish() },
		"its broker has noticed":     func(c *cluster, takeAway func()) { takeAway(); c.publish() },
		"its broker is late": func(c *cluster, takeAway func()) {
			c.publishTo(0)
			c.wait("the old replica to be heard of", func() bool { return c.replica(0).State().Ends[2] >= 0 })
			takeAway()
			c.publishTo(2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 3, 1)
			c.must(0, -1, "a")
			c.waitSame()
			c.change(func(a *replication.Assignment) { a.Replicas, a.ISR = []int32{0, 1}, []int32{0, 1} })
			c.publishTo(0)
			c.publishTo(1)
			c.change(func(a *replication.Assignment) { a.Replicas = []int32{0, 1, 2} })
			given(c, func() { c.brokers[2].manager.Apply(nil, []replication.Gone{{ID: c.id}}, c) })
			c.wait("the replica to join the ISR", func() bool { return len(c.replica(0).State().ISR) == 3 })
			c.waitSame()
		})
	}
}

// TestAnAnswerUnderAnOldBrokerEpochIsAskedForAgain has a broker register again while
// it answers a new leader for the first time, and nobody write afterwards.
func TestAnAnswerUnderAnOldBrokerEpochIsAskedForAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.must(0, -1, "a")
	c.crash(0)
	c.timing.LagTime = 20 * time.Millisecond // for its ticks
	c.start(0)
	c.mu.Lock()
	c.next++
	again := c.next
	c.epochs[1] = again // the metadata knows of it before the broker does
	c.mu.Unlock()
	c.elect(0, 0)
	c.waitSame()
	if end := c.replica(0).State().Ends[1]; end >= 0 {
		t.Fatalf("an answer under an old broker epoch counts: it ends at %d", end)
	}
	c.brokers[1].epoch.Store(again)
	c.wait("the follower to join the ISR", func() bool { return len(c.replica(0).State().ISR) == 2 })
}

// TestAFollowerThatLeftJoinsAgainOnlyWhenItAnswers drops followers that are
// alive, have everything, and do not answer any more. An answer that was under
// way when replication was held may bring each back once.
func TestAFollowerThatLeftJoinsAgainOnlyWhenItAnswers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	c.must(0, -1, "a")
	release := c.holds.Hold(c.id)
	proposed := make(chan []replication.ISRMember, 100)
	drop := func() (silent bool) {
		c.change(func(a *replication.Assignment) {
			a.ISR = []int32{0}
			c.refuse = func(ch replication.ISRChange) error { proposed <- ch.ISR; return nil }
		})
		c.publish()
		select {
		case <-proposed:
			return false
		case <-time.After(20 * time.Millisecond):
			return true
		}
	}
	for n := 0; !drop(); n++ {
		if n == 2*2 { // each follower once, in a proposal and in the next
			t.Fatalf("followers that do not answer are proposed again and again\n%s", c)
		}
	}
	release()
	c.wait("the followers to be back", func() bool { return len(c.replica(0).State().ISR) == 3 })
}
