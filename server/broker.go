package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
	"github.com/minikafka/minikafka/server/sharecoordinator"
	"github.com/minikafka/minikafka/server/transactions"
	"github.com/minikafka/minikafka/server/wire"
)

// broker is what a [Broker] is made of. Handlers use image, values, topicValues,
// do and settle of it.
//
// Its goroutines: the acceptor, one for each connection (and a watcher while a
// request of it waits), the background tasks, and those of the replicas and of
// the controller's client, which the layers below count themselves.
type broker struct {
	config Config
	logger *slog.Logger
	// static are the configs the broker was started with: for what cannot change.
	static   configs.BrokerSettings
	table    [maxKey + 1]*api
	versions []api

	db       *log.DB
	port     *fabric.Port
	replicas *replication.Manager
	election *election.Client
	listener net.Listener
	address  string // advertised

	ctx    context.Context // The broker's own life.
	cancel context.CancelFunc
	// wired is closed when db, port, replicas and election are set.
	wired chan struct{}
	// registered is closed at the first registration, imaged at the first image
	// after it, accepting once connections are accepted.
	registered, imaged, accepting chan struct{}
	registering                   sync.Once
	// epoch is the broker epoch, -1 before the first registration.
	epoch   atomic.Int64
	running sync.WaitGroup
	ending  sync.Once
	// dying is set when the broker ends as a process that is killed does.
	dying   atomic.Bool
	hanging atomic.Bool // see diskHangs
	failing sync.Once   // see useDisk
	// diskFailed says that the broker is about to be halted.
	diskFailed atomic.Bool

	loggers      loggers
	pauses       pauses
	images       images
	settings     settingsCache
	creating     autoCreation
	conns        connections
	sessions     *fetchSessions
	ids          producerIDs
	groups       *coordinator.Runtime[*groups.Shard]
	transactions *coordinator.Runtime[*transactions.Shard]
	// shareStates is the share coordinator, shares the share-partitions that this
	// broker leads.
	shareStates *coordinator.Runtime[*sharecoordinator.Shard]
	shares      *sharePartitions
	budget      *wire.Budget
	buffers     sync.Pool // of *[]byte, for responses
}

// spawn starts a goroutine of the broker's; end returns when all have ended.
func (b *broker) spawn(f func()) { b.running.Go(f) }

// maxRequestMemory bounds what large requests that are under way hold together,
// where queued.max.request.bytes does not.
const maxRequestMemory = 256 << 20

func newBroker(c Config) *broker {
	b := &broker{
		config:     c,
		logger:     c.Logger,
		static:     configs.BrokerValues{Static: c.Static}.Settings(),
		wired:      make(chan struct{}),
		registered: make(chan struct{}),
		imaged:     make(chan struct{}),
		accepting:  make(chan struct{}),
	}
	if b.logger == nil {
		b.logger = slog.New(slog.DiscardHandler)
	}
	if b.config.Network == nil {
		b.config.Network = tcp{}
	}
	if b.config.Timing.HungDisk <= 0 {
		b.config.Timing.HungDisk = max(b.config.Timing.Replication.LagTime, leastHungDisk)
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.epoch.Store(-1)
	b.images.init()
	b.versions = apis()
	for i := range b.versions {
		b.table[b.versions[i].key] = &b.versions[i]
	}
	memory := b.static.QueuedMaxRequestBytes
	if memory <= 0 {
		memory = maxRequestMemory
	}
	b.budget = wire.NewBudget(int(memory))
	b.sessions = newFetchSessions(int(b.static.MaxIncrementalFetchSessionCacheSlots))
	b.conns.allow(b.static)
	b.groups = b.newGroups()
	b.transactions = b.newTransactions()
	b.shareStates = b.newShareStates()
	b.shares = newSharePartitions(b)
	return b
}

func startBroker(c Config) (*Broker, error) {
	wrapper := &Broker{}
	b := newBroker(c)
	wrapper.broker = b
	previous, err := b.openFile()
	if err != nil {
		return nil, err
	}
	if err := b.listen(); err != nil {
		_ = b.db.Close()
		return nil, err
	}
	if err := b.join(previous); err != nil {
		_ = b.listener.Close()
		_ = b.db.Close()
		return nil, err
	}
	b.spawn(b.accept)
	b.background()
	return wrapper, nil
}

// Keys of the values that a broker keeps in its file.
const (
	valueClusterID = "cluster.id"
	valueBrokerID  = "broker.id"
	// valueCleanEpoch is the broker epoch of the last clean shutdown. It stays
	// when the broker runs again: the controller takes only the newest epoch for
	// clean (KIP-966).
	valueCleanEpoch = "clean.shutdown.epoch"
)

// openFile opens the broker's file, and returns the broker epoch of the last
// clean shutdown, or -1.
func (b *broker) openFile() (previous int64, err error) {
	db, err := log.Open(b.config.Path, log.Options{BeforeCommit: b.beforeCommit, BeforeSync: b.beforeSync})
	if err != nil {
		return -1, fmt.Errorf("server: broker %d: %w", b.config.ID, err)
	}
	previous, err = b.checkFile(db)
	if err != nil {
		_ = db.Close()
		return -1, err
	}
	b.db = db
	return previous, nil
}

// beforeCommit is called before anything is written.
func (b *broker) beforeCommit(bytes int) error {
	if b.pauses.gate.pass(b.ctx) != nil {
		return log.ErrClosed // the broker is ending
	}
	return b.useDisk(DiskWrite, bytes)
}

func (b *broker) beforeSync() error { return b.useDisk(DiskSync, 0) }
func (b *broker) beforeRead() error { return b.useDisk(DiskRead, 0) }

// useDisk asks the disk that is staged, if one is.
func (b *broker) useDisk(use DiskUse, bytes int) error {
	if b.config.Disk == nil {
		return nil
	}
	err := b.config.Disk(b.ctx, use, bytes)
	if err != nil && b.ctx.Err() != nil {
		return log.ErrClosed
	}
	if err != nil && b.config.DiskFailed != nil {
		b.failing.Do(func() {
			b.diskFailed.Store(true)
			b.logger.Error("the log directory has failed", "error", err)
			b.config.DiskFailed(err)
		})
	}
	return err
}

// leastHungDisk is the least time after which a disk counts as hung: a busy
// machine is no hung disk.
const leastHungDisk = 5 * time.Second

// diskHangs tells the controller that this broker's appends hang, and when they
// go on: raft notices nothing of it, and heartbeats go on too. stored is closed
// when the append is written that hangs.
func (b *broker) diskHangs(stored <-chan struct{}) {
	if !b.hanging.CompareAndSwap(false, true) {
		return
	}
	b.logger.Error("appends hang: other brokers are to lead", "for", b.config.Timing.HungDisk)
	b.spawn(func() {
		defer b.hanging.Store(false)
		b.reportHang(false)
		select {
		case <-stored:
			b.reportHang(true)
		case <-b.ctx.Done():
		}
	})
}

// reportHang tells the controller until it knows, or the broker has another epoch
// anyway.
func (b *broker) reportHang(recovered bool) {
	report := &election.ReportOffline{Broker: b.config.ID, BrokerEpoch: b.epoch.Load(), Recovered: recovered}
	for b.ctx.Err() == nil {
		_, err := b.do(b.ctx, report)
		if !errors.Is(err, election.ErrTimedOut) {
			return
		}
	}
}

// ErrWrongFile is returned by [Start] for a file of another broker or cluster.
var ErrWrongFile = errors.New("server: the file belongs to another broker")

// checkFile has a file belong to one broker of one cluster.
func (b *broker) checkFile(db *log.DB) (previous int64, err error) {
	id := fmt.Sprint(b.config.ID)
	for key, want := range map[string]string{valueBrokerID: id, valueClusterID: b.config.ClusterID} {
		have, err := db.Value(key)
		switch {
		case err != nil:
			return -1, fmt.Errorf("server: broker %d: %w", b.config.ID, err)
		case have == nil:
			if err := db.SetValue(key, []byte(want)); err != nil {
				return -1, fmt.Errorf("server: broker %d: %w", b.config.ID, err)
			}
		case string(have) != want:
			return -1, fmt.Errorf("%w: %s: %s is %q, not %q", ErrWrongFile, b.config.Path, key, have, want)
		}
	}
	clean, err := db.Value(valueCleanEpoch)
	if err != nil {
		return -1, fmt.Errorf("server: broker %d: %w", b.config.ID, err)
	}
	previous = -1
	if clean != nil {
		_, _ = fmt.Sscan(string(clean), &previous)
	}
	return previous, nil
}

// join puts the broker on the fabric, and starts its replicas and its side of
// the controller.
func (b *broker) join(previousEpoch int64) error {
	host, port, err := hostPort(b.address)
	if err != nil {
		return err
	}
	b.port, err = b.config.Fabric.Join(fabric.Broker(b.config.ID), b.handle)
	if err != nil {
		return fmt.Errorf("server: broker %d: %w", b.config.ID, err)
	}
	b.replicas = replication.NewManager(replication.ManagerConfig{
		Broker: b.config.ID, DB: b.db, Call: b.port, ISR: isrChanger{b}, Holds: b.config.Holds, Witness: b.config.Witness,
		Logger: b.logger, Timing: b.config.Timing.Replication, BrokerEpoch: b.epoch.Load, BeforeRead: b.beforeRead,
	})
	b.election = election.StartClient(election.ClientConfig{
		BrokerID: b.config.ID, Rack: b.config.Rack, Host: host, Port: port,
		Incarnation: newUUID(), PreviousEpoch: previousEpoch,
		Controllers: b.config.Controllers, Call: b.port, Logger: b.logger, Timing: b.config.Timing.Election,
		OnImage: b.onImage, OnRegistered: b.onRegistered, Ready: b.accepting,
	})
	close(b.wired)
	return nil
}

// handle answers the messages of other nodes.
func (b *broker) handle(ctx context.Context, from fabric.Node, msg any) (any, error) {
	select {
	case <-b.wired:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if q, ok := msg.(*peerRequest); ok {
		return b.servePeer(ctx, q.body)
	}
	answer, handled, err := b.replicas.Handle(ctx, from, msg)
	if !handled {
		return nil, fmt.Errorf("server: broker %d: unknown message %T from %v", b.config.ID, msg, from)
	}
	return answer, err
}

func (b *broker) onRegistered(epoch int64) {
	b.epoch.Store(epoch)
	b.registering.Do(func() { close(b.registered) })
}

// do has the active controller run a command; see election's commands.
func (b *broker) do(ctx context.Context, c election.Command) (any, error) {
	return b.election.Do(ctx, c)
}

func (b *broker) ready() <-chan struct{} { return b.election.Unfenced() }
func (b *broker) id() int32              { return b.config.ID }
func (b *broker) addr() string           { return b.address }
func (b *broker) listenAddr() string     { return b.listener.Addr().String() }
func (b *broker) closeClientConnections() {
	b.conns.reset()
}
func (b *broker) image() *election.Image        { return b.images.current() }
func (b *broker) changed() <-chan struct{}      { return b.images.next() }
func (b *broker) manager() *replication.Manager { return b.replicas }
func (b *broker) client() *election.Client      { return b.election }
