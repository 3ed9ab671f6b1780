package election

import (
	"reflect"
	"testing"
	"time"
)

// clock is a made-up time that starts at 0.
func clock(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

// alive is an image with unfenced brokers of epoch 1.
func alive(ids ...int32) *Image {
	m := emptyImage()
	for _, id := range ids {
		m.Brokers[id] = &Broker{ID: id, Epoch: 1}
	}
	return m
}

// TestSessionEnds checks at every time that check asks for, on time, until the
// silent broker's session has ended.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Second, 9 * time.Second} {
		m := alive(1, 2)
		s := newSessions(timeout)
		s.restart(m, clock(0))
		s.touch(2, 1, clock(timeout/2))
		now := clock(0)
		for range 100 {
			ended, next := s.check(m, now)
			if len(ended) > 0 {
				if took := now.Sub(clock(0)); !reflect.DeepEqual(ended, []int32{1}) || took < timeout || took > timeout+timeout/8 {
					t.Errorf("session %v: %v ended after %v", timeout, ended, took)
				}
				break
			}
			if !next.After(now) {
				t.Fatalf("check at %v wants to be called at %v", now, next)
			}
			now = next
			if now.After(clock(2 * timeout)) {
				t.Fatalf("session %v has not ended at %v", timeout, now)
			}
		}
	}
}

// TestLateTimer is a process that is slow: its timer fires late, and heartbeats
// come only afterwards. No broker may be fenced.
func TestLateTimer(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	stalled := func(phase, begins, stall time.Duration) {
		m := alive(1)
		s := newSessions(timeout)
		s.restart(m, clock(0))
		_, due := s.check(m, clock(0))
		beat := clock(phase)
		awake := func(at time.Time) time.Time {
			if at.After(clock(begins)) && at.Before(clock(begins+stall)) {
				return clock(begins + stall)
			}
			return at
		}
		for due.Before(clock(5 * time.Second)) {
			// The timer goes first whenever it may.
			if tick := awake(due); !tick.After(awake(beat)) {
				var ended []int32
				if ended, due = s.check(m, tick); len(ended) > 0 {
					t.Fatalf("heartbeats from %v, stall of %v at %v: fenced at %v", phase, stall, begins, tick.Sub(clock(0)))
				}
				continue
			}
			s.touch(1, 1, awake(beat))
			beat = awake(beat).Add(200 * time.Millisecond)
		}
	}
	const ms = time.Millisecond
	for phase := 10 * ms; phase <= 200*ms; phase += 38 * ms {
		for begins := 700 * ms; begins < 1300*ms; begins += 47 * ms {
			for stall := 0 * ms; stall < 2500*ms; stall += 17 * ms {
				stalled(phase, begins, stall)
			}
		}
	}
}

// TestConfirmationsBeginAnew: a heartbeat wipes out what was held against the
// broker.
func TestConfirmationsBeginAnew(t *testing.T) {
	t.Parallel()
	m := alive(1)
	s := newSessions(time.Second)
	s.restart(m, clock(0))
	now := clock(0)
	for round := range 3 {
		deadline := now.Add(time.Second)
		s.check(m, now)
		for at := deadline; at.Before(deadline.Add(confirmations * s.grace)); at = at.Add(s.grace) {
			if ended, next := s.check(m, at); len(ended) > 0 || !next.Equal(at.Add(s.grace)) {
				t.Fatalf("round %d at %v: %v, next %v", round, at.Sub(deadline), ended, next.Sub(deadline))
			}
		}
		now = deadline.Add(confirmations*s.grace - 1)
		s.touch(1, 1, now)
	}
}

func TestSessionsOfAReign(t *testing.T) {
	t.Parallel()
	m := alive(1, 2)
	m.Brokers[2].Fenced = true
	s := newSessions(time.Second)
	s.touch(1, 1, clock(0))
	s.restart(m, clock(time.Hour))
	if !s.valid(1, 1, clock(time.Hour+time.Second)) || s.valid(1, 1, clock(time.Hour+time.Second+1)) {
		t.Error("the session is not a second long")
	}
	if ended, _ := s.check(m, clock(time.Hour)); len(ended) > 0 {
		t.Errorf("%v ended at the beginning of a reign", ended)
	}
	if s.valid(1, 2, clock(time.Hour)) || s.valid(2, 1, clock(time.Hour)) {
		t.Error("a session of another incarnation, or of one that was not heard of")
	}
}

// TestShutdownGrant is the rule that all active brokers must know of the moves.
func TestShutdownGrant(t *testing.T) {
	t.Parallel()
	m := alive(1, 2, 3)
	s := newSessions(time.Second)
	s.restart(m, clock(0))
	grant := func() [2]bool {
		begun, ready := s.shutdown(m, 1, 1)
		return [2]bool{begun, ready}
	}
	if grant() != [2]bool{false, false} {
		t.Error("a shutdown nobody asked for")
	}
	m.Brokers[1].ShuttingDown = true
	s.beginShutdown(1, 1, 10, clock(0))
	s.beginShutdown(1, 1, 20, clock(0)) // The first one counts.
	s.applied(2, 1, 10, clock(0))
	if grant() != [2]bool{true, false} {
		t.Error("granted though broker 3 does not know")
	}
	m.Brokers[3].Fenced = true
	if grant() != [2]bool{true, true} {
		t.Error("a fenced broker holds the grant up")
	}
	m.Brokers[3].Fenced = false
	s.applied(3, 2, 10, clock(0))
	if grant() != [2]bool{true, false} {
		t.Error("another incarnation's metadata counts")
	}
	s.applied(3, 1, 11, clock(0))
	if grant() != [2]bool{true, true} {
		t.Error("not granted though all know")
	}
}
