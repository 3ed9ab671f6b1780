package replication

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/minikafka/minikafka/log"
)

// Replica is one replica of a partition (Kafka's Partition and UnifiedLog). All
// methods may be called concurrently.
//
// Locks, in the order they may be taken:
//   - transition: one change of role at a time; held over stopping and starting
//     raft.
//   - order: the order of appends is the order of the log; held over raft's
//     Apply, and taken only by append.
//   - writing: one writer of the log at a time; held over I/O.
//   - mu: everything below it; never held over I/O, a channel or a call. raft's
//     callbacks take only writing and mu.
type Replica struct {
	manager *Manager
	id      log.PartitionID
	topic   string
	log     *log.Partition

	transition semaphore
	order      sync.Mutex
	writing    semaphore
	unflushed  int64 // records since the last sync; under writing
	// flushMessages is flush.messages, 0 for never.
	flushMessages atomic.Int64
	flushMs       atomic.Int64 // flush.ms, 0 for never

	mu             sync.Mutex
	in             *instance // nil while the role changes
	leading        bool
	offline        bool // the store has failed
	deleted        bool
	stopping       bool
	greeted        bool
	leader         int32
	epoch          int32 // leader epoch of the metadata
	partitionEpoch int32
	replicas       []int32
	settings       Settings
	isr            isrState
	// epochStart is the log end when this replica began to lead.
	epochStart int64
	// followers are what is known in the epoch tracked, from just before raft
	// leads: its first entry may reach them before this replica knows.
	followers map[int32]*followerState
	tracked   int32      // -1: none
	marked    int32      // the epoch whose leader last told its watermarks
	queued    []*Pending // applied, not yet stored: StoreLogs takes the first
	waiting   []*Pending // stored with acks -1, above the high watermark, by offset
	producers map[int64]*producerQueue
	// verifications are those that the producers' next batches may use.
	verifications map[int64]*log.Verification
	deletions     []*deletion
	watchers      map[chan<- struct{}]bool // true: it watches the log end, too
	changed       chan struct{}            // closed and replaced at each change of role
	stopped       chan struct{}
}

func newReplica(m *Manager, a Assignment) (*Replica, error) {
	l, err := m.DB.Partition(a.ID)
	if err != nil {
		return nil, fmt.Errorf("%s-%d: %w", a.Topic, a.ID.Partition, err)
	}
	return &Replica{
		manager: m, id: a.ID, topic: a.Topic, log: l,
		transition: newSemaphore(), writing: newSemaphore(),
		leader: -1, epoch: -1, partitionEpoch: -1, tracked: -1, marked: -1,
		followers: map[int32]*followerState{},
		producers: map[int64]*producerQueue{}, verifications: map[int64]*log.Verification{},
		watchers: map[chan<- struct{}]bool{},
		changed:  make(chan struct{}),
		stopped:  make(chan struct{}),
	}, nil
}

// ID and Topic name the partition.
func (r *Replica) ID() log.PartitionID { return r.id }

// Topic is the partition's topic.
func (r *Replica) Topic() string { return r.topic }

// Log is the replica's log, to read.
func (r *Replica) Log() *log.Partition { return r.log }

func (r *Replica) name() string { return fmt.Sprintf("%s-%d", r.topic, r.id.Partition) }

// become gives the replica the role that the metadata says (Partition.makeLeader
// and makeFollower). An older partition epoch is skipped.
func (r *Replica) become(a Assignment) {
	r.transition.lock()
	defer r.transition.unlock()
	r.mu.Lock()
	if a.PartitionEpoch < r.partitionEpoch || r.stopping {
		r.mu.Unlock()
		return
	}
	newEpoch := a.LeaderEpoch > r.epoch
	added := false
	r.leader, r.epoch, r.partitionEpoch = a.Leader, a.LeaderEpoch, a.PartitionEpoch
	if !newEpoch && !slices.Equal(r.replicas, a.Replicas) {
		added = slices.ContainsFunc(a.Replicas, func(b int32) bool { return !slices.Contains(r.replicas, b) })
		r.replicas = a.Replicas
		r.followLocked(a)
		r.signalLocked()
	}
	r.replicas, r.settings = a.Replicas, a.Settings
	r.flushMessages.Store(a.Settings.FlushMessages)
	r.flushMs.Store(a.Settings.FlushMs)
	r.commitLocked(a.ISR)
	leads := a.Leader == r.manager.Broker
	if !newEpoch {
		r.stayLocked(added)
		return
	}
	in := r.in
	keep := in != nil && !in.leading && !leads
	if !keep {
		r.in = nil
	}
	r.leading = false
	failed := r.deposeLocked(ErrNotLeader)
	r.signalLocked()
	offline := r.offline
	r.mu.Unlock()
	settlePending(failed)

	if in != nil && !keep {
		in.stop()
		r.failQueued(ErrNotLeader)
	}
	if keep || offline {
		return
	}
	if leads {
		r.lead(a)
	} else {
		r.follow()
	}
}

// stayLocked looks again at what depends on the replicas, in an epoch that goes on,
// and lets go of mu. A replica that was added may have been one before in this
// epoch: raft believes then that it has everything, and has to ask.
func (r *Replica) stayLocked(added bool) {
	done := r.settleLocked()
	in, ask := r.in, added && r.leading
	r.mu.Unlock()
	settlePending(done)
	r.maybeExpandISR()
	if ask && in != nil {
		in.nudge()
	}
}

// lead starts raft as the appointed leader, and counts from its log end.
func (r *Replica) lead(a Assignment) {
	// A replica may be added without a new epoch, and raft's configuration must
	// not change: so it has all brokers from the beginning, and those that hold
	// no replica are not sent anything (rule 10).
	servers := r.manager.brokers(a.Replicas)
	in, err := startInstance(r, true, a.LeaderEpoch, servers)
	if err == nil {
		r.mu.Lock()
		r.epochStart = r.log.LogEndOffset()
		r.trackLocked(a)
		r.mu.Unlock()
		if err = in.campaign(); err != nil {
			in.stop()
		}
	}
	if err != nil {
		if r.manager.ctx.Err() == nil {
			r.failed(err)
		}
		return
	}
	r.manager.Witness.leads(r, a.LeaderEpoch)
	r.mu.Lock()
	r.in, r.leading, r.greeted = in, true, true
	done := r.settleLocked()
	r.signalLocked()
	r.mu.Unlock()
	settlePending(done)
	r.maybeExpandISR()
}

// follow starts raft as a follower. The first time in this process the leader is
// told where the log ends.
func (r *Replica) follow() {
	in, err := startInstance(r, false, 0, nil)
	if err != nil {
		r.failed(err)
		return
	}
	r.mu.Lock()
	r.in = in
	r.signalLocked()
	greet := !r.greeted
	r.greeted = true
	r.mu.Unlock()
	if greet {
		r.manager.spawn(r.greet)
	}
}

// deposeLocked ends everything that only a leader may finish. The caller settles
// what it returns when mu is free.
func (r *Replica) deposeLocked(err error) []settled {
	var out []settled
	for _, p := range r.waiting {
		out = append(out, settled{p, err})
	}
	r.waiting = nil
	for _, d := range r.deletions {
		d.finish(err)
	}
	r.deletions = nil
	clear(r.followers)
	clear(r.verifications)
	r.tracked = -1
	r.notifyLocked()
	return out
}

// failQueued ends the appends that raft will not store any more, once it has
// stopped.
func (r *Replica) failQueued(err error) {
	r.mu.Lock()
	queued := r.queued
	r.queued = nil
	clear(r.producers)
	r.mu.Unlock()
	for _, p := range queued {
		p.fail(err)
	}
}

// failed takes the replica offline: its store has failed, or can no longer be
// trusted (UnifiedLog.maybeHandleIOException). The controller is told; what waits
// gets ErrOffline. raft stops in the background, as this may be its goroutine.
func (r *Replica) failed(err error) {
	r.mu.Lock()
	if r.offline || r.stopping {
		r.mu.Unlock()
		return
	}
	r.offline, r.leading = true, false
	failed := r.deposeLocked(ErrOffline)
	r.signalLocked()
	r.mu.Unlock()
	settlePending(failed)
	r.manager.Logger.Error("replica is offline", "partition", r.name(), "error", err)
	r.manager.spawn(func() {
		r.mu.Lock()
		in := r.in
		r.in = nil
		r.mu.Unlock()
		if in != nil {
			in.stop()
		}
		r.failQueued(ErrOffline)
		_ = r.manager.ISR.ReportOffline(r.manager.ctx, r.id)
	})
}

func (r *Replica) isOffline() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.offline
}

// stop ends the replica. err is what waiting requests get.
func (r *Replica) stop(err error) {
	r.mu.Lock()
	if r.stopping {
		r.mu.Unlock()
		return
	}
	r.stopping = true
	r.deleted = err == ErrDeleted //nolint:errorlint // a sentinel handed in as it is
	r.leading = false
	in := r.in
	r.in = nil
	failed := r.deposeLocked(err)
	close(r.stopped)
	r.signalLocked()
	r.mu.Unlock()
	settlePending(failed)
	if in != nil {
		in.stop()
	}
	r.transition.lock() // a change of role under way may have started another
	r.mu.Lock()
	in = r.in
	r.in = nil
	r.mu.Unlock()
	if in != nil {
		in.stop()
	}
	r.transition.unlock()
	r.failQueued(err)
}

// membersChanged looks again at what depends on which brokers are alive.
func (r *Replica) membersChanged() {
	r.mu.Lock()
	if !r.leading {
		r.mu.Unlock()
		return
	}
	r.finishDeletionsLocked()
	done := r.settleLocked()
	in, stale := r.in, r.staleLocked()
	r.mu.Unlock()
	settlePending(done)
	r.maybeExpandISR()
	if stale && in != nil {
		in.nudge()
	}
}

// signalLocked wakes who waits for a role, and every reader.
func (r *Replica) signalLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
	r.notifyLocked()
}

// notifyLocked signals the watchers.
func (r *Replica) notifyLocked() {
	for ch := range r.watchers {
		wake(ch)
	}
}

// notifyEndLocked signals those that watch the log end.
func (r *Replica) notifyEndLocked() {
	for ch, end := range r.watchers {
		if end {
			wake(ch)
		}
	}
}

func wake(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Watch has ch signalled (without blocking; give it room for one) at every
// change a waiting reader may care for: high watermark, last stable offset, log
// start, role, epoch, stop. The caller must call stop.
func (r *Replica) Watch(ch chan<- struct{}) (stop func()) { return r.watch(ch, false) }

// WatchLog is Watch, and signals ch at changes of the log end as well.
func (r *Replica) WatchLog(ch chan<- struct{}) (stop func()) { return r.watch(ch, true) }

func (r *Replica) watch(ch chan<- struct{}, end bool) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[ch] = end
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, ch)
	}
}

// usableLocked is the check of Partition.getLocalLog: the store works, the
// client's epoch is the replica's, and it leads if it has to.
func (r *Replica) usableLocked(epoch int32, onlyLeader bool) error {
	switch {
	case r.deleted:
		return ErrDeleted
	case r.stopping:
		return ErrStopped
	case r.offline:
		return ErrOffline
	case epoch >= 0 && epoch < r.epoch:
		return ErrFencedEpoch
	case epoch >= 0 && epoch > r.epoch:
		return ErrUnknownEpoch
	case onlyLeader && !r.leading:
		return ErrNotLeader
	}
	return nil
}

// State is everything a test or a describe call may want to know of a replica.
type State struct {
	ID             log.PartitionID
	Topic          string
	Leading        bool
	Offline        bool
	Leader         int32
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas       []int32
	ISR            []int32 // committed
	LogStartOffset int64
	LogEndOffset   int64
	HighWatermark  int64
	LastStable     int64
	Size           int64 // bytes
	// Ends are the log ends of the followers as the leader knows them, -1 when
	// it does not; nil on a follower.
	Ends map[int32]int64
}

// State tells the replica's state.
func (r *Replica) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := State{
		ID: r.id, Topic: r.topic, Leading: r.leading, Offline: r.offline,
		Leader: r.leader, LeaderEpoch: r.epoch, PartitionEpoch: r.partitionEpoch,
		Replicas: slices.Clone(r.replicas), ISR: slices.Clone(r.isr.committed),
		LogStartOffset: r.log.LogStartOffset(), LogEndOffset: r.log.LogEndOffset(),
		HighWatermark: r.log.HighWatermark(), LastStable: r.lastStableLocked(), Size: r.log.Size(),
	}
	if r.leading {
		s.Ends = make(map[int32]int64, len(r.followers))
		for id, f := range r.followers {
			s.Ends[id] = f.end
		}
	}
	return s
}
