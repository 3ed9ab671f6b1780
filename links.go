package minikafka

import (
	"sync"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// Group makes a side of [Cluster.Split].
func Group(nodes ...Node) []Node { return nodes }

// Split cuts all links between nodes of different groups, both ways. Nodes that
// are in no group, such as controllers that are not named, keep theirs. Clients
// still reach every broker.
func (c *Cluster) Split(groups ...[]Node) {
	out := make([][]fabric.Node, len(groups))
	for i, g := range groups {
		for _, n := range g {
			out[i] = append(out[i], n.node())
		}
	}
	c.cluster.fabric.Split(out...)
}

// Isolate cuts all links of a node, both ways. Clients still reach it.
func (c *Cluster) Isolate(n Node) {
	var others []fabric.Node
	for _, other := range c.cluster.nodes() {
		if other != n.node() {
			others = append(others, other)
		}
	}
	c.cluster.fabric.Split([]fabric.Node{n.node()}, others)
}

// Cut stops messages from one node to the other, one way, and with them the
// answers to messages that go the other way.
func (c *Cluster) Cut(from, to Node) { c.cluster.fabric.Cut(from.node(), to.node()) }

// Heal mends all links.
func (c *Cluster) Heal() { c.cluster.fabric.Heal() }

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
