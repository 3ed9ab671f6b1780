package fabric_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// pair is two nodes; the second answers with what it was sent.
func pair(t *testing.T) (f *fabric.Fabric, a, b *fabric.Port) {
	t.Helper()
	f = fabric.New()
	join := func(id int32) *fabric.Port {
		p, err := f.Join(fabric.Broker(id), func(_ context.Context, _ fabric.Node, msg any) (any, error) { return msg, nil })
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return f, join(1), join(2)
}

// call starts a call and returns where its outcome comes.
func call(p *fabric.Port, to fabric.Node) <-chan error {
	done := make(chan error, 1)
	go func() {
		answer, err := p.Call(context.Background(), to, "hello")
		if err == nil && answer != "hello" {
			err = errors.New("wrong answer")
		}
		done <- err
	}()
	return done
}

func waits(t *testing.T, done <-chan error, why string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Fatalf("a call went through (%v) although %s", err, why)
	default:
	}
}

func passes(t *testing.T, done <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal("a call still waits")
	}
}

func TestCutStopsOneWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		f.Cut(a.Node(), b.Node())
		there := call(a, b.Node())
		waits(t, there, "its link is cut")
		back := call(b, a.Node())
		waits(t, back, "its answer's link is cut")
		f.Heal()
		passes(t, there)
		passes(t, back)
	})
}

func TestPauseAndSplit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		f.Pause(b.Node())
		there, back := call(a, b.Node()), call(b, a.Node())
		waits(t, there, "the receiver is paused")
		waits(t, back, "the sender is paused")
		f.Split([]fabric.Node{a.Node()}, []fabric.Node{b.Node()})
		f.Resume(b.Node())
		waits(t, there, "the nodes are split")
		if f.Reachable(a.Node(), b.Node()) {
			t.Error("reachable over a split")
		}
		f.Heal()
		passes(t, there)
		passes(t, back)
	})
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		f.Delay(a.Node(), b.Node(), time.Second, 0)
		f.Delay(b.Node(), a.Node(), time.Minute, time.Second)
		start := time.Now()
		if err := <-call(a, b.Node()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < time.Second+time.Minute || d > 2*time.Second+time.Minute {
			t.Errorf("a round trip took %v", d)
		}
	})
}

func TestACallWaitsForTheNextIncarnation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		b.Leave()
		done := call(a, b.Node())
		waits(t, done, "the receiver is down")
		if _, err := f.Join(b.Node(), func(_ context.Context, _ fabric.Node, msg any) (any, error) { return msg, nil }); err != nil {
			t.Fatal(err)
		}
		passes(t, done)
		if _, err := f.Join(b.Node(), nil); !errors.Is(err, fabric.ErrTaken) {
			t.Errorf("joined twice: %v", err)
		}
	})
}

func TestLeavingEndsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fabric.New()
		hang := func(ctx context.Context, _ fabric.Node, _ any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		a, err := f.Join(fabric.Broker(1), hang)
		if err != nil {
			t.Fatal(err)
		}
		b, err := f.Join(fabric.Controller(1), hang)
		if err != nil {
			t.Fatal(err)
		}
		toB, toA := call(a, b.Node()), call(b, a.Node())
		waits(t, toB, "its handler hangs")
		b.Leave() // returns when no handler of b runs
		if err := <-toB; !errors.Is(err, fabric.ErrReset) {
			t.Errorf("the receiver left: %v", err)
		}
		if err := <-toA; !errors.Is(err, fabric.ErrLeft) {
			t.Errorf("the sender left: %v", err)
		}
		if err := <-call(b, a.Node()); !errors.Is(err, fabric.ErrLeft) {
			t.Errorf("a call after leaving: %v", err)
		}
	})
}

// A lost packet shows as the time until it is sent again, and a link that loses
// everything as a broken connection.
func TestLossIsDelayAndReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		f.Seed(1)
		f.Lose(a.Node(), b.Node(), 0.3)
		var late, reset int
		for range 1000 {
			start := time.Now()
			switch err := <-call(a, b.Node()); {
			case errors.Is(err, fabric.ErrReset):
				reset++
			case err != nil:
				t.Fatal(err)
			case time.Since(start) > 0:
				if time.Since(start)%fabric.RetransmitAfter != 0 {
					t.Fatalf("a message took %v", time.Since(start))
				}
				late++
			}
		}
		if late < 200 || late > 400 || reset > 5 {
			t.Errorf("of 1000 messages %d were late, and %d broke the connection; a share of 0.3 was lost", late, reset)
		}
		f.Lose(a.Node(), b.Node(), 1)
		if err := <-call(a, b.Node()); !errors.Is(err, fabric.ErrReset) {
			t.Errorf("all packets are lost, and the call got %v", err)
		}
	})
}

// Healing lets go of what is on its way.
func TestHealEndsDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		f.Delay(a.Node(), b.Node(), time.Hour, 0)
		f.Lose(b.Node(), a.Node(), 0.1)
		if slow := f.Slow(); len(slow) != 2 {
			t.Errorf("slow links: %v", slow)
		}
		start := time.Now()
		there := call(a, b.Node())
		waits(t, there, "it takes an hour")
		f.Heal()
		passes(t, there)
		if time.Since(start) != 0 || len(f.Slow()) != 0 {
			t.Errorf("after %v, slow links: %v", time.Since(start), f.Slow())
		}
	})
}

// The same seed delays the same messages.
func TestLinksAreSeeded(t *testing.T) {
	t.Parallel()
	trips := func(seed uint64) (took [20]time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			f, a, b := pair(t)
			f.Seed(seed)
			f.Delay(a.Node(), b.Node(), 0, time.Second)
			f.Lose(a.Node(), b.Node(), 0.3)
			for i := range took {
				start := time.Now()
				if err := <-call(a, b.Node()); err != nil && !errors.Is(err, fabric.ErrReset) {
					t.Error(err)
				}
				took[i] = time.Since(start)
			}
		})
		return took
	}
	once, again, other := trips(1), trips(1), trips(2)
	if once != again || once == other {
		t.Error("delays do not follow from the seed")
	}
}
