package replication

import (
	"slices"
	"sort"

	"github.com/minikafka/minikafka/log"
)

// Pending is an append under way.
type Pending struct {
	stored, committed chan struct{}

	acks  int16
	batch log.ProducerBatch
	// twins are duplicates that came while this append was queued; they share
	// its fate. Under the replica's mu until stored is closed.
	twins []*Pending
	// What follows is written before the channel that tells of it is closed.
	appended  Appended
	storedErr error
	finalErr  error
}

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

func newPending(acks int16, b log.ProducerBatch) *Pending {
	return &Pending{
		stored: make(chan struct{}), committed: make(chan struct{}),
		acks: acks, batch: b, appended: Appended{Base: -1, Last: -1, LogStartOffset: -1},
	}
}

// Stored is closed when the leader has written the batch, or never will.
func (p *Pending) Stored() <-chan struct{} { return p.stored }

// Committed is closed when the high watermark has passed the batch, or the
// outcome is settled otherwise; only for an append with acks -1.
func (p *Pending) Committed() <-chan struct{} { return p.committed }

// Result is the outcome so far. Before Committed is closed, of an append with
// acks -1, the error is ErrTimedOut: that is what the request's timeout makes of
// it. After ErrNotLeader, ErrDeleted and ErrTimedOut Base tells whether the
// batch was stored on this replica.
func (p *Pending) Result() (Appended, error) {
	select {
	case <-p.stored:
	default:
		return Appended{Base: -1, Last: -1, LogStartOffset: -1}, ErrTimedOut
	}
	if p.acks != -1 || p.storedErr != nil {
		return p.appended, p.storedErr
	}
	select {
	case <-p.committed:
		return p.appended, p.finalErr
	default:
		return p.appended, ErrTimedOut
	}
}

// fail settles an append that was never stored.
func (p *Pending) fail(err error) {
	for _, q := range append(p.twins, p) {
		q.storedErr, q.finalErr = err, err
		close(q.stored)
		close(q.committed)
	}
}

// settled is a stored append with its outcome.
type settled struct {
	pending *Pending
	err     error
}

// settlePending tells who waits; no lock is held.
func settlePending(list []settled) {
	for _, s := range list {
		s.pending.finalErr = s.err
		close(s.pending.committed)
	}
}

// producerQueue is what one producer has enqueued and not yet stored, on top of
// its stored state (rule 7).
type producerQueue struct {
	state   *log.Producers
	batches []*Pending
}

// find returns the queued or just stored append that is the same batch as b.
func (q *producerQueue) find(b log.ProducerBatch) *Pending {
	for _, p := range slices.Backward(q.batches) {
		if p.batch.ProducerEpoch == b.ProducerEpoch && p.batch.BaseSequence == b.BaseSequence {
			return p
		}
	}
	return nil
}

// CheckAppend makes the checks that come before a batch is looked at: the
// replica leads, else ErrNotLeader or ErrOffline, and with acks -1 the committed
// ISR is large enough, else ErrNotEnoughReplicas (Partition.appendRecordsToLeader).
func (r *Replica) CheckAppend(acks int16) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checkAppendLocked(acks)
}

func (r *Replica) checkAppendLocked(acks int16) error {
	if err := r.usableLocked(-1, true); err != nil {
		return err
	}
	if acks == -1 && len(r.isr.committed) < r.minISRLocked() {
		return ErrNotEnoughReplicas
	}
	return nil
}

// Append queues a validated batch for the log: role and sequence are checked,
// and from there on the order of calls is the order of the log. The batch must
// not be touched afterwards. The pending append tells the rest. Errors before
// anything is queued: ErrNotLeader, ErrOffline, ErrStopped, ErrNotEnoughReplicas,
// and log's errors of the sequence check. A duplicate gives a Pending with the
// earlier offsets.
func (r *Replica) Append(b log.Batch, acks int16) (*Pending, error) {
	batch, err := producerBatch(b)
	if err != nil {
		return nil, err
	}
	return r.append(b, newPending(acks, batch))
}

func (r *Replica) append(b log.Batch, p *Pending) (*Pending, error) {
	r.order.Lock()
	defer r.order.Unlock()
	r.mu.Lock()
	if err := r.checkAppendLocked(p.acks); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	if p.batch.ProducerID >= 0 {
		var dup *Pending
		err := r.admitLocked(p)
		if err == nil {
			dup, err = r.checkSequenceLocked(p)
		}
		if dup != nil || err != nil {
			done := r.settleLocked()
			r.mu.Unlock()
			settlePending(done)
			return dup, err
		}
	}
	r.queued = append(r.queued, p)
	in := r.in
	r.mu.Unlock()
	in.apply(b.Raw)
	return p, nil
}

// producerBatch is what the producer state has to know of a batch to come.
func producerBatch(b log.Batch) (log.ProducerBatch, error) {
	p, err := b.Producer()
	if p == nil {
		p = &log.ProducerBatch{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, MaxTimestamp: b.MaxTimestamp, Records: b.LastOffset + 1}
	}
	p.Base = -1
	return *p, err
}

// checkSequenceLocked checks p against what is stored and what is queued, and
// adds it to the latter. A duplicate comes back as a Pending of its own.
func (r *Replica) checkSequenceLocked(p *Pending) (*Pending, error) {
	q := r.producers[p.batch.ProducerID]
	var dup *log.ProducerBatch
	var err error
	if q == nil {
		dup, err = r.log.CheckProducer(p.batch)
	} else {
		dup, err = q.state.Check(p.batch)
	}
	switch {
	case err != nil:
		return nil, err
	case dup != nil && dup.Base >= 0:
		return r.duplicateLocked(p, dup.Base, dup.MaxTimestamp), nil
	case dup != nil:
		first := q.find(p.batch)
		if first == nil {
			return nil, log.ErrOutOfOrderSequence
		}
		select {
		case <-first.stored:
			if first.storedErr != nil {
				return nil, first.storedErr
			}
			return r.duplicateLocked(p, first.appended.Base, first.batch.MaxTimestamp), nil
		default:
			first.twins = append(first.twins, p)
			return p, nil
		}
	}
	if q == nil {
		q = &producerQueue{state: r.log.CloneProducer(p.batch.ProducerID)}
		r.producers[p.batch.ProducerID] = q
	}
	q.state.Add(p.batch)
	q.batches = append(q.batches, p)
	if p.batch.Transactional || p.batch.Control {
		delete(r.verifications, p.batch.ProducerID)
	}
	return nil, nil
}

// duplicateLocked answers for a batch that is stored already; with acks -1 it
// still waits for the high watermark.
func (r *Replica) duplicateLocked(p *Pending, base, maxTimestamp int64) *Pending {
	p.appended = Appended{
		Base: base, Last: base + int64(p.batch.Records) - 1, LogStartOffset: r.log.LogStartOffset(),
		Duplicate: true, DuplicateTimestamp: maxTimestamp, LeaderEpoch: r.epoch,
	}
	close(p.stored)
	r.awaitLocked(p)
	return p
}

// awaitLocked puts a stored append where settleLocked finds it.
func (r *Replica) awaitLocked(p *Pending) {
	if p.acks != -1 {
		return
	}
	i := len(r.waiting)
	if i > 0 && r.waiting[i-1].appended.Last > p.appended.Last {
		i = sort.Search(i, func(n int) bool { return r.waiting[n].appended.Last > p.appended.Last })
	}
	r.waiting = slices.Insert(r.waiting, i, p)
}

// appended settles the oldest queued appends: raft has stored their entries, in
// their order. It runs on raft's goroutine.
func (r *Replica) appended(entries []log.Entry) {
	r.manager.Witness.stored(r)
	r.mu.Lock()
	start, epoch := r.log.LogStartOffset(), r.epoch
	for _, e := range entries {
		if e.Kind != log.KindBatch || len(r.queued) == 0 {
			continue
		}
		p := r.queued[0]
		r.queued[0] = nil
		r.queued = r.queued[1:]
		r.storedLocked(p, Appended{Base: e.Base, Last: e.Last, LogStartOffset: start, LeaderEpoch: epoch})
		for _, twin := range p.twins {
			r.storedLocked(twin, Appended{
				Base: e.Base, Last: e.Last, LogStartOffset: start, LeaderEpoch: epoch,
				Duplicate: true, DuplicateTimestamp: p.batch.MaxTimestamp,
			})
		}
		if id := p.batch.ProducerID; id >= 0 {
			r.dequeueLocked(id)
		}
	}
	r.notifyEndLocked()
	done := r.settleLocked()
	r.mu.Unlock()
	settlePending(done)
}

// storedLocked tells who waits that the batch has its place in the log.
func (r *Replica) storedLocked(p *Pending, a Appended) {
	p.appended = a
	close(p.stored)
	if r.leading {
		r.awaitLocked(p)
	} else if p.acks == -1 {
		p.finalErr = r.goneLocked()
		close(p.committed)
	}
}

// goneLocked is what an append gets whose leader lost its role while it was
// being stored.
func (r *Replica) goneLocked() error {
	if err := r.usableLocked(-1, true); err != nil {
		return err
	}
	return ErrNotLeader
}

// sequenceWindow is how many batches a duplicate is looked for in
// (ProducerStateEntry.NUM_BATCHES_TO_RETAIN).
const sequenceWindow = 5

// dequeueLocked forgets what a producer has queued once all of it is stored, and
// otherwise all but the newest stored batches.
func (r *Replica) dequeueLocked(id int64) {
	q := r.producers[id]
	if q == nil {
		return
	}
	stored := 0 // they are stored in order
	for _, p := range q.batches {
		select {
		case <-p.stored:
			stored++
			continue
		default:
		}
		break
	}
	if stored == len(q.batches) {
		delete(r.producers, id)
	} else if stored > sequenceWindow {
		q.batches = slices.Delete(q.batches, 0, stored-sequenceWindow)
	}
}

// copied tells of a follower's log having grown or been cut.
func (r *Replica) copied() {
	r.manager.Witness.stored(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if end := r.log.LogEndOffset(); r.log.HighWatermark() > end {
		r.log.SetHighWatermark(end)
		r.notifyLocked()
		return
	}
	r.notifyEndLocked()
}

// flush syncs when flush.messages says so; writing is held.
func (r *Replica) flush(entries []log.Entry) error {
	limit := r.flushMessages.Load()
	if limit <= 0 {
		return nil
	}
	for _, e := range entries {
		if e.Kind == log.KindBatch {
			r.unflushed += e.Last - e.Base + 1
		}
	}
	if r.unflushed < limit {
		return nil
	}
	r.unflushed = 0
	return r.manager.DB.Sync()
}
