package log

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The undo bucket holds what is needed to go back to the last sync point. The
// first change of a partition after a sync notes where its log ended; entries
// appended since are then known by their index and cost nothing. What was there
// at the sync point and is deleted or overwritten is copied first, except that
// erased prefixes and deleted logs are only set aside until the next sync. A
// sync empties the bucket in the transaction that it makes durable.
//
// Its keys start with one of these bytes.
const (
	undoImage   = 'i' // + id: existed, previous index, last index
	undoEntry   = 'x' // + id, index: the entry's value
	undoState   = 'k' // + key of the state bucket: 1 and the value, or 0
	undoRemoved = 'd' // + id: number of the trash bucket with the entries
)

// synced is what is known of a partition at the last sync point.
type synced struct {
	// noted: the undo bucket has the image.
	noted bool
	// existed: its bucket was there, and is still under its name.
	existed bool
	// The entries in (prev, last] were there.
	prev, last uint64
}

// holds tells whether the entry was there at the last sync.
func (s *synced) holds(index uint64) bool {
	return s.existed && index > s.prev && index <= s.last
}

func undoKey(kind byte, id PartitionID, suffix []byte) []byte {
	b := make([]byte, 0, 1+idBytes+len(suffix))
	b = append(b, kind)
	b = appendID(b, id)
	return append(b, suffix...)
}

// touch notes where the partition's log was at the last sync, before the first
// change since.
func (t *txn) touch(d *draft) error {
	if t.db.opts.SyncEveryAppend || d.synced.noted {
		return nil
	}
	t.changes++
	v := make([]byte, 17)
	if d.synced.existed {
		v[0] = 1
	}
	binary.BigEndian.PutUint64(v[1:], d.synced.prev)
	binary.BigEndian.PutUint64(v[9:], d.synced.last)
	d.synced.noted = true
	return t.undo().Put(undoKey(undoImage, d.p.id, nil), v)
}

func parseImage(v []byte) (synced, error) {
	if len(v) != 17 {
		return synced{}, fmt.Errorf("%w: undo image of %d bytes", ErrCorruptFile, len(v))
	}
	return synced{
		noted: true, existed: v[0] == 1,
		prev: binary.BigEndian.Uint64(v[1:]), last: binary.BigEndian.Uint64(v[9:]),
	}, nil
}

// saveEntry copies an entry that was there at the last sync, before it is
// deleted or overwritten.
func (t *txn) saveEntry(d *draft, s *stored) error {
	if t.db.opts.SyncEveryAppend || !d.synced.holds(s.index) {
		return nil
	}
	key := undoKey(undoEntry, d.p.id, entryKey(s.index))
	if t.undo().Get(key) != nil {
		return nil
	}
	return t.undo().Put(key, s.encode())
}

// saveState copies a key of the state bucket before its first change since the
// last sync.
func (t *txn) saveState(key []byte) error {
	if t.db.opts.SyncEveryAppend {
		return nil
	}
	uk := append([]byte{undoState}, key...)
	if t.undo().Get(uk) != nil {
		return nil
	}
	old := t.state().Get(key)
	if old == nil {
		return t.undo().Put(uk, []byte{0})
	}
	return t.undo().Put(uk, append([]byte{1}, old...))
}

// clearUndo makes the transaction a sync point.
func (t *txn) clearUndo() error {
	if k, _ := t.undo().Cursor().First(); k == nil {
		return nil
	}
	if err := t.tx.DeleteBucket([]byte(bucketUndo)); err != nil {
		return err
	}
	_, err := t.tx.CreateBucket([]byte(bucketUndo))
	return err
}

// markSynced takes what is there now for the sync point. It runs on the writer.
func (d *DB) markSynced() {
	for p := range d.touched {
		p.mu.Lock()
		p.synced = synced{existed: !p.gone, prev: p.meta.prevIndex, last: p.tail.index}
		p.mu.Unlock()
	}
	clear(d.touched)
	d.unsynced = false
	if len(d.kept) > 0 || d.eraser.waiting() {
		clear(d.kept)
		d.erase()
	}
}

// undoAll goes back to the last sync point: the file is then as a power cut
// would have left it. Nothing else may use the file.
func (d *DB) undoAll() error {
	for _, id := range d.Partitions() {
		if err := d.checkPartition(d.lookup(id)); err != nil {
			return err
		}
	}
	steps := []func(*bolt.Tx) (more bool, err error){undoRemovals, undoAppends, undoEntries, undoStates}
	for _, step := range steps {
		for more := true; more; {
			err := d.update(func(tx *bolt.Tx) (err error) {
				more, err = step(tx)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return d.update(func(tx *bolt.Tx) error {
		if err := tx.DeleteBucket([]byte(bucketUndo)); err != nil {
			return err
		}
		_, err := tx.CreateBucket([]byte(bucketUndo))
		return err
	})
}

// eachUndo calls fn for the undo records of one kind.
func eachUndo(tx *bolt.Tx, kind byte, fn func(rest, value []byte) error) error {
	c := tx.Bucket([]byte(bucketUndo)).Cursor()
	for k, v := c.Seek([]byte{kind}); k != nil && k[0] == kind; k, v = c.Next() {
		if err := fn(k[1:], v); err != nil {
			return err
		}
	}
	return nil
}

// undoRemovals puts logs that were deleted or reset back under their names.
func undoRemovals(tx *bolt.Tx) (bool, error) {
	return false, eachUndo(tx, undoRemoved, func(rest, value []byte) error {
		id, err := parseID(rest)
		if err != nil {
			return err
		}
		name := bucketName(id)
		trash := tx.Bucket([]byte(bucketTrash)).Bucket(value)
		if trash == nil {
			return fmt.Errorf("%w: the removed log of %v is missing", ErrCorruptFile, id)
		}
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		if err := tx.MoveBucket(name, trash, nil); err != nil {
			return err
		}
		return tx.Bucket([]byte(bucketTrash)).DeleteBucket(value)
	})
}

// undoAppends removes entries that came after the sync point, a bounded number
// at a time.
func undoAppends(tx *bolt.Tx) (more bool, err error) {
	left := undoChunk
	err = eachUndo(tx, undoImage, func(rest, value []byte) error {
		id, err := parseID(rest)
		if err != nil {
			return err
		}
		image, err := parseImage(value)
		if err != nil {
			return err
		}
		name := bucketName(id)
		b := tx.Bucket(name)
		if b == nil {
			return nil
		}
		if !image.existed {
			return tx.DeleteBucket(name)
		}
		keys, err := keysAbove(b, image.last, left)
		if err != nil {
			return err
		}
		left -= len(keys)
		more = more || left == 0
		return deleteEntries(b, keys)
	})
	return more, err
}

// undoChunk is how many entries one transaction of undoAppends removes.
const undoChunk = 4096

// keysAbove are at most n keys of the entries above index, from the end down.
func keysAbove(b *bolt.Bucket, index uint64, n int) ([][]byte, error) {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.Last(); k != nil && len(keys) < n; k, _ = c.Prev() {
		i, err := entryIndex(k)
		if err != nil {
			return nil, err
		}
		if i <= index {
			break
		}
		keys = append(keys, bytes.Clone(k))
	}
	return keys, nil
}

// undoEntries puts deleted and overwritten entries back.
func undoEntries(tx *bolt.Tx) (bool, error) {
	return false, eachUndo(tx, undoEntry, func(rest, value []byte) error {
		if len(rest) != idBytes+8 {
			return fmt.Errorf("%w: undo key of %d bytes", ErrCorruptFile, len(rest))
		}
		id, err := parseID(rest[:idBytes])
		if err != nil {
			return err
		}
		b := tx.Bucket(bucketName(id))
		if b == nil {
			return fmt.Errorf("%w: the bucket of %v is missing", ErrCorruptFile, id)
		}
		index, err := entryIndex(rest[idBytes:])
		if err != nil {
			return err
		}
		s, err := parseStored(index, value)
		if err != nil {
			return err
		}
		if err := deleteEntry(b, rest[idBytes:]); err != nil {
			return err
		}
		_, err = putEntry(b, index, &s.header, s.data)
		return err
	})
}

// undoStates puts changed keys of the state bucket back.
func undoStates(tx *bolt.Tx) (bool, error) {
	state := tx.Bucket([]byte(bucketState))
	return false, eachUndo(tx, undoState, func(key, value []byte) error {
		if len(value) > 0 && value[0] == 1 {
			return state.Put(key, value[1:])
		}
		return state.Delete(key)
	})
}
