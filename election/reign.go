package election

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// rule is the reign of an active controller, until ctx ends.
func (c *controller) rule(ctx context.Context) {
	_, err := c.propose(ctx, &claim{
		Controller: c.cfg.ID, ClusterID: c.cfg.ClusterID, Features: c.cfg.Features, Static: c.cfg.Static,
	})
	if err != nil {
		return
	}
	c.sessions.restart(c.image(), time.Now())
	c.reign.begin(ctx)
	c.fsm.touch()
	c.logger.Info("active controller", "term", c.image().Term)
	balance, stopBalance := every(c.cfg.Timing.LeaderImbalanceCheck)
	defer stopBalance()
	unclean, stopUnclean := every(c.cfg.Timing.UncleanInterval)
	defer stopUnclean()
	var balanced, led *Image
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := c.cfg.Fabric.Changed()
		if c.paused() {
			// No timer takes effect in a paused process.
			select {
			case <-changed:
				c.sessions.resume(time.Now())
				continue
			case <-ctx.Done():
				return
			}
		}
		c.fenceDisconnected(ctx)
		wait := c.fenceSilent(ctx)
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-c.sessions.wake:
		case <-balance:
			c.electPeriodically(ctx, true, &balanced)
		case <-unclean:
			c.electPeriodically(ctx, false, &led)
		case <-ctx.Done():
			return
		}
	}
}

func (c *controller) paused() bool {
	return c.cfg.Fabric.Paused(fabric.Controller(c.cfg.ID))
}

// every is a ticker's channel, or one on which nothing comes when d is 0.
func every(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// fenceSilent fences brokers whose sessions have ended, one at a time as Kafka
// does, and returns how long the next one may take.
func (c *controller) fenceSilent(ctx context.Context) time.Duration {
	ended, next := c.sessions.check(c.image(), time.Now())
	slices.Sort(ended)
	for _, id := range ended {
		c.fence(ctx, id, "its session has timed out")
	}
	if next.IsZero() {
		return time.Duration(1<<63 - 1)
	}
	return time.Until(next)
}

// fenceDisconnected fences brokers that have left the fabric.
func (c *controller) fenceDisconnected(ctx context.Context) {
	if !c.cfg.Timing.FenceOnDisconnect {
		return
	}
	m := c.image()
	for _, id := range slices.Sorted(maps.Keys(m.Brokers)) {
		if !m.Brokers[id].Fenced && !c.cfg.Fabric.Joined(fabric.Broker(id)) {
			c.fence(ctx, id, "its connection is gone")
		}
	}
}

func (c *controller) fence(ctx context.Context, id int32, why string) {
	b := c.image().Brokers[id]
	if b == nil {
		return
	}
	c.logger.Info("fencing broker", "broker", id, "because", why)
	// An error means that the broker is another one by now, or the reign over.
	_, _ = c.propose(ctx, &fenceBroker{ID: id, Epoch: b.Epoch})
}

// electPeriodically proposes a round of elections if it would elect anybody.
// quiet is an image for which it is known that it would not.
func (c *controller) electPeriodically(ctx context.Context, preferred bool, quiet **Image) {
	cmd := &electPeriodically{Preferred: preferred}
	p := c.fsm.published.Load()
	if p.image == *quiet {
		return
	}
	trial := newEdit(p.image, p.hidden, c.cfg.Rules)
	if _, err := cmd.apply(trial); err != nil || !trial.changed {
		*quiet = p.image
		return
	}
	_, _ = c.propose(ctx, cmd)
}
