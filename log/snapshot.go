package log

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Snapshots of the producer state keep truncation and opening from replaying
// the whole log. One is stored under the index of the entry it includes, and
// taken in the transaction of the append that follows. It holds all batches
// that can be recognised; opening drops all but one a producer, as Kafka's
// snapshots do (row I15 of the semantics), truncation in a running broker does
// not.

const (
	// snapshotBytes of batches lie between two snapshots at least, and
	// snapshotFactor times the size of the last one.
	snapshotBytes  = 4 << 20
	snapshotFactor = 16
	// snapshotsKept above the high watermark and at or below it each.
	snapshotsKept = 2
)

const (
	snapshotVersion = 1
	snapshotFixed   = 9
	producerFixed   = 8 + 2 + 4 + 8 + 1 + 8 + 1
	sentBatchBytes  = 4 + 4 + 8 + 8
	txnSpanBytes    = 24
)

// snapshotRef is a stored snapshot: the index it is under, and the log end there.
type snapshotRef struct {
	index uint64
	end   int64
}

// lastSnapshot tells when the newest snapshot was taken and how large it is.
type lastSnapshot struct {
	bytes int64 // see header.bytes
	size  int
}

// encode is what snapshots and ResetState hold.
func (s *Producers) encode() []byte {
	be := binary.BigEndian
	b := []byte{snapshotVersion}
	b = be.AppendUint32(b, uint32(len(s.byID)))
	b = be.AppendUint32(b, uint32(len(s.completed)))
	ids := make([]int64, 0, len(s.byID))
	for id := range s.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		p := s.byID[id]
		b = be.AppendUint64(b, uint64(id))
		b = be.AppendUint16(b, uint16(p.epoch))
		b = be.AppendUint32(b, uint32(p.coordinatorEpoch))
		b = be.AppendUint64(b, uint64(p.lastTimestamp))
		inTxn := byte(0)
		if p.inTxn {
			inTxn = 1
		}
		b = append(b, inTxn)
		b = be.AppendUint64(b, uint64(p.txnStart))
		b = append(b, byte(p.sent))
		for _, s := range p.batches[:p.sent] {
			b = be.AppendUint32(b, uint32(s.lastSequence))
			b = be.AppendUint32(b, uint32(s.delta))
			b = be.AppendUint64(b, uint64(s.base))
			b = be.AppendUint64(b, uint64(s.timestamp))
		}
	}
	for _, t := range s.completed {
		b = be.AppendUint64(b, uint64(t.producerID))
		b = be.AppendUint64(b, uint64(t.first))
		b = be.AppendUint64(b, uint64(t.last))
	}
	return b
}

// parseProducers reads what encode wrote; nothing is the empty state.
func parseProducers(b []byte) (*Producers, error) {
	s := newProducers()
	if len(b) == 0 {
		return s, nil
	}
	if b[0] != snapshotVersion {
		return nil, fmt.Errorf("%w: producer snapshot of version %d", ErrFormat, b[0])
	}
	short := fmt.Errorf("%w: producer snapshot of %d bytes", ErrCorruptFile, len(b))
	if len(b) < snapshotFixed {
		return nil, short
	}
	be := binary.BigEndian
	n, completed := be.Uint32(b[1:]), be.Uint32(b[5:])
	b = b[snapshotFixed:]
	for ; n > 0; n-- {
		if len(b) < producerFixed || b[31] > batchesKept || len(b) < producerFixed+int(b[31])*sentBatchBytes {
			return nil, short
		}
		p := producer{
			epoch: int16(be.Uint16(b[8:])), coordinatorEpoch: int32(be.Uint32(b[10:])), lastTimestamp: int64(be.Uint64(b[14:])),
			inTxn: b[22] != 0, txnStart: int64(be.Uint64(b[23:])), sent: int(b[31]),
		}
		id := int64(be.Uint64(b))
		b = b[producerFixed:]
		for i := range p.batches[:p.sent] {
			p.batches[i] = sentBatch{
				lastSequence: int32(be.Uint32(b)), delta: int32(be.Uint32(b[4:])),
				base: int64(be.Uint64(b[8:])), timestamp: int64(be.Uint64(b[16:])),
			}
			b = b[sentBatchBytes:]
		}
		s.byID[id] = p
		if p.inTxn {
			s.ongoing = append(s.ongoing, txnSpan{producerID: id, first: p.txnStart, last: -1})
		}
	}
	if uint64(len(b)) != uint64(completed)*txnSpanBytes {
		return nil, short
	}
	for ; len(b) > 0; b = b[txnSpanBytes:] {
		s.completed = append(s.completed, txnSpan{
			producerID: int64(be.Uint64(b)), first: int64(be.Uint64(b[8:])), last: int64(be.Uint64(b[16:])),
		})
	}
	slices.SortFunc(s.ongoing, func(a, b txnSpan) int { return cmp.Compare(a.first, b.first) })
	return s, nil
}

// snapshot stores the producer state as of the log end, when enough was
// appended since the last time. Aborted transactions found since then go with
// it.
func (t *txn) snapshot(d *draft) error {
	p := d.p
	p.mu.RLock()
	due := p.tail.index == d.tail.index && p.snapshotDue(d)
	var state []byte
	if due {
		state = p.producers.encode()
	}
	p.mu.RUnlock()
	if !due {
		return nil
	}
	return t.putSnapshot(d, state)
}

// snapshotDue tells whether a snapshot at the log end is worth it. Called with
// the lock.
func (p *Partition) snapshotDue(d *draft) bool {
	if p.tail.producer <= newestSnapshot(d.snapshots, d.meta.prevIndex) {
		return false // nothing has changed since
	}
	return p.tail.bytes-p.snapshot.bytes >= max(snapshotBytes, snapshotFactor*int64(p.snapshot.size))
}

// newestSnapshot is the index of the newest snapshot; the state before the
// first entry counts as one.
func newestSnapshot(snapshots []snapshotRef, prevIndex uint64) uint64 {
	if n := len(snapshots); n > 0 {
		return snapshots[n-1].index
	}
	return prevIndex
}

// putSnapshot stores the state as of the published log end, and thins out older
// ones.
func (t *txn) putSnapshot(d *draft, state []byte) error {
	p := d.p
	p.mu.RLock()
	at, bytes := snapshotRef{index: p.tail.index, end: p.tail.end}, p.tail.bytes
	var aborted []abortedTxn
	for _, a := range p.aborted {
		if !a.stored {
			aborted = append(aborted, a)
		}
	}
	stable := p.clampedHW()
	p.mu.RUnlock()
	if err := t.putState(stateKey(p.id, stateSnapshot, entryKey(at.index)), state); err != nil {
		return err
	}
	for _, a := range aborted {
		if err := t.putState(stateKey(p.id, stateAborted, entryKey(uint64(a.last))), a.encode()); err != nil {
			return err
		}
	}
	keep, drop := thin(append(slices.Clip(d.snapshots), at), stable, d.meta.prevIndex)
	if err := t.dropSnapshots(d, drop); err != nil {
		return err
	}
	d.snapshots = keep
	d.publish = append(d.publish, func() {
		p.snapshot = lastSnapshot{bytes: bytes, size: len(state)}
		for i := range p.aborted {
			p.aborted[i].stored = true
		}
	})
	return nil
}

func (t *txn) dropSnapshots(d *draft, drop []snapshotRef) error {
	for _, s := range drop {
		if err := t.deleteState(stateKey(d.p.id, stateSnapshot, entryKey(s.index))); err != nil {
			return err
		}
	}
	return nil
}

// thin decides which snapshots stay: the one at the log start, the newest ones
// at or below the high watermark, and the newest ones above it.
func thin(snapshots []snapshotRef, highWatermark int64, start uint64) (keep, drop []snapshotRef) {
	below := 0
	for _, s := range snapshots {
		if s.end <= highWatermark {
			below++
		}
	}
	for n, s := range snapshots {
		newest := len(snapshots)
		if n < below {
			newest = below
		}
		if s.index == start || n >= newest-snapshotsKept {
			keep = append(keep, s)
		} else {
			drop = append(drop, s)
		}
	}
	return keep, drop
}

// producersAt rebuilds the producer state as of the entry at index, which may be
// the one before the first, and the transactions aborted since the snapshot it
// starts from.
func (p *Partition) producersAt(tx *bolt.Tx, index uint64) (*Producers, []abortedTxn, error) {
	p.mu.RLock()
	m, last := p.meta, p.tail.index
	r := replay{at: m.prevIndex, to: index, opened: p.openedAt}
	for _, ref := range p.snapshots {
		if ref.index <= index {
			r.at = max(r.at, ref.index)
		}
	}
	p.mu.RUnlock()
	var err error
	r.state, err = parseProducers(tx.Bucket([]byte(bucketState)).Get(stateKey(p.id, stateSnapshot, entryKey(r.at))))
	if err != nil {
		return nil, nil, err
	}
	r.passed(r.at)
	b := tx.Bucket(p.name)
	if b == nil || r.at >= index {
		return r.state, nil, nil
	}
	v, err := newView(p, b, m.prevIndex+1, last)
	if err != nil {
		return nil, nil, err
	}
	if upTo, err := v.at(index); err == nil && upTo.producer <= r.at {
		// No producer has written since the snapshot.
		if r.opened > r.at && r.opened <= index {
			r.state.keepLast()
		}
		return r.state, nil, nil
	}
	err = v.walk(r.at+1, r.step)
	return r.state, r.aborted, err
}

// replay brings a producer state from one entry to another.
type replay struct {
	at, to  uint64
	opened  uint64 // where the file was opened
	state   *Producers
	aborted []abortedTxn
}

// passed drops what opening the file has dropped, once it is at that entry.
func (r *replay) passed(index uint64) {
	if index == r.opened {
		r.state.keepLast()
	}
}

func (r *replay) step(e *stored) (more bool, err error) {
	if e.index > r.to {
		return false, nil
	}
	if e.kind == KindBatch {
		b, err := producerBatchOf(e.data)
		if err != nil {
			return false, fmt.Errorf("%w: entry %d: %w", ErrCorruptFile, e.index, err)
		}
		if b != nil {
			if a, ok := r.state.addStored(b); ok {
				r.aborted = append(r.aborted, a)
			}
		}
	}
	r.passed(e.index)
	return true, nil
}
