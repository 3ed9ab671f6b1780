package log

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// txn is one transaction of the writer, with the drafts of the partitions it
// changes. Nothing outside of it is changed before it is committed, so that it
// can be given up and done again.
type txn struct {
	db      *DB
	tx      *bolt.Tx
	nowMs   int64
	drafts  []*draft
	created map[PartitionID]*Partition
	// changes counts what was changed; a request that fails without changing
	// anything needs no second transaction for the others.
	changes int
	// after runs once the transaction is committed, after the drafts are
	// published.
	after []func()
}

// state and undo are the buckets of these names, which most transactions of
// appends do not need. They are there, or opening the file has failed.
func (t *txn) state() *bolt.Bucket { return t.tx.Bucket([]byte(bucketState)) }
func (t *txn) undo() *bolt.Bucket  { return t.tx.Bucket([]byte(bucketUndo)) }

// draft is a partition as the transaction will leave it.
type draft struct {
	p       *Partition
	meta    meta
	tail    tail
	epochs  []EpochStart
	synced  synced
	gone    bool
	entries *bolt.Bucket
	// snapshots of the producer state that the file will have.
	snapshots []snapshotRef

	metaChanged bool
	// publish runs under the partition's lock, after the draft's fields were
	// taken over.
	publish []func()
}

func (t *txn) draft(p *Partition) (*draft, error) {
	for _, d := range t.drafts {
		if d.p == p {
			if d.gone {
				return nil, p.wrap(ErrClosed)
			}
			return d, nil
		}
	}
	p.mu.RLock()
	d := &draft{p: p, meta: p.meta, tail: p.tail, epochs: p.epochs, synced: p.synced, gone: p.gone, snapshots: p.snapshots}
	p.mu.RUnlock()
	if d.gone {
		return nil, p.wrap(ErrClosed)
	}
	t.drafts = append(t.drafts, d)
	return d, nil
}

// bucket is the partition's entries.
func (t *txn) bucket(d *draft) (*bolt.Bucket, error) {
	if d.entries == nil {
		d.entries = t.tx.Bucket(d.p.name)
		if d.entries == nil {
			return nil, fmt.Errorf("%w: the bucket of %v is missing", ErrCorruptFile, d.p.id)
		}
		// Entries come in order, so that a split can leave full pages behind.
		d.entries.FillPercent = 1
	}
	return d.entries, nil
}

// setMeta notes that the partition's meta must be written.
func (t *txn) setMeta(d *draft) {
	t.changes++
	d.metaChanged = true
}

// finish writes what the requests have left in the drafts.
func (t *txn) finish(sync bool) error {
	for _, d := range t.drafts {
		if !d.metaChanged || d.gone {
			continue
		}
		if err := t.touch(d); err != nil {
			return err
		}
		d.meta.highWatermark, d.meta.highWatermarkAt = d.p.HighWatermark(), d.tail.index
		hw := d.meta.highWatermark
		d.publish = append(d.publish, func() { d.p.storedHW = hw })
		if err := t.putState(stateKey(d.p.id, stateMeta, nil), d.meta.encode()); err != nil {
			return err
		}
	}
	if sync {
		return t.clearUndo()
	}
	return nil
}

// publish makes the committed drafts what readers see.
func (t *txn) publish() {
	for id, p := range t.created {
		t.db.mu.Lock()
		t.db.parts[id] = p
		t.db.mu.Unlock()
	}
	for _, d := range t.drafts {
		p := d.p
		p.mu.Lock()
		p.meta, p.tail, p.epochs, p.synced, p.gone, p.snapshots = d.meta, d.tail, d.epochs, d.synced, d.gone, d.snapshots
		for _, f := range d.publish {
			f()
		}
		p.mu.Unlock()
		if d.synced.noted {
			t.db.touched[p] = struct{}{}
		}
	}
	for _, f := range t.after {
		f()
	}
}

// putState sets a key of the state bucket, noting what was there at the last
// sync.
func (t *txn) putState(key, value []byte) error {
	t.changes++
	if err := t.saveState(key); err != nil {
		return err
	}
	return t.state().Put(key, value)
}

func (t *txn) deleteState(key []byte) error {
	t.changes++
	if err := t.saveState(key); err != nil {
		return err
	}
	return t.state().Delete(key)
}

// stateKeys lists the keys of the state bucket that start with prefix.
func (t *txn) stateKeys(prefix []byte) [][]byte {
	var keys [][]byte
	c := t.state().Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}
