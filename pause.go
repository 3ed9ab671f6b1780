package minikafka

import (
	"context"
	"fmt"

	"github.com/minikafka/minikafka/server"
)

// isPaused tells whether the node is paused.
func (p *place) isPaused() bool { return p.stateNow() == Paused }

// up tells whether the node runs and is not paused.
func (n *brokerNode) up() bool { return n.running() != nil && !n.isPaused() }

// up tells whether the node runs and is not paused.
func (n *controllerNode) up() bool { return n.running() != nil && !n.isPaused() }

// setPaused notes that a node is paused, or goes on; runs tells, under the lock,
// whether it runs at all.
func (p *place) setPaused(paused bool, runs func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !runs() {
		return fmt.Errorf("%w: %v is %s: Restart it first", ErrNotRunning, p.name, p.state)
	}
	p.state = Running
	if paused {
		p.state = Paused
	}
	return nil
}

// pause freezes the broker or lets it go on.
func (n *brokerNode) pause(paused bool) error {
	var life *server.Broker
	if err := n.setPaused(paused, func() bool { life = n.life; return life != nil }); err != nil {
		return err
	}
	if paused {
		life.Pause()
	} else {
		life.Resume()
	}
	n.cluster.changed.signal()
	return nil
}

// pause freezes the controller or lets it go on.
func (n *controllerNode) pause(paused bool) error {
	if err := n.setPaused(paused, func() bool { return n.life != nil }); err != nil {
		return err
	}
	if paused {
		n.cluster.fabric.Pause(n.name)
	} else {
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
