package share

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of acknowledgements; Kafka's INVALID_RECORD_STATE and INVALID_REQUEST.
var (
	ErrRecordState = errors.New("share: the record is not in that state")
	ErrRequest     = errors.New("share: invalid acknowledgement")
)

// ErrState is returned by [Partition.Load] for state that cannot be.
var ErrState = errors.New("share: impossible state")

// Limits are configs of a group, which may change at any time.
type Limits struct {
	// MaxInFlight is how many records may be between the start and the end
	// offset (group.share.partition.max.record.locks).
	MaxInFlight int
	// MaxDeliveries is how often a record is delivered at most
	// (group.share.delivery.count.limit).
	MaxDeliveries int
	// Lock is how long a member may hold a record
	// (group.share.record.lock.duration.ms).
	Lock time.Duration
	// NoRenewal forbids members to renew locks (share.renew.acknowledge.enable).
	NoRenewal bool
}

// StateBatch is the state of a run of records as the share coordinator keeps it
// (PersisterStateBatch).
type StateBatch struct {
	First, Last   int64
	DeliveryState RecordState
	DeliveryCount int16
}

// Partition is a share-partition (SharePartition): the records of a partition
// that are in flight for one group. It is not safe for concurrent use.
type Partition struct {
	limits func() Limits
	// cached is what is in flight, in order of the first offsets.
	cached []*inFlightBatch
	// start is the share-partition start offset (SPSO): all before it is done
	// with. end is the last offset that was acquired, or the next one to fetch
	// while nothing is in flight.
	start, end int64
	stateEpoch int32
	// search is set when a record may have become available below end.
	search bool
	// gap is where records were acquired by a former leader, and nothing was
	// stored of them.
	gap *gapWindow
	// complete is how many records from start on are acknowledged or archived.
	complete int64
	// expiry is no later than the first lock's expiry; zero if there is none.
	expiry time.Time
}

// gapWindow is from where on there may be gaps in what was loaded. They are
// acquired while end is where it was at loading.
type gapWindow struct{ end, start int64 }

// New returns a partition that has to be loaded. limits is called at every use.
func New(limits func() Limits) *Partition { return &Partition{limits: limits} }

// Load takes over the state that the share coordinator has; start is the start
// offset, which the group's share.auto.offset.reset gave if none was stored.
func (p *Partition) Load(start int64, stateEpoch int32, batches []StateBatch) error {
	p.start, p.end, p.stateEpoch, p.cached = start, start, stateEpoch, nil
	gap, next := int64(-1), start
	for _, b := range batches {
		if b.First < next || b.Last < b.First || b.DeliveryState != Available && !b.DeliveryState.terminal() {
			return fmt.Errorf("%w: batch %d-%d in state %d, expected from %d", ErrState, b.First, b.Last, b.DeliveryState, next)
		}
		if gap < 0 && b.First > next {
			gap = next
		}
		next = b.Last + 1
		state := inFlight{state: b.DeliveryState, deliveries: int(b.DeliveryCount)}
		p.cached = append(p.cached, &inFlightBatch{first: b.First, last: b.Last, whole: state})
		if b.DeliveryState.terminal() {
			p.complete += b.Last - b.First + 1
		}
	}
	if len(p.cached) == 0 {
		return nil
	}
	p.search = true
	p.end = next - 1
	if gap >= 0 {
		p.gap = &gapWindow{end: p.end, start: gap}
	}
	p.advance()
	return nil
}

// Start returns the share-partition start offset.
func (p *Partition) Start() int64 { return p.start }

// End returns the last offset that was acquired, or the next one to fetch while
// nothing is in flight.
func (p *Partition) End() int64 { return p.end }

// StateEpoch returns the state epoch it was loaded with.
func (p *Partition) StateEpoch() int32 { return p.stateEpoch }

// DeliveryComplete returns how many records from the start offset on are
// acknowledged or archived.
func (p *Partition) DeliveryComplete() int32 { return int32(p.complete) }

// InFlight returns how many records count against the limit.
func (p *Partition) InFlight() int {
	if len(p.cached) == 0 {
		return 0
	}
	return int(p.end - p.start + 1)
}

// fresh tells whether nothing that is in flight lies at or after the start.
func (p *Partition) fresh() bool {
	return len(p.cached) == 0 || p.start > p.cached[len(p.cached)-1].last
}

// NextFetchOffset returns from where records are to be read: the first that is
// available, or the end.
func (p *Partition) NextFetchOffset() int64 {
	if p.fresh() {
		p.search = false
		return p.end
	}
	if !p.search {
		return p.end + 1
	}
	if next := p.firstAvailable(); next >= 0 {
		return next
	}
	p.search = false
	return p.end + 1
}

// firstAvailable returns the first offset to acquire below the end; -1 if there
// is none.
func (p *Partition) firstAvailable() int64 {
	gap := int64(-1)
	if p.gapActive() {
		gap = max(p.gap.start, p.start)
	}
	for _, b := range p.cached {
		if p.gapActive() {
			if b.first > gap {
				return gap
			}
			gap = max(b.last+1, gap)
		}
		found := int64(-1)
		b.parts(b.first, b.last, func(s *inFlight, first, _ int64) bool {
			if s.acquirable() {
				found = first
			}
			return found < 0
		})
		if found >= 0 {
			return found
		}
	}
	return -1
}

func (p *Partition) gapActive() bool { return p.gap != nil && p.gap.end == p.end }

// CanAcquire tells whether records may be acquired: the limit is not reached, or
// there are some to be delivered again.
func (p *Partition) CanAcquire() bool {
	return p.NextFetchOffset() != p.end+1 || p.InFlight() < p.limits().MaxInFlight
}

// floor returns the index of the last batch that begins at or before the
// offset; -1 if there is none.
func (p *Partition) floor(offset int64) int {
	i, found := slices.BinarySearchFunc(p.cached, offset, func(b *inFlightBatch, o int64) int {
		switch {
		case b.first < o:
			return -1
		case b.first > o:
			return 1
		}
		return 0
	})
	if found {
		return i
	}
	return i - 1
}

// between returns the batches that begin within [from, to].
func (p *Partition) between(from, to int64) []*inFlightBatch {
	if to < from {
		return nil
	}
	return slices.Clone(p.cached[p.floor(from-1)+1 : p.floor(to)+1])
}

func (p *Partition) insert(b *inFlightBatch) {
	p.cached = slices.Insert(p.cached, p.floor(b.first)+1, b)
}

// lock returns when a lock taken now for so long expires.
func (p *Partition) lock(now time.Time, d time.Duration) time.Time {
	until := now.Add(d)
	if p.expiry.IsZero() || until.Before(p.expiry) {
		p.expiry = until
	}
	return until
}
