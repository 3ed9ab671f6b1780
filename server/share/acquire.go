package share

import (
	"slices"
	"time"
)

// Range is a run of offsets.
type Range struct{ First, Last int64 }

// AcquiredRecords is a run of records that a member has got.
type AcquiredRecords struct {
	First, Last   int64
	DeliveryCount int16
}

// Acquisition is a member's wish for records that have been read.
type Acquisition struct {
	Member string
	// RecordLimit has no more than MaxRecords acquired (ShareAcquireMode
	// RECORD_LIMIT, KIP-1206); otherwise batches are acquired as a whole.
	RecordLimit bool
	// BatchSize is how many records make a run of acquired records.
	BatchSize, MaxRecords int
	// FetchOffset is where Batches, the record batches in order, were read.
	FetchOffset int64
	Batches     []Range
	// Aborted are batches of transactions that were aborted, where the group
	// reads what is committed: they are archived.
	Aborted []Range
	Now     time.Time
}

// acquiring is an acquisition under way.
type acquiring struct {
	*Partition
	Acquisition
	limits Limits
	// from is where the first batch begins, to the last offset to acquire.
	from, to int64
	room     int // how many records may be acquired
	count    int
	result   []AcquiredRecords
}

// Acquire gives records to a member, and returns which it has got.
func (p *Partition) Acquire(wish Acquisition) []AcquiredRecords {
	if wish.MaxRecords <= 0 || len(wish.Batches) == 0 {
		return nil
	}
	a := &acquiring{Partition: p, Acquisition: wish, limits: p.limits(), from: wish.Batches[0].First}
	a.to = wish.Batches[len(wish.Batches)-1].Last
	if a.to < p.start || !a.fit() {
		return nil
	}
	a.archiveStale()
	base := a.from
	if i := p.floor(base); i < 0 {
		base = max(base, p.start)
	} else if p.cached[i].last >= base {
		base = p.cached[i].first
	}
	overlap := p.between(min(a.from, base), a.to)
	if len(overlap) == 0 {
		a.fresh(base, a.to)
	} else {
		a.again(base, overlap)
	}
	return a.withoutAborted()
}

// fit limits the acquisition to what may be in flight, and tells whether
// anything is left of it.
func (a *acquiring) fit() bool {
	a.room = min(a.MaxRecords, a.limits.MaxInFlight-a.InFlight())
	if a.room <= 0 && a.FetchOffset <= a.end {
		// Records within what is in flight take no more room.
		a.room = min(a.MaxRecords, int(a.end-a.FetchOffset+1))
		a.to = min(a.to, a.end)
	}
	return a.room > 0
}

// archiveStale archives what is available below the first batch that was read:
// compaction has removed it.
func (a *acquiring) archiveStale() {
	if a.FetchOffset >= a.from {
		return
	}
	from := a.FetchOffset
	if i := a.floor(from); i >= 0 && a.cached[i].last >= from {
		from = a.cached[i].first
	}
	if a.archive(a.between(from, a.from-1), a.FetchOffset, a.from-1, Available, true) {
		a.search = true
	}
}

// again acquires what is available of batches in flight, and what lies in gaps
// and behind them.
func (a *acquiring) again(base int64, overlap []*inFlightBatch) {
	gap := base
	for _, b := range overlap {
		if a.count >= a.room {
			break
		}
		if a.gapActive() {
			if gap < b.first {
				a.fresh(gap, b.first-1)
			}
			gap = max(gap, b.last+1)
			if a.count >= a.room {
				break
			}
		}
		if !a.reacquire(b) {
			a.room = 0
			break
		}
	}
	behind := overlap[len(overlap)-1].last + 1
	if a.count < a.room && behind <= a.to {
		a.fresh(behind, a.to)
	}
	if len(a.result) > 0 {
		a.moveGap(a.result[len(a.result)-1].Last + 1)
	}
}

// reacquire acquires of one batch in flight; false if nothing more is to be
// acquired: records that were delivered often come in small portions, so that a
// bad one does not take all others with it.
func (a *acquiring) reacquire(b *inFlightBatch) bool {
	throttled := a.throttled(b)
	if throttled && a.count > 0 {
		return false
	}
	whole := b.first >= a.from && b.last <= a.to
	tooMany := a.RecordLimit && b.last-b.first+1 > int64(a.room-a.count)
	if !whole || b.offsets != nil || tooMany || throttled {
		if b.offsets == nil {
			if !b.whole.acquirable() {
				return true
			}
			b.split()
		}
		n := a.records(b)
		a.count += n
		return !throttled || n == 0
	}
	if b.whole.acquirable() && b.whole.update(Acquired, a.limits.MaxDeliveries, a.Member) {
		b.whole.until = a.lock(a.Now, a.limits.Lock)
		a.result = append(a.result, AcquiredRecords{b.first, b.last, int16(b.whole.deliveries)})
		a.count += int(b.last - b.first + 1)
	}
	return true
}

// throttleAt is from how many deliveries on records come in small portions.
func (a *acquiring) throttleAt() int { return max(2, (a.limits.MaxDeliveries+1)/2) }

func (a *acquiring) throttled(b *inFlightBatch) bool {
	if b.offsets == nil {
		return b.whole.deliveries >= a.throttleAt()
	}
	most := 0
	b.parts(a.from, a.to, func(s *inFlight, _, _ int64) bool {
		if s.state == Available {
			most = max(most, s.deliveries)
		}
		return true
	})
	return most >= a.throttleAt()
}

// records acquires single records of a batch, and returns how many. Neighbours
// that were delivered as often make one run (ShareFetchUtils.accumulateAcquiredRecords).
func (a *acquiring) records(b *inFlightBatch) int {
	var runs []AcquiredRecords
	n, left, portion := 0, a.room-a.count, 0
	limit := a.limits.MaxDeliveries
	b.parts(a.from, a.to, func(s *inFlight, offset, _ int64) bool {
		if !s.acquirable() {
			return true
		}
		lastTry := limit > 2 && s.deliveries == limit-1
		if lastTry && n > 0 {
			return false
		}
		if s.deliveries >= a.throttleAt() && portion == 0 {
			portion = max(1, len(b.offsets)>>(s.deliveries-a.throttleAt()+1))
		}
		if !s.update(Acquired, limit, a.Member) {
			return true
		}
		s.until = a.lock(a.Now, a.limits.Lock)
		if i := len(runs) - 1; i >= 0 && runs[i].Last+1 == offset && int(runs[i].DeliveryCount) == s.deliveries {
			runs[i].Last = offset
		} else {
			runs = append(runs, AcquiredRecords{offset, offset, int16(s.deliveries)})
		}
		n++
		return !lastTry && (!a.RecordLimit || n < left) && n != portion
	})
	a.result = append(a.result, runs...)
	return n
}

// fresh acquires records within [first, last] that are not in flight yet.
func (a *acquiring) fresh(first, last int64) {
	if len(a.cached) == 0 {
		first = max(first, a.end)
	}
	if last < first {
		return
	}
	room := int64(a.room - a.count)
	if room < last-first+1 {
		// The batch with the last record that has room is taken as a whole.
		bound := last
		last = a.batchEnd(first + room - 1)
		if a.gapActive() {
			last = min(last, bound)
		}
	}
	runs := a.runs(first, last)
	if a.RecordLimit && last-first+1 > room {
		b := &inFlightBatch{first: first, last: last, whole: inFlight{state: Available}}
		b.split()
		got := first + room - 1
		until := a.lock(a.Now, a.limits.Lock)
		for offset := first; offset <= got; offset++ {
			*b.at(offset) = inFlight{state: Acquired, deliveries: 1, member: a.Member, until: until}
		}
		for offset := got + 1; offset <= min(a.start-1, last); offset++ {
			b.at(offset).archive() // Deleted; Kafka would look for it again and again.
		}
		a.search = true
		a.insert(b)
		runs = []AcquiredRecords{{first, got, 1}}
	} else {
		until := a.lock(a.Now, a.limits.Lock)
		for _, r := range runs {
			a.insert(&inFlightBatch{
				first: r.First, last: r.Last,
				whole: inFlight{state: Acquired, deliveries: 1, member: a.Member, until: until},
			})
		}
	}
	if a.cached[0].first == first {
		a.start = first
	}
	a.end = max(a.end, last)
	got := runs[len(runs)-1].Last
	a.moveGap(got + 1)
	a.result = append(a.result, runs...)
	a.count += int(got - first + 1)
}

// runs cuts [first, last] into runs of about BatchSize records, at borders of
// record batches.
func (a *acquiring) runs(first, last int64) []AcquiredRecords {
	var runs []AcquiredRecords
	if !a.RecordLimit && last-first+1 > int64(a.BatchSize) {
		for _, b := range a.Batches {
			if b.First > last {
				break
			}
			if b.First-first >= int64(a.BatchSize) && b.First > first {
				runs = append(runs, AcquiredRecords{first, b.First - 1, 1})
				first = b.First
			}
		}
	}
	return append(runs, AcquiredRecords{first, last, 1})
}

// batchEnd returns the last offset of the record batch that has the offset, or
// the offset.
func (a *acquiring) batchEnd(offset int64) int64 {
	for _, b := range a.Batches {
		if b.First <= offset && offset <= b.Last {
			return b.Last
		}
	}
	return offset
}

// moveGap notes that gaps have been acquired up to the offset.
func (p *Partition) moveGap(offset int64) {
	if p.gap == nil {
		return
	}
	if p.gap.end != p.end || offset > p.gap.end {
		p.gap = nil // All from here on is in flight.
		return
	}
	p.gap.start = max(p.gap.start, offset)
}

// withoutAborted archives the batches of aborted transactions, and takes them
// out of what was acquired.
func (a *acquiring) withoutAborted() []AcquiredRecords {
	result := a.result
	for _, gone := range a.Aborted {
		from := gone.First
		if i := a.floor(from); i >= 0 && a.cached[i].last >= from {
			from = a.cached[i].first
		}
		a.archive(a.between(from, gone.Last), gone.First, gone.Last, Acquired, true)
		var left []AcquiredRecords
		for _, r := range result {
			if r.Last < gone.First || r.First > gone.Last {
				left = append(left, r)
				continue
			}
			if r.First < gone.First {
				left = append(left, AcquiredRecords{r.First, gone.First - 1, r.DeliveryCount})
			}
			if r.Last > gone.Last {
				left = append(left, AcquiredRecords{gone.Last + 1, r.Last, r.DeliveryCount})
			}
		}
		result = left
	}
	return slices.Clip(result)
}

// archive ends the life of the records within [from, to] that are in that
// state, and tells whether there were any.
func (p *Partition) archive(batches []*inFlightBatch, from, to int64, state RecordState, count bool) bool {
	any := false
	for _, b := range batches {
		if b.first > to || b.last < from {
			continue
		}
		if b.offsets == nil && (b.first < from || b.last > to) {
			if b.whole.state != state {
				continue
			}
			b.split()
		}
		b.parts(from, to, func(s *inFlight, first, last int64) bool {
			if s.state == state {
				s.archive()
				any = true
				if count {
					p.complete += p.counted(first, last)
				}
			}
			return true
		})
	}
	return any
}

// counted is how many of these records lie at or after the start.
func (p *Partition) counted(first, last int64) int64 { return max(0, last-max(p.start, first)+1) }
