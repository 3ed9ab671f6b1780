package minikafka

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication"
)

// Wait returns when cond is true, and fails the test, with the state of the
// cluster, when it is not in time ([WaitTimeout]). cond is looked at after every
// change of the cluster: nodes, links, metadata, logs, groups. It must depend on these
// alone, as nothing else wakes it, and may use the methods of the cluster. what
// says what is waited for.
func (c *Cluster) Wait(what string, cond func() bool) {
	c.tb.Helper()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	c.check(c.cluster.wait(ctx, what, cond))
}

// WaitLeader waits until a partition has a leader that runs, is not paused, and
// serves clients.
func (c *Cluster) WaitLeader(topic string, partition int32) *Broker {
	c.tb.Helper()
	var leader *brokerNode
	c.Wait(fmt.Sprintf("a leader of %s/%d", topic, partition), func() bool {
		leader, _ = c.cluster.leading(topic, partition)
		return leader != nil
	})
	return c.brokerAt(leader)
}

// WaitISR waits until the in-sync replicas of a partition are exactly these
// brokers, in any order; without ids, all its replicas. The metadata has them
// so then, and so does the leader, if there is one: what it answers next is by
// this ISR.
func (c *Cluster) WaitISR(topic string, partition int32, ids ...int32) {
	c.tb.Helper()
	what := "all replicas"
	if len(ids) > 0 {
		what = fmt.Sprint(ids)
	}
	c.Wait(fmt.Sprintf("ISR of %s/%d to be %s", topic, partition, what), func() bool {
		p := c.cluster.partition(topic, partition)
		if p == nil {
			return false
		}
		want := ids
		if len(want) == 0 {
			want = p.Replicas
		}
		return sameSet(p.ISR, want) && c.cluster.knows(topic, partition, p, want)
	})
}

// knows tells whether the leader has this ISR. One that is cut off from the
// controller cannot, and is not asked.
func (c *cluster) knows(topic string, partition int32, p *election.Partition, isr []int32) bool {
	n := c.node(p.Leader)
	if n == nil || n.running() == nil || !c.reachesController(n.name) {
		return true
	}
	_, r := c.leading(topic, partition)
	return r != nil && sameSet(r.State().ISR, isr)
}

// WaitHealthy waits until all is well as far as nodes run: every broker that
// runs is known to all others as alive, every partition has a leader that serves
// clients, coordinators have loaded, and all replicas on brokers that run are in
// sync. Paused brokers do not count as running.
func (c *Cluster) WaitHealthy() {
	c.tb.Helper()
	c.Wait("a healthy cluster", c.cluster.healthy)
}

func sameSet(a, b []int32) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// wait looks at cond until it is true. It runs on the caller's goroutine, so
// that cond may fail the caller's test.
func (c *cluster) wait(ctx context.Context, what string, cond func() bool) error {
	if cond() {
		return nil // without watching every replica there is
	}
	w := &watch{cluster: c, replicas: map[*replication.Replica]func(){}, wake: make(chan struct{}, 1)}
	defer w.stop()
	for {
		changed := w.changes() // before cond, so that no change is missed
		if cond() {
			return nil
		}
		if c.isClosed() {
			return fmt.Errorf("%w: waiting for %s", ErrClosed, what)
		}
		if !changed(ctx) {
			if cond() {
				c.logger.Error("a wait was over before its deadline, but nothing woke it", "what", what)
				return nil
			}
			return fmt.Errorf("%w for %s; the cluster now:\n%v", ErrTimeout, what, c.status())
		}
	}
}

// watch collects all that tells of changes.
type watch struct {
	cluster  *cluster
	replicas map[*replication.Replica]func()
	// wake is signalled by all replicas that are watched.
	wake chan struct{}
}

// changes returns a function that waits for the first change since this call;
// it answers false when ctx ends first.
func (w *watch) changes() func(ctx context.Context) bool {
	c := w.cluster
	sources := []<-chan struct{}{w.wake, c.changed.next(), c.fabric.Changed(), c.closed}
	seen := map[*replication.Replica]bool{}
	for _, n := range c.brokers {
		life := n.running()
		if life == nil {
			continue
		}
		// The channel first: replicas that come later announce themselves by it.
		sources = append(append(sources, life.Changed()), life.CoordinatorsChanged()...)
		if ready := life.Ready(); !closed(ready) {
			sources = append(sources, ready)
		}
		for _, r := range life.Manager().Replicas() {
			seen[r] = true
			if w.replicas[r] == nil {
				w.replicas[r] = r.WatchLog(w.wake)
			}
		}
	}
	for r, stop := range w.replicas {
		if !seen[r] {
			stop()
			delete(w.replicas, r)
		}
	}
	for _, n := range c.controllers {
		if life := n.running(); life != nil {
			sources = append(sources, life.Changed())
		}
	}
	return func(ctx context.Context) bool { return first(ctx, sources) }
}

// first waits for one of the channels; false when ctx ends first.
func first(ctx context.Context, sources []<-chan struct{}) bool {
	cases := make([]reflect.SelectCase, 0, len(sources)+1)
	for _, ch := range append(sources, ctx.Done()) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ch)})
	}
	chosen, _, _ := reflect.Select(cases)
	return chosen < len(sources)
}

func (w *watch) stop() {
	for _, stop := range w.replicas {
		stop()
	}
}

// allJoined tells whether all brokers that run know each other as alive.
func (c *cluster) allJoined() bool {
	newest := c.image()
	if newest == nil {
		return false
	}
	for _, n := range c.brokers {
		life := n.running()
		if life == nil || n.isPaused() {
			continue
		}
		if !closed(life.Ready()) || !newest.Brokers[n.plan.id].Alive() {
			return false
		}
		if own := life.Image(); own == nil || own.Index < newest.Index {
			return false
		}
	}
	return true
}

func (c *cluster) healthy() bool {
	if c.active() == nil || !c.allJoined() {
		return false
	}
	runs := map[int32]bool{}
	for _, n := range c.brokers {
		runs[n.plan.id] = n.up()
	}
	for name, topic := range c.image().Topics {
		for p, registered := range topic.Partitions {
			leader, _ := c.leading(name, int32(p))
			if leader == nil || !leader.coordinates(name, int32(p)) {
				return false
			}
			for _, id := range registered.Replicas {
				if runs[id] && !slices.Contains(registered.ISR, id) {
					return false
				}
			}
		}
	}
	return true
}

// image is the newest metadata that any node has; nil when none has any.
func (c *cluster) image() *election.Image {
	var newest *election.Image
	offer := func(m *election.Image) {
		if m != nil && (newest == nil || m.Index > newest.Index) {
			newest = m
		}
	}
	for _, n := range c.controllers {
		if life := n.running(); life != nil {
			offer(life.Image())
		}
	}
	for _, n := range c.brokers {
		if life := n.running(); life != nil {
			offer(life.Image())
		}
	}
	return newest
}
