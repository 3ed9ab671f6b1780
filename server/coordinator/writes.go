package coordinator

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
)

// producer is whose transaction records belong to.
type producer struct {
	id    int64
	epoch int16
}

// noProducer is outside of transactions.
var noProducer = producer{-1, -1} //nolint:gochecknoglobals // a constant

// waiter is an operation that waits for what has been written so far.
type waiter struct {
	answers []func(error)
	offset  int64     // it waits for this to be committed
	until   time.Time // zero: for ever
	done    bool
}

func (w *waiter) finish(err error) {
	if w.done {
		return
	}
	w.done = true
	for _, f := range w.answers {
		f(err)
	}
	w.answers = nil
}

// batch is a batch that is being filled, waits to be appended, or is appended.
type batch struct {
	base    int64
	records []log.Record
	bytes   int
	began   time.Time
	waiters []*waiter
	producer
	control bool
}

// writes are a shard's records on their way to the log (CoordinatorBatch and
// DeferredEventQueue). The shard's state has all of them in it; the timeline has a
// snapshot at the base of each batch, and at the end of those that are full.
type writes struct {
	next      int64 // the offset of the next record
	written   int64 // the end of what is stored
	committed int64 // a snapshot
	open      *batch
	full      []*batch // to be appended, after flying
	flying    *batch   // is being appended
	landing   Appending
	waiting   []*waiter // for the high watermark, by offset
	timeouts  []*waiter // by time
	// astray is set when the log has something else than the state.
	astray bool
}

// stored is closed when the append under way has ended.
func (w *writes) stored() <-chan struct{} {
	if w.landing == nil {
		return nil
	}
	return w.landing.Stored()
}

// next is when a waiter's time is over, or the open batch is due.
func (w *writes) nextDue(linger time.Duration) (at time.Time, ok bool) {
	for len(w.timeouts) > 0 && w.timeouts[0].done {
		w.timeouts[0] = nil
		w.timeouts = w.timeouts[1:]
	}
	if len(w.timeouts) > 0 {
		at, ok = w.timeouts[0].until, true
	}
	if w.open != nil && w.flying == nil {
		if flush := w.open.began.Add(max(linger, 0)); !ok || flush.Before(at) {
			at, ok = flush, true
		}
	}
	return at, ok
}

// last is the newest batch that is not stored, or nil.
func (w *writes) last() *batch {
	switch n := len(w.full); {
	case w.open != nil:
		return w.open
	case n > 0:
		return w.full[n-1]
	}
	return w.flying
}

// failAll fails everything that waits.
func (w *writes) failAll(err error) {
	lost := w.lost()
	waiting := w.waiting
	*w = writes{}
	for _, l := range waiting {
		l.finish(err)
	}
	for _, b := range lost {
		b.fail(err)
	}
}

// lost takes the batches that are not stored.
func (w *writes) lost() []*batch {
	var list []*batch
	if w.flying != nil {
		list = append(list, w.flying)
	}
	list = append(list, w.full...)
	if w.open != nil {
		list = append(list, w.open)
	}
	w.flying, w.landing, w.full, w.open = nil, nil, nil, nil
	return list
}

func (b *batch) fail(err error) {
	for _, w := range b.waiters {
		w.finish(err)
	}
}

// commit notes how far the high watermark is, and answers whom that concerns. It
// tells whether it has moved.
func (p *partition[S]) commit() (moved bool) {
	w := &p.writes
	// In this order: a partition that leads again has been closed before.
	offset, leads := p.log.HighWatermark()
	if !leads || p.closed() {
		return false
	}
	if at, ok := p.timeline.Floor(min(offset, w.written)); ok && at > w.committed {
		w.committed, moved = at, true
		p.timeline.Release(at)
	}
	n := 0
	for ; n < len(w.waiting) && (w.waiting[n].done || w.waiting[n].offset <= w.committed); n++ {
	}
	done := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	for _, l := range done {
		l.finish(nil)
	}
	return moved
}

// settle sees to what has happened to the writes meanwhile. It tells whether that
// is anything.
func (p *partition[S]) settle() (changed bool) {
	w := &p.writes
	changed = p.land()
	changed = p.commit() || changed
	for now := time.Now(); len(w.timeouts) > 0; w.timeouts = w.timeouts[1:] {
		if l := w.timeouts[0]; !l.done {
			if l.until.After(now) {
				break
			}
			l.finish(kerr.CoordinatorNotAvailable) // TimeoutException; the record stays
			changed = true
		}
	}
	if w.open != nil && w.flying == nil && !w.open.began.Add(p.rt.config.Linger).After(time.Now()) {
		p.fill()
	}
	p.takeOff()
	return changed
}
