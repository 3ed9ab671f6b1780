package replication

import (
	"fmt"

	"github.com/minikafka/minikafka/log"
)

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
	Records          []byte // the last batch may be cut at MaxBytes
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

// lastStableLocked is the last stable offset: the high watermark, or before it
// the first offset of a transaction that is not decided (UnifiedLog.lastStableOffset).
func (r *Replica) lastStableLocked() int64 {
	hw := r.log.HighWatermark()
	if first := r.log.FirstUnstableOffset(); first >= 0 {
		return min(first, hw)
	}
	return hw
}

// view is a consistent look at the watermarks.
type view struct {
	start, end, highWatermark, lastStable int64
}

func (v view) limit(i Isolation) int64 {
	switch i {
	case ReadCommitted:
		return v.lastStable
	case ReadLogEnd:
		return v.end
	case ReadUncommitted:
	}
	return v.highWatermark
}

func (r *Replica) look(epoch int32, onlyLeader bool) (view, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(epoch, onlyLeader); err != nil {
		return view{}, err
	}
	return view{
		start: r.log.LogStartOffset(), end: r.log.LogEndOffset(),
		highWatermark: r.log.HighWatermark(), lastStable: r.lastStableLocked(),
	}, nil
}

// Read reads records (Partition.fetchRecords). Errors in their order: ErrOffline,
// ErrFencedEpoch, ErrUnknownEpoch, ErrNotLeader, ErrOffsetOutOfRange.
func (r *Replica) Read(q ReadRequest) (ReadResult, error) {
	v, err := r.look(q.LeaderEpoch, q.OnlyLeader)
	if err != nil {
		return ReadResult{}, err
	}
	res := ReadResult{HighWatermark: v.highWatermark, LastStableOffset: v.lastStable, LogStartOffset: v.start}
	if q.LastEpoch >= 0 {
		res.Diverging, err = r.diverging(q, v)
		if err != nil || res.Diverging != nil {
			return res, err
		}
	}
	if q.Offset < v.start || q.Offset > v.end {
		return ReadResult{}, ErrOffsetOutOfRange
	}
	limit := v.limit(q.Isolation)
	if q.Offset >= limit {
		res.AboveLimit = q.Offset > limit
		return res, nil
	}
	if err := r.beforeRead(); err != nil {
		return ReadResult{}, err
	}
	if res.Records, err = r.log.ReadCut(q.Offset, limit, q.MaxBytes, q.MinOne); err != nil {
		return ReadResult{}, err
	}
	if q.Isolation == ReadCommitted {
		res.Aborted = r.log.AbortedTxns(q.Offset, limit)
	}
	return res, nil
}

// beforeRead asks the disk, where one is staged.
func (r *Replica) beforeRead() error {
	if r.manager.BeforeRead == nil {
		return nil
	}
	if err := r.manager.BeforeRead(); err != nil {
		r.failed(err)
		return fmt.Errorf("%w: %w", ErrOffline, err)
	}
	return nil
}

// diverging compares the client's last epoch with the log (Partition.readRecords).
func (r *Replica) diverging(q ReadRequest, v view) (*log.EpochStart, error) {
	epoch, end := r.log.EpochEnd(q.LastEpoch)
	switch {
	case epoch < 0, q.Offset < v.start:
		return nil, ErrOffsetOutOfRange
	case epoch < q.LastEpoch, end < q.Offset:
		return &log.EpochStart{Epoch: epoch, Offset: end}, nil
	}
	return nil, nil
}

// Available is how many bytes a read of q would have to choose from, counted up
// to q.MaxBytes, without reading them. Its errors are Read's.
func (r *Replica) Available(q ReadRequest) (int, error) {
	v, err := r.look(q.LeaderEpoch, q.OnlyLeader)
	if err != nil {
		return 0, err
	}
	if q.Offset < v.start || q.Offset > v.end {
		return 0, ErrOffsetOutOfRange
	}
	limit := v.limit(q.Isolation)
	if q.Offset >= limit {
		return 0, nil
	}
	return r.log.BytesAvailable(q.Offset, limit, q.MaxBytes), nil
}

// LeaderWatermark is the high watermark, if this replica leads. A follower's does
// not tell what became of what it has appended as a leader.
func (r *Replica) LeaderWatermark() (offset int64, leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.HighWatermark(), r.leading && !r.offline && !r.stopping
}
