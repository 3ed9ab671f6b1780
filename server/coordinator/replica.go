package coordinator

import (
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// Log is a partition's log on the broker that leads it.
type Log interface {
	// Bounds are the log start and the log end.
	Bounds() (start, end int64)
	// Read returns whole batches, from the one that holds offset up to limit, at
	// most maxBytes of them, or one; see [log.Partition.Read].
	Read(offset, limit int64, maxBytes int) ([]byte, error)
	// HighWatermark is the offset up to which records are committed, if this
	// replica leads.
	HighWatermark() (offset int64, leads bool)
	// Watch has ch signalled, without blocking, when the high watermark may have
	// moved.
	Watch(ch chan<- struct{}) (stop func())
	// Append queues a batch to be appended with acks=1. Errors are replication's.
	Append(b log.Batch) (Appending, error)
	// MaxBatchBytes is max.message.bytes.
	MaxBatchBytes() int
}

// Appending is an append under way.
type Appending interface {
	// Stored is closed when the batch has been written, or never will be.
	Stored() <-chan struct{}
	// Last is then the offset of its last record. Errors are replication's.
	Last() (int64, error)
}

// NewLog makes a [Log] of a replica. maxBytes tells max.message.bytes.
func NewLog(r *replication.Replica, maxBytes func() int) Log { return replicaLog{r, maxBytes} }

// NewReplicatedLog is [NewLog], but appends are refused with ErrNotEnoughReplicas while
// the ISR is below its minimum, as those with acks=all are.
func NewReplicatedLog(r *replication.Replica, maxBytes func() int) Log {
	return replicatedLog{replicaLog{r, maxBytes}}
}

type replicatedLog struct{ replicaLog }

func (l replicatedLog) Append(b log.Batch) (Appending, error) {
	if err := l.replica.CheckAppend(-1); err != nil {
		return nil, err
	}
	return l.replicaLog.Append(b)
}

type replicaLog struct {
	replica  *replication.Replica
	maxBytes func() int
}

func (l replicaLog) Bounds() (start, end int64) {
	p := l.replica.Log()
	return p.LogStartOffset(), p.LogEndOffset()
}

func (l replicaLog) Read(offset, limit int64, maxBytes int) ([]byte, error) {
	return l.replica.Log().Read(offset, limit, maxBytes, true)
}

func (l replicaLog) HighWatermark() (int64, bool)           { return l.replica.LeaderWatermark() }
func (l replicaLog) Watch(ch chan<- struct{}) (stop func()) { return l.replica.Watch(ch) }
func (l replicaLog) MaxBatchBytes() int                     { return l.maxBytes() }

func (l replicaLog) Append(b log.Batch) (Appending, error) {
	p, err := l.replica.Append(b, 1)
	if err != nil {
		return nil, err
	}
	return appending{p}, nil
}

type appending struct{ *replication.Pending }

func (a appending) Last() (int64, error) {
	done, err := a.Result()
	return done.Last, err
}
