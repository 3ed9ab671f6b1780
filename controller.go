package minikafka

import (
	"fmt"

	"github.com/minikafka/minikafka/replication/fabric"
)

// Controller is one controller of a cluster: one voter of the quorum that keeps
// the metadata and appoints leaders. It stays the same through crashes and
// restarts.
type Controller struct {
	cluster *Cluster
	place   *controllerNode
}

// Controllers are all controllers, whether or not they run.
func (c *Cluster) Controllers() []*Controller { return append([]*Controller(nil), c.controllers...) }

// Controller is the active controller, which is waited for.
func (c *Cluster) Controller() *Controller {
	c.tb.Helper()
	var active *controllerNode
	c.Wait("an active controller", func() bool {
		active = c.cluster.active()
		return active != nil
	})
	return c.controllerAt(active)
}

func (c *Cluster) controllerAt(n *controllerNode) *Controller {
	for _, ctl := range c.controllers {
		if ctl.place == n {
			return ctl
		}
	}
	return nil
}

// active is the active controller, or nil. While an old one does not know yet
// that it was replaced, it is the one with the newer metadata. One that is
// paused counts as long as the others are too few to replace it.
func (c *cluster) active() *controllerNode {
	var best *controllerNode
	var term uint64
	quorum := c.quorum()
	for _, n := range c.controllers {
		life := n.running()
		if life == nil || !life.Active() || quorum && n.isPaused() {
			continue
		}
		var t uint64
		if image := life.Image(); image != nil {
			t = image.Term
		}
		if best == nil || t > term {
			best, term = n, t
		}
	}
	return best
}

// ID is the controller's id; ids of controllers and of brokers are apart.
func (c *Controller) ID() int32 { return c.place.id }

// State tells whether the controller runs, and if not, how it ended.
func (c *Controller) State() State { return c.place.stateNow() }

func (c *Controller) String() string    { return c.place.name.String() }
func (c *Controller) node() fabric.Node { return c.place.name }

// Pause freezes the controller as SIGSTOP would: it answers nothing and sends
// nothing, and its timers do nothing, until [Controller.Resume]. Others elect
// another active controller meanwhile, if they are a majority.
func (c *Controller) Pause() { c.cluster.tb.Helper(); c.pause(true) }

// Resume ends a pause. If the controller was the active one it finds out that
// it was replaced.
func (c *Controller) Resume() { c.cluster.tb.Helper(); c.pause(false) }

func (c *Controller) pause(paused bool) {
	c.cluster.tb.Helper()
	ctx, cancel := c.cluster.cluster.deadline()
	defer cancel()
	c.cluster.check(c.place.exclusive(ctx, func() error { return c.place.pause(paused) }))
}

// PowerOff cuts the controller's power. As Kafka's metadata log syncs what it
// writes, nothing is lost that the controller has answered for: seen from
// outside this is [Controller.Crash].
func (c *Controller) PowerOff() { c.cluster.tb.Helper(); c.end(PoweredOff) }

// Crash ends the controller as the death of its process would.
func (c *Controller) Crash() { c.cluster.tb.Helper(); c.end(Crashed) }

// Shutdown ends the controller in order.
func (c *Controller) Shutdown() { c.cluster.tb.Helper(); c.end(ShutDown) }

func (c *Controller) end(how State) {
	c.cluster.tb.Helper()
	ctx, cancel := c.cluster.cluster.deadline()
	defer cancel()
	c.cluster.check(c.place.exclusive(ctx, func() error { return c.place.end(how) }))
}

// Restart starts the controller again over its file. It returns when the
// cluster has an active controller; or, when too few controllers run for that,
// at once. The test fails when the controller is running.
func (c *Controller) Restart() {
	c.cluster.tb.Helper()
	cluster := c.cluster.cluster
	ctx, cancel := cluster.deadline()
	defer cancel()
	err := c.place.exclusive(ctx, c.place.start)
	if err == nil {
		err = cluster.wait(ctx, fmt.Sprintf("an active controller after the restart of %v", c), func() bool {
			return cluster.active() != nil || !cluster.quorum()
		})
	}
	c.cluster.check(err)
}

// quorum tells whether a majority of controllers runs, is not paused, and can
// exchange messages.
func (c *cluster) quorum() bool {
	for _, a := range c.controllers {
		n := 0
		for _, b := range c.controllers {
			if a.up() && b.up() &&
				(a == b || c.fabric.Reachable(a.name, b.name) && c.fabric.Reachable(b.name, a.name)) {
				n++
			}
		}
		if 2*n > len(c.controllers) {
			return true
		}
	}
	return false
}
