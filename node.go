package minikafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server"
)

// State tells what a node is doing.
type State string

// The states of a node.
const (
	Running State = "running"
	// Paused is a node that runs, but is frozen.
	Paused     State = "paused"
	Crashed    State = "crashed"
	PoweredOff State = "powered off"
	ShutDown   State = "shut down"
	// Halted is a broker whose disk has failed.
	Halted State = "halted"
	// Stopping is a node between the verb and the end of its last goroutine.
	Stopping State = "stopping"
)

// place is what brokers and controllers have in common: a node's place in the
// cluster, which outlives its lives.
type place struct {
	cluster *cluster
	name    fabric.Node
	// turn is held by the verb that is under way; a channel, as verbs wait.
	turn chan struct{}

	mu    sync.Mutex // guards what follows, and what embeds it says
	state State
}

func newPlace(c *cluster, name fabric.Node) place {
	return place{cluster: c, name: name, turn: make(chan struct{}, 1), state: ShutDown}
}

// take waits for the verb that is under way; done lets the next one in.
func (p *place) take(ctx context.Context) (done func(), err error) {
	select {
	case p.turn <- struct{}{}:
		return func() { <-p.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %v: another verb is under way", ErrTimeout, p.name)
	}
}

func (p *place) stateNow() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// runsAlready is the error of a start of a node that runs.
func (p *place) runsAlready() error {
	if p.isPaused() {
		return fmt.Errorf("%w: %v is paused: Resume it, or end it first, with Crash or PowerOff", ErrRunning, p.name)
	}
	return fmt.Errorf("%w: %v: end it first, with Crash, PowerOff or Shutdown", ErrRunning, p.name)
}

// brokerNode is a broker's place.
type brokerNode struct {
	place
	plan brokerPlan
	disk *disk

	halting int            // guarded by mu
	lives   int            // how many were begun; guarded by mu
	life    *server.Broker // nil when it does not run; guarded by mu
	listen  string         // where it listens; guarded by mu
	addr    string         // what clients are told; guarded by mu
}

func newBrokerNode(c *cluster, plan brokerPlan) *brokerNode {
	return &brokerNode{
		place: newPlace(c, fabric.Broker(plan.id)), plan: plan, listen: plan.listen, addr: plan.advertise,
		disk: newDisk(brokerFile(plan.id)),
	}
}

// running is the broker as it runs, or nil.
func (n *brokerNode) running() *server.Broker {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

func (n *brokerNode) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// start begins a life of the broker. It does not wait until clients can use it.
func (n *brokerNode) start() (*server.Broker, error) {
	c := n.cluster
	n.mu.Lock()
	running, listen, life := n.life != nil, n.listen, n.lives+1
	if !running {
		n.lives = life
	}
	n.mu.Unlock()
	switch {
	case running:
		return nil, n.runsAlready()
	case c.isClosed():
		return nil, ErrClosed
	}
	path, err := c.file(brokerFile(n.plan.id))
	if err != nil {
		return nil, err
	}
	b, err := server.Start(server.Config{
		ID:          n.plan.id,
		Rack:        n.plan.rack,
		Listen:      listen,
		Advertise:   n.plan.advertise,
		Network:     c.network,
		Fabric:      c.fabric,
		Controllers: c.layout.controllers,
		Holds:       c.holds,
		Witness:     c.witness,
		Faults:      c.faults,
		Batching:    c.batching,
		Path:        path,
		LogDir:      c.logDir(n.plan.id),
		Disk:        n.disk.use,
		DiskFailed:  n.diskFailed(life),
		ClusterID:   c.id,
		Static:      n.plan.static,
		Timing:      n.plan.timing,
		Logger:      c.logger.With("broker", n.plan.id),
	})
	if err != nil {
		return nil, startError(err)
	}
	n.mu.Lock()
	n.life, n.listen, n.addr, n.state = b, b.ListenAddr(), b.Addr(), Running
	n.mu.Unlock()
	c.changed.signal()
	return b, nil
}

func brokerFile(id int32) string { return "broker-" + strconv.Itoa(int(id)) + ".db" }

// startError says what is in the way of a start; the layers below name the node.
func startError(err error) error {
	if errors.Is(err, log.ErrInUse) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return fmt.Errorf("minikafka: %w", err)
}

// end ends the broker's life as the state says.
func (n *brokerNode) end(ctx context.Context, how State) error {
	n.mu.Lock()
	if n.state == Paused && how == ShutDown {
		n.mu.Unlock()
		return fmt.Errorf("%w: %v cannot be shut down: Resume it first, or Crash it", ErrPaused, n.name)
	}
	b := n.life
	if b != nil {
		n.state = Stopping
		if how != ShutDown {
			// A shutdown moves leaderships, and is seen to run until then.
			n.life = nil
		}
	}
	n.mu.Unlock()
	if b == nil {
		return fmt.Errorf("%w: %v is %s: Restart it first", ErrNotRunning, n.name, n.stateNow())
	}
	n.cluster.changed.signal()
	var err error
	switch how {
	case PoweredOff:
		b.PowerOff()
	case ShutDown:
		err = b.Shutdown(ctx)
	case Halted:
		b.Halt()
	default:
		b.Crash()
	}
	n.mu.Lock()
	n.life, n.state = nil, how
	n.mu.Unlock()
	n.cluster.changed.signal()
	if err != nil {
		return fmt.Errorf("minikafka: %v: shutdown: %w", n.name, err)
	}
	return nil
}

// controllerNode is a controller's place.
type controllerNode struct {
	place
	id   int32
	life *election.Controller // nil when it does not run; guarded by mu
}

func newControllerNode(c *cluster, id int32) *controllerNode {
	return &controllerNode{place: newPlace(c, fabric.Controller(id)), id: id}
}

func (n *controllerNode) running() *election.Controller {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

func (n *controllerNode) start() error {
	c := n.cluster
	switch {
	case n.running() != nil:
		return n.runsAlready()
	case c.isClosed():
		return ErrClosed
	}
	path, err := c.file("controller-" + strconv.Itoa(int(n.id)) + ".db")
	if err != nil {
		return err
	}
	life, err := election.StartController(election.ControllerConfig{
		ID:        n.id,
		Peers:     c.layout.controllers,
		Fabric:    c.fabric,
		Path:      path,
		Logger:    c.logger.With("controller", n.id),
		Rules:     c.rules,
		ClusterID: c.id,
		Features:  c.layout.features,
		Static:    c.layout.controllerStatic,
		Timing:    c.layout.controllerTiming,
	})
	if err != nil {
		return startError(err)
	}
	n.mu.Lock()
	n.life, n.state = life, Running
	n.mu.Unlock()
	c.changed.signal()
	return nil
}

func (n *controllerNode) end(how State) error {
	n.mu.Lock()
	if n.state == Paused && how == ShutDown {
		n.mu.Unlock()
		return fmt.Errorf("%w: %v cannot be shut down: Resume it first, or Crash it", ErrPaused, n.name)
	}
	life := n.life
	if life != nil {
		n.life, n.state = nil, Stopping
	}
	n.mu.Unlock()
	if life == nil {
		return fmt.Errorf("%w: %v is %s: Restart it first", ErrNotRunning, n.name, n.stateNow())
	}
	end := life.Crash
	if how == ShutDown {
		end = life.Stop
	}
	err := end()
	n.cluster.fabric.Resume(n.name) // for the next life
	n.mu.Lock()
	n.state = how
	n.mu.Unlock()
	n.cluster.changed.signal()
	if err != nil {
		return fmt.Errorf("minikafka: %v: %w", n.name, err)
	}
	return nil
}
