package minikafka

import (
	"context"
	"fmt"
	"strings"

	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server"
)

// Node is a [Broker] or a [Controller].
type Node interface {
	fmt.Stringer
	node() fabric.Node
}

// Broker is one broker of a cluster. It stays the same through crashes and
// restarts.
type Broker struct {
	cluster *Cluster
	place   *brokerNode
}

// Brokers are all brokers, in the order of the options, whether or not they run.
func (c *Cluster) Brokers() []*Broker { return append([]*Broker(nil), c.brokers...) }

// Broker finds a broker by its id; the test fails when there is none.
func (c *Cluster) Broker(id int32) *Broker {
	c.tb.Helper()
	for _, b := range c.brokers {
		if b.place.plan.id == id {
			return b
		}
	}
	c.check(c.cluster.noBroker(id))
	return nil
}

// noBroker is the error of a broker that there is not.
func (c *cluster) noBroker(id int32) error {
	ids := make([]string, len(c.brokers))
	for i, n := range c.brokers {
		ids[i] = fmt.Sprint(n.plan.id)
	}
	return fmt.Errorf("%w: broker %d: there are %s", ErrUnknownNode, id, strings.Join(ids, ", "))
}

// ID is the broker's id (node.id).
func (b *Broker) ID() int32 { return b.place.plan.id }

// Addr is the host:port that clients are told. It stays the same through
// restarts.
func (b *Broker) Addr() string { return b.place.address() }

// State tells whether the broker runs or is paused, and if it does not run, how
// it ended.
func (b *Broker) State() State { return b.place.stateNow() }

func (b *Broker) String() string    { return b.place.name.String() }
func (b *Broker) node() fabric.Node { return b.place.name }

// Crash ends the broker as the death of its process would: connections are
// reset, memory is gone, its file is as it was written. It returns when it has
// ended; the controller may take a moment longer to see it.
func (b *Broker) Crash() { b.cluster.tb.Helper(); b.end(Crashed) }

// PowerOff is [Broker.Crash], and all that was not yet synced is gone too: with
// Kafka's default settings, which never sync by themselves, that may be all
// since the broker was started.
func (b *Broker) PowerOff() { b.cluster.tb.Helper(); b.end(PoweredOff) }

// Pause freezes the broker as SIGSTOP would, or a long garbage collection, until
// [Broker.Resume]: connections stay open, and new ones are taken up by the
// operating system, but nothing is answered, written or sent, and no timer does
// anything. Whoever waits for the broker takes it for slow at first; once its
// session has ended the controller has others lead. Pausing a paused broker does
// nothing.
func (b *Broker) Pause() { b.cluster.tb.Helper(); b.pause(true) }

// Resume ends a pause: the broker goes on as if nothing had happened, with what
// clients have sent meanwhile first; some 50 ms later it hears the other nodes
// again, and finds out whether it was deposed. Until then it may acknowledge
// records with acks=1 that are lost, as Kafka's brokers do.
func (b *Broker) Resume() { b.cluster.tb.Helper(); b.pause(false) }

func (b *Broker) pause(paused bool) {
	b.cluster.tb.Helper()
	ctx, cancel := b.cluster.cluster.deadline()
	defer cancel()
	b.cluster.check(b.place.exclusive(ctx, func() error { return b.place.pause(paused) }))
}

// Shutdown ends the broker in order: its leaderships move first. The test fails
// when the broker is paused: its process would not even see the signal.
func (b *Broker) Shutdown() { b.cluster.tb.Helper(); b.end(ShutDown) }

func (b *Broker) end(how State) {
	b.cluster.tb.Helper()
	ctx, cancel := b.cluster.cluster.deadline()
	defer cancel()
	b.cluster.check(b.place.exclusive(ctx, func() error { return b.place.end(ctx, how) }))
}

// exclusive runs one verb at a time.
func (p *place) exclusive(ctx context.Context, verb func() error) error {
	if p.cluster.isClosed() {
		return ErrClosed
	}
	return p.within(ctx, verb)
}

// within is exclusive for a cluster that is being closed, too.
func (p *place) within(ctx context.Context, verb func() error) error {
	done, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	return verb()
}

// Restart starts the broker again, with its id, its address and its file. It
// returns when clients can use it; or, when it is cut off from the active
// controller and so cannot join, when it listens. The test fails when the
// broker is running.
func (b *Broker) Restart() {
	b.cluster.tb.Helper()
	c := b.cluster.cluster
	ctx, cancel := c.deadline()
	defer cancel()
	b.cluster.check(c.restart(ctx, b.place))
}

func (c *cluster) restart(ctx context.Context, n *brokerNode) error {
	var life *server.Broker
	err := n.exclusive(ctx, func() (err error) {
		life, err = n.start()
		return err
	})
	if err == nil {
		err = c.wait(ctx, n.name.String()+" in the cluster", func() bool {
			return closed(life.Ready()) || n.running() != life || !c.reachesController(n.name)
		})
	}
	if err == nil && n.stateNow() == Halted {
		err = fmt.Errorf("%w: %v: its disk has failed again: mend it with Disk(Disk{})", ErrNotRunning, n.name)
	}
	return err
}

// reachesController tells whether there is an active controller that the node
// can exchange messages with.
func (c *cluster) reachesController(n fabric.Node) bool {
	active := c.active()
	return active != nil && c.fabric.Reachable(n, active.name) && c.fabric.Reachable(active.name, n)
}

// CloseClientConnections resets all connections of clients; they can connect
// again at once.
func (b *Broker) CloseClientConnections() {
	b.cluster.tb.Helper()
	b.cluster.checkOpen()
	life := b.place.running()
	if life == nil {
		b.cluster.check(fmt.Errorf("%w: %v is %s: Restart it first", ErrNotRunning, b, b.State()))
	}
	life.CloseClientConnections()
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
