package log

import (
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

const (
	// truncateChunk is how many entries a transaction shared with appends
	// removes at most, and truncateChunkBytes how many bytes of them.
	truncateChunk      = 512
	truncateChunkBytes = 4 << 20
)

// TruncateFrom removes the entry at index and all after it, rebuilds producer
// state and leader epochs to that point, and lowers the high watermark to the
// log end if it was above. Indexes that are not there are ignored. Many entries
// go in bounded steps from the end, between which other partitions append: after
// a crash in between, the log is longer than asked for, but whole.
func (p *Partition) TruncateFrom(index uint64) error {
	p.mu.RLock()
	first, last := p.meta.prevIndex+1, p.tail.index
	p.mu.RUnlock()
	index = max(index, first)
	if index > last {
		return nil
	}
	if err := p.db.checkPartition(p); err != nil {
		return p.wrap(err)
	}
	tr := &truncation{index: index}
	if err := p.db.view(func(tx *bolt.Tx) error { return tr.prepare(p, tx) }); err != nil {
		return p.wrap(err)
	}
	low := last-index >= truncateChunk
	for !tr.done {
		err := p.db.w.submit(&request{low: low, run: func(t *txn) error { return tr.step(t, p) }})
		if err != nil {
			return p.wrap(err)
		}
	}
	return nil
}

// truncation is a truncation under way.
type truncation struct {
	index     uint64
	end       int64 // log end after it
	producers *Producers
	begun     bool
	done      bool
}

// prepare rebuilds the producer state at the point of truncation.
func (tr *truncation) prepare(p *Partition, tx *bolt.Tx) (err error) {
	tr.producers, _, err = p.producersAt(tx, tr.index-1)
	return err
}

// step removes entries from the end; the first one also takes away what is kept
// beside the entries and would be wrong after it.
func (tr *truncation) step(t *txn, p *Partition) error {
	tr.done = false
	d, err := t.draft(p)
	if err != nil {
		return err
	}
	if err := t.touch(d); err != nil {
		return err
	}
	if !tr.begun {
		if err := tr.begin(t, d); err != nil {
			return err
		}
	}
	b, err := t.bucket(d)
	if err != nil {
		return err
	}
	if err := tr.remove(t, d, b); err != nil {
		return err
	}
	if d.tail.index >= tr.index {
		d.publish = append(d.publish, func() { tr.begun = true; p.cut(d.tail) })
		return nil
	}
	tr.done = true
	if err := t.setEpochs(d, epochsUpTo(d.epochs, d.tail.term)); err != nil {
		return err
	}
	d.publish = append(d.publish, func() { tr.finish(p) })
	return nil
}

// begin removes snapshots and aborted transactions beyond the point.
func (tr *truncation) begin(t *txn, d *draft) error {
	if d.tail.term > d.meta.term {
		// A term that was seen stays seen.
		t.setMeta(d)
		d.meta.term = d.tail.term
	}
	v, err := t.view(d)
	if err != nil {
		return err
	}
	left, err := tailAt(v, &d.meta, tr.index-1)
	if err != nil {
		return err
	}
	tr.end = left.end
	if d.meta.cleanedTo > tr.end {
		t.setMeta(d)
		d.meta.cleanedTo = tr.end
	}
	n := slices.IndexFunc(d.snapshots, func(s snapshotRef) bool { return s.index >= tr.index })
	if n >= 0 {
		if err := t.dropSnapshots(d, d.snapshots[n:]); err != nil {
			return err
		}
		d.snapshots = slices.Clip(d.snapshots[:n])
	}
	return t.dropAborted(d, tr.end)
}

// dropAborted removes the stored aborted transactions at or after the offset.
func (t *txn) dropAborted(d *draft, end int64) error {
	d.p.mu.RLock()
	var keys [][]byte
	for _, a := range d.p.aborted[len(cutAborted(d.p.aborted, end)):] {
		if a.stored {
			keys = append(keys, stateKey(d.p.id, stateAborted, entryKey(uint64(a.last))))
		}
	}
	d.p.mu.RUnlock()
	for _, k := range keys {
		if err := t.deleteState(k); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a bounded number of entries from the end down to the point.
func (tr *truncation) remove(t *txn, d *draft, b *bolt.Bucket) error {
	var keys [][]byte
	c := b.Cursor()
	size := 0
	t.changes++
	// Not Last: in a transaction that has emptied the bucket it never returns
	// (bbolt 1.5.0).
	k, value := c.Seek(entryKey(d.tail.index))
	for ; k != nil && len(keys) < truncateChunk && size < truncateChunkBytes; k, value = c.Prev() {
		i, err := entryIndex(k)
		if err != nil {
			return err
		}
		if i < tr.index {
			break
		}
		s, err := storedAt(b, k, value)
		if err != nil {
			return err
		}
		if err := t.saveEntry(d, &s); err != nil {
			return err
		}
		keys = append(keys, slices.Clone(k))
		size += headerBytes + len(s.data)
		if d.meta.saved > 0 {
			if err := d.unsave(t, &s); err != nil {
				return err
			}
		}
	}
	// bbolt's Cursor.Last never returns when the transaction has deleted the
	// last key of a tree with branches: the view comes first.
	v, err := t.view(d)
	if err != nil {
		return err
	}
	if d.tail, err = tailAt(v, &d.meta, d.tail.index-uint64(len(keys))); err != nil {
		return err
	}
	return deleteEntries(b, keys)
}

// unsave takes back what compaction had saved on an entry that goes.
func (d *draft) unsave(t *txn, s *stored) error {
	v, err := t.view(d)
	if err != nil {
		return err
	}
	before, err := tailAt(v, &d.meta, s.index-1)
	if err != nil {
		return err
	}
	if n := s.bytes - before.bytes - int64(s.servedBytes()); n != 0 {
		d.meta.saved -= n
		t.setMeta(d)
	}
	return nil
}

func (s *stored) servedBytes() int {
	if s.kind != KindBatch {
		return 0
	}
	return len(s.data)
}

// view reads the partition within the transaction.
func (t *txn) view(d *draft) (*view, error) {
	b, err := t.bucket(d)
	if err != nil {
		return nil, err
	}
	return &view{c: b.Cursor(), first: d.meta.prevIndex + 1, last: d.tail.index}, nil
}

// tailAt is the tail of the log when the entry at index is its last.
func tailAt(v *view, m *meta, index uint64) (tail, error) {
	if index == m.prevIndex {
		return m.emptyTail(), nil
	}
	s, err := v.at(index)
	if err != nil {
		return tail{}, fmt.Errorf("entry %d: %w", index, err)
	}
	return s.tail(m), nil
}

// finish takes the truncated state over into memory. Called with the lock.
func (tr *truncation) finish(p *Partition) {
	p.cut(p.tail)
	p.producers = tr.producers
	p.aborted = cutAborted(p.aborted, tr.end)
	p.hw = min(p.hw, p.tail.end)
	p.producers.passed(p.clampedHW())
	p.snapshot.bytes = min(p.snapshot.bytes, p.tail.bytes)
	p.generation++
	if p.openedAt >= tr.index {
		p.openedAt = 0
	}
}

// cut forgets cached entries beyond the tail. Called with the lock.
func (p *Partition) cut(t tail) { p.cache.truncate(t.index) }
