package minikafka

import (
	"fmt"
	"sync"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// Group makes a side of [Cluster.Split].
func Group(nodes ...Node) []Node { return nodes }

// Split cuts all links between nodes of different groups, both ways. Nodes that
// are in no group, such as controllers that are not named, keep theirs. Clients
// still reach every broker.
func (c *Cluster) Split(groups ...[]Node) {
	c.tb.Helper()
	if len(groups) < 2 {
		c.check(fmt.Errorf("%w: Split takes two groups at least", ErrArgument))
	}
	seen := map[fabric.Node]bool{}
	out := make([][]fabric.Node, len(groups))
	for i, g := range groups {
		if len(g) == 0 {
			c.check(fmt.Errorf("%w: Split: a group without nodes", ErrArgument))
		}
		c.check(c.ours(g...))
		for _, n := range g {
			if seen[n.node()] {
				c.check(fmt.Errorf("%w: Split: %v is in two groups", ErrArgument, n))
			}
			seen[n.node()] = true
			out[i] = append(out[i], n.node())
		}
	}
	c.cluster.fabric.Split(out...)
}

// Isolate cuts all links of a node, both ways. Clients still reach it.
func (c *Cluster) Isolate(n Node) {
	c.tb.Helper()
	c.check(c.ours(n))
	c.cluster.isolate(n.node())
}

func (c *cluster) isolate(n fabric.Node) {
	var others []fabric.Node
	for _, other := range c.nodes() {
		if other != n {
			others = append(others, other)
		}
	}
	c.fabric.Split([]fabric.Node{n}, others)
}

// Cut stops messages from one node to the other, one way, and with them the
// answers to messages that go the other way.
func (c *Cluster) Cut(from, to Node) {
	c.tb.Helper()
	c.check(c.link("Cut", from, to))
	c.cluster.fabric.Cut(from.node(), to.node())
}

// Delay makes messages from one node to the other take d longer, one way, plus a
// random time up to jitter for each; which times follows from [Seed]. It stays
// until the next Delay of this link (0 and 0 end it) or [Cluster.Heal].
func (c *Cluster) Delay(from, to Node, d, jitter time.Duration) {
	c.tb.Helper()
	c.check(c.link("Delay", from, to))
	if d < 0 || jitter < 0 {
		c.check(fmt.Errorf("%w: Delay: %v and %v: neither may be negative", ErrArgument, d, jitter))
	}
	c.cluster.fabric.Delay(from.node(), to.node(), d, jitter)
}

// Lose makes a share (0 to 1) of the packets from one node to the other get lost,
// one way; which ones follows from [Seed]. As TCP sends lost packets again, loss
// shows as time, 200 ms at first and then twice as long each time, and after the
// seventh loss in a row as a broken connection. It stays until the next Lose of
// this link (0 ends it) or [Cluster.Heal].
func (c *Cluster) Lose(from, to Node, share float64) {
	c.tb.Helper()
	c.check(c.link("Lose", from, to))
	if !(share >= 0 && share <= 1) { // NaN is neither
		c.check(fmt.Errorf("%w: Lose: a share of %v: it takes 0 to 1", ErrArgument, share))
	}
	c.cluster.fabric.Lose(from.node(), to.node(), share)
}

// Heal mends all links: it ends splits, cuts, delays and losses. What waits at a
// link arrives.
func (c *Cluster) Heal() {
	c.tb.Helper()
	c.check(c.ours())
	c.cluster.fabric.Heal()
}

// link tells whether there is such a link.
func (c *Cluster) link(verb string, from, to Node) error {
	if err := c.ours(from, to); err != nil {
		return err
	}
	if from.node() == to.node() {
		return fmt.Errorf("%w: %s: %v has no link to itself", ErrArgument, verb, from)
	}
	return nil
}

// ours tells whether these are nodes of this cluster.
func (c *Cluster) ours(nodes ...Node) error {
	if c.cluster.isClosed() {
		return ErrClosed
	}
	for _, n := range nodes {
		switch n := n.(type) {
		case *Broker:
			if n != nil && n.cluster.cluster == c.cluster {
				continue
			}
		case *Controller:
			if n != nil && n.cluster.cluster == c.cluster {
				continue
			}
		}
		return fmt.Errorf("%w: it is nil, or of another cluster", ErrUnknownNode)
	}
	return nil
}

// HoldReplication stops the followers of a partition from copying, until
// release is called. Leader and followers know nothing of it: once the lag
// allows, held followers leave the ISR.
func (c *Cluster) HoldReplication(topic string, partition int32) (release func()) {
	c.tb.Helper()
	id, err := c.cluster.partitionID(topic, partition)
	c.check(err)
	return c.cluster.hold(id)
}

// hold counts what it holds, for the status.
func (c *cluster) hold(id log.PartitionID) (release func()) {
	c.holding.Lock()
	defer c.holding.Unlock()
	c.held[id]++
	free := c.holds.Hold(id)
	return sync.OnceFunc(func() {
		free()
		c.holding.Lock()
		defer c.holding.Unlock()
		if c.held[id]--; c.held[id] == 0 {
			delete(c.held, id)
		}
	})
}

func (c *cluster) isHeld(id log.PartitionID) bool {
	c.holding.Lock()
	defer c.holding.Unlock()
	return c.held[id] > 0
}

// nodes are all nodes of the cluster.
func (c *cluster) nodes() []fabric.Node {
	var all []fabric.Node
	for _, n := range c.brokers {
		all = append(all, n.name)
	}
	for _, n := range c.controllers {
		all = append(all, n.name)
	}
	return all
}
