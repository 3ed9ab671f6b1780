package minikafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/faults"
)

// Cluster is a running cluster, as one test sees it.
type Cluster struct {
	cluster *cluster
	tb      TB

	brokers     []*Broker
	controllers []*Controller
}

// cluster is what all views of a cluster share.
type cluster struct {
	layout *layout
	id     string
	dir    string  // "" when the files are in memory
	memory *memory // nil when they are not
	// temporary says that the files go with the cluster.
	temporary bool
	network   server.Network
	tcp       *tcp // network, when it is the ordinary one
	fabric    *fabric.Fabric
	holds     *replication.Holds
	// witness watches the invariants of replication, while a test runs.
	witness *replication.Witness
	// batching counts the batches of producers.
	batching *server.Batching
	rules    election.ConfigRules
	logger   *slog.Logger
	testLog  *testLog // nil when there is none

	brokers     []*brokerNode
	controllers []*controllerNode

	faults    *faults.Set // of requests
	faulting  sync.Mutex  // guards handles and lastFault
	handles   []*FaultHandle
	lastFault int

	holding sync.Mutex // guards held
	held    map[log.PartitionID]int

	// runs are the chaos under way.
	runs runs
	// halting are the goroutines that halt brokers.
	halting sync.WaitGroup

	// changed tells of nodes that started or ended.
	changed notifier

	violated   sync.Mutex // guards violations
	violations []error

	closing  atomic.Bool
	closed   chan struct{} // closed at the beginning of close
	ended    chan struct{} // closed at its end
	closeErr error
}

// Start starts a cluster for a test, and has t.Cleanup close it. It returns
// when clients can use every broker and topic, and fails the test otherwise.
func Start(t TB, opts ...Option) *Cluster {
	t.Helper()
	c, err := open(t, opts)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		switch err := c.Close(); {
		case errors.Is(err, ErrInvariant):
			t.Fatalf("%v", err)
		case err != nil:
			t.Logf("%v", err)
		}
	})
	return c
}

// New starts a cluster that belongs to no test. It returns when clients can use
// every broker and topic; the caller must call Close. Errors wrap ErrOption,
// ErrInUse, ErrDataDir, ErrTimeout, or are the operating system's.
func New(opts ...Option) (*Cluster, error) { return open(&noTest{}, opts) }

func open(tb TB, opts []Option) (*Cluster, error) {
	o := options(opts)
	l, err := plan(o)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		layout:   l,
		network:  o.Network,
		fabric:   fabric.New(),
		holds:    replication.NewHolds(),
		logger:   o.Logger,
		held:     map[log.PartitionID]int{},
		rules:    configs.Rules{},
		batching: server.NewBatching(),
		closed:   make(chan struct{}),
		ended:    make(chan struct{}),
	}
	c.changed.init()
	c.faults = faults.NewSet(c.changed.signal)
	c.fabric.Seed(o.Seed)
	if _, none := tb.(*noTest); !none {
		c.witness = replication.NewWitness(c.violation)
	}
	if c.network == nil {
		c.tcp = &tcp{guards: map[string]io.Closer{}}
		c.network = c.tcp
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
		if _, none := tb.(*noTest); !none {
			c.testLog = newTestLog(tb, o.LogLevel)
			c.logger = slog.New(c.testLog)
		}
	}
	if err := c.openDir(o.DataDir); err != nil {
		return nil, err
	}
	for _, plan := range l.brokers {
		c.brokers = append(c.brokers, newBrokerNode(c, plan))
	}
	for _, id := range l.controllers {
		c.controllers = append(c.controllers, newControllerNode(c, id))
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c.view(tb), nil
}

// start starts all nodes, and waits until clients can use them.
func (c *cluster) start() error {
	ctx, cancel := c.deadline()
	defer cancel()
	for _, n := range c.controllers {
		if err := n.start(); err != nil {
			return err
		}
	}
	errs := make([]error, len(c.brokers))
	var all sync.WaitGroup
	for i, n := range c.brokers {
		all.Go(func() { _, errs[i] = n.start() })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one is enough: the others mostly say the same
		}
	}
	if err := c.wait(ctx, "all brokers in the cluster", c.allJoined); err != nil {
		return err
	}
	return c.createTopics(ctx, c.layout.topics, true)
}

// view is the cluster as tb's test sees it.
func (c *cluster) view(tb TB) *Cluster {
	v := &Cluster{cluster: c, tb: tb}
	for _, n := range c.brokers {
		v.brokers = append(v.brokers, &Broker{cluster: v, place: n})
	}
	for _, n := range c.controllers {
		v.controllers = append(v.controllers, &Controller{cluster: v, place: n})
	}
	return v
}

// Close ends all nodes, and removes their files if they are temporary. With
// [DataDir] the brokers are shut down in order first. Later calls answer the same.
func (c *Cluster) Close() error { return c.cluster.close() }

func (c *cluster) close() error {
	if !c.closing.CompareAndSwap(false, true) {
		<-c.ended // not a mutex: this may take as long as a shutdown
		return c.closeErr
	}
	defer close(c.ended)
	close(c.closed)
	c.runs.stop()
	ctx, cancel := c.deadline()
	defer cancel()
	how := ShutDown
	if c.temporary {
		how = Crashed
	} else {
		c.endFaults(ctx)
	}
	errs := make([]error, len(c.brokers)+len(c.controllers)+1)
	var all sync.WaitGroup
	for i, n := range c.brokers {
		all.Go(func() { errs[i] = n.finally(ctx, how) })
	}
	all.Wait()
	c.halting.Wait() // no broker is left that could begin another
	for i, n := range c.controllers {
		errs[len(c.brokers)+i] = n.finally(ctx, how)
	}
	errs[len(errs)-1] = c.closeDir()
	c.tcp.close()
	if c.testLog != nil {
		c.testLog.out.close()
	}
	c.violated.Lock()
	errs = append(errs, c.violations...)
	c.violated.Unlock()
	c.closeErr = errors.Join(errs...)
	return c.closeErr
}

// violation notes what the witness has seen.
func (c *cluster) violation(what string) {
	c.violated.Lock()
	defer c.violated.Unlock()
	c.violations = append(c.violations, fmt.Errorf("%w: %s", ErrInvariant, what))
}

func (n *brokerNode) finally(ctx context.Context, how State) error {
	err := n.within(ctx, func() error { return n.end(ctx, how) })
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	return err
}

func (n *controllerNode) finally(ctx context.Context, how State) error {
	err := n.within(ctx, func() error { return n.end(how) })
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	return err
}

func (c *cluster) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// deadline is how long a method may wait.
func (c *cluster) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), c.layout.wait)
}

// Addrs are the brokers' addresses as clients are told them, whether or not
// the brokers run.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addrs[i] = b.Addr()
	}
	return addrs
}

// Bootstrap is Addrs as the value of bootstrap.servers.
func (c *Cluster) Bootstrap() string { return strings.Join(c.Addrs(), ",") }

// DialContext connects to a broker's address through the cluster's network. It
// fits the dialer option of clients; network names such as "tcp" are not looked
// at.
func (c *Cluster) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return c.cluster.network.Dial(ctx, address)
}

// ID is the cluster's id.
func (c *Cluster) ID() string { return c.cluster.id }

// DataDir is the directory with the brokers' files; "" when they are in memory.
func (c *Cluster) DataDir() string { return c.cluster.dir }

// notifier is a channel that is closed at the next change.
type notifier struct {
	mu sync.Mutex
	ch chan struct{}
}

func (n *notifier) init() { n.ch = make(chan struct{}) }

func (n *notifier) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ch
}

func (n *notifier) signal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.ch)
	n.ch = make(chan struct{})
}
