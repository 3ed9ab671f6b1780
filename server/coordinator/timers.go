package coordinator

import (
	"container/heap"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// timer is one operation that is scheduled (EventBasedCoordinatorTimer).
type timer struct {
	key   string
	at    time.Time
	order uint64 // of timers that are due at the same time
	op    func() (Outcome, error)
	retry bool
	index int // in the heap
}

// timers are a shard's timers, by key and by time.
type timers struct {
	byKey  map[string]*timer
	byTime timerHeap
	// running are those whose operation runs, and that may have to run again.
	running map[string]*timer
	count   uint64
}

func newTimers() timers {
	return timers{byKey: map[string]*timer{}, running: map[string]*timer{}}
}

func (t *timers) set(key string, at time.Time, retry bool, op func() (Outcome, error)) {
	t.cancel(key)
	t.count++
	n := &timer{key: key, at: at, order: t.count, op: op, retry: retry}
	t.byKey[key] = n
	heap.Push(&t.byTime, n)
}

func (t *timers) cancel(key string) {
	delete(t.running, key)
	if n := t.byKey[key]; n != nil {
		delete(t.byKey, key)
		heap.Remove(&t.byTime, n.index)
	}
}

func (t *timers) clear() { *t = newTimers() }

// next is when the next one is due.
func (t *timers) next() (at time.Time, ok bool) {
	if len(t.byTime) == 0 {
		return at, false
	}
	return t.byTime[0].at, true
}

// due takes a timer that is due, and was scheduled as one of the first so many.
func (t *timers) due(now time.Time, first uint64) *timer {
	if len(t.byTime) == 0 || t.byTime[0].at.After(now) || t.byTime[0].order > first {
		return nil
	}
	n := heap.Pop(&t.byTime).(*timer)
	delete(t.byKey, n.key)
	return n
}

// runTimers runs the operations that are due.
func (p *partition[S]) runTimers() (ran bool) {
	// Those that the operations schedule have to wait for others' turn.
	now, first := time.Now(), p.timers.count
	for {
		t := p.timers.due(now, first)
		if t == nil {
			return ran
		}
		ran = true
		p.timers.running[t.key] = t
		p.execute(func(S) (Outcome, error) { return t.op() }, noProducer, func(err error) { p.timerDone(t, err) })
	}
}

// timerDone has a failed operation run again, if it is to.
func (p *partition[S]) timerDone(t *timer, err error) {
	last := p.timers.running[t.key] == t
	if last {
		delete(p.timers.running, t.key)
	}
	switch {
	case err == nil, errors.Is(err, kerr.NotCoordinator), errors.Is(err, kerr.CoordinatorLoadInProgress):
	case t.retry && last:
		p.logger.Info("a timer's operation failed, and will run again", "timer", t.key, "error", err)
		p.timers.set(t.key, time.Now().Add(RetryAfter), true, t.op)
	default:
		p.logger.Warn("a timer's operation failed", "timer", t.key, "error", err)
	}
}

// Schedule is Context's.
func (p *partition[S]) Schedule(key string, d time.Duration, op func() (Outcome, error)) {
	p.timers.set(key, time.Now().Add(d), false, op)
}

// ScheduleRetried is Context's.
func (p *partition[S]) ScheduleRetried(key string, d time.Duration, op func() (Outcome, error)) {
	p.timers.set(key, time.Now().Add(d), true, op)
}

// Cancel is Context's.
func (p *partition[S]) Cancel(key string) { p.timers.cancel(key) }

// Scheduled is Context's.
func (p *partition[S]) Scheduled(key string) bool { return p.timers.byKey[key] != nil }

// timerHeap has the next timer first.
type timerHeap []*timer

// Len is heap.Interface's.
func (h timerHeap) Len() int { return len(h) }

// Less is heap.Interface's.
func (h timerHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

// Swap is heap.Interface's.
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is heap.Interface's.
func (h *timerHeap) Push(x any) {
	n := x.(*timer)
	n.index = len(*h)
	*h = append(*h, n)
}

// Pop is heap.Interface's.
func (h *timerHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return n
}
