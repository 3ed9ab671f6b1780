package replication_test

import (
	"errors"
	"testing"
	"time"

	"github.com/minikafka/minikafka/replication"
)

func TestAcksAllIsOnEveryMemberOfTheISR(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	a := c.must(0, -1, "a", "b")
	if a.Base != 0 || a.Last != 1 || a.LeaderEpoch != 0 {
		t.Fatalf("appended %+v", a)
	}
	for _, id := range []int32{0, 1, 2} {
		if got := c.contents(id); got != "0:0:a 1:0:b" {
			t.Errorf("broker %d holds %q", id, got)
		}
	}
	c.wait("the high watermark to reach the followers", func() bool {
		return c.replica(1).State().HighWatermark == 2 && c.replica(2).State().HighWatermark == 2
	})
}

func TestAcksOneIsLostWithItsLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	c.must(0, -1, "kept")
	release := c.holds.Hold(c.id)
	c.must(0, 1, "lost")
	if hw := c.replica(0).State().HighWatermark; hw != 1 {
		t.Fatalf("high watermark %d with replication held", hw)
	}
	c.crash(0)
	release()
	c.elect(1, 1, 2)
	c.must(1, -1, "next")
	want := "0:0:kept 1:1:next"
	for _, id := range []int32{1, 2} {
		if got := c.contents(id); got != want {
			t.Errorf("broker %d holds %q, want %q", id, got, want)
		}
	}
	c.start(0)
	c.publishTo(0)
	c.waitSame()
	if got := c.contents(0); got != want {
		t.Errorf("the old leader holds %q, want %q", got, want)
	}
	c.wait("the old leader to be in the ISR", func() bool {
		return len(c.replica(1).State().ISR) == 3
	})
}

func TestAcksAllWaitsForHeldReplication(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	release := c.holds.Hold(c.id)
	p, err := c.replica(0).Append(c.batch(plain(), "x"), -1)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Stored()
	select {
	case <-p.Committed():
		t.Fatal("acknowledged although no follower has it")
	default:
	}
	if a, err := p.Result(); !errors.Is(err, replication.ErrTimedOut) || a.Base != 0 {
		t.Fatalf("before the followers have it: %+v, %v", a, err)
	}
	release()
	if a, err := c.outcome(p, -1); err != nil || a.Base != 0 {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestDeposedLeaderAnswersWithTheOffset(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	release := c.holds.Hold(c.id)
	defer release()
	p, err := c.replica(0).Append(c.batch(plain(), "x"), -1)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Stored()
	c.elect(1, 1, 2)
	if a, err := c.outcome(p, -1); !errors.Is(err, replication.ErrNotLeader) || a.Base != 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := c.produce(0, 1, "y"); !errors.Is(err, replication.ErrNotLeader) {
		t.Fatalf("a follower took a batch: %v", err)
	}
}

// TestDeposedWhileStoring has a leader deposed while its disk writes a batch: the
// append is settled when the disk is done, and not acknowledged.
func TestDeposedWhileStoring(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	writing, written := make(chan struct{}), make(chan struct{})
	c.mu.Lock()
	c.disk = func(id int32) error {
		if id == 0 {
			close(writing)
			<-written
		}
		return nil
	}
	c.mu.Unlock()
	p, err := c.replica(0).Append(c.batch(plain(), "x"), -1)
	if err != nil {
		t.Fatal(err)
	}
	<-writing
	c.mu.Lock()
	c.disk = nil
	c.mu.Unlock()
	elected := make(chan struct{})
	go func() {
		defer close(elected)
		c.elect(1, 1, 2)
	}()
	c.wait("the leader to be deposed", func() bool { return !c.replica(0).State().Leading })
	close(written)
	if a, err := c.outcome(p, -1); !errors.Is(err, replication.ErrNotLeader) {
		t.Fatalf("%+v, %v", a, err)
	}
	select {
	case <-elected:
	case <-time.After(deadline):
		t.Fatalf("no other leader in %v\n%s", deadline, c)
	}
	c.must(1, -1, "y")
	c.waitSame()
}

func TestNotEnoughReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	c.must(0, -1, "a")
	c.crash(1)
	c.crash(2)
	c.change(func(a *replication.Assignment) { a.ISR = []int32{0} })
	c.publish()
	if err := c.replica(0).CheckAppend(-1); !errors.Is(err, replication.ErrNotEnoughReplicas) {
		t.Fatalf("acks=all under the minimum: %v", err)
	}
	c.must(0, 1, "b")
	s := c.replica(0).State()
	if s.LogEndOffset != 2 || s.HighWatermark != 1 {
		t.Fatalf("log end %d, high watermark %d: want 2, and frozen at 1", s.LogEndOffset, s.HighWatermark)
	}
	c.start(2)
	c.publishTo(2)
	c.wait("the ISR to grow", func() bool { return len(c.replica(0).State().ISR) == 2 })
	c.must(0, -1, "c")
	if hw := c.replica(0).State().HighWatermark; hw != 3 {
		t.Fatalf("high watermark %d", hw)
	}
}
