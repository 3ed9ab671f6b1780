package log

import (
	"bytes"
	"errors"
	"math"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// eraseChunk is how many entries a background step erases, eraseChunkBytes how
// many bytes of them at most (the pages of large ones are freed without being
// read); small enough that the appends it shares a commit with do not notice.
const (
	eraseChunk      = 256
	eraseChunkBytes = 16 << 20
)

// eraser removes trimmed prefixes and deleted logs from the file, behind
// appends. It has a goroutine only while there is something to erase.
type eraser struct {
	db *DB
	wg sync.WaitGroup

	mu      sync.Mutex // guards what follows
	running bool
	again   bool
	prefix  map[*Partition]struct{} // may have a prefix to erase
}

// erase starts erasing what the file has to erase.
func (d *DB) erase() { d.eraser.start(nil) }

// erasePrefix starts erasing the entries in front of the partition's first one.
func (d *DB) erasePrefix(p *Partition) { d.eraser.start(p) }

func (e *eraser) start(p *Partition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.prefix == nil {
		e.prefix = map[*Partition]struct{}{}
	}
	if p != nil {
		e.prefix[p] = struct{}{}
	}
	e.again = true
	if e.running {
		return
	}
	e.running = true
	e.wg.Add(1)
	go e.run()
}

// waiting tells whether prefixes wait for a sync.
func (e *eraser) waiting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.prefix) > 0
}

// wait returns when the goroutine has ended, after the writer was shut.
func (e *eraser) wait() { e.wg.Wait() }

// run erases step by step until nothing is left, or the file is closed, or a
// step fails (the next start tries again).
func (e *eraser) run() {
	defer e.wg.Done()
	for {
		e.mu.Lock()
		if !e.again {
			e.running = false
			e.mu.Unlock()
			return
		}
		e.again = false
		parts := make([]*Partition, 0, len(e.prefix))
		for p := range e.prefix {
			parts = append(parts, p)
		}
		e.mu.Unlock()
		err := e.round(parts)
		if err != nil {
			e.mu.Lock()
			e.running, e.again = false, false
			e.mu.Unlock()
			return
		}
	}
}

// round erases what the partitions have in front, and the trash.
func (e *eraser) round(parts []*Partition) error {
	for _, p := range parts {
		if err := e.db.checkPartition(p); err != nil {
			return err
		}
		if err := e.steps(func(t *txn) (bool, bool, error) { return t.erasePrefix(p) }); err != nil {
			return err
		}
		// What the last sync still needs is erased after the next one.
		p.mu.RLock()
		wait := !p.gone && p.synced.existed && p.synced.prev < min(p.meta.prevIndex, p.synced.last)
		p.mu.RUnlock()
		if !wait {
			e.mu.Lock()
			delete(e.prefix, p)
			e.mu.Unlock()
		}
	}
	if err := e.db.checkTrash(); err != nil {
		return err
	}
	return e.steps(func(t *txn) (bool, bool, error) { return t.eraseTrash() })
}

// steps repeats a step until it reports that nothing is left.
func (e *eraser) steps(step func(*txn) (more, changed bool, err error)) error {
	for more := true; more; {
		err := e.db.w.submit(&request{low: true, run: func(t *txn) error {
			var changed bool
			var err error
			more, changed, err = step(t)
			if changed {
				t.changes++
			}
			return err
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// erasePrefix erases entries in front of the partition's first one.
func (t *txn) erasePrefix(p *Partition) (more, changed bool, err error) {
	d, err := t.draft(p)
	if errors.Is(err, ErrClosed) {
		return false, false, nil // deleted
	}
	if err != nil {
		return false, false, err
	}
	b, err := t.bucket(d)
	if err != nil {
		return false, false, err
	}
	c := b.Cursor()
	k, v := c.First()
	upTo := d.meta.prevIndex
	if s := d.synced; s.existed && s.prev < s.last && !t.db.opts.SyncEveryAppend && k != nil {
		// What was there at the last sync stays until the next one.
		if i, err := entryIndex(k); err != nil {
			return false, false, err
		} else if i <= s.prev {
			upTo = min(upTo, s.prev)
		} else if i <= s.last {
			k, v = c.Seek(entryKey(s.last + 1))
		}
	}
	keys, err := collect(c, k, v, upTo)
	if err != nil {
		return false, false, err
	}
	return len(keys) > 0, len(keys) > 0, deleteEntries(b, keys)
}

// collect gathers a chunk of keys from k on, up to an index.
func collect(c *bolt.Cursor, k, v []byte, upTo uint64) ([][]byte, error) {
	var keys [][]byte
	size := 0
	for ; k != nil && len(keys) < eraseChunk && size < eraseChunkBytes; k, v = c.Next() {
		i, err := entryIndex(k)
		if err != nil {
			return nil, err
		}
		if i > upTo {
			break
		}
		keys = append(keys, bytes.Clone(k))
		s, err := storedAt(c.Bucket(), k, v)
		if err != nil {
			return nil, err
		}
		size += headerBytes + len(s.data)
	}
	return keys, nil
}

// eraseTrash erases a chunk of a log that was deleted, and that the last sync
// does not need.
func (t *txn) eraseTrash() (more, changed bool, err error) {
	trash := t.tx.Bucket([]byte(bucketTrash))
	c := trash.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n, err := entryIndex(k)
		if err != nil {
			return false, false, err
		}
		if _, kept := t.db.kept[n]; kept {
			continue
		}
		item := trash.Bucket(k)
		if item == nil {
			return false, false, ErrCorruptFile
		}
		name, _ := item.Cursor().First()
		b := item.Bucket(name)
		if b == nil {
			return true, true, trash.DeleteBucket(k)
		}
		bc := b.Cursor()
		ek, ev := bc.First()
		keys, err := collect(bc, ek, ev, math.MaxUint64)
		if err != nil {
			return false, false, err
		}
		if len(keys) > 0 {
			return true, true, deleteEntries(b, keys)
		}
		return true, true, trash.DeleteBucket(k)
	}
	return false, false, nil
}
