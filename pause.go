package minikafka

import (
	"context"
	"fmt"
)

// isPaused tells whether the node is paused.
func (p *place) isPaused() bool { return p.stateNow() == Paused }

// up tells whether the node runs and is not paused.
func (n *brokerNode) up() bool { return n.running() != nil && !n.isPaused() }

// up tells whether the node runs and is not paused.
func (n *controllerNode) up() bool { return n.running() != nil && !n.isPaused() }

// pause freezes the broker or lets it go on.
func (n *brokerNode) pause(paused bool) error {
	n.mu.Lock()
	life := n.life
	if life != nil {
		n.state = Running
		if paused {
			n.state = Paused
		}
	}
	n.mu.Unlock()
	switch {
	case life == nil:
		return fmt.Errorf("%w: %v is %s: Restart it first", ErrNotRunning, n.name, n.stateNow())
	case paused:
		life.Pause()
	default:
		life.Resume()
	}
	n.cluster.changed.signal()
	return nil
}

// pause freezes the controller or lets it go on.
func (n *controllerNode) pause(paused bool) error {
	n.mu.Lock()
	life := n.life
	if life != nil {
		n.state = Running
		if paused {
			n.state = Paused
		}
	}
	n.mu.Unlock()
	switch {
	case life == nil:
		return fmt.Errorf("%w: %v is %s: Restart it first", ErrNotRunning, n.name, n.stateNow())
	case paused:
		n.cluster.fabric.Pause(n.name)
	default:
		n.cluster.fabric.Resume(n.name)
	}
	n.cluster.changed.signal()
	return nil
}

// endFaults ends what would keep nodes from shutting down in order.
func (c *cluster) endFaults(ctx context.Context) {
	c.fabric.Heal()
	for _, n := range c.brokers {
		n.disk.set(Disk{})
	}
	for _, n := range c.controllers {
		_ = n.within(ctx, func() error { return n.pause(false) }) // it need not run
	}
	for _, n := range c.brokers {
		_ = n.within(ctx, func() error { return n.pause(false) }) // it need not run
	}
}
