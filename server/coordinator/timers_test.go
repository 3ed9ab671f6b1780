package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

// do runs f on the shard.
func (b *bench) do(f func(s *store)) {
	b.t.Helper()
	err := b.Run(context.Background(), 0, func(s *store) (coordinator.Outcome, error) {
		f(s)
		return coordinator.Outcome{}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestTimers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		began := time.Now()
		var ran []string
		note := func(name string) func() (coordinator.Outcome, error) {
			return func() (coordinator.Outcome, error) {
				ran = append(ran, name+time.Since(began).String())
				return coordinator.Outcome{Records: []coordinator.Record{{Key: []byte(name), Value: []byte("ran")}}}, nil
			}
		}
		b.do(func(s *store) {
			s.ctx.Schedule("late", 3*time.Second, note("late"))
			s.ctx.Schedule("early", time.Second, note("early"))
			s.ctx.Schedule("replaced", time.Second, note("wrong"))
			s.ctx.Schedule("replaced", 2*time.Second, note("right"))
			s.ctx.Schedule("cancelled", time.Second, note("cancelled"))
			s.ctx.Schedule("next", time.Second, func() (coordinator.Outcome, error) {
				s.ctx.Schedule("at once", 0, note("at once"))
				return coordinator.Outcome{}, nil
			})
			s.ctx.Cancel("cancelled")
			s.ctx.Cancel("unknown")
			if !s.ctx.Scheduled("late") || s.ctx.Scheduled("cancelled") {
				t.Error("the wrong timers are there")
			}
		})
		after(10 * time.Second)
		synctest.Wait()
		want := []string{"early1s", "at once1s", "right2s", "late3s"}
		if len(ran) != len(want) {
			t.Fatalf("ran %v, not %v", ran, want)
		}
		for i := range want {
			if ran[i] != want[i] {
				t.Fatalf("ran %v, not %v", ran, want)
			}
		}
		b.has("late", "ran", "ran")
	})
}

func TestTimersThatFail(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		var once, retried, stopped int
		b.do(func(s *store) {
			failing := func(n *int) func() (coordinator.Outcome, error) {
				return func() (coordinator.Outcome, error) {
					if *n++; *n < 4 {
						return coordinator.Outcome{}, errOfOperation
					}
					return coordinator.Outcome{}, nil
				}
			}
			s.ctx.Schedule("once", time.Second, failing(&once))
			s.ctx.ScheduleRetried("retried", time.Second, failing(&retried))
			s.ctx.ScheduleRetried("stopped", time.Second, failing(&stopped))
		})
		after(time.Second + coordinator.RetryAfter/2)
		b.do(func(s *store) { s.ctx.Cancel("stopped") })
		after(time.Minute)
		if once != 1 || retried != 4 || stopped != 1 {
			t.Errorf("ran %d, %d and %d times", once, retried, stopped)
		}

		// The records are not committed in time.
		retried = 0
		b.disk.change(func() { b.disk.frozen = true })
		b.do(func(s *store) {
			s.ctx.ScheduleRetried("retried", 0, func() (coordinator.Outcome, error) {
				retried++
				return put("a", "1")(nil)
			})
		})
		after(timeout + coordinator.RetryAfter + timeout/2)
		b.disk.change(func() { b.disk.frozen = false })
		after(time.Minute)
		if retried != 2 {
			t.Errorf("ran %d times", retried)
		}
	})
}

func TestTimersEndWithTheShard(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.do(func(s *store) {
			s.ctx.Schedule("t", time.Second, func() (coordinator.Outcome, error) {
				t.Error("it ran")
				return coordinator.Outcome{}, nil
			})
		})
		b.Resign(0, 0)
		after(time.Minute)
	})
}

// TestAPausedBrokerDoesNothing: neither operations nor timers, until it goes on.
func TestAPausedBrokerDoesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		close(gate)
		pass := func(ctx context.Context) error {
			select {
			case <-gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b := newBench(t, newDisk(), func(c *coordinator.Config[*store]) { c.Pass = pass })
		b.lead(0)
		ran := 0
		b.do(func(s *store) {
			s.ctx.Schedule("t", time.Second, func() (coordinator.Outcome, error) {
				ran++
				return coordinator.Outcome{}, nil
			})
		})
		synctest.Wait()
		gate = make(chan struct{})
		write := b.write(put("a", "1"))
		after(time.Minute)
		write.waits()
		if ran != 0 {
			t.Error("a timer ran")
		}
		close(gate)
		write.gets(nil)
		if ran != 1 {
			t.Error("the timer did not run")
		}
		gate = make(chan struct{})
		write = b.write(put("a", "1"))
		write.waits()
		b.Resign(0, 0) // a paused broker may end
		write.gets(kerr.NotCoordinator)
	})
}
