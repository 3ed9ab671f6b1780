package log

import (
	"fmt"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// Partition is one replica's log. Readers may run beside one writer; the
// caller serialises writers (append, truncate, reset). Everything else,
// trimming and compaction too, may run at any time.
type Partition struct {
	db   *DB
	id   PartitionID
	name []byte

	mu     sync.RWMutex // guards what follows; never held over I/O or a wait
	meta   meta
	tail   tail
	epochs []EpochStart // replaced, never changed in place
	synced synced
	gone   bool
	// generation counts truncations and resets: work prepared before one of
	// them is void after it.
	generation uint64
	cache      tailCache
	hw         int64 // as set, not clamped
	storedHW   int64 // as the file has it
	setTerm    uint64
	producers  *Producers
	aborted    []abortedTxn  // ordered by last offset
	snapshots  []snapshotRef // ascending; replaced, never changed in place
	snapshot   lastSnapshot
	openedAt   uint64 // the log end at opening; see producersAt
	loaded     bool   // its meta was read at opening

	// See treeCheck: how often readers have looked, and whether all is sound.
	looks atomic.Int32
	sound atomic.Bool
}

func newPartition(d *DB, id PartitionID) *Partition {
	p := &Partition{db: d, id: id, name: bucketName(id), producers: newProducers()}
	p.cache.limit, p.cache.total = d.opts.CacheBytes, &d.cached
	p.tail = p.meta.emptyTail()
	return p
}

// wrap names the partition in an error.
func (p *Partition) wrap(err error) error { return fmt.Errorf("%w: partition %v", err, p.id) }

// String is the topic id and the partition number.
func (id PartitionID) String() string { return fmt.Sprintf("%x-%d", id.Topic, id.Partition) }

// Partition returns the partition's log, creating it if it is not there.
func (d *DB) Partition(id PartitionID) (*Partition, error) {
	if p := d.lookup(id); p != nil {
		return p, nil
	}
	var p *Partition
	err := d.w.submit(&request{run: func(t *txn) error {
		if p = d.lookup(id); p != nil {
			return nil
		}
		if p = t.created[id]; p != nil {
			return nil
		}
		p = newPartition(d, id)
		return t.create(p)
	}})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (d *DB) lookup(id PartitionID) *Partition {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parts[id]
}

// create makes the partition's bucket.
func (t *txn) create(p *Partition) error {
	t.changes++
	if _, err := t.tx.CreateBucket(p.name); err != nil {
		return err
	}
	if t.created == nil {
		t.created = map[PartitionID]*Partition{}
	}
	t.created[p.id] = p
	d, err := t.draft(p)
	if err != nil {
		return err
	}
	if t.undo().Get(undoKey(undoImage, p.id, nil)) != nil {
		// The log was deleted since the last sync; its image stays.
		d.synced.noted = true
	}
	t.setMeta(d)
	return nil
}

// Partitions lists the partitions with a log in the file, in no order.
func (d *DB) Partitions() []PartitionID {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := make([]PartitionID, 0, len(d.parts))
	for id := range d.parts {
		ids = append(ids, id)
	}
	return ids
}

// Delete takes the partition away at once and erases its entries in bounded
// chunks behind appends. A partition that is not there is no error.
func (d *DB) Delete(id PartitionID) error {
	p := d.lookup(id)
	if p == nil {
		return nil
	}
	err := d.w.submit(&request{alone: true, run: func(t *txn) error {
		dr, err := t.draft(p)
		if err != nil {
			return nil //nolint:nilerr // Deleted meanwhile.
		}
		return t.remove(dr)
	}})
	if err == nil {
		d.erase()
	}
	return err
}

// remove sets the log aside and forgets the partition.
func (t *txn) remove(d *draft) error {
	p := d.p
	if err := t.touch(d); err != nil {
		return err
	}
	if err := t.setAside(d); err != nil {
		return err
	}
	for _, k := range t.stateKeys(stateKey(p.id, 0, nil)[:1+idBytes]) {
		if err := t.deleteState(k); err != nil {
			return err
		}
	}
	d.gone = true
	delete(t.created, p.id)
	t.after = append(t.after, func() {
		t.db.mu.Lock()
		if t.db.parts[p.id] == p {
			delete(t.db.parts, p.id)
		}
		t.db.mu.Unlock()
	})
	d.publish = append(d.publish, func() { p.cache.clear() })
	return nil
}

// setAside moves the bucket of the partition's entries to the trash. The
// request must be alone: bbolt moves a bucket as it was before the transaction,
// while buckets deleted in it have given their pages back at once, so that the
// pages of large entries would be in use and free.
func (t *txn) setAside(d *draft) error {
	t.changes++
	p := d.p
	d.entries = nil
	trash := t.tx.Bucket([]byte(bucketTrash))
	n, err := trash.NextSequence()
	if err != nil {
		return err
	}
	b, err := trash.CreateBucket(entryKey(n))
	if err != nil {
		return err
	}
	if err := t.tx.MoveBucket(p.name, nil, b); err != nil {
		return err
	}
	if !t.db.opts.SyncEveryAppend && d.synced.existed {
		if err := t.undo().Put(undoKey(undoRemoved, p.id, nil), entryKey(n)); err != nil {
			return err
		}
		t.after = append(t.after, func() { t.db.kept[n] = struct{}{} })
	}
	d.synced = synced{noted: d.synced.noted}
	return nil
}

// ID names the partition.
func (p *Partition) ID() PartitionID { return p.id }

// FirstIndex is the index of the first entry, 0 when there is none.
func (p *Partition) FirstIndex() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.tail.empty(&p.meta) {
		return 0
	}
	return p.meta.prevIndex + 1
}

// LastIndex is the index of the last entry, 0 when there is none.
func (p *Partition) LastIndex() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.tail.empty(&p.meta) {
		return 0
	}
	return p.tail.index
}

// Previous is the (index, term) of the entry just before the first one, known
// also when the log is empty; (0, 0) at the beginning.
func (p *Partition) Previous() (index, term uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.meta.prevIndex, p.meta.prevTerm
}

// Term is the highest term stored: the larger of the one set and that of the
// last entry.
func (p *Partition) Term() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return max(p.setTerm, p.meta.term, p.tail.term)
}

// SetTerm stores the term as durably as an append; the memory value changes at
// once. A lower term than the stored one is a no-op.
func (p *Partition) SetTerm(term uint64) error {
	p.mu.Lock()
	p.setTerm = max(p.setTerm, term)
	p.mu.Unlock()
	return p.db.w.submit(&request{run: func(t *txn) error {
		d, err := t.draft(p)
		if err != nil {
			return err
		}
		if term <= d.meta.term {
			return nil
		}
		t.setMeta(d)
		d.meta.term = term
		return nil
	}})
}

// LogStartOffset is the first offset that may be read.
func (p *Partition) LogStartOffset() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.meta.logStart
}

// LogEndOffset is the offset the next record will get.
func (p *Partition) LogEndOffset() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.tail.end
}

// HighWatermark is the last value set, clamped to [start, end]; after a crash
// the last checkpoint, which rides on appends and is written by Checkpoint.
func (p *Partition) HighWatermark() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.clampedHW()
}

// clampedHW is the high watermark. Called with mu.
func (p *Partition) clampedHW() int64 { return min(max(p.hw, p.meta.logStart), p.tail.end) }

// SetHighWatermark changes it in memory (it may go down on a follower).
func (p *Partition) SetHighWatermark(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hw = offset
	p.producers.passed(p.clampedHW())
}

// Checkpoint writes the high watermarks that have changed since they were last
// written, of all partitions.
func (d *DB) Checkpoint() error {
	return d.w.submit(&request{run: d.checkpointAll})
}

func (d *DB) checkpointAll(t *txn) error {
	d.mu.Lock()
	parts := make([]*Partition, 0, len(d.parts))
	for _, p := range d.parts {
		parts = append(parts, p)
	}
	d.mu.Unlock()
	for _, p := range parts {
		p.mu.RLock()
		changed := !p.gone && p.clampedHW() != p.storedHW
		p.mu.RUnlock()
		if !changed {
			continue
		}
		if dr, err := t.draft(p); err == nil {
			t.setMeta(dr)
		}
	}
	return nil
}

// Size is the number of bytes of batches in the log.
func (p *Partition) Size() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.tail.bytes - p.meta.prevBytes - p.meta.saved
}

// Value is a small value of the broker's own (cluster id, broker id, last
// broker epoch, clean-shutdown mark), or nil.
func (d *DB) Value(key string) ([]byte, error) {
	var v []byte
	err := d.view(func(tx *bolt.Tx) error {
		if s := tx.Bucket([]byte(bucketState)); s != nil {
			if b := s.Get([]byte(stateValue + key)); b != nil {
				v = append([]byte{}, b...)
			}
		}
		return nil
	})
	return v, err
}

// SetValue stores a value as durably as an append; nil deletes it.
func (d *DB) SetValue(key string, value []byte) error {
	return d.w.submit(&request{run: func(t *txn) error {
		if value == nil {
			return t.deleteState([]byte(stateValue + key))
		}
		return t.putState([]byte(stateValue+key), value)
	}})
}
