package election

// pull follows the metadata: it asks for an image newer than the one that has
// been applied, which also tells the controller what has been applied. It never
// goes back to an older image (BrokerMetadataPublisher).
func (c *client) pull() {
	var have uint64
	for {
		answer, again, err := c.ask(c.ctx, &pullImage{Broker: c.cfg.BrokerID, Have: have})
		m, ok := answer.(*Image)
		switch {
		case c.ctx.Err() != nil:
			return
		case again:
			continue
		case err != nil || !ok || m.Index <= have:
			c.logger.Error("unexpected answer of the controller to a pull", "error", err)
			if !c.pause(c.cfg.Timing.HeartbeatInterval) {
				return
			}
			continue
		}
		c.mu.Lock()
		c.newest = m
		close(c.imageChanged)
		c.imageChanged = make(chan struct{})
		c.mu.Unlock()
		if c.cfg.OnImage != nil {
			c.cfg.OnImage(m)
		}
		have = m.Index
		c.applied(have)
	}
}

// applied notes that OnImage has returned. A broker that is still fenced has that
// told to the controller at once: it waits for it.
func (c *client) applied(index uint64) {
	c.mu.Lock()
	c.appliedIndex = index
	close(c.appliedChange)
	c.appliedChange = make(chan struct{})
	b := c.newest.Brokers[c.cfg.BrokerID]
	registered := b != nil && b.Epoch == c.brokerEpoch
	if registered && !b.Fenced {
		select {
		case <-c.unfencedOnce:
		default:
			close(c.unfencedOnce)
		}
	}
	c.mu.Unlock()
	if registered && b.Fenced {
		c.wake()
	}
}
