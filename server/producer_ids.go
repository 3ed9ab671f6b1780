package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
)

// leaseWithin is how long a client waits for a block of producer ids. Kafka does
// not wait, and answers the first request of a broker with an error.
const leaseWithin = time.Second

// prefetchAt is when the next block is fetched: with a tenth of the block left
// (RPCProducerIdManager.PID_PREFETCH_THRESHOLD).
const prefetchAt = 10

// producerIDs gives out producer ids from blocks that the controller leases
// (RPCProducerIdManager). What is left of a block is lost with the broker.
type producerIDs struct {
	mu      sync.Mutex
	current election.ProducerIDBlock // what is left of it
	spare   election.ProducerIDBlock
	// leasing is closed when the lease under way has ended; nil without one.
	leasing chan struct{}
}

// next gives out an id. While no block can be had it is
// COORDINATOR_LOAD_IN_PROGRESS.
func (p *producerIDs) next(ctx context.Context, b *broker) (int64, error) {
	var timer *time.Timer
	for {
		id, ok, leasing := p.take(b)
		if ok {
			return id, nil
		}
		if timer == nil {
			timer = time.NewTimer(leaseWithin)
			defer timer.Stop()
		}
		select {
		case <-leasing:
			if !p.ready() {
				return -1, kerr.CoordinatorLoadInProgress
			}
		case <-timer.C:
			return -1, kerr.CoordinatorLoadInProgress
		case <-ctx.Done():
			return -1, kerr.CoordinatorLoadInProgress
		}
	}
}

func (p *producerIDs) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.Count+p.spare.Count > 0
}

func (p *producerIDs) take(b *broker) (id int64, ok bool, leasing <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current.Count == 0 {
		p.current, p.spare = p.spare, election.ProducerIDBlock{}
	}
	if p.current.Count > 0 {
		id, ok = p.current.First, true
		p.current.First++
		p.current.Count--
	}
	if p.leasing == nil && p.spare.Count == 0 && p.current.Count <= blockSize/prefetchAt {
		done := make(chan struct{})
		p.leasing = done
		b.spawn(func() { p.lease(b, done) })
	}
	return id, ok, p.leasing
}

// blockSize is the size of blocks that controllers lease (ProducerIdsBlock).
const blockSize = 1000

func (p *producerIDs) lease(b *broker, done chan struct{}) {
	answer, err := b.do(b.ctx, &election.AllocateProducerIDs{Broker: b.config.ID, Epoch: b.epoch.Load()})
	block, ok := answer.(election.ProducerIDBlock)
	if err == nil && !ok {
		err = fmt.Errorf("server: the controller leased producer ids with %T", answer)
	}
	if err != nil {
		b.logger.Warn("no producer ids", "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leasing = nil
	p.spare = block
	close(done)
}
