package replication

import (
	"context"
	"log/slog"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// ManagerConfig configures a broker's replicas.
type ManagerConfig struct {
	Broker int32
	DB     *log.DB
	// Call sends messages to other nodes; a *fabric.Port.
	Call   Caller
	ISR    ISRChanger
	Holds  *Holds // may be nil
	Logger *slog.Logger
	Timing Timing
	// BrokerEpoch is this broker's current epoch.
	BrokerEpoch func() int64
}

// Caller sends a message to a node and returns its answer.
type Caller interface {
	Call(ctx context.Context, to fabric.Node, msg any) (any, error)
}

// Manager is one broker's replicas (Kafka's ReplicaManager).
type Manager struct{ manager }

// NewManager starts a broker's replicas; it has none until Apply.
func NewManager(c ManagerConfig) *Manager { return newManager(c) }

// Apply makes the replicas what the metadata says. changed holds partitions
// this broker hosts that differ from the last call; gone those that it no longer
// hosts, or that are deleted. Members are those of the same metadata. Calls come
// one at a time. It returns when the new roles are in force.
func (m *Manager) Apply(changed []Assignment, gone []Gone, members Members) {
	m.apply(changed, gone, members)
}

// Gone is a partition that a broker no longer hosts.
type Gone struct {
	ID      log.PartitionID
	Deleted bool // the topic was deleted: waiting requests end with ErrDeleted
}

// Handle answers a message of another broker's replicas. handled is false when
// the message is not of this package.
func (m *Manager) Handle(ctx context.Context, from fabric.Node, msg any) (answer any, handled bool, err error) {
	return m.handle(ctx, from, msg)
}

// Replica finds a replica; nil when the partition is not hosted here.
func (m *Manager) Replica(id log.PartitionID) *Replica { return m.replica(id) }

// Replicas lists all replicas.
func (m *Manager) Replicas() []*Replica { return m.replicas() }

// Stop ends all replicas and their goroutines; waiting requests get ErrStopped.
// The file is the caller's to close.
func (m *Manager) Stop() { m.stop() }

// Replica is one replica of a partition (Kafka's Partition and Log). All
// methods may be called concurrently.
type Replica struct{ replica }

// ID and Topic name the partition.
func (r *Replica) ID() log.PartitionID { return r.id }

// Topic is the partition's topic.
func (r *Replica) Topic() string { return r.topic }

// CheckAppend makes the checks that come before a batch is looked at: the
// replica leads, else ErrNotLeader or ErrOffline, and with acks -1 the committed
// ISR is large enough, else ErrNotEnoughReplicas (semantics 1.1 #12-#14).
func (r *Replica) CheckAppend(acks int16) error { return r.checkAppend(acks) }

// Append queues a validated batch for the log: role and sequence are checked,
// and from there on the order of calls is the order of the log. The batch must
// not be touched afterwards. The pending append tells the rest. Errors before
// anything is queued: ErrNotLeader, ErrOffline, ErrStopped, and log's errors of
// the sequence check. A duplicate gives a Pending with the earlier offsets.
func (r *Replica) Append(b log.Batch, acks int16) (*Pending, error) { return r.append(b, acks) }

// Pending is an append under way.
type Pending struct{ pending }

// Stored is closed when the leader has written the batch, or never will.
func (p *Pending) Stored() <-chan struct{} { return p.stored }

// Committed is closed when the high watermark has passed the batch, or the
// outcome is settled otherwise; only for an append with acks -1.
func (p *Pending) Committed() <-chan struct{} { return p.committed }

// Appended is what is known of an append.
type Appended struct {
	// Base is the batch's first offset, -1 when it was not stored. Last is its
	// last one.
	Base, Last     int64
	LogStartOffset int64
	Duplicate      bool
	// DuplicateTimestamp is the earlier batch's largest timestamp (ms).
	DuplicateTimestamp int64
	// LeaderEpoch is the epoch the batch was appended in.
	LeaderEpoch int32
}

// Result is the outcome so far. Before Committed is closed, of an append with
// acks -1, the error is ErrTimedOut: that is what the request's timeout makes of
// it. After ErrNotLeader, ErrDeleted and ErrTimedOut Base tells whether the
// batch was stored on this replica.
func (p *Pending) Result() (Appended, error) { return p.result() }

// Isolation is how far a reader sees (FetchIsolation).
type Isolation int8

// The isolations.
const (
	ReadUncommitted Isolation = iota // up to the high watermark
	ReadCommitted                    // up to the last stable offset
	ReadLogEnd                       // up to the log end (debugging)
)

// ReadRequest asks for records.
type ReadRequest struct {
	Offset      int64
	MaxBytes    int
	MinOne      bool // the first batch is returned whole even when larger
	Isolation   Isolation
	LeaderEpoch int32 // the client's, -1: none
	LastEpoch   int32 // epoch of the last record the client has, -1: none
	OnlyLeader  bool
}

// ReadResult is what a read found. Watermarks are as of before the read.
type ReadResult struct {
	Records          []byte
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	// Diverging is set when the client's log has diverged; there are no records
	// then.
	Diverging *log.EpochStart
	Aborted   []log.AbortedTxn // ReadCommitted only
	// AboveLimit is set when Offset lies above what the reader may see: the
	// answer is empty and not worth waiting for (semantics F02).
	AboveLimit bool
}

// Read reads records. Errors in their order: ErrFencedEpoch, ErrUnknownEpoch,
// ErrNotLeader or ErrOffline, ErrOffsetOutOfRange.
func (r *Replica) Read(q ReadRequest) (ReadResult, error) { return r.read(q) }

// Available is how many bytes a read of q would have to choose from, counted up
// to q.MaxBytes, without reading them.
func (r *Replica) Available(q ReadRequest) (int, error) { return r.available(q) }

// Watch has ch signalled (without blocking; give it room for one) at every
// change a waiting reader may care for: high watermark, last stable offset, log
// start, role, epoch, stop. The caller must call stop.
func (r *Replica) Watch(ch chan<- struct{}) (stop func()) { return r.watch(ch) }

// LookupOffset answers ListOffsets for one partition.
func (r *Replica) LookupOffset(q OffsetRequest) (log.TimestampOffset, error) {
	return r.lookupOffset(q)
}

// OffsetRequest asks for an offset by a time (ms) or one of the special times.
type OffsetRequest struct {
	Time        int64
	Isolation   Isolation
	LeaderEpoch int32 // -1: none
	// AnyReplica lets a follower answer, with its log end (replica id -2).
	AnyReplica bool
}

// The special times of ListOffsets.
const (
	TimeLatest        = -1
	TimeEarliest      = -2
	TimeMax           = -3
	TimeEarliestLocal = -4
	TimeLatestTiered  = -5
	TimePendingUpload = -6
)

// EpochEnd answers OffsetForLeaderEpoch: leader only, with the same fences.
func (r *Replica) EpochEnd(current, epoch int32) (log.EpochStart, error) {
	return r.epochEnd(current, epoch)
}

// DeleteRecords raises the log start (offset -1: to the high watermark) and
// returns when every live replica has followed, with the low watermark; on ctx's
// end ErrTimedOut with the low watermark of the start.
func (r *Replica) DeleteRecords(ctx context.Context, offset int64) (int64, error) {
	return r.deleteRecords(ctx, offset)
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
func (r *Replica) State() State { return r.state() }

// Log is the replica's log, to read.
func (r *Replica) Log() *log.Partition { return r.log }
