package log

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	bolt "go.etcd.io/bbolt"
)

// loadPartitions reads the state of all partitions from a file just opened. It
// tells what a former process has left to erase.
func (d *DB) loadPartitions(tx *bolt.Tx) (prefixes []*Partition, trash bool, err error) {
	if err := d.loadState(tx); err != nil {
		return nil, false, err
	}
	if err := d.loadUndo(tx); err != nil {
		return nil, false, err
	}
	for _, p := range d.parts {
		b := tx.Bucket(p.name)
		if b == nil || !p.loaded {
			return nil, false, p.wrap(fmt.Errorf("%w: half of the partition is missing", ErrCorruptFile))
		}
		if err := d.treeCheck(b).edges(); err != nil {
			return nil, false, p.wrap(err)
		}
		if err := p.load(tx, b); err != nil {
			return nil, false, p.wrap(err)
		}
		if k, _ := b.Cursor().First(); k != nil && bytes.Compare(k, entryKey(p.meta.prevIndex)) <= 0 {
			prefixes = append(prefixes, p)
		}
	}
	k, _ := tx.Bucket([]byte(bucketTrash)).Cursor().First()
	return prefixes, k != nil, nil
}

// loadState reads the state bucket in one pass.
func (d *DB) loadState(tx *bolt.Tx) error {
	c := tx.Bucket([]byte(bucketState)).Cursor()
	prefix := []byte("p")
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if len(k) < 2+idBytes {
			return fmt.Errorf("%w: state key of %d bytes", ErrCorruptFile, len(k))
		}
		id, err := parseID(k[1 : 1+idBytes])
		if err != nil {
			return err
		}
		p := d.parts[id]
		if p == nil {
			p = newPartition(d, id)
			d.parts[id] = p
		}
		if err := p.loadKey(k[1+idBytes], k[2+idBytes:], v); err != nil {
			return p.wrap(err)
		}
	}
	return nil
}

// loadKey takes one key of the state bucket in.
func (p *Partition) loadKey(kind byte, suffix, value []byte) (err error) {
	switch kind {
	case stateMeta:
		p.meta, err = parseMeta(value)
		p.loaded = err == nil
	case stateEpochs:
		p.epochs, err = parseEpochs(value)
	case stateSnapshot:
		var index uint64
		if index, err = entryIndex(suffix); err == nil {
			p.snapshots = append(p.snapshots, snapshotRef{index: index})
			p.snapshot.size = len(value)
		}
	case stateAborted:
		var last uint64
		if last, err = entryIndex(suffix); err != nil {
			return err
		}
		var a abortedTxn
		if a, err = parseAborted(int64(last), value); err == nil {
			p.aborted = append(p.aborted, a)
		}
	default:
		err = fmt.Errorf("%w: state of kind %q", ErrFormat, kind)
	}
	return err
}

// loadUndo learns what the last sync point needs.
func (d *DB) loadUndo(tx *bolt.Tx) error {
	for _, p := range d.parts {
		p.synced = synced{existed: true}
	}
	err := eachUndo(tx, undoImage, func(rest, value []byte) error {
		id, err := parseID(rest)
		if err != nil {
			return err
		}
		image, err := parseImage(value)
		if err != nil {
			return err
		}
		if p := d.parts[id]; p != nil {
			p.synced = image
			d.touched[p] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	k, _ := tx.Bucket([]byte(bucketUndo)).Cursor().First()
	d.unsynced = k != nil
	return eachUndo(tx, undoRemoved, func(rest, value []byte) error {
		id, err := parseID(rest)
		if err != nil {
			return err
		}
		n, err := entryIndex(value)
		if err != nil {
			return err
		}
		d.kept[n] = struct{}{}
		if p := d.parts[id]; p != nil {
			p.synced = synced{noted: true}
		}
		return nil
	})
}

// load finds the log end, and the producer state.
func (p *Partition) load(tx *bolt.Tx, b *bolt.Bucket) error {
	p.tail = p.meta.emptyTail()
	p.hw = p.meta.highWatermark
	last, err := lastStored(b, p.db.treeCheck(b))
	if err != nil {
		return err
	}
	if last.index > p.meta.prevIndex {
		p.tail = last.tail(&p.meta)
		if last.index > p.meta.highWatermarkAt {
			p.hw = last.highWatermark
		}
	}
	if p.tail.end < p.meta.logStart || p.tail.bytes < p.meta.prevBytes {
		return fmt.Errorf("%w: the log ends before it starts", ErrCorruptFile)
	}
	p.hw = p.clampedHW()
	p.storedHW = p.hw
	if !p.synced.noted {
		p.synced.prev, p.synced.last = p.meta.prevIndex, p.tail.index
	}
	if err := p.loadSnapshots(b); err != nil {
		return err
	}
	return p.loadProducers(tx)
}

// lastStored is the last entry of the bucket; index 0 when there is none.
func lastStored(b *bolt.Bucket, check *treeCheck) (stored, error) {
	k, v := b.Cursor().Last()
	if k == nil {
		return stored{}, nil
	}
	if err := check.own(b, k, v); err != nil {
		return stored{}, err
	}
	return storedAt(b, k, v)
}

// loadSnapshots finds where the log ended at each snapshot.
func (p *Partition) loadSnapshots(b *bolt.Bucket) error {
	for i := range p.snapshots {
		ref := &p.snapshots[i]
		if ref.index == p.meta.prevIndex {
			ref.end = p.meta.prevEnd
			p.snapshot.bytes = p.meta.prevBytes
			continue
		}
		s, ok, err := p.storedSnapshot(b, ref.index)
		if err != nil {
			return err
		}
		if !ok || ref.index > p.tail.index || ref.index < p.meta.prevIndex {
			return fmt.Errorf("%w: producer snapshot at %d, entries %d-%d", ErrCorruptFile, ref.index, p.meta.prevIndex+1, p.tail.index)
		}
		ref.end = s.end()
		p.snapshot.bytes = s.bytes
	}
	return nil
}

// storedSnapshot reads the entry that a snapshot includes.
func (p *Partition) storedSnapshot(b *bolt.Bucket, index uint64) (stored, bool, error) {
	check := p.db.treeCheck(b)
	if _, err := check.to(entryKey(index)); err != nil {
		return stored{}, false, err
	}
	if k, v := b.Cursor().Seek(entryKey(index)); check != nil {
		if err := check.own(b, k, v); err != nil {
			return stored{}, false, err
		}
	}
	return getStored(b, index)
}

// loadProducers replays what came after the newest snapshot. Each producer keeps
// its last batch only, as after a restart of Kafka.
func (p *Partition) loadProducers(tx *bolt.Tx) error {
	producers, aborted, err := p.producersAt(tx, p.tail.index)
	if err != nil {
		return err
	}
	producers.keepLast()
	producers.passed(p.hw)
	p.producers = producers
	p.openedAt = p.tail.index
	known := int64(-1)
	if n := len(p.aborted); n > 0 {
		known = p.aborted[n-1].last
	}
	n := sort.Search(len(aborted), func(i int) bool { return aborted[i].last > known })
	p.aborted = append(p.aborted, aborted[n:]...)
	return nil
}

// finalCheckpoint writes what a clean shutdown leaves: high watermarks and
// producer snapshots at the log ends, as a sync point.
func (d *DB) finalCheckpoint() error {
	t := &txn{db: d}
	err := d.update(func(tx *bolt.Tx) error {
		return t.runAll(tx, []*request{{sync: true, run: func(t *txn) error {
			if err := d.checkpointAll(t); err != nil {
				return err
			}
			return d.snapshotAll(t)
		}}})
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

func (d *DB) snapshotAll(t *txn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.parts {
		p.mu.RLock()
		due := p.tail.producer > newestSnapshot(p.snapshots, p.meta.prevIndex)
		state := p.producers.encode()
		p.mu.RUnlock()
		if !due {
			continue
		}
		dr, err := t.draft(p)
		if err != nil {
			return err
		}
		if err := t.touch(dr); err != nil {
			return err
		}
		if err := t.putSnapshot(dr, state); err != nil {
			return err
		}
	}
	return nil
}
