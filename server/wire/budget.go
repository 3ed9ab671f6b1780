package wire

import "sync"

// A Budget bounds the memory that large frames of all connections of a broker
// hold at once. It is what queued.max.request.bytes is in Kafka (MemoryPool):
// a reader that finds it spent waits, and the socket behind it fills up.
//
// Frames of up to [ChunkSize] are free: they are bounded by the number of
// connections, and heartbeats have to pass while large requests wait. As in
// Kafka the budget may be overdrawn by the last that came: a frame larger than
// all of it still gets through alone.
type Budget struct {
	mu    sync.Mutex
	left  int           // Below zero while overdrawn.
	freed chan struct{} // Closed when left rises above zero; nil while nobody waits.
}

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int) *Budget {
	return &Budget{left: bytes}
}

// take waits until some of the budget is left, and takes size bytes from it. It
// returns false if stop was closed first. A nil stop never ends the wait.
func (b *Budget) take(size int, stop <-chan struct{}) bool {
	for {
		b.mu.Lock()
		if b.left > 0 {
			b.left -= size
			b.mu.Unlock()
			return true
		}
		if b.freed == nil {
			b.freed = make(chan struct{})
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-stop:
			return false
		}
	}
}

// give returns size bytes.
func (b *Budget) give(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += size
	if b.left > 0 && b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// Release gives back what a frame of frameLen bytes has taken, once the request
// in it has been answered. It may be called on a nil budget. Call it exactly
// once for each frame that ReadFrame returned.
func (b *Budget) Release(frameLen int) {
	if b != nil && frameLen > ChunkSize {
		b.give(frameLen)
	}
}
