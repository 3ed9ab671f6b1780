package election

import (
	"context"
	"fmt"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// handle answers a message; it runs on the sender's goroutine.
func (c *controller) handle(ctx context.Context, from fabric.Node, msg any) (any, error) {
	switch msg := msg.(type) {
	case *raftCall:
		return c.trans.handle(ctx, msg)
	case *findActive:
		return nil, c.awaitReign(ctx)
	}
	reign, _ := c.reign.now()
	if reign == nil {
		return nil, errNotActive
	}
	switch msg := msg.(type) {
	case *heartbeat:
		return during(ctx, reign, func(ctx context.Context) (any, error) { return c.heartbeat(ctx, msg) })
	case *pullImage:
		return c.pullImage(ctx, reign, msg)
	case *registerBroker:
		return during(ctx, reign, func(ctx context.Context) (any, error) { return c.register(ctx, msg) })
	case *describeQuorum:
		return c.describeQuorum(), nil
	case *awaitSettled:
		return during(ctx, reign, func(ctx context.Context) (any, error) { return nil, c.awaitSettled(ctx, msg) })
	case *runCommand:
		return during(ctx, reign, func(ctx context.Context) (any, error) { return c.propose(ctx, msg.Command) })
	}
	return nil, fmt.Errorf("election: %v sent an unknown message %T", from, msg)
}

// during runs what may wait with a context that ends with the reign too.
func during(ctx, reign context.Context, run func(context.Context) (any, error)) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(reign, cancel)()
	answer, err := run(ctx)
	if err != nil && reign.Err() != nil {
		return nil, errDeposed
	}
	return answer, err
}

// awaitReign returns when this node is the active controller.
func (c *controller) awaitReign(ctx context.Context) error {
	for {
		reign, changed := c.reign.now()
		if reign != nil {
			return nil
		}
		select {
		case <-changed:
		case <-c.stopping:
			return errNotActive
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pullImage waits for a newer image.
func (c *controller) pullImage(ctx, reign context.Context, msg *pullImage) (any, error) {
	if b := c.image().Brokers[msg.Broker]; b != nil {
		c.sessions.applied(b.ID, b.Epoch, msg.Have, time.Now())
	}
	for {
		p := c.fsm.published.Load()
		if p.image.Index > msg.Have {
			return p.image, nil
		}
		select {
		case <-p.changed:
		case <-reign.Done():
			return nil, errDeposed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// register registers a broker. Whether another incarnation's session is still
// alive only the active controller knows, so that is asked here.
func (c *controller) register(ctx context.Context, msg *registerBroker) (any, error) {
	old := c.image().Brokers[msg.ID]
	if old != nil && old.Incarnation != msg.Incarnation && c.cfg.Timing.WaitForOldSession &&
		c.sessions.valid(old.ID, old.Epoch, time.Now()) {
		return nil, fail(ErrDuplicateRegistration, "Another broker is registered with that broker id. If the broker "+
			"was recently restarted this should self-resolve once the heartbeat manager expires the broker's session.")
	}
	answer, err := c.propose(ctx, msg)
	if epoch, ok := answer.(int64); ok {
		c.sessions.touch(msg.ID, epoch, time.Now())
	}
	return answer, err
}

// heartbeat notes that a broker lives, and moves it between its states
// (BrokerHeartbeatManager.calculateNextBrokerState). A broker that waits for
// its shutdown waits here, for as long as a heartbeat's interval.
func (c *controller) heartbeat(ctx context.Context, msg *heartbeat) (any, error) {
	var patience <-chan time.Time
	for {
		moved := c.sessions.changed()
		p := c.fsm.published.Load()
		b, err := p.image.brokerAt(msg.Broker, msg.Epoch)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		c.sessions.touch(msg.Broker, msg.Epoch, now)
		c.sessions.applied(msg.Broker, msg.Epoch, msg.Applied, now)
		answer, err := c.nextState(ctx, p.image, b, msg)
		if err != nil || answer.ShutDown || !msg.WantShutdown {
			return answer, err
		}
		if patience == nil {
			t := time.NewTimer(c.cfg.Timing.HeartbeatInterval)
			defer t.Stop()
			patience = t.C
		}
		select {
		case <-moved:
		case <-p.changed:
		case <-patience:
			return answer, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// nextState proposes what the heartbeat brings about.
func (c *controller) nextState(ctx context.Context, m *Image, b *Broker, msg *heartbeat) (*heartbeatAnswer, error) {
	begun, ready := c.sessions.shutdown(m, b.ID, b.Epoch)
	switch {
	case b.Fenced && msg.WantShutdown:
		return &heartbeatAnswer{Fenced: true, ShutDown: true}, nil
	case b.Fenced && !msg.WantFence && msg.Applied >= uint64(b.Epoch):
		unfenced, err := c.propose(ctx, &unfenceBroker{ID: b.ID, Epoch: b.Epoch, Applied: msg.Applied})
		c.sessions.nudge()
		return &heartbeatAnswer{Fenced: unfenced != true}, err
	case b.Fenced:
		return &heartbeatAnswer{Fenced: true}, nil
	case msg.WantShutdown && !m.leads(b.ID) && begun == ready, !begun && msg.WantFence:
		// Nothing to move, or all of it moved and known to the others.
		_, err := c.propose(ctx, &fenceBroker{ID: b.ID, Epoch: b.Epoch})
		return &heartbeatAnswer{Fenced: true, ShutDown: msg.WantShutdown}, err
	case msg.WantShutdown && !begun:
		_, err := c.propose(ctx, &beginShutdown{ID: b.ID, Epoch: b.Epoch})
		c.sessions.beginShutdown(b.ID, b.Epoch, c.image().Index, time.Now())
		return &heartbeatAnswer{}, err
	}
	return &heartbeatAnswer{}, nil
}
