package log

import (
	"errors"
	"time"
)

// Errors of this package. They are wrapped with the partition and what was
// asked for; server/errors.go maps them to Kafka's codes.
var (
	ErrNotFound         = errors.New("log: no such entry")
	ErrClosed           = errors.New("log: file is closed")
	ErrOffsetOutOfRange = errors.New("log: offset out of range")
	ErrHole             = errors.New("log: entry does not follow the log end")
	ErrFormat           = errors.New("log: file has an unknown format")
	ErrInUse            = errors.New("log: file is in use by another process")
	ErrCorruptFile      = errors.New("log: file is damaged")
)

// Options say how a broker's file is kept.
type Options struct {
	// SyncEveryAppend makes each group commit wait for stable storage.
	SyncEveryAppend bool
	// CacheBytes bounds the newest entries each partition keeps in memory for
	// replication and tail reads; 0 means 1 MiB.
	CacheBytes int
	// Now is the clock used for file bookkeeping only (never for records);
	// nil means time.Now.
	Now func() time.Time
	// BeforeCommit, when set, is called on the writer before each group commit;
	// an error fails the appends of that commit. It is where slow, full and
	// failing disks are staged.
	BeforeCommit func(bytes int) error
}

// DB is one broker's file: the logs of all partitions it hosts, and a few
// values of the broker's own. Concurrent appends to all partitions share one
// bbolt transaction (group commit). All methods may be called concurrently.
type DB struct{ db }

// Open opens or creates the file. Its time does not grow with the log.
func Open(path string, opts Options) (*DB, error) { return openDB(path, opts) }

// Close waits for running appends, syncs and closes the file: a clean shutdown.
func (d *DB) Close() error { return d.close(true) }

// Crash closes the file as the death of the process would: what was written
// stays, in-memory state (high watermark above its checkpoint) is gone.
func (d *DB) Crash() error { return d.close(false) }

// PowerOff closes the file as a power cut would: everything after the last
// sync is undone, unsynced truncations included.
func (d *DB) PowerOff() error { return d.powerOff() }

// Sync makes all that was appended durable.
func (d *DB) Sync() error { return d.sync() }

// Partition returns the partition's log, creating it if it is not there.
func (d *DB) Partition(id PartitionID) (*Partition, error) { return d.partition(id) }

// Partitions lists the partitions with a log in the file.
func (d *DB) Partitions() []PartitionID { return d.partitions() }

// Delete takes the partition away at once and erases its entries in bounded
// chunks behind appends.
func (d *DB) Delete(id PartitionID) error { return d.deletePartition(id) }

// Value and SetValue keep small values of the broker's own (cluster id, broker
// id, last broker epoch, clean-shutdown mark). An absent key gives nil.
func (d *DB) Value(key string) ([]byte, error)        { return d.value(key) }
func (d *DB) SetValue(key string, value []byte) error { return d.setValue(key, value) }

// Size is the file's size in bytes.
func (d *DB) Size() int64 { return d.size() }

// Partition is one replica's log. Readers may run beside one writer; the
// caller serialises writers (append, truncate, reset).
type Partition struct{ partition }

// ID names the partition.
func (p *Partition) ID() PartitionID { return p.id() }

// FirstIndex and LastIndex bound the entries that are there; 0, 0 when none.
// Previous is the (index, term) of the entry just before the first one, known
// also when the log is empty; (0, 0) at the beginning.
func (p *Partition) FirstIndex() uint64             { return p.firstIndex() }
func (p *Partition) LastIndex() uint64              { return p.lastIndex() }
func (p *Partition) Previous() (index, term uint64) { return p.previous() }

// Entry returns the entry at index, or ErrNotFound. For Previous's index it
// answers a KindControl stub with its term. It goes on working (ErrNotFound)
// after the file is closed, and never panics.
func (p *Partition) Entry(index uint64) (Entry, error) { return p.entry(index) }

// EndOffsetAt is the log end offset as of the entry at index: the offset that
// follows its last record. Served from memory for cached entries.
func (p *Partition) EndOffsetAt(index uint64) (int64, error) { return p.endOffsetAt(index) }

// Append stores entries that follow LastIndex without a hole, and returns when
// they are written (and synced, where asked). With assign, this replica leads:
// each batch gets its base offset and leader epoch (Term-1) written into Data
// and Base/Last set, before anything is stored; without, entries are stored as
// received, and refused (ErrHole) if a batch lies below the log end. The
// slice's elements are updated in place.
func (p *Partition) Append(entries []Entry, assign bool) error { return p.append(entries, assign) }

// TruncateFrom removes the entry at index and all after it, rebuilds producer
// state and leader epochs to that point, and lowers the high watermark to the
// log end if it was above. Indexes that are not there are ignored.
func (p *Partition) TruncateFrom(index uint64) error { return p.truncateFrom(index) }

// Term is the highest term stored: the larger of the one set and that of the
// last entry. SetTerm stores it durably as an append is; the memory value
// changes at once.
func (p *Partition) Term() uint64              { return p.term() }
func (p *Partition) SetTerm(term uint64) error { return p.setTerm(term) }

// LogStartOffset is the first offset that may be read.
func (p *Partition) LogStartOffset() int64 { return p.logStartOffset() }

// LogEndOffset is the offset the next record will get.
func (p *Partition) LogEndOffset() int64 { return p.logEndOffset() }

// HighWatermark is the last value set, clamped to [start, end]; after a crash
// the last checkpoint, which rides on appends and is written by Checkpoint.
func (p *Partition) HighWatermark() int64 { return p.highWatermark() }

// SetHighWatermark changes it in memory (it may go down on a follower).
func (p *Partition) SetHighWatermark(offset int64) { p.setHighWatermark(offset) }

// Checkpoint writes the high watermark of all partitions.
func (d *DB) Checkpoint() error { return d.checkpoint() }

// Read returns whole batches from the one that contains offset up to, not
// including, the batch that reaches beyond limit, at most maxBytes of them; the
// first is returned whole even when larger, if minOne. offset must lie in
// [start, end], else ErrOffsetOutOfRange. At or above limit the answer is
// empty. Stubs of compacted batches are skipped. The bytes are a copy, or
// immutable.
func (p *Partition) Read(offset, limit int64, maxBytes int, minOne bool) ([]byte, error) {
	return p.read(offset, limit, maxBytes, minOne)
}

// BytesAvailable is how many bytes lie in [offset, limit), counted up to max.
func (p *Partition) BytesAvailable(offset, limit int64, max int) int {
	return p.bytesAvailable(offset, limit, max)
}

// EpochEnd answers OffsetForLeaderEpoch (LeaderEpochFileCache.endOffsetFor):
// the largest known epoch at or below the one asked for and the start offset of
// the one after it (the log end for the newest). Unknown: -1, -1. Below the
// earliest: the asked epoch and the earliest start offset.
func (p *Partition) EpochEnd(epoch int32) (int32, int64) { return p.epochEnd(epoch) }

// EpochAt is the leader epoch of the record at offset, or -1.
func (p *Partition) EpochAt(offset int64) int32 { return p.epochAt(offset) }

// LatestEpoch is the newest leader epoch in the log, or -1; EpochStart its
// first offset.
func (p *Partition) LatestEpoch() (epoch int32, start int64) { return p.latestEpoch() }

// TimestampOffset is the answer to a lookup by time.
type TimestampOffset struct {
	Offset      int64
	Timestamp   int64 // ms since the Unix epoch
	LeaderEpoch int32
}

// OffsetForTimestamp finds the first record with a timestamp >= ts (ms). ok is
// false when there is none.
func (p *Partition) OffsetForTimestamp(ts int64) (TimestampOffset, bool, error) {
	return p.offsetForTimestamp(ts)
}

// MaxTimestamp finds the first record with the largest timestamp (ListOffsets -3).
func (p *Partition) MaxTimestamp() (TimestampOffset, bool, error) { return p.maxTimestamp() }

// RaiseLogStart moves the log start offset up (DeleteRecords, a leader's start
// seen by a follower); entries wholly below it are erased in bounded chunks.
// Producer state of what goes is folded into the base state. A lower offset is
// a no-op.
func (p *Partition) RaiseLogStart(offset int64) error { return p.raiseLogStart(offset) }

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
func (p *Partition) Retain(r Retention) (int64, error) { return p.retain(r) }

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
func (p *Partition) Compact(c Compaction) (bool, error) { return p.compact(c) }

// Size is the number of bytes of batches in the log.
func (p *Partition) Size() int64 { return p.size() }

// ResetState is what a replica far behind starts from: the place just before
// the leader's log start, and the producer state as of there.
type ResetState struct {
	Index, Term    uint64
	LogStartOffset int64
	Producers      []byte
	// Epochs are the leader epochs at or below the log start.
	Epochs []EpochStart
}

// EpochStart is a leader epoch and the first offset written in it.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

// ResetState tells what a follower needs to start at this log's start.
func (p *Partition) ResetState() (ResetState, error) { return p.resetState() }

// Reset empties the log and starts it at s, in one transaction; the term is kept
// if higher (Kafka's truncateFullyAndStartAt).
func (p *Partition) Reset(s ResetState) error { return p.reset(s) }
