package log

import "errors"

// Errors of the sequence check; see ProducerAppendInfo and ProducerStateEntry.
var (
	ErrOutOfOrderSequence   = errors.New("log: out of order sequence number")
	ErrInvalidProducerEpoch = errors.New("log: producer epoch is lower than the stored one")
	ErrInvalidTxnState      = errors.New("log: producer has no, or another, ongoing transaction")
	ErrCoordinatorFenced    = errors.New("log: marker of an older transaction coordinator")
)

// ProducerBatch is what the producer state needs to know of a batch. Which
// offsets it has is set when stored.
type ProducerBatch struct {
	ProducerID    int64 // -1: none
	ProducerEpoch int16
	BaseSequence  int32
	Records       int32 // LastOffsetDelta + 1
	MaxTimestamp  int64
	Base          int64 // base offset; -1 while pending
	Transactional bool
	// Control is set for a transaction marker.
	Control          bool
	Commit           bool
	CoordinatorEpoch int32
}

// Producer is one producer's state on a partition, as DescribeProducers tells
// it.
type Producer struct {
	ID               int64
	Epoch            int16
	LastSequence     int32
	LastTimestamp    int64 // ms
	CoordinatorEpoch int32
	// TxnStart is the first offset of the ongoing transaction, or -1.
	TxnStart int64
}

// Producers is the producer state of one partition: a function of its log.
// It is a value that the replica can copy cheaply, so that pending appends can
// be checked on top of what is stored. Not safe for concurrent use.
type Producers struct{ producers }

// Check tells what appending b would mean (semantics of PSE/PAI: five-batch
// window, epochs, wrap at the largest int32): nil to go on; a non-nil dup is
// the earlier identical batch, to be answered with its offsets (Base -1 when
// that one is itself pending). Nothing changes.
func (s *Producers) Check(b ProducerBatch) (dup *ProducerBatch, err error) { return s.check(b) }

// Add makes b part of the state. b.Base may be -1 (pending).
func (s *Producers) Add(b ProducerBatch) { s.add(b) }

// Clone copies the state.
func (s *Producers) Clone() *Producers { return s.clone() }

// Expire forgets producers without an ongoing transaction whose last timestamp
// is older than now - ms.
func (s *Producers) Expire(nowMs, ms int64) { s.expire(nowMs, ms) }

// List tells the producers, ordered by id.
func (s *Producers) List() []Producer { return s.list() }

// CheckProducer checks b against the partition's stored state.
func (p *Partition) CheckProducer(b ProducerBatch) (dup *ProducerBatch, err error) {
	return p.checkProducer(b)
}

// CloneProducer copies the stored state of the one producer, for checks of
// pending batches on top of it.
func (p *Partition) CloneProducer(id int64) *Producers { return p.cloneProducer(id) }

// Producers lists the producers of the stored state.
func (p *Partition) Producers() []Producer { return p.listProducers() }

// ExpireProducers forgets idle producers; see [Producers.Expire].
func (p *Partition) ExpireProducers(nowMs, ms int64) { p.expireProducers(nowMs, ms) }

// FirstUnstableOffset is the first offset of the oldest transaction that is
// ongoing or whose marker is not below the high watermark; -1 when none.
func (p *Partition) FirstUnstableOffset() int64 { return p.firstUnstableOffset() }

// AbortedTxn is an aborted transaction whose records a read_committed consumer
// must drop.
type AbortedTxn struct {
	ProducerID, FirstOffset, LastOffset int64
}

// AbortedTxns lists the aborted transactions that overlap [from, to).
func (p *Partition) AbortedTxns(from, to int64) []AbortedTxn { return p.abortedTxns(from, to) }
