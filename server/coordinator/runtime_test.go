package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/coordinator"
)

func TestWriteIsAnsweredWhenCommitted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.write(put("a", "1")).gets(nil)
		b.has("a", "1", "1")

		b.disk.change(func() { b.disk.frozen = true })
		second := b.write(put("a", "2"))
		second.waits()
		b.has("a", "2", "1")
		third := b.write(put("a", "3"))
		third.waits()
		after(timeout / 2)
		third.waits()
		b.disk.change(func() { b.disk.hw = 2 })
		second.gets(nil)
		third.waits()
		b.has("a", "3", "2")
		b.disk.change(func() { b.disk.hw = 3 })
		third.gets(nil)
		b.has("a", "3", "3")
	})
}

// TestOperationsWithoutRecordsWaitForThoseBefore: a heartbeat is not answered
// before the commit ahead of it (semantics 8.2); an error is.
func TestOperationsWithoutRecordsWaitForThoseBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.write(nothing).gets(nil)
		b.disk.change(func() { b.disk.held, b.disk.frozen = true, true })
		write := b.write(put("a", "1"))
		write.waits()
		beside := b.write(nothing) // of the batch that is being appended
		beside.waits()
		b.disk.change(func() { b.disk.held = false })
		behind := b.write(nothing) // of a stored batch
		behind.waits()
		b.write(func(*store) (coordinator.Outcome, error) { return coordinator.Outcome{}, errOfOperation }).gets(errOfOperation)
		b.disk.change(func() { b.disk.frozen = false })
		write.gets(nil)
		beside.gets(nil)
		behind.gets(nil)
	})
}

// TestTimeout is semantics 8.2, 4: answered 15 after 5 s, though the record stays
// and is there later.
func TestTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.disk.change(func() { b.disk.frozen = true })
		write := b.write(put("a", "1"))
		after(time.Second)
		behind := b.write(nothing)
		write.getsAfter(kerr.CoordinatorNotAvailable, timeout)
		behind.getsAfter(kerr.CoordinatorNotAvailable, timeout)
		b.has("a", "1", "")
		b.disk.change(func() { b.disk.frozen = false })
		b.has("a", "1", "1")

		b.disk.change(func() { b.disk.held = true }) // a disk that hangs
		b.write(put("a", "2")).getsAfter(kerr.CoordinatorNotAvailable, timeout)
		b.disk.change(func() { b.disk.held = false })
		b.has("a", "2", "2")
	})
}

func TestBatches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.disk.change(func() { b.disk.held = true })
		calls := []*call{b.write(put("a", "1"))}
		synctest.Wait()
		for range 10 { // while the first is being appended
			calls = append(calls, b.write(put("a", "1", "b", "1")))
		}
		synctest.Wait()
		b.disk.change(func() { b.disk.held = false })
		for _, c := range calls {
			c.gets(nil)
		}
		if got := b.disk.sizes(); !slices.Equal(got, []int32{1, 20}) {
			t.Errorf("batches of %v records", got)
		}
	})
}

func TestLinger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk(), func(c *coordinator.Config[*store]) { c.Linger = 5 * time.Millisecond })
		b.lead(0)
		first := b.write(put("a", "1"))
		after(4 * time.Millisecond)
		second := b.write(put("b", "1"))
		first.getsAfter(nil, 5*time.Millisecond)
		second.getsAfter(nil, time.Millisecond)
		if got := b.disk.sizes(); !slices.Equal(got, []int32{2}) {
			t.Errorf("batches of %v records", got)
		}
	})
}

func TestBatchesAreLimited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.disk.maxBytes = 1000
		b.lead(0)
		b.disk.change(func() { b.disk.held = true })
		large := strings.Repeat("x", 300)
		var calls []*call
		for range 6 {
			calls = append(calls, b.write(put("a", large)))
			synctest.Wait()
		}
		tooLarge := b.write(put("a", large, "b", large, "c", large))
		tooLarge.gets(kerr.UnknownServerError)
		splits := b.write(func(s *store) (coordinator.Outcome, error) {
			out, err := put("a", large, "b", large, "c", large)(s)
			out.Splits = true
			return out, err
		})
		splits.waits()
		b.disk.change(func() { b.disk.held = false })
		for _, c := range append(calls, splits) {
			c.gets(nil)
		}
		if got := b.disk.sizes(); !slices.Equal(got, []int32{1, 2, 2, 2, 2}) {
			t.Errorf("batches of %v records", got)
		}
	})
}

// TestFailedAppend: the state goes back, and everybody in the batch, and behind
// it, is told (semantics 8.2, 5, and its table).
func TestFailedAppend(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{replication.ErrDeleted, kerr.CoordinatorNotAvailable},
		{replication.ErrNotEnoughReplicas, kerr.CoordinatorNotAvailable},
		{replication.ErrTimedOut, kerr.CoordinatorNotAvailable},
		{replication.ErrNotLeader, kerr.NotCoordinator},
		{replication.ErrOffline, kerr.NotCoordinator},
		{replication.ErrStopped, kerr.NotCoordinator},
		{log.ErrMessageTooLarge, kerr.UnknownServerError},
		{log.ErrRecordListTooLarge, kerr.UnknownServerError},
		{log.ErrInvalidRecord, kerr.UnknownServerError},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, newDisk())
				b.lead(0)
				b.write(put("a", "1")).gets(nil)
				b.disk.change(func() { b.disk.held = true })
				first := b.write(put("a", "2"))
				first.waits()
				second := b.write(put("b", "2"))
				second.waits()
				third := b.write(nothing)
				third.waits()
				b.has("a", "2", "1")
				b.disk.change(func() { b.disk.fail, b.disk.held = c.err, false })
				for _, call := range []*call{first, second, third} {
					call.gets(c.want)
				}
				b.disk.change(func() { b.disk.fail = nil })
				b.has("a", "1", "1")
				b.has("b", "", "")

				b.disk.change(func() { b.disk.refuse = c.err })
				b.write(put("a", "3")).gets(c.want)
				b.disk.change(func() { b.disk.refuse = nil })
				b.has("a", "1", "1")
				b.write(put("a", "4")).gets(nil)
				b.has("a", "4", "4")
			})
		})
	}
}

func TestDoneIsCalledOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		told := make(chan error, 2)
		run := func(records ...string) error {
			return b.Run(context.Background(), 0, func(s *store) (coordinator.Outcome, error) {
				out, err := put(records...)(s)
				out.Done = func(err error) { told <- err }
				return out, err
			})
		}
		b.disk.change(func() { b.disk.frozen = true })
		if err := run("a", "1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(told) != 0 {
			t.Fatal("told before it is committed")
		}
		b.disk.change(func() { b.disk.frozen = false })
		if err := <-told; err != nil {
			t.Fatal(err)
		}
		b.disk.change(func() { b.disk.frozen = true })
		if err := run("a", "2"); err != nil {
			t.Fatal(err)
		}
		if err := <-told; !errors.Is(err, kerr.CoordinatorNotAvailable) {
			t.Fatal(err)
		}
		b.disk.change(func() { b.disk.frozen = false })
		b.has("a", "2", "2")
		if err := run(); err != nil {
			t.Fatal(err)
		}
		if err := <-told; err != nil {
			t.Fatal(err)
		}
		if len(told) != 0 {
			t.Fatal("told twice")
		}
	})
}

func TestWhoWaitsGoesAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.disk.change(func() { b.disk.frozen = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Write(ctx, 0, put("a", "1")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		b.disk.change(func() { b.disk.frozen = false })
		b.has("a", "1", "1")
	})
}

func TestPartitionsOfOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.write(nothing).gets(kerr.NotCoordinator)
		b.lead(3)
		b.write(nothing).gets(nil)
		b.Resign(0, 2) // old news
		b.write(nothing).gets(nil)
		b.Lead(0, 4, b.disk) // leads on: the state stays
		b.write(nothing).gets(nil)
		b.disk.change(func() { b.disk.frozen = true })
		waits := b.write(put("a", "1"))
		waits.waits()
		b.Resign(0, 5)
		waits.gets(kerr.NotCoordinator)
		b.write(nothing).gets(kerr.NotCoordinator)
		b.lead(6)
		b.has("a", "1", "")
		if got := b.Active(); !slices.Equal(got, []int32{0}) {
			t.Errorf("active: %v", got)
		}
		b.Stop()
		b.write(nothing).gets(kerr.CoordinatorNotAvailable)
		b.Lead(1, 0, b.disk)
		if got := b.Led(); len(got) != 0 {
			t.Errorf("led after the end: %v", got)
		}
	})
}

// TestADeposedLeaderAcknowledgesNothing: a follower's high watermark tells nothing
// of what it has appended as a leader.
func TestADeposedLeaderAcknowledgesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.disk.change(func() { b.disk.frozen = true })
		c := b.write(put("a", "1"))
		c.waits()
		b.disk.change(func() { b.disk.deposed, b.disk.hw = true, 100 })
		c.waits()
		b.Resign(0, 1)
		c.gets(kerr.NotCoordinator)
	})
}

func TestShardsKnowTheImage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.Update(&election.Image{Index: 1})
		b.lead(0)
		b.Update(&election.Image{Index: 2})
		b.Update(&election.Image{Index: 3})
		err := b.Run(t.Context(), 0, func(s *store) (coordinator.Outcome, error) {
			if n := len(s.images); n == 0 || s.images[n-1] != 3 || s.ctx.Image().Index != 3 {
				t.Errorf("told of images %v", s.images)
			}
			return coordinator.Outcome{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestChangesAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		told := b.Changed()
		expect := func(want bool, what string) {
			t.Helper()
			synctest.Wait()
			select {
			case <-told:
				if !want {
					t.Errorf("told of %s", what)
				}
				told = b.Changed()
			default:
				if want {
					t.Errorf("not told of %s", what)
				}
			}
		}
		b.lead(0)
		expect(true, "a loaded shard")
		expect(false, "nothing")
		b.committed("a")
		expect(false, "a look")
		b.disk.change(func() { b.disk.frozen = true })
		write := b.write(put("a", "1"))
		expect(true, "an operation")
		expect(false, "nothing")
		b.disk.change(func() { b.disk.frozen = false })
		expect(true, "a commit")
		write.gets(nil)
		b.Resign(0, 0)
		expect(true, "an unloaded shard")
	})
}
