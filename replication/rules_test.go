package replication_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
)

// The rules that keep raft right, each with a test that fails without it; the
// invariants of ARCHITECTURE.md say what they are.

func TestRule1ADeposedLeaderAcceptsNothingOverAHole(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 1)
	c.must(0, -1, "a")
	c.fabric.Split([]fabric.Node{fabric.Broker(0)}, []fabric.Node{fabric.Broker(1), fabric.Broker(2)})
	for i := range 5 {
		c.must(0, 1, fmt.Sprint("lost", i))
	}
	c.change(func(a *replication.Assignment) { a.Leader, a.ISR, a.LeaderEpoch = 1, []int32{1, 2}, a.LeaderEpoch+1 })
	c.publishTo(1)
	c.publishTo(2)
	c.must(1, -1, "b")
	c.must(0, 1, "lost too") // it does not know yet
	c.fabric.Heal()
	c.must(1, 1, "c") // reaches the old leader, which still believes to lead
	if got := c.contents(0); got != "0:0:a 1:0:lost0 2:0:lost1 3:0:lost2 4:0:lost3 5:0:lost4 6:0:lost too" {
		t.Fatalf("a leader took entries of another one: %q", got)
	}
	c.publishTo(0)
	c.must(1, -1, "d")
	c.waitSame()
	if got := c.contents(0); got != "0:0:a 1:1:b 2:1:c 3:1:d" {
		t.Fatalf("the old leader holds %q", got)
	}
}

func TestRule1AStoredTermIsNeverLedAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.must(0, -1, "a")
	c.crash(0)
	c.start(0)
	c.publishTo(0) // the same epoch again
	if s := c.replica(0).State(); s.Leading {
		t.Fatalf("a restarted broker resumed its old epoch: %+v", s)
	}
}

// TestRule2EntriesOfAnIndexAndTermAreTheSame looks at all logs after every kind
// of fault that leaves a log behind which others do not have.
func TestRule2EntriesOfAnIndexAndTermAreTheSame(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 1)
	known := map[string]string{} // an entry by its index and term, as the first log has it that is looked at
	leader := int32(0)
	for round, fault := range []struct {
		name string
		do   func(old, next, other int32)
	}{
		{"a crash of a leader that nobody has followed", func(old, next, other int32) {
			release := c.holds.Hold(c.id)
			c.must(old, 1, "lost")
			c.crash(old)
			release()
			c.elect(next, next, other)
		}},
		{"a power cut", func(old, next, other int32) {
			c.must(old, 1, "kept by others")
			c.waitSame()
			c.powerOff(old)
			c.elect(next, next, other)
			c.must(next, 1, "meanwhile")
		}},
		{"a split, with a leader on either side", func(old, next, other int32) {
			c.fabric.Split([]fabric.Node{fabric.Broker(old)}, []fabric.Node{fabric.Broker(next), fabric.Broker(other)})
			c.must(old, 1, "lost")
			c.change(func(a *replication.Assignment) {
				a.Leader, a.ISR, a.LeaderEpoch = next, []int32{next, other}, a.LeaderEpoch+1
			})
			c.publishTo(next)
			c.publishTo(other)
			c.must(next, -1, "kept")
			c.must(old, 1, "lost too") // it does not know yet
			c.fabric.Heal()
			c.publishTo(old)
		}},
		{"a follower behind the log start", func(old, next, other int32) {
			c.crash(next)
			c.change(func(a *replication.Assignment) { a.ISR = []int32{old, other} })
			c.publish()
			end := c.must(old, -1, "deleted").Base + 1
			if _, err := c.replica(old).DeleteRecords(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			c.start(next)
			c.publishTo(next)
			c.must(old, 1, "new")
		}},
	} {
		next, other := (leader+1)%3, (leader+2)%3
		c.must(leader, -1, fmt.Sprint("round", round))
		fault.do(leader, next, other)
		c.agree(fault.name, known)
		for _, id := range []int32{0, 1, 2} {
			if c.brokers[id] == nil {
				c.start(id)
			}
			c.publishTo(id)
		}
		c.mu.Lock()
		leader = c.state.Leader
		c.mu.Unlock()
		c.must(leader, 1, "afterwards")
		c.wait(fault.name+": all in sync", func() bool { return len(c.replica(leader).State().ISR) == 3 })
		c.waitSame()
		c.agree(fault.name, known)
	}
}

// agree holds the entries of all replicas to what known says of their index and
// term, and adds what it does not know.
func (c *cluster) agree(when string, known map[string]string) {
	c.t.Helper()
	for _, id := range c.ids() {
		c.entriesFrom(id, 0) // holes, and terms that fall
		l := c.replica(id).Log()
		for i := l.FirstIndex(); i > 0 && i <= l.LastIndex(); i++ {
			e, err := l.Entry(i)
			if err != nil {
				break // truncated meanwhile
			}
			at, is := fmt.Sprintf("%d.%d", e.Index, e.Term), fmt.Sprintf("%v %d-%d %x", e.Kind, e.Base, e.Last, e.Data)
			if was, ok := known[at]; ok && was != is {
				c.t.Fatalf("%s: entry %s of broker %d is %s, elsewhere it was %s", when, at, id, is, was)
			}
			known[at] = is
		}
	}
}

func TestRule3AFollowerFarBehindBeginsAtTheLogStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	for i := range 5 {
		c.must(0, -1, fmt.Sprint("old", i))
	}
	c.crash(1)
	c.change(func(a *replication.Assignment) { a.ISR = []int32{0} })
	c.publish()
	for i := range 20 {
		c.must(0, 1, fmt.Sprint("new", i))
	}
	if _, err := c.replica(0).DeleteRecords(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	c.start(1)
	c.publishTo(1)
	c.must(0, 1, "x")
	c.wait("the follower to catch up", func() bool {
		s := c.replica(1).State()
		return s.LogStartOffset == 20 && s.LogEndOffset == 26
	})
	c.wait("the follower to join the ISR", func() bool { return len(c.replica(0).State().ISR) == 2 })
	c.must(0, -1, "y")
	if a, b := c.contents(0), c.contents(1); a != b {
		t.Fatalf("leader %q, follower %q", a, b)
	}
	c.crash(0) // and it can lead
	c.elect(1, 1)
	c.must(1, -1, "z")
	c.start(0)
	c.publishTo(0)
	c.waitSame()
}

// TestRule3AnEmptyLogIsCaughtUpWith has a follower return to a log of which nothing
// is left, and which nobody writes to.
func TestRule3AnEmptyLogIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.must(0, -1, "old")
	c.crash(1)
	c.change(func(a *replication.Assignment) { a.ISR = []int32{0} })
	c.publish()
	var end int64
	for range 5 { // the first is on its way already
		end = c.must(0, 1, "deleted").Base + 1
	}
	if _, err := c.replica(0).DeleteRecords(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	c.start(1)
	c.publishTo(1)
	c.wait("the follower to join the ISR", func() bool { return len(c.replica(0).State().ISR) == 2 })
	c.wait("the follower's log to be empty", func() bool {
		s := c.replica(1).State()
		return s.LogStartOffset == end && s.LogEndOffset == end
	})
	c.must(0, -1, "new")
	c.waitSame()
}

func TestRule3AConflictBelowTheLogStartEmptiesTheLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.must(0, -1, "a")
	c.fabric.Split([]fabric.Node{fabric.Broker(0)}, []fabric.Node{fabric.Broker(1)})
	fenced := c.brokers[1].epoch.Load()
	c.change(func(a *replication.Assignment) { a.ISR = []int32{0}; delete(c.epochs, 1) })
	c.publish()
	for i := range 10 {
		c.must(0, -1, fmt.Sprint("lost", i))
	}
	if err := c.replica(0).RaiseLogStart(8); err != nil {
		t.Fatal(err)
	}
	c.change(func(*replication.Assignment) { c.epochs[1] = fenced })
	c.elect(1, 1) // unclean
	c.must(1, 1, "b")
	c.fabric.Heal()
	c.must(1, 1, "c")
	c.wait("the old leader to hold the new one's log", func() bool {
		s := c.replica(0).State()
		return s.LogStartOffset == 0 && s.LogEndOffset == 3
	})
	c.waitSame()
	if got := c.contents(0); got != "0:0:a 1:1:b 2:1:c" {
		t.Fatalf("the old leader holds %q", got)
	}
}

func TestRule4AnIdleFollowerCatchesUpByItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 1)
	c.must(0, -1, "a")
	c.fabric.Cut(fabric.Broker(0), fabric.Broker(2))
	c.must(0, 1, "b") // under way to broker 2 when that dies
	c.crash(2)
	c.start(2)
	c.publishTo(2)
	c.fabric.Heal()
	c.wait("the follower to catch up without further appends", func() bool {
		return c.replica(2).State().LogEndOffset == 2
	})
}

func TestRule5NothingThatWaitsOutlivesAStop(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	release := c.holds.Hold(c.id)
	defer release()
	const n = 2000
	var pending []*replication.Pending
	for i := range n {
		acks := int16(-1)
		if i%3 == 0 {
			acks = 1
		}
		p, err := c.replica(0).Append(c.batch(plain(), fmt.Sprint(i)), acks)
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	go c.elect(1, 1, 2)
	var stored int
	for i, p := range pending {
		select {
		case <-p.Stored():
		case <-time.After(deadline):
			t.Fatalf("append %d hangs after the stop", i)
		}
		if i%3 != 0 {
			<-p.Committed()
		}
		if a, _ := p.Result(); a.Base >= 0 {
			stored++
		}
	}
	t.Logf("%d of %d were stored before the stop", stored, n)
}

func TestRule6ManyAppendersAndASlowStore(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 2)
	var done sync.WaitGroup
	var failed atomic.Int32
	for g := range 100 {
		done.Go(func() {
			for i := range 20 {
				p, err := c.replica(0).Append(c.batch(plain(), fmt.Sprint(g, "-", i)), -1)
				if err != nil {
					failed.Add(1)
					return
				}
				<-p.Committed()
				if _, err := p.Result(); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	done.Wait()
	if failed.Load() > 0 {
		t.Fatalf("%d appends failed", failed.Load())
	}
	if end := c.replica(1).State().LogEndOffset; end != 2000 {
		t.Fatalf("log end %d", end)
	}
}

func idempotent(sequence int32) log.BatchOptions {
	return log.BatchOptions{ProducerID: 7, BaseSequence: sequence}
}

func TestRule7SequencesAreCheckedOnWhatIsQueued(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	r := c.replica(0)
	var pending []*replication.Pending
	for seq := range int32(50) { // none is awaited, so some are still queued
		p, err := r.Append(c.batch(idempotent(seq), fmt.Sprint(seq)), -1)
		if err != nil {
			t.Fatalf("sequence %d: %v", seq, err)
		}
		q, err := r.Append(c.batch(idempotent(seq), fmt.Sprint(seq)), -1)
		if err != nil {
			t.Fatalf("sequence %d again: %v", seq, err)
		}
		pending = append(pending, p, q)
		if _, err := r.Append(c.batch(idempotent(seq+2), "gap"), -1); !errors.Is(err, log.ErrOutOfOrderSequence) {
			t.Fatalf("sequence %d after %d: %v", seq+2, seq, err)
		}
	}
	for i, p := range pending {
		a, err := c.outcome(p, -1)
		if err != nil || a.Base != int64(i/2) || a.Duplicate != (i%2 == 1) {
			t.Fatalf("append %d: %+v, %v", i, a, err)
		}
	}
	c.crash(0)
	c.elect(1, 1)
	a, err := c.replica(1).Append(c.batch(idempotent(49), "49"), -1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.outcome(a, -1); err != nil || !got.Duplicate || got.Base != 49 {
		t.Fatalf("the last batch again on the new leader: %+v, %v", got, err)
	}
	if _, err := c.replica(1).Append(c.batch(idempotent(51), "gap"), -1); !errors.Is(err, log.ErrOutOfOrderSequence) {
		t.Fatalf("a gap on the new leader: %v", err)
	}
}

func TestRule8AFailingStoreTakesItsReplicaOffline(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 2)
	c.must(0, -1, "a")
	fail := func(broker int32) {
		c.change(func(*replication.Assignment) {
			c.disk = func(b int32) error {
				if b == broker {
					return errors.New("no space left on device")
				}
				return nil
			}
		})
	}
	fail(2) // a follower: the others go on, and acks=all waits for it to leave
	p, err := c.replica(0).Append(c.batch(plain(), "b"), -1)
	if err != nil {
		t.Fatal(err)
	}
	c.wait("the follower to be offline", func() bool { return c.replica(2).State().Offline })
	// Caught up a moment ago, it would hold the high watermark back for
	// replica.lag.time.max.ms if its broker were not fenced.
	c.change(func(a *replication.Assignment) { a.ISR = []int32{0, 1}; delete(c.epochs, 2) })
	c.publish()
	if a, err := c.outcome(p, -1); err != nil || a.Base != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	fail(0) // the leader
	if a, err := c.produce(0, 1, "c"); !errors.Is(err, replication.ErrOffline) || a.Base != -1 {
		t.Fatalf("append to a failing disk: %+v, %v", a, err)
	}
	if _, err := c.replica(0).Read(replication.ReadRequest{LeaderEpoch: -1, LastEpoch: -1}); !errors.Is(err, replication.ErrOffline) {
		t.Fatalf("read from a failed replica: %v", err)
	}
	c.elect(1, 1)
	c.must(1, 1, "d")
	if got := c.contents(1); got != "0:0:a 1:0:b 2:1:d" {
		t.Fatalf("broker 1 holds %q", got)
	}
}

func TestRule9OffsetsAreAssignedByTheLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.must(0, -1, "a", "b", "c")
	c.elect(1, 0, 1)
	c.elect(0, 0, 1)
	if a := c.must(0, -1, "d"); a.Base != 3 || a.LeaderEpoch != 2 {
		t.Fatalf("%+v", a)
	}
	if got := c.contents(1); got != "0:0:a 1:0:b 2:0:c 3:2:d" {
		t.Fatalf("follower holds %q", got)
	}
}
