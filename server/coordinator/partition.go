package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// phase is how far a partition's shard is (CoordinatorState).
type phase int

const (
	loading phase = iota
	active
	failed // it could not be loaded
	closed
)

// partition is a shard and what its goroutine needs (CoordinatorContext). All but
// the inbox belongs to that goroutine.
type partition[S Shard] struct {
	rt     *Runtime[S]
	number int32
	epoch  int32 // under the runtime's mu
	log    Log
	logger *slog.Logger
	ctx    context.Context // The partition's own life.
	cancel context.CancelFunc
	// before is the partition's former life; it has to end first.
	before <-chan struct{}
	ended  chan struct{}

	inbox inbox

	shard    S
	image    *election.Image // the one that the shard knows
	timeline *timeline.Registry
	serving  bool // the shard is loaded
	timers   timers
	writes   writes
	clock    *time.Timer // for the next thing that is due
}

// event is something to be run.
type event struct {
	kind
	f func()
}

// inbox is what is to be run, in order, and how far the partition is.
type inbox struct {
	mu     sync.Mutex
	phase  phase
	events []event
	signal chan struct{} // has room for one
}

func newPartition[S Shard](rt *Runtime[S], number, epoch int32, l Log, before <-chan struct{}) *partition[S] {
	p := &partition[S]{
		rt: rt, number: number, epoch: epoch, log: l, ended: make(chan struct{}),
		logger: rt.config.Logger.With("coordinator", fmt.Sprintf("%s-%d", rt.config.Topic, number)),
		inbox:  inbox{signal: make(chan struct{}, 1)}, before: before,
	}
	p.ctx, p.cancel = context.WithCancel(rt.ctx)
	return p
}

// submittable is the error that operations get as long as the shard is not active
// (CoordinatorRuntime.withActiveContextOrThrow).
func (p *partition[S]) submittable() error {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	return p.inbox.submittableLocked()
}

func (b *inbox) submittableLocked() error {
	switch b.phase {
	case active:
		return nil
	case loading:
		return kerr.CoordinatorLoadInProgress
	case failed, closed:
	}
	return kerr.NotCoordinator
}

func (p *partition[S]) enqueue(e event) error {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	if err := p.inbox.submittableLocked(); err != nil {
		return err
	}
	p.inbox.events = append(p.inbox.events, e)
	p.wake()
	return nil
}

func (p *partition[S]) wake() {
	select {
	case p.inbox.signal <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (p *partition[S]) take() []event {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	events := p.inbox.events
	p.inbox.events = nil
	return events
}

// enter changes the phase; a closed partition stays so.
func (p *partition[S]) enter(to phase) (ok bool) {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	if p.inbox.phase == closed {
		return false
	}
	p.inbox.phase = to
	return true
}

func (p *partition[S]) is(ph phase) bool {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	return p.inbox.phase == ph
}

func (p *partition[S]) failed() bool { return p.is(failed) }
func (p *partition[S]) closed() bool { return p.is(closed) }

// close has the goroutine unload the shard and end.
func (p *partition[S]) close() {
	p.enter(closed)
	p.cancel()
}

// run is the partition's goroutine.
func (p *partition[S]) run() {
	defer close(p.ended)
	defer p.cancel()
	if p.before != nil {
		<-p.before // it has been closed, or has failed
	}
	p.clock = time.NewTimer(time.Hour)
	defer p.clock.Stop()
	moved := make(chan struct{}, 1)
	defer p.log.Watch(moved)()
	for again := true; again; {
		if !p.load() {
			return
		}
		again = p.serve(moved)
		p.unload()
	}
}

// serve runs events until the partition is closed; it returns true when the shard
// has to be loaded again.
func (p *partition[S]) serve(moved <-chan struct{}) (again bool) {
	for {
		if p.pass() != nil || p.closed() {
			return false
		}
		changed := p.runEvents()
		changed = p.runTimers() || changed
		changed = p.settle() || changed
		if p.writes.astray {
			return p.enter(loading)
		}
		p.setClock()
		if changed {
			p.rt.change.notify()
		}
		select {
		case <-p.inbox.signal:
		case <-moved:
		case <-p.writes.stored():
		case <-p.clock.C:
		case <-p.ctx.Done():
			return false
		}
	}
}

// pass returns when the partition may act.
func (p *partition[S]) pass() error {
	if p.rt.config.Pass == nil {
		return nil
	}
	return p.rt.config.Pass(p.ctx)
}

// runEvents empties the inbox, and tells whether the state may have changed.
func (p *partition[S]) runEvents() (changed bool) {
	events := p.take()
	for i, e := range events {
		e.f()
		events[i] = event{}
		changed = changed || e.kind == changes
		p.takeOff()
	}
	return changed
}

// setClock has the clock tell when the next timer, timeout or flush is due.
func (p *partition[S]) setClock() {
	next, ok := p.timers.next()
	if at, due := p.writes.nextDue(p.rt.config.Linger); due && (!ok || at.Before(next)) {
		next, ok = at, true
	}
	if !ok {
		p.clock.Stop()
		return
	}
	p.clock.Reset(max(time.Until(next), 0))
}

// unload fails what waits (CoordinatorContext.unload).
func (p *partition[S]) unload() {
	p.serving = false
	p.timers.clear()
	p.writes.failAll(kerr.NotCoordinator)
	for _, e := range p.take() {
		e.f() // it sees that the shard is gone
	}
	_ = p.guarded("unloading", p.shard.Unloaded)
	var none S
	p.shard, p.timeline = none, nil
	p.rt.change.notify()
}

func (p *partition[S]) imageChanged() {
	m := p.rt.image.Load()
	if m == nil || m == p.image || !p.serving {
		return
	}
	p.image = m
	_ = p.guarded("telling of new metadata", func() { p.shard.Changed(m) })
}

// guarded runs a part of the shard, of whose bugs the broker is not to die.
func (p *partition[S]) guarded(what string, f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.logger.Error("panic", "while", what, "panic", r, "stack", string(debug.Stack()))
			err = kerr.UnknownServerError
		}
	}()
	f()
	return nil
}

// The methods of [Context].

// Partition is Context's.
func (p *partition[S]) Partition() int32 { return p.number }

// Now is Context's.
func (p *partition[S]) Now() time.Time { return time.Now() }

// Logger is Context's.
func (p *partition[S]) Logger() *slog.Logger { return p.logger }

// Image is Context's.
func (p *partition[S]) Image() *election.Image { return p.rt.image.Load() }

// Timeline is Context's.
func (p *partition[S]) Timeline() *timeline.Registry { return p.timeline }
