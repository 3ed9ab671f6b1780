package log

import (
	"errors"
	"time"
)

var errTodo = errors.New("log: not there yet")

// TimestampOffset is the answer to a lookup by time.
type TimestampOffset struct {
	Offset      int64
	Timestamp   int64 // ms since the Unix epoch
	LeaderEpoch int32
}

// OffsetForTimestamp finds the first record with a timestamp >= ts (ms). ok is
// false when there is none.
func (p *Partition) OffsetForTimestamp(ts int64) (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errTodo
}

// MaxTimestamp finds the first record with the largest timestamp (ListOffsets -3).
func (p *Partition) MaxTimestamp() (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errTodo
}

// Retention is what of a log may be deleted by age and size. Whole batches only;
// nothing at or above Bound (the high watermark). "Segments" are runs of
// SegmentBytes or SegmentMs, and the newest, active one is kept, as Kafka does.
type Retention struct {
	Now          time.Time
	Ms           int64 // -1: no limit
	Bytes        int64 // -1: no limit
	SegmentBytes int64
	SegmentMs    int64
	Bound        int64
}

// Retain raises the log start as the retention says; the new start is returned.
func (p *Partition) Retain(r Retention) (int64, error) { return p.LogStartOffset(), nil }

// Compaction says how a compacted log is cleaned.
type Compaction struct {
	Now             time.Time
	MinDirtyRatio   float64
	MinLagMs        int64
	MaxLagMs        int64
	DeleteRetention int64 // ms tombstones are kept
	SegmentBytes    int64
	SegmentMs       int64
	Bound           int64 // never at or above (high watermark / last stable offset)
}

// Compact keeps the last value of each key below Bound: batches are rewritten
// without the superseded records (offsets kept), emptied ones become stubs.
// It reports whether anything changed.
func (p *Partition) Compact(c Compaction) (bool, error) { return false, nil }
