package log

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
)

// Errors of the sequence check; see ProducerAppendInfo and ProducerStateEntry.
var (
	ErrOutOfOrderSequence   = errors.New("log: out of order sequence number")
	ErrInvalidProducerEpoch = errors.New("log: producer epoch is lower than the stored one")
	ErrInvalidTxnState      = errors.New("log: producer has no, or another, ongoing transaction")
	ErrCoordinatorFenced    = errors.New("log: marker of an older transaction coordinator")
)

// noSequence is the sequence of a batch that has none (RecordBatch.NO_SEQUENCE).
const noSequence = -1

// batchesKept is how many batches of a producer can be recognised as duplicates
// (ProducerStateEntry.NUM_BATCHES_TO_RETAIN).
const batchesKept = 5

// ProducerBatch is what the producer state needs to know of a batch. Which
// offsets it has is set when stored.
type ProducerBatch struct {
	ProducerID    int64 // -1: none
	ProducerEpoch int16
	BaseSequence  int32 // -1: none, as in batches of coordinators
	Records       int32 // LastOffsetDelta + 1
	MaxTimestamp  int64 // ms; of a marker, its record's timestamp
	Base          int64 // base offset; -1 while pending
	Transactional bool
	// Control is set for a transaction marker, Commit if it commits.
	Control          bool
	Commit           bool
	CoordinatorEpoch int32
	// MustVerify is set for a batch that may open a transaction here only if its
	// coordinator has vouched for it; Verification is that, or nil.
	MustVerify   bool
	Verification *Verification
}

// Verification is what a partition knows of a producer from asking the coordinator
// of its transaction (VerificationStateEntry).
type Verification struct {
	ProducerEpoch int16
	// LeaderEpoch is that of the leader that asked.
	LeaderEpoch int32
	// LowestSequence is the lowest sequence that was asked for.
	LowestSequence int32
	// Bumping is set for a producer that has an epoch for each transaction
	// (KIP-890), and so begins each with sequence 0.
	Bumping bool
}

// lastSequence wraps at the largest int32 (DefaultRecordBatch.incrementSequence).
func (b *ProducerBatch) lastSequence() int32 {
	if b.BaseSequence == noSequence {
		return noSequence
	}
	return addSequence(b.BaseSequence, b.Records-1)
}

func addSequence(sequence, n int32) int32 {
	if sequence > math.MaxInt32-n {
		return n - (math.MaxInt32 - sequence) - 1
	}
	return sequence + n
}

func subSequence(sequence, n int32) int32 {
	if sequence < n {
		return math.MaxInt32 - (n - sequence) + 1
	}
	return sequence - n
}

// Producer is one producer's state on a partition, as DescribeProducers tells
// it.
type Producer struct {
	ID               int64
	Epoch            int16
	LastSequence     int32 // -1: none
	LastTimestamp    int64 // ms
	CoordinatorEpoch int32 // -1: none
	// TxnStart is the first offset of the ongoing transaction, or -1.
	TxnStart int64
}

// sentBatch is a batch that can be recognised (BatchMetadata).
type sentBatch struct {
	lastSequence int32
	delta        int32 // records - 1
	base         int64 // -1: pending
	timestamp    int64
}

func (s *sentBatch) firstSequence() int32 { return subSequence(s.lastSequence, s.delta) }

// producer is one producer's state (ProducerStateEntry). It is a value:
// copying it copies the state.
type producer struct {
	epoch            int16
	coordinatorEpoch int32
	lastTimestamp    int64
	inTxn            bool
	txnStart         int64 // -1: none, or pending
	sent             int   // how many of batches are set
	batches          [batchesKept]sentBatch
}

// lastSequence is that of the newest batch, or -1.
func (p *producer) lastSequence() int32 {
	if p.sent == 0 {
		return noSequence
	}
	return p.batches[p.sent-1].lastSequence
}

func (p *producer) setEpoch(epoch int16) {
	if p.epoch != epoch {
		p.epoch, p.sent = epoch, 0
	}
}

func (p *producer) addSent(b sentBatch) {
	if p.sent == batchesKept {
		copy(p.batches[:], p.batches[1:])
		p.sent--
	}
	p.batches[p.sent] = b
	p.sent++
}

// keepLast forgets all but the newest batch, as Kafka's snapshots do.
func (p *producer) keepLast() {
	if p.sent > 1 {
		p.batches[0] = p.batches[p.sent-1]
		p.sent = 1
	}
}

// txnSpan is a transaction: ongoing ones have no last offset yet.
type txnSpan struct {
	producerID  int64
	first, last int64
}

// Producers is the producer state of one partition: a function of its log
// (ProducerStateManager). It is a value that the replica can copy cheaply, so
// that pending appends can be checked on top of what is stored. The zero value
// is empty. Not safe for concurrent use.
type Producers struct {
	byID map[int64]producer
	// ongoing transactions with known first offsets, in their order.
	ongoing []txnSpan
	// completed transactions whose marker may not be below the high watermark
	// yet ("unreplicated"), ordered by first offset.
	completed []txnSpan
}

func newProducers() *Producers { return &Producers{byID: map[int64]producer{}} }

// Check tells what appending b would mean (ProducerAppendInfo, and
// ProducerStateEntry.findDuplicateBatch): nil to go on; a non-nil dup is the
// earlier identical batch, to be answered with its offsets (Base -1 when that
// one is itself pending). Batches without a producer id or, but for the epoch,
// without a sequence are not checked. Nothing changes.
func (s *Producers) Check(b ProducerBatch) (dup *ProducerBatch, err error) {
	if b.ProducerID < 0 {
		return nil, nil
	}
	p, known := s.byID[b.ProducerID]
	if !known {
		p.epoch = -1
		return nil, b.checkVerified(&p)
	}
	if b.Control {
		return nil, p.checkMarker(&b)
	}
	if dup := p.duplicate(&b); dup != nil {
		return dup, nil
	}
	if b.MustVerify && b.Verification == nil && !p.inTransaction(b.ProducerEpoch) {
		return nil, b.unverified()
	}
	if b.ProducerEpoch < p.epoch {
		return nil, fmt.Errorf("%w: producer %d, epoch %d, stored %d", ErrInvalidProducerEpoch, b.ProducerID, b.ProducerEpoch, p.epoch)
	}
	if err := b.checkVerified(&p); err != nil {
		return nil, err
	}
	if err := p.checkSequence(&b); err != nil {
		return nil, err
	}
	if p.inTxn && !b.Transactional {
		return nil, fmt.Errorf("%w: producer %d wrote outside of its transaction", ErrInvalidTxnState, b.ProducerID)
	}
	return nil, nil
}

// duplicate is the recognised batch with the same epoch and sequences.
func (p *producer) duplicate(b *ProducerBatch) *ProducerBatch {
	if b.ProducerEpoch != p.epoch || b.BaseSequence < 0 {
		return nil
	}
	last := b.lastSequence()
	for i := range p.batches[:p.sent] {
		if s := &p.batches[i]; s.lastSequence == last && s.firstSequence() == b.BaseSequence {
			dup := *b
			dup.Base, dup.Records, dup.MaxTimestamp = s.base, s.delta+1, s.timestamp
			return &dup
		}
	}
	return nil
}

// inTransaction tells whether the producer has records of an open transaction here.
func (p *producer) inTransaction(epoch int16) bool { return p.inTxn && p.epoch == epoch }

func (b *ProducerBatch) unverified() error {
	return fmt.Errorf("%w: producer %d, epoch %d: its transaction does not have this partition", ErrInvalidTxnState, b.ProducerID, b.ProducerEpoch)
}

// checkVerified checks what has to do with the coordinator's word.
func (b *ProducerBatch) checkVerified(p *producer) error {
	if !b.MustVerify || p.inTransaction(b.ProducerEpoch) {
		return nil
	}
	v := b.Verification
	switch {
	case v == nil:
		return b.unverified()
	case v.ProducerEpoch == b.ProducerEpoch && b.BaseSequence > v.LowestSequence:
		return fmt.Errorf("%w: producer %d, sequence %d where %d was seen before", ErrOutOfOrderSequence, b.ProducerID, b.BaseSequence, v.LowestSequence)
	case v.Bumping && p.epoch < 0 && b.BaseSequence != 0:
		return fmt.Errorf("%w: producer %d begins with sequence %d", ErrOutOfOrderSequence, b.ProducerID, b.BaseSequence)
	}
	return nil
}

// InTransaction tells whether the producer has an open transaction in its epoch.
func (s *Producers) InTransaction(id int64, epoch int16) bool {
	p, known := s.byID[id]
	return known && p.inTransaction(epoch)
}

func (p *producer) checkSequence(b *ProducerBatch) error {
	if b.BaseSequence < 0 {
		return nil
	}
	if b.ProducerEpoch != p.epoch {
		if b.BaseSequence != 0 && p.epoch >= 0 {
			return fmt.Errorf("%w: producer %d, sequence %d for new epoch %d", ErrOutOfOrderSequence, b.ProducerID, b.BaseSequence, b.ProducerEpoch)
		}
		return nil
	}
	last := p.lastSequence()
	if p.epoch < 0 || int64(b.BaseSequence) == int64(last)+1 || (b.BaseSequence == 0 && last == math.MaxInt32) {
		return nil
	}
	return fmt.Errorf("%w: producer %d, sequence %d after %d", ErrOutOfOrderSequence, b.ProducerID, b.BaseSequence, last)
}

func (p *producer) checkMarker(b *ProducerBatch) error {
	if b.ProducerEpoch < p.epoch {
		return fmt.Errorf("%w: marker of producer %d, epoch %d, stored %d", ErrInvalidProducerEpoch, b.ProducerID, b.ProducerEpoch, p.epoch)
	}
	if b.CoordinatorEpoch < p.coordinatorEpoch {
		return fmt.Errorf("%w: epoch %d, stored %d", ErrCoordinatorFenced, b.CoordinatorEpoch, p.coordinatorEpoch)
	}
	return nil
}

// MarkerWritten tells whether the marker that gives a producer the epoch is there
// already, for producers with an epoch for each transaction (KIP-890). When they have
// gone on in the epoch since, the marker comes too late, and would end their next
// transaction: ErrInvalidProducerEpoch (KIP-1228).
func (s *Producers) MarkerWritten(id int64, epoch int16) (bool, error) {
	p, known := s.byID[id]
	switch {
	case !known || p.epoch != epoch:
		return false, nil
	case p.inTxn || p.sent > 0:
		return false, fmt.Errorf("%w: marker of producer %d, epoch %d, which is in use", ErrInvalidProducerEpoch, id, epoch)
	}
	return true, nil
}

// Add makes b part of the state, unchecked, as replication does. b.Base may be
// -1 (pending).
func (s *Producers) Add(b ProducerBatch) { s.add(&b) }

// add returns the transaction that b completes, if any.
func (s *Producers) add(b *ProducerBatch) (done txnSpan, ok bool) {
	if b.ProducerID < 0 {
		return txnSpan{}, false
	}
	p, known := s.byID[b.ProducerID]
	if !known {
		p = producer{epoch: -1, coordinatorEpoch: -1, lastTimestamp: noTimestamp, txnStart: -1}
	}
	p.setEpoch(b.ProducerEpoch)
	p.lastTimestamp = b.MaxTimestamp
	switch {
	case b.Control:
		p.coordinatorEpoch = b.CoordinatorEpoch
		if p.inTxn {
			done, ok = s.complete(b.ProducerID, p.txnStart, b.Base)
		}
		p.inTxn, p.txnStart = false, -1
	default:
		p.addSent(sentBatch{lastSequence: b.lastSequence(), delta: b.Records - 1, base: b.Base, timestamp: b.MaxTimestamp})
		if b.Transactional && !p.inTxn {
			p.inTxn, p.txnStart = true, b.Base
			if b.Base >= 0 {
				s.ongoing = append(s.ongoing, txnSpan{producerID: b.ProducerID, first: b.Base, last: -1})
			}
		}
	}
	if s.byID == nil {
		s.byID = map[int64]producer{}
	}
	s.byID[b.ProducerID] = p
	return done, ok
}

// complete moves a transaction from the ongoing to the completed ones.
func (s *Producers) complete(id, first, last int64) (txnSpan, bool) {
	i := slices.IndexFunc(s.ongoing, func(t txnSpan) bool { return t.producerID == id && t.first == first })
	if i < 0 {
		return txnSpan{}, false // pending
	}
	t := s.ongoing[i]
	t.last = last
	s.ongoing = slices.Delete(slices.Clone(s.ongoing), i, i+1)
	at := sort.Search(len(s.completed), func(i int) bool { return s.completed[i].first > first })
	s.completed = slices.Insert(slices.Clone(s.completed), at, t)
	return t, true
}

// passed forgets completed transactions whose marker is below the high
// watermark.
func (s *Producers) passed(highWatermark int64) {
	if len(s.completed) > 0 {
		s.completed = slices.DeleteFunc(s.completed, func(t txnSpan) bool { return t.last < highWatermark })
	}
}

// firstUnstable is ProducerStateManager.firstUnstableOffset, or -1.
func (s *Producers) firstUnstable(highWatermark int64) int64 {
	first := int64(-1)
	if len(s.ongoing) > 0 {
		first = s.ongoing[0].first
	}
	for _, t := range s.completed {
		if t.last >= highWatermark {
			if first < 0 || t.first < first {
				first = t.first
			}
			break
		}
	}
	return first
}

// Clone copies the state.
func (s *Producers) Clone() *Producers {
	return &Producers{
		byID: maps.Clone(s.byID), ongoing: slices.Clone(s.ongoing), completed: slices.Clone(s.completed),
	}
}

// one copies the state of one producer.
func (s *Producers) one(id int64) *Producers {
	c := newProducers()
	if p, ok := s.byID[id]; ok {
		c.byID[id] = p
	}
	for _, t := range s.ongoing {
		if t.producerID == id {
			c.ongoing = append(c.ongoing, t)
		}
	}
	return c
}

// Expire forgets producers without an ongoing transaction whose last timestamp
// is ms or more before now (isProducerExpired). Both are in ms.
func (s *Producers) Expire(nowMs, ms int64) {
	maps.DeleteFunc(s.byID, func(_ int64, p producer) bool { return !p.inTxn && nowMs-p.lastTimestamp >= ms })
}

// keepLast keeps one batch for each producer.
func (s *Producers) keepLast() {
	for id, p := range s.byID {
		p.keepLast()
		s.byID[id] = p
	}
}

func (s *Producers) empty() bool { return len(s.byID) == 0 && len(s.completed) == 0 }

// List tells the producers, ordered by id.
func (s *Producers) List() []Producer {
	list := make([]Producer, 0, len(s.byID))
	for id, p := range s.byID {
		list = append(list, Producer{
			ID: id, Epoch: p.epoch, LastSequence: p.lastSequence(), LastTimestamp: p.lastTimestamp,
			CoordinatorEpoch: p.coordinatorEpoch, TxnStart: p.txnStart,
		})
	}
	slices.SortFunc(list, func(a, b Producer) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
