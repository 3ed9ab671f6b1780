package replication

import (
	"context"
	"sync"

	"github.com/minikafka/minikafka/log"
)

// Holds are the partitions whose followers must not copy for now. One value is
// given to all brokers of a cluster; it is an instrument of tests.
type Holds struct {
	mu   sync.Mutex
	held map[log.PartitionID]*hold
}

type hold struct {
	count    int
	released chan struct{}
}

// NewHolds returns holds with nothing held.
func NewHolds() *Holds { return &Holds{held: map[log.PartitionID]*hold{}} }

// Hold stops copying until release is called, which may be called more than
// once. Holds of one partition add up.
func (h *Holds) Hold(id log.PartitionID) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.held[id]
	if held == nil {
		held = &hold{released: make(chan struct{})}
		h.held[id] = held
	}
	held.count++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		held.count--
		if held.count == 0 {
			close(held.released)
			delete(h.held, id)
		}
	})
}

// wait returns when the partition is not held, or ctx has ended.
func (h *Holds) wait(ctx context.Context, id log.PartitionID) error {
	if h == nil {
		return nil
	}
	for {
		h.mu.Lock()
		held := h.held[id]
		h.mu.Unlock()
		if held == nil {
			return nil
		}
		select {
		case <-held.released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
