package share

import (
	"fmt"
	"time"
)

// AckType says what a member did with a record (AcknowledgeType).
type AckType = int8

// Acknowledgements.
const (
	// AckGap is for offsets without a record.
	AckGap AckType = 0
	// AckAccept is for records that were processed.
	AckAccept AckType = 1
	// AckRelease makes records available again.
	AckRelease AckType = 2
	// AckReject is for records that are not to be delivered again.
	AckReject AckType = 3
	// AckRenew takes the lock anew (KIP-1222).
	AckRenew AckType = 4
)

// Acknowledgement is a member's word on a run of records: one type for all, or
// one for each (ShareAcknowledgementBatch).
type Acknowledgement struct {
	First, Last int64
	Types       []AckType
}

// Transition is a change of states that is to be stored. It is in force, but
// nobody gets the records until [Partition.Complete] says how it ended.
type Transition struct {
	// Batches is what is to be stored.
	Batches []StateBatch
	changed []change
	limits  Limits
}

// change is a part of it; delivered says that it ends a record's life.
type change struct {
	batch       *inFlightBatch
	first, last int64
	ends        bool
}

// Acknowledge takes a member's acknowledgements. The transition is nil where
// there is nothing to store. On an error nothing has changed, but for locks that
// were renewed.
func (p *Partition) Acknowledge(member string, acks []Acknowledgement, now time.Time) (*Transition, error) {
	t := &Transition{limits: p.limits()}
	for _, ack := range acks {
		if err := p.acknowledge(t, member, ack, now); err != nil {
			p.Complete(t, false, now)
			return nil, err
		}
	}
	return t.orNil(), nil
}

func (t *Transition) orNil() *Transition {
	if len(t.changed) == 0 {
		return nil
	}
	return t
}

func (p *Partition) acknowledge(t *Transition, member string, ack Acknowledgement, now time.Time) error {
	for _, typ := range ack.Types {
		if typ < AckGap || typ > AckRenew {
			return fmt.Errorf("%w: type %d", ErrRequest, typ)
		}
	}
	if len(ack.Types) == 0 {
		return fmt.Errorf("%w: no type", ErrRequest)
	}
	if ack.Last < p.start {
		return nil // It was archived.
	}
	batches, err := p.acknowledged(ack)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if b.last < p.start {
			continue
		}
		if err := p.acknowledgeBatch(t, member, ack, b, now); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged returns the batches that an acknowledgement is for.
func (p *Partition) acknowledged(ack Acknowledgement) ([]*inFlightBatch, error) {
	i := p.floor(ack.First)
	if i < 0 {
		if ack.First >= p.start || ack.Last < p.start {
			return nil, fmt.Errorf("%w: records %d-%d are not in flight", ErrRecordState, ack.First, ack.Last)
		}
		if i = p.floor(p.start); i < 0 {
			return nil, fmt.Errorf("%w: records %d-%d are not in flight", ErrRecordState, ack.First, ack.Last)
		}
	}
	batches := p.between(p.cached[i].first, ack.Last)
	last := batches[len(batches)-1].last
	if last < ack.First || last < ack.Last {
		return nil, fmt.Errorf("%w: records %d-%d are past what was acquired", ErrRequest, ack.First, ack.Last)
	}
	return batches, nil
}

func (p *Partition) acknowledgeBatch(t *Transition, member string, ack Acknowledgement, b *inFlightBatch, now time.Time) error {
	if b.offsets == nil {
		if err := b.whole.owned(member, b.first); err != nil {
			return err
		}
	}
	whole := b.first >= ack.First && b.last <= ack.Last
	moved := b.first < p.start && b.last >= p.start
	if !whole || len(ack.Types) > 1 || moved {
		b.split()
	}
	var failed error
	b.parts(max(ack.First, p.start), ack.Last, func(s *inFlight, first, last int64) bool {
		if failed = s.owned(member, first); failed != nil {
			return false
		}
		typ := ack.Types[0]
		if len(ack.Types) > 1 {
			i := first - ack.First
			if i >= int64(len(ack.Types)) {
				failed = fmt.Errorf("%w: no type for record %d", ErrRequest, first)
				return false
			}
			typ = ack.Types[i]
		}
		failed = p.change(t, b, s, Range{first, last}, typ, now)
		return failed == nil
	})
	return failed
}

// owned tells why a member may not acknowledge; nil if it may.
func (s *inFlight) owned(member string, offset int64) error {
	switch {
	case s.changing():
		return fmt.Errorf("%w: record %d is being changed", ErrRecordState, offset)
	case s.state != Acquired:
		return fmt.Errorf("%w: record %d is not acquired", ErrRecordState, offset)
	case s.member != member:
		return fmt.Errorf("%w: record %d is another member's", ErrRecordState, offset)
	}
	return nil
}

// change does what an acknowledgement asks for.
func (p *Partition) change(t *Transition, b *inFlightBatch, s *inFlight, r Range, typ AckType, now time.Time) error {
	to := Archived
	switch typ {
	case AckRenew:
		if t.limits.NoRenewal {
			return fmt.Errorf("%w: locks may not be renewed", ErrRecordState)
		}
		s.until = p.lock(now, t.limits.Lock)
		return nil
	case AckAccept:
		to = Acknowledged
	case AckRelease:
		to = Available
	}
	if !p.begin(t, b, s, r, to) {
		return fmt.Errorf("%w: record %d", ErrRecordState, r.First)
	}
	return nil
}

// begin starts a change and notes it.
func (p *Partition) begin(t *Transition, b *inFlightBatch, s *inFlight, r Range, to RecordState) bool {
	if !s.begin(to, t.limits.MaxDeliveries) {
		return false
	}
	ends := s.state.terminal()
	if ends {
		p.complete += p.counted(r.First, r.Last)
	}
	t.changed = append(t.changed, change{b, r.First, r.Last, ends})
	t.Batches = append(t.Batches, StateBatch{r.First, r.Last, s.state, int16(s.deliveries)})
	return true
}

// Release gives back what a member holds, as when its session ends. The
// deliveries count.
func (p *Partition) Release(member string) *Transition {
	t := &Transition{limits: p.limits()}
	for _, b := range p.cached {
		if b.offsets == nil && b.first < p.start && b.last >= p.start && b.whole.state == Acquired && b.whole.member == member {
			b.split()
		}
		b.parts(b.first, b.last, func(s *inFlight, first, last int64) bool {
			if s.state == Acquired && s.member == member {
				to := Available
				if last < p.start {
					to = Archived
				}
				p.begin(t, b, s, Range{first, last}, to)
			}
			return true
		})
	}
	return t.orNil()
}

// Complete ends a transition: its batches are stored, or it is undone. It tells
// whether the start offset moved.
func (p *Partition) Complete(t *Transition, stored bool, now time.Time) (moved bool) {
	for _, c := range t.changed {
		if c.batch.first < p.start && c.batch.last >= p.start {
			c.batch.split()
		}
		c.batch.parts(c.first, c.last, func(s *inFlight, first, last int64) bool {
			s.complete(stored, now)
			if s.state == Available {
				p.search = true
				if last < p.start {
					s.archive() // The log start has moved past it.
				}
			}
			if c.ends && !s.state.terminal() {
				p.complete -= p.counted(first, last)
			}
			return true
		})
	}
	return stored && p.advance()
}
