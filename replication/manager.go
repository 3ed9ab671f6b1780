package replication

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// ManagerConfig configures a broker's replicas.
type ManagerConfig struct {
	Broker int32
	DB     *log.DB
	// Call sends messages to other nodes; a *fabric.Port.
	Call Caller
	ISR  ISRChanger
	// Holds and Witness are the cluster's instruments of tests; they may be nil.
	Holds   *Holds
	Witness *Witness
	Logger  *slog.Logger
	Timing  Timing
	// BrokerEpoch is this broker's current epoch.
	BrokerEpoch func() int64
	// BeforeRead, when set, is called before a log is read for a client; an error
	// takes the replica offline. It may wait.
	BeforeRead func() error
}

// Caller sends a message to a node and returns its answer.
type Caller interface {
	Call(ctx context.Context, to fabric.Node, msg any) (any, error)
}

// Manager is one broker's replicas (Kafka's ReplicaManager).
type Manager struct {
	ManagerConfig

	ctx    context.Context
	cancel context.CancelFunc
	marks  marks

	members atomic.Pointer[Members]

	mu       sync.Mutex
	replicas map[log.PartitionID]*Replica
	added    chan struct{} // closed and replaced when replicas are added
	stopped  bool
	running  sync.WaitGroup
}

// NewManager starts a broker's replicas; it has none until Apply.
func NewManager(c ManagerConfig) *Manager {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		ManagerConfig: c,
		replicas:      map[log.PartitionID]*Replica{},
		added:         make(chan struct{}),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.marks = marks{manager: m, peers: map[int32]*markQueue{}}
	m.spawn(m.tick)
	return m
}

// spawn runs f on a goroutine that Stop waits for; false when stopping.
func (m *Manager) spawn(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return false
	}
	m.running.Go(f)
	return true
}

// Gone is a partition that a broker no longer hosts.
type Gone struct {
	ID      log.PartitionID
	Deleted bool // the topic was deleted: waiting requests end with ErrDeleted
}

// applyAtOnce is how many replicas change their role at the same time; each
// waits for a group commit or two.
const applyAtOnce = 16

// Apply makes the replicas what the metadata says. changed holds partitions
// this broker hosts that differ from the last call; gone those that it no longer
// hosts, or that are deleted. Members are those of the same metadata. Calls come
// one at a time. It returns when the new roles are in force.
func (m *Manager) Apply(changed []Assignment, gone []Gone, members Members) {
	m.members.Store(&members)
	limit := make(chan struct{}, applyAtOnce)
	var all sync.WaitGroup
	each := func(f func()) {
		limit <- struct{}{}
		all.Go(func() { f(); <-limit })
	}
	for _, g := range gone {
		each(func() { m.remove(g) })
	}
	for _, a := range changed {
		each(func() { m.assign(a) })
	}
	all.Wait()
	for _, r := range m.Replicas() {
		r.membersChanged()
	}
}

func (m *Manager) assign(a Assignment) {
	r := m.Replica(a.ID)
	if r == nil {
		var err error
		if r, err = newReplica(m, a); err != nil {
			m.Logger.Error("cannot open partition", "error", err)
			_ = m.ISR.ReportOffline(m.ctx, a.ID)
			return
		}
		m.mu.Lock()
		if m.stopped {
			m.mu.Unlock()
			return
		}
		m.replicas[a.ID] = r
		close(m.added)
		m.added = make(chan struct{})
		m.mu.Unlock()
	}
	r.become(a)
}

func (m *Manager) remove(g Gone) {
	m.mu.Lock()
	r := m.replicas[g.ID]
	delete(m.replicas, g.ID)
	m.mu.Unlock()
	if r == nil {
		return
	}
	err := ErrNotLeader
	if g.Deleted {
		err = ErrDeleted
	}
	r.stop(err)
	if err := m.DB.Delete(g.ID); err != nil && !errors.Is(err, log.ErrClosed) {
		m.Logger.Error("cannot delete partition", "partition", r.name(), "error", err)
	}
}

// member is a broker's epoch in the newest metadata (-1: unknown) and whether it
// may be in an ISR.
func (m *Manager) member(broker int32) (int64, bool) {
	if p := m.members.Load(); p != nil && *p != nil {
		return (*p).Member(broker)
	}
	return -1, false
}

// brokers lists all brokers there are, and in any case the given ones.
func (m *Manager) brokers(replicas []int32) []int32 {
	all := slices.Clone(replicas)
	if p := m.members.Load(); p != nil && *p != nil {
		for _, b := range (*p).Brokers() {
			if !slices.Contains(all, b) {
				all = append(all, b)
			}
		}
	}
	return all
}

// Replica finds a replica; nil when the partition is not hosted here.
func (m *Manager) Replica(id log.PartitionID) *Replica {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replicas[id]
}

// Replicas lists all replicas.
func (m *Manager) Replicas() []*Replica {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Replica, 0, len(m.replicas))
	for _, r := range m.replicas {
		out = append(out, r)
	}
	return out
}

// Stop ends all replicas and their goroutines; waiting requests get ErrStopped.
// The file is the caller's to close.
func (m *Manager) Stop() {
	m.mu.Lock()
	m.stopped = true
	replicas := m.replicas
	m.replicas = map[log.PartitionID]*Replica{}
	m.mu.Unlock()
	m.cancel()
	var all sync.WaitGroup
	for _, r := range replicas {
		all.Go(func() { r.stop(ErrStopped) })
	}
	all.Wait()
	m.running.Wait()
}

// Handle answers a message of another broker's replicas. handled is false when
// the message is not of this package.
func (m *Manager) Handle(ctx context.Context, from fabric.Node, msg any) (answer any, handled bool, err error) {
	switch msg := msg.(type) {
	case *appendMsg:
		answer, err = onReplica(ctx, m, msg.ID, func(r *Replica) (any, error) { return r.handleAppend(ctx, msg) })
	case *resetMsg:
		answer, err = onReplica(ctx, m, msg.ID, func(r *Replica) (any, error) { return r.handleReset(ctx, msg) })
	case *helloMsg:
		answer, err = onReplica(ctx, m, msg.ID, func(r *Replica) (any, error) { return nil, r.handleHello(ctx, from.ID, msg) })
	case *marksMsg:
		answer = m.handleMarks(msg)
	default:
		return nil, false, nil
	}
	return answer, true, err
}

// onReplica waits for the partition's replica and works on it; if that goes
// away meanwhile, the next one is waited for.
func onReplica(ctx context.Context, m *Manager, id log.PartitionID, work func(*Replica) (any, error)) (any, error) {
	for {
		r, err := m.await(ctx, id)
		if err != nil {
			return nil, err
		}
		answer, err := work(r)
		if !errors.Is(err, ErrNotHosted) {
			return answer, err
		}
	}
}

// await finds a replica; one that the metadata has not brought yet is waited for.
func (m *Manager) await(ctx context.Context, id log.PartitionID) (*Replica, error) {
	for {
		m.mu.Lock()
		r, added := m.replicas[id], m.added
		m.mu.Unlock()
		if r != nil {
			return r, nil
		}
		select {
		case <-added:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tick looks after ISRs and checkpoints. A tick that comes late, because the
// process was slow, extends what followers have left.
func (m *Manager) tick() {
	every := m.Timing.LagTime / 2
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last, checkpointed, flushed := time.Now(), time.Now(), time.Now()
	for {
		select {
		case <-ticker.C:
		case <-m.ctx.Done():
			return
		}
		now := time.Now()
		late := now.Sub(last) - every
		last = now
		flushed = m.flushDue(now, flushed)
		for _, r := range m.Replicas() {
			if late > every/4 {
				r.extend(late)
			}
			r.maybeShrinkISR(now)
			r.membersChanged() // a refused proposal is made again
			r.askSilent()
		}
		if now.Sub(checkpointed) >= m.Timing.CheckpointInterval {
			checkpointed = now
			if err := m.DB.Checkpoint(); err != nil && !errors.Is(err, log.ErrClosed) {
				m.Logger.Error("cannot write high watermarks", "error", err)
			}
		}
	}
}

// flushDue syncs the file if some topic's flush.ms has passed since the last time.
func (m *Manager) flushDue(now, last time.Time) time.Time {
	for _, r := range m.Replicas() {
		if ms := r.flushMs.Load(); ms > 0 && now.Sub(last) >= time.Duration(ms)*time.Millisecond {
			if err := m.DB.Sync(); err != nil && !errors.Is(err, log.ErrClosed) {
				m.Logger.Error("cannot sync", "error", err)
			}
			return now
		}
	}
	return last
}
