package election

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/replication/fabric"
)

// controller is one controller node. Its goroutines are raft's, watch, and
// while it is active rule. Messages are handled on their senders' goroutines.
type controller struct {
	cfg    ControllerConfig
	logger *slog.Logger

	fsm      *fsm
	store    *store
	trans    *transport
	port     *fabric.Port
	raft     *raft.Raft
	notify   chan bool // raft tells of leadership won and lost
	sessions *sessions

	reign reignState

	stopping chan struct{}
	stopOnce sync.Once
	stopErr  error
	wg       sync.WaitGroup
}

// reignState tells whether this node is the active controller.
type reignState struct {
	mu      sync.Mutex
	ctx     context.Context // of the reign; nil while not active
	changed chan struct{}   // closed when ctx is set
}

// begin makes the reign known, unless it has ended meanwhile.
func (r *reignState) begin(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	r.ctx = ctx
	close(r.changed)
	r.changed = make(chan struct{})
}

// end is called after the reign's context was cancelled.
func (r *reignState) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx = nil
}

// now is the context of the reign under way, or nil with the channel that is
// closed when one begins.
func (r *reignState) now() (context.Context, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ctx, r.changed
}

func startController(cfg ControllerConfig) (*Controller, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Features == nil {
		cfg.Features = DefaultFeatures()
	}
	s, fresh, err := openStore(cfg.Path)
	if err != nil {
		return nil, err
	}
	wrapper := &Controller{controller{
		cfg: cfg, logger: cfg.Logger.With("controller", cfg.ID), store: s,
		trans: newTransport(cfg.ID, cfg.Timing.ElectionTimeout), notify: make(chan bool, 16),
		sessions: newSessions(cfg.Timing.SessionTimeout),
		reign:    reignState{changed: make(chan struct{})},
		stopping: make(chan struct{}),
	}}
	c := &wrapper.controller
	c.fsm = newFSM(newCodec(), cfg.Rules, c.logger)
	if err := c.run(fresh); err != nil {
		_ = c.stop(true)
		return nil, err
	}
	return wrapper, nil
}

// run joins the fabric and starts raft.
func (c *controller) run(fresh bool) error {
	conf := c.raftConfig()
	snaps := snapshots{c.store}
	stable := &memoryFirst{store: c.store, logger: c.logger, values: map[string][]byte{}}
	if fresh {
		if err := raft.BootstrapCluster(conf, c.store, stable, snaps, c.trans, c.members()); err != nil {
			return fmt.Errorf("election: format controller %d: %w", c.cfg.ID, err)
		}
	}
	port, err := c.cfg.Fabric.Join(fabric.Controller(c.cfg.ID), c.handle)
	if err != nil {
		return err
	}
	c.port = port
	c.trans.mu.Lock()
	c.trans.port = port
	c.trans.mu.Unlock()
	cached, err := raft.NewLogCache(256, c.store)
	if err != nil {
		return err
	}
	if c.raft, err = raft.NewRaft(conf, c.fsm, cached, stable, snaps, c.trans); err != nil {
		return fmt.Errorf("election: start controller %d: %w", c.cfg.ID, err)
	}
	c.wg.Go(c.watch)
	if len(c.cfg.Peers) == 1 || c.standsFirst(fresh) {
		c.trans.campaign()
	}
	return nil
}

// standsFirst tells whether this controller should stand for election without
// waiting to hear of a leader: the first of new ones, and the first of a group
// that starts again. Its requests wait until the others have joined.
func (c *controller) standsFirst(fresh bool) bool {
	if c.cfg.ID != slices.Min(c.cfg.Peers) {
		return false
	}
	return fresh || !slices.ContainsFunc(c.cfg.Peers, func(id int32) bool {
		return id != c.cfg.ID && c.cfg.Fabric.Joined(fabric.Controller(id))
	})
}

func (c *controller) members() raft.Configuration {
	var m raft.Configuration
	for _, id := range c.cfg.Peers {
		m.Servers = append(m.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(address(id)), Address: address(id),
		})
	}
	return m
}

// raftConfig sets raft's timers. The only controller has nobody to hear from,
// and so none of them.
func (c *controller) raftConfig() *raft.Config {
	const never = 10 * 365 * 24 * time.Hour
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(address(c.cfg.ID))
	conf.NotifyCh = c.notify
	conf.Logger = raftLogger(c.logger)
	conf.BatchApplyCh = true
	conf.NoLegacyTelemetry = true
	conf.MaxAppendEntries = 256
	conf.SnapshotInterval = 30 * time.Second
	conf.SnapshotThreshold = 2048
	conf.TrailingLogs = 512
	timeout := max(c.cfg.Timing.ElectionTimeout, 10*time.Millisecond)
	conf.HeartbeatTimeout, conf.ElectionTimeout = timeout, timeout
	conf.LeaderLeaseTimeout = max(timeout/2, 5*time.Millisecond)
	conf.CommitTimeout = max(timeout/4, 5*time.Millisecond)
	if len(c.cfg.Peers) == 1 {
		conf.HeartbeatTimeout, conf.ElectionTimeout = never, never
		conf.LeaderLeaseTimeout, conf.CommitTimeout = never, never
	}
	return conf
}

// watch follows raft's leadership, reign after reign.
func (c *controller) watch() {
	end := func() {}
	for {
		left := c.cfg.Fabric.Changed()
		c.replaceLeader()
		select {
		case <-left:
		case won := <-c.notify:
			end()
			end = func() {}
			if won {
				end = c.begin()
			}
		case <-c.stopping:
			end()
			return
		}
	}
}

// replaceLeader stands for election at once when the active controller has left
// the fabric, as its broken connection tells, and this is the first of those
// that are left. Should this one's log be too short, another is elected in time.
func (c *controller) replaceLeader() {
	if !c.cfg.Timing.FenceOnDisconnect || len(c.cfg.Peers) == 1 || c.paused() {
		return
	}
	leader, _ := c.raft.LeaderWithID()
	if leader == "" || leader == c.trans.self {
		return
	}
	to, err := node(leader)
	if err != nil || c.cfg.Fabric.Joined(to) {
		return
	}
	for _, id := range slices.Sorted(slices.Values(c.cfg.Peers)) {
		if c.cfg.Fabric.Joined(fabric.Controller(id)) {
			if id == c.cfg.ID {
				c.trans.campaign()
			}
			return
		}
	}
}

// begin starts a reign; the function it returns ends it, and returns when its
// goroutine has ended.
func (c *controller) begin() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	// Proposals of earlier reigns, which may still be applied, have other
	// numbers.
	c.fsm.pending.lead(rand.Uint64())
	var wg sync.WaitGroup
	wg.Go(func() { c.rule(ctx) })
	return func() {
		cancel()
		c.reign.end()
		c.fsm.touch()
		c.fsm.pending.lost()
		c.trans.newReign()
		wg.Wait()
	}
}

// propose has a command applied, and returns what became of it. errDeposed and
// ctx's error leave that open.
func (c *controller) propose(ctx context.Context, cmd applier) (any, error) {
	id, settled, ok := c.fsm.pending.add()
	if !ok {
		return nil, errDeposed
	}
	b, err := c.fsm.codec.encode(id, cmd)
	if err != nil {
		c.fsm.pending.drop(id)
		return nil, err
	}
	// The future is not waited for: raft leaves some unanswered when it stops.
	c.raft.Apply(b, 0)
	select {
	case o := <-settled:
		return o.answer, o.err
	case <-ctx.Done():
		c.fsm.pending.drop(id)
		return nil, ctx.Err()
	}
}

func (c *controller) active() bool {
	ctx, _ := c.reign.now()
	return ctx != nil
}

func (c *controller) image() *Image { return c.fsm.image() }

func (c *controller) changed() <-chan struct{} { return c.fsm.published.Load().changed }

// stop ends the node: first it falls silent, then raft ends, then the file is
// closed.
func (c *controller) stop(crash bool) error {
	c.stopOnce.Do(func() {
		close(c.stopping)
		c.wg.Wait()
		if c.port != nil {
			c.port.Leave()
		}
		if c.raft != nil {
			_ = c.raft.Shutdown().Error()
		}
		c.stopErr = c.store.close(!crash)
	})
	return c.stopErr
}
