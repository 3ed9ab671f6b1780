package share

import (
	"slices"
	"time"
)

// advance moves the start offset past what is done with, and forgets batches
// that are; it tells whether it moved anything.
func (p *Partition) advance() bool {
	done, n := p.doneWith()
	if done < 0 {
		return false
	}
	last := p.cached[len(p.cached)-1].last
	if done == last {
		p.start, p.end, p.cached, p.complete = last+1, last+1, nil, 0
		return true
	}
	i := p.floor(done)
	b := p.cached[i]
	remove := i
	if done == b.last {
		next := p.cached[i+1].first
		if p.gapActive() {
			next = min(next, max(p.gap.start, done+1)) // What is not acquired yet stays.
		}
		p.start = max(p.start, next)
		remove++
	} else {
		p.start = max(p.start, done+1)
	}
	p.complete -= n
	p.cached = slices.Clone(p.cached[remove:])
	return true
}

// doneWith returns the last offset before which all is acknowledged or archived,
// -1 if there is none, and how many records that are counted lie up to it.
func (p *Partition) doneWith() (last, n int64) {
	last = -1
	if len(p.cached) == 0 || p.floor(p.start) < 0 {
		return -1, 0 // There is a gap to acquire at the start.
	}
	gap := int64(-1)
	if p.gapActive() {
		gap = max(p.gap.start, p.start)
	}
	for _, b := range p.cached {
		if gap >= 0 {
			if b.first > gap {
				break
			}
			gap = max(gap, b.last+1)
		}
		open := false
		b.parts(b.first, b.last, func(s *inFlight, first, to int64) bool {
			if open = s.changing() || !s.state.terminal(); open {
				return false
			}
			last = to
			n += p.counted(first, to)
			return true
		})
		if open {
			break
		}
	}
	if last < p.start {
		return -1, 0
	}
	return last, n
}

// NextExpiry returns when [Partition.Expire] is to be called; false if nothing
// is locked. It may be early, never late.
func (p *Partition) NextExpiry() (time.Time, bool) { return p.expiry, !p.expiry.IsZero() }

// Expire makes records available whose lock has expired, or archives them when
// they were delivered often enough. What it returns is to be stored, and is in
// force however that ends; [Partition.Stored] is to be called then.
func (p *Partition) Expire(now time.Time) []StateBatch {
	var batches []StateBatch
	limit := p.limits().MaxDeliveries
	p.expiry = time.Time{}
	for _, b := range p.cached {
		if b.offsets == nil && b.whole.state == Acquired && b.first < p.start && b.last >= p.start && b.whole.expired(now) {
			b.split()
		}
		b.parts(b.first, b.last, func(s *inFlight, first, last int64) bool {
			if s.until.IsZero() {
				return true
			}
			if s.until.After(now) {
				if p.expiry.IsZero() || s.until.Before(p.expiry) {
					p.expiry = s.until
				}
				return true
			}
			if s.state != Acquired {
				return true // A change is under way, which ends the lock.
			}
			to := Available
			if last < p.start {
				to = Archived
			}
			if !s.update(to, limit, "") {
				return true
			}
			s.until = time.Time{}
			batches = append(batches, StateBatch{first, last, s.state, int16(s.deliveries)})
			if s.state == Available {
				p.search = true
			} else {
				p.complete += p.counted(first, last)
			}
			return true
		})
	}
	return batches
}

func (s *inFlight) expired(now time.Time) bool { return !s.until.IsZero() && !s.until.After(now) }

// Stored is called when the batches of [Partition.Expire] have been stored, or
// could not be; it tells whether the start offset moved.
func (p *Partition) Stored() bool { return p.advance() }

// MoveLogStart is called when the log begins later than before: records before
// it that are available are archived; those that a member holds are when they
// come back. Nothing of it is stored until something else is.
func (p *Partition) MoveLogStart(offset int64) {
	if offset <= p.start {
		return
	}
	if len(p.cached) == 0 {
		p.start, p.end, p.complete = offset, offset, 0
		return
	}
	removed := int64(0)
	for _, b := range p.cached {
		b.parts(p.start, offset-1, func(s *inFlight, first, last int64) bool {
			if s.state.terminal() {
				removed += max(0, min(last, offset-1)-max(first, p.start)+1)
			}
			return true
		})
	}
	if p.archive(p.cached, p.start, offset-1, Available, false) {
		p.search = true
	}
	p.start = offset
	p.complete -= removed
	if p.gap != nil {
		p.gap.start = max(p.gap.start, offset)
	}
	p.end = max(p.end, offset)
}
