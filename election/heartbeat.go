package election

import (
	"errors"
	"time"
)

// live registers the broker and sends its heartbeats, and registers again when
// the controller does not know its epoch any more (BrokerLifecycleManager). It
// ends with the client, or when a shutdown was granted.
func (c *client) live() {
	for c.register() {
		if !c.beat() {
			return
		}
	}
}

// register registers until it has a broker epoch. A refusal is tried again after
// a heartbeat's interval. It returns false when the client has ended.
func (c *client) register() bool {
	msg := &registerBroker{
		ID: c.cfg.BrokerID, Incarnation: c.cfg.Incarnation, PreviousEpoch: c.cfg.PreviousEpoch,
		Host: c.cfg.Host, Port: c.cfg.Port, Rack: c.cfg.Rack,
	}
	for {
		answer, again, err := c.askSoon(msg)
		epoch, ok := answer.(int64)
		switch {
		case ok && err == nil:
			c.mu.Lock()
			c.brokerEpoch = epoch
			c.mu.Unlock()
			if c.cfg.OnRegistered != nil {
				c.cfg.OnRegistered(epoch)
			}
			return true
		case c.ctx.Err() != nil:
			return false
		case again:
		default:
			c.logger.Warn("the controller refuses the broker's registration", "error", err)
			if !c.pause(c.cfg.Timing.HeartbeatInterval) {
				return false
			}
		}
	}
}

// pause waits; false when the client has ended.
func (c *client) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// beat sends heartbeats. It returns true when the broker must register again,
// and false when there is no more to send.
func (c *client) beat() (registerAgain bool) {
	interval := max(c.cfg.Timing.HeartbeatInterval, time.Millisecond)
	timer := time.NewTimer(interval)
	defer timer.Stop()
	ready := c.cfg.Ready
	for {
		if ready != nil {
			select {
			case <-ready:
				ready = nil
			default:
			}
		}
		if done, again := c.beatOnce(ready == nil); done {
			return again
		}
		timer.Reset(interval)
		select {
		case <-timer.C:
		case <-c.kick:
		case <-ready: // nil once the broker is ready.
			ready = nil
		case <-c.ctx.Done():
			return false
		}
	}
}

// beatOnce sends one heartbeat and takes in the answer.
func (c *client) beatOnce(ready bool) (done, registerAgain bool) {
	c.mu.Lock()
	msg := &heartbeat{
		Broker: c.cfg.BrokerID, Epoch: c.brokerEpoch, Applied: c.appliedIndex,
		WantFence: !ready, WantShutdown: c.wantShutdown,
	}
	c.mu.Unlock()
	answer, again, err := c.askSoon(msg)
	a, _ := answer.(*heartbeatAnswer)
	switch {
	case again:
		c.wake() // The next controller wants to hear it now.
		return false, false
	case errors.Is(err, ErrStaleBrokerEpoch):
		c.logger.Warn("the controller does not know the broker's epoch", "epoch", msg.Epoch, "error", err)
		return true, !msg.WantShutdown
	case err != nil:
		return c.ctx.Err() != nil, false
	case a.ShutDown:
		close(c.granted)
		return true, false
	}
	return false, false
}
