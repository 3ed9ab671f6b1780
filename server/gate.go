package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// resumeFabricAfter is how long after its clients a resumed broker hears other
// nodes again: what clients have sent meanwhile is answered from the role the
// broker still believes to have, as Kafka does after SIGCONT, some 100 ms long.
const resumeFabricAfter = 50 * time.Millisecond

// gate holds up what passes it while it is closed.
type gate struct {
	closed atomic.Bool // a fast look; mu has the truth
	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens; nil while it is open
}

// pass returns nil once the gate is open, or ctx's error.
func (g *gate) pass(ctx context.Context) error {
	for g.closed.Load() {
		g.mu.Lock()
		opened := g.opened
		g.mu.Unlock()
		if opened == nil {
			return nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
	g.closed.Store(true)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
	g.closed.Store(false)
}

// pauses is what pausing a broker closes.
type pauses struct {
	mu     sync.Mutex // one pause or resume at a time
	gate   gate       // clients, store and background tasks
	resume chan struct{}
}

// pause freezes the broker as SIGSTOP would, seen from outside: its gates to
// clients, to its file and to other nodes close.
func (b *broker) pause() {
	b.pauses.mu.Lock()
	defer b.pauses.mu.Unlock()
	if b.ctx.Err() != nil {
		return
	}
	if b.pauses.resume != nil {
		close(b.pauses.resume) // the fabric stays closed
		b.pauses.resume = nil
	}
	b.config.Fabric.Pause(fabric.Broker(b.config.ID))
	b.pauses.gate.close()
}

// unpause is pause's end: clients first, then other nodes, in the background.
func (b *broker) unpause() {
	b.pauses.mu.Lock()
	defer b.pauses.mu.Unlock()
	if !b.pauses.gate.closed.Load() || b.ctx.Err() != nil {
		return
	}
	cancelled := make(chan struct{})
	b.pauses.resume = cancelled
	b.pauses.gate.open()
	b.spawn(func() {
		t := time.NewTimer(resumeFabricAfter)
		defer t.Stop()
		select {
		case <-t.C:
		case <-cancelled:
			return
		case <-b.ctx.Done():
			return // end has opened it
		}
		b.pauses.mu.Lock()
		defer b.pauses.mu.Unlock()
		if b.pauses.resume == cancelled {
			b.pauses.resume = nil
			b.config.Fabric.Resume(fabric.Broker(b.config.ID))
		}
	})
}
