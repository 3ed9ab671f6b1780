package election

import (
	"math"
	"sync"
	"time"
)

// sessions is what the active controller knows of brokers and does not write
// down: when each was heard of last, and what metadata it has
// (BrokerHeartbeatManager and BrokerHeartbeatTracker). It starts anew with each
// reign.
//
// A broker's silence is measured with the controller's own timer: it is fenced
// only when its deadline, and each of a few short periods after it, have passed
// with the timer on time. After a timer that was late, because the process or
// the machine was slow, all brokers are given what was lost.
type sessions struct {
	timeout time.Duration
	// grace is one of the short periods, and how late a timer may be.
	grace time.Duration

	mu      sync.Mutex
	brokers map[int32]*session
	due     time.Time     // when check wants to be called next; zero: when woken
	moved   chan struct{} // closed when a broker has applied newer metadata
	wake    chan struct{} // has room for one
}

// confirmations is how many short periods follow a missed deadline.
const confirmations = 2

type session struct {
	epoch   int64
	contact time.Time
	strikes int
	applied uint64
	// shutdownAt is the image that the other brokers must have applied before
	// the broker's controlled shutdown is granted; 0 when there is none.
	shutdownAt uint64
}

func newSessions(timeout time.Duration) *sessions {
	return &sessions{
		timeout: timeout, grace: timeout / 20,
		brokers: map[int32]*session{}, moved: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// restart begins a reign: every unfenced broker counts as just heard of.
func (s *sessions) restart(m *Image, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.brokers, s.due = map[int32]*session{}, time.Time{}
	for id, b := range m.Brokers {
		if !b.Fenced {
			s.brokers[id] = &session{epoch: b.Epoch, contact: now}
		}
	}
}

// resume gives every broker a full session: this node was paused and heard
// nobody.
func (s *sessions) resume(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = time.Time{}
	for _, b := range s.brokers {
		b.contact, b.strikes = now, 0
	}
}

// at is the session of a registration, made if needed; s.mu is held.
func (s *sessions) at(id int32, epoch int64, now time.Time) *session {
	b := s.brokers[id]
	if b == nil || b.epoch != epoch {
		b = &session{epoch: epoch, contact: now}
		s.brokers[id] = b
	}
	return b
}

// touch notes a heartbeat.
func (s *sessions) touch(id int32, epoch int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.at(id, epoch, now)
	b.contact, b.strikes = now, 0
}

// applied notes what metadata the broker has.
func (s *sessions) applied(id int32, epoch int64, index uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.at(id, epoch, now)
	if index > b.applied {
		b.applied = index
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// changed is closed when a broker has applied newer metadata.
func (s *sessions) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// valid tells whether the session of a registration has not expired
// (hasValidSession).
func (s *sessions) valid(id int32, epoch int64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.brokers[id]
	return b != nil && b.epoch == epoch && now.Sub(b.contact) <= s.timeout
}

// check returns the unfenced brokers whose sessions have ended, and when to
// check next; zero when nothing runs out.
func (s *sessions) check(m *Image, now time.Time) (ended []int32, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if late := now.Sub(s.due); !s.due.IsZero() && late > s.grace {
		for _, b := range s.brokers {
			b.contact = b.contact.Add(late)
		}
	}
	for id, registered := range m.Brokers {
		if registered.Fenced {
			continue
		}
		b := s.at(id, registered.Epoch, now)
		deadline := b.contact.Add(s.timeout + time.Duration(b.strikes)*s.grace)
		if !now.Before(deadline) {
			if b.strikes == confirmations {
				ended = append(ended, id)
				continue
			}
			b.strikes++
			deadline = deadline.Add(s.grace)
		}
		if next.IsZero() || deadline.Before(next) {
			next = deadline
		}
	}
	s.due = next
	return ended, next
}

// nudge has check called soon: a broker has been unfenced.
func (s *sessions) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// beginShutdown notes that a controlled shutdown waits for the image.
func (s *sessions) beginShutdown(id int32, epoch int64, image uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.at(id, epoch, now); b.shutdownAt == 0 {
		b.shutdownAt = image
	}
}

// shutdown tells whether the broker is in a controlled shutdown, and whether
// every active broker has the metadata that it waits for.
func (s *sessions) shutdown(m *Image, id int32, epoch int64) (begun, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.brokers[id]
	if b == nil || b.epoch != epoch || b.shutdownAt == 0 {
		return false, false
	}
	lowest := uint64(math.MaxUint64)
	for other, registered := range m.Brokers {
		if !registered.Alive() {
			continue
		}
		var applied uint64
		if o := s.brokers[other]; o != nil && o.epoch == registered.Epoch {
			applied = o.applied
		}
		lowest = min(lowest, applied)
	}
	return true, b.shutdownAt <= lowest
}
