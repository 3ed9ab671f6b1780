package log

import (
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// RaiseLogStart moves the log start offset up (DeleteRecords, a leader's start
// seen by a follower); entries wholly below it are erased in bounded chunks
// behind appends. Producer state of what goes is folded into a base state, since
// producers outlive their records (KIP-360). A lower offset is a no-op, one
// above the log end ErrOffsetOutOfRange.
func (p *Partition) RaiseLogStart(offset int64) error {
	for {
		p.mu.RLock()
		tr := &trim{offset: offset, generation: p.generation, from: p.meta.prevIndex}
		start, end := p.meta.logStart, p.tail.end
		p.mu.RUnlock()
		if offset <= start {
			return nil
		}
		if offset > end {
			return p.wrap(fmt.Errorf("%w: log start %d, log end %d", ErrOffsetOutOfRange, offset, end))
		}
		if err := p.db.view(func(tx *bolt.Tx) error { return tr.prepare(p, tx) }); err != nil {
			return p.wrap(err)
		}
		err := p.db.w.submit(&request{run: func(t *txn) error { return tr.run(t, p) }})
		if err != nil {
			return p.wrap(err)
		}
		if !tr.again {
			p.db.erasePrefix(p)
			return nil
		}
	}
}

// trim is a move of the log start.
type trim struct {
	offset     int64
	generation uint64
	from       uint64 // the entry before the first, when prepared
	last       tail   // the last entry that goes; index == from when none does
	ended      int64  // log end as of that entry, unclamped
	saved      int64
	state      []byte
	again      bool
}

// prepare finds what goes and folds its producer state.
func (tr *trim) prepare(p *Partition, tx *bolt.Tx) error {
	tr.last.index = tr.from
	b := tx.Bucket(p.name)
	if b == nil {
		return ErrNotFound
	}
	p.mu.RLock()
	m, last := p.meta, p.tail.index
	p.mu.RUnlock()
	v, err := newView(p, b, m.prevIndex+1, last)
	if err != nil {
		return err
	}
	keep, err := v.findOffset(tr.offset)
	if err != nil || keep <= m.prevIndex+1 {
		return err
	}
	s, err := v.at(keep - 1)
	if err != nil {
		return err
	}
	tr.last, tr.ended = s.tail(&m), s.end()
	if m.saved > 0 {
		if tr.saved, err = savedUpTo(v, &m, keep-1); err != nil {
			return err
		}
	}
	producers, _, err := p.producersAt(tx, keep-1)
	if err != nil {
		return err
	}
	producers.completed = slices.DeleteFunc(producers.completed, func(t txnSpan) bool { return t.last < tr.offset })
	if !producers.empty() {
		tr.state = producers.encode()
	}
	return nil
}

// savedUpTo is what compaction has saved on the entries up to the index.
func savedUpTo(v *view, m *meta, index uint64) (int64, error) {
	saved, before := int64(0), m.prevBytes
	err := v.walk(v.first, func(s *stored) (bool, error) {
		if s.index > index {
			return false, nil
		}
		saved += s.bytes - before - int64(s.servedBytes())
		before = s.bytes
		return true, nil
	})
	return saved, err
}

func (tr *trim) run(t *txn, p *Partition) error {
	d, err := t.draft(p)
	if err != nil {
		return err
	}
	p.mu.RLock()
	tr.again = p.generation != tr.generation || d.meta.prevIndex != tr.from
	p.mu.RUnlock()
	if tr.again || tr.offset <= d.meta.logStart {
		return nil
	}
	if err := t.touch(d); err != nil {
		return err
	}
	t.setMeta(d)
	d.meta.logStart = tr.offset
	if tr.last.index > tr.from {
		empty := tr.last.index == d.tail.index
		d.meta.prevIndex, d.meta.prevTerm = tr.last.index, tr.last.term
		d.meta.prevEnd, d.meta.prevBytes = tr.ended, tr.last.bytes
		d.meta.saved -= tr.saved
		if empty {
			d.tail = d.meta.emptyTail()
		}
		if err := tr.fold(t, d); err != nil {
			return err
		}
	}
	if err := t.setEpochs(d, epochsFrom(d.epochs, tr.offset)); err != nil {
		return err
	}
	if err := t.forgetTxns(d, func(a *abortedTxn) bool { return a.last < tr.offset }); err != nil {
		return err
	}
	d.publish = append(d.publish, func() { p.cache.trim(p.meta.prevIndex) })
	return nil
}

// fold stores the producer state as of the new log start, in place of older
// snapshots.
func (tr *trim) fold(t *txn, d *draft) error {
	n := slices.IndexFunc(d.snapshots, func(s snapshotRef) bool { return s.index > tr.last.index })
	if n < 0 {
		n = len(d.snapshots)
	}
	if err := t.dropSnapshots(d, d.snapshots[:n]); err != nil {
		return err
	}
	rest := d.snapshots[n:]
	d.snapshots = nil
	if tr.state != nil {
		d.snapshots = append(d.snapshots, snapshotRef{index: tr.last.index, end: tr.ended})
		if err := t.putState(stateKey(d.p.id, stateSnapshot, entryKey(tr.last.index)), tr.state); err != nil {
			return err
		}
	}
	d.snapshots = append(d.snapshots, rest...)
	return nil
}
