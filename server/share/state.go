package share

import "time"

// RecordState is the state of a delivery (RecordState); the values are those of
// the share coordinator's records.
type RecordState int8

// States of a record that is in flight.
const (
	// Available records may be acquired.
	Available RecordState = 0
	// Acquired records are a member's, until it acknowledges them or their lock
	// expires. The share coordinator never hears of it.
	Acquired RecordState = 1
	// Acknowledged records have been accepted.
	Acknowledged RecordState = 2
	// Archived records are never delivered again: rejected, delivered too often,
	// deleted, or not there (gaps).
	Archived RecordState = 4
)

// String is the state's name as Kafka writes it.
func (s RecordState) String() string {
	switch s {
	case Available:
		return "AVAILABLE"
	case Acquired:
		return "ACQUIRED"
	case Acknowledged:
		return "ACKNOWLEDGED"
	case Archived:
		return "ARCHIVED"
	}
	return "UNKNOWN"
}

// terminal tells whether a record in that state is done with.
func (s RecordState) terminal() bool { return s == Acknowledged || s == Archived }

// mayBecome tells whether a record may change from s to another state.
func (s RecordState) mayBecome(to RecordState) bool {
	switch s {
	case Available:
		return to == Acquired
	case Acquired:
		return to != Acquired
	case Acknowledged, Archived:
	}
	return false
}

// inFlight is the state of one record, or of a batch of records that share it
// (InFlightState).
type inFlight struct {
	state      RecordState
	deliveries int
	// member holds the record; "" unless it is acquired.
	member string
	// until is when the lock expires; zero where there is none.
	until time.Time
	// final is set when the record was archived whatever a change under way
	// comes to.
	final bool
	// before is what a change under way would be rolled back to.
	before *rollback
}

type rollback struct {
	state      RecordState
	deliveries int
	member     string
	limit      int
}

// changing tells whether a change waits for the share coordinator.
func (s *inFlight) changing() bool { return s.before != nil }

// update changes the state at once, and tells whether it may. A record that was
// delivered limit times is archived instead of being made available.
func (s *inFlight) update(to RecordState, limit int, member string) bool {
	if s.changing() {
		return false
	}
	if to == Available && s.deliveries >= limit {
		to = Archived
	}
	if !s.state.mayBecome(to) {
		return false
	}
	if to == Acquired {
		s.deliveries++
	}
	s.state, s.member = to, member
	return true
}

// begin changes the state as update does; complete says whether it stays so.
func (s *inFlight) begin(to RecordState, limit int) bool {
	before := &rollback{s.state, s.deliveries, s.member, limit}
	if !s.update(to, limit, "") {
		return false
	}
	s.before = before
	return true
}

// complete ends a change: it is stored, or undone. A record whose lock expired
// meanwhile goes back to nobody.
func (s *inFlight) complete(stored bool, now time.Time) {
	before := s.before
	s.before = nil
	switch {
	case before == nil:
	case stored || s.final:
		s.until = time.Time{}
	case !s.until.IsZero() && !s.until.After(now):
		s.state, s.member, s.deliveries = Available, "", before.deliveries
		if before.deliveries >= before.limit {
			s.state = Archived
		}
		s.until = time.Time{}
	default:
		s.state, s.member, s.deliveries = before.state, before.member, before.deliveries
	}
}

// archive ends the record's life at once.
func (s *inFlight) archive() {
	s.final, s.state, s.member, s.until = true, Archived, "", time.Time{}
}

// inFlightBatch is a run of records that were acquired together (InFlightBatch).
// Its state is kept for the whole of it until the records go different ways.
type inFlightBatch struct {
	first, last int64
	whole       inFlight
	// offsets is the state of every record; nil while whole is.
	offsets []inFlight
}

// split begins to keep the state by record.
func (b *inFlightBatch) split() {
	if b.offsets != nil {
		return
	}
	b.offsets = make([]inFlight, b.last-b.first+1)
	for i := range b.offsets {
		b.offsets[i] = b.whole
		if b.whole.before != nil {
			before := *b.whole.before
			b.offsets[i].before = &before
		}
	}
	b.whole = inFlight{}
}

// at is the state of one record of the batch.
func (b *inFlightBatch) at(offset int64) *inFlight {
	if b.offsets == nil {
		return &b.whole
	}
	return &b.offsets[offset-b.first]
}

// parts calls f with each state and the records it is for, within [from, to],
// until f returns false.
func (b *inFlightBatch) parts(from, to int64, f func(s *inFlight, first, last int64) bool) {
	if b.offsets == nil {
		f(&b.whole, b.first, b.last)
		return
	}
	for offset := max(from, b.first); offset <= min(to, b.last); offset++ {
		if !f(b.at(offset), offset, offset) {
			return
		}
	}
}

// acquirable tells whether a state may be acquired now.
func (s *inFlight) acquirable() bool { return s.state == Available && !s.changing() }
