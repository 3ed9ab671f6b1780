package log

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The file's top-level buckets, beside one of entries for each partition, and
// the key of the format in the first.
const (
	bucketMeta  = "meta"
	bucketState = "state"
	bucketUndo  = "undo"
	bucketTrash = "trash"
	keyFormat   = "format"
)

// fileFormat is the value of meta/format. In 1 large batches were values, too.
const fileFormat = 2

// defaultCacheBytes is Options.CacheBytes when it is 0.
const defaultCacheBytes = 8 << 20

// Options say how a broker's file is kept.
type Options struct {
	// SyncEveryAppend makes each group commit wait for stable storage.
	SyncEveryAppend bool
	// CacheBytes bounds the newest entries each partition keeps in memory for
	// replication and tail reads; 0 means 8 MiB. All together keep at most
	// 64 MiB, but for the very newest of each.
	CacheBytes int
	// Now is the clock used for file bookkeeping only (never for records);
	// nil means time.Now.
	Now func() time.Time
	// BeforeCommit, when set, is called on the writer before each group commit
	// with the batch bytes it holds; an error fails the requests of that
	// commit. It is where slow, full and failing disks are staged. It holds no
	// lock and no transaction, but Close, Crash and PowerOff wait for it.
	BeforeCommit func(bytes int) error
	// BeforeSync, when set, is called on the writer before a commit that is to
	// reach stable storage; an error fails those that asked for that.
	// Errors of both come back wrapped in ErrDisk.
	BeforeSync func() error
}

// DB is one broker's file: the logs of all partitions it hosts, and a few
// values of the broker's own. Concurrent changes of all partitions share one
// bbolt transaction (group commit). All methods may be called concurrently.
//
// Unless Options.SyncEveryAppend is set, what is written is in the hands of the
// operating system and survives Crash; [DB.Sync] and [DB.Close] make it survive
// [DB.PowerOff] too.
type DB struct {
	opts Options
	bolt *bolt.DB
	file *os.File
	// broken says that bbolt has panicked in a way that may have left its locks
	// held: it is not called any more.
	broken atomic.Bool
	// cached is what all caches hold, in bytes.
	cached atomic.Int64
	w      writer

	mu    sync.Mutex // guards parts; never held over I/O
	parts map[PartitionID]*Partition

	// What the writer knows since the last sync: the partitions changed, the
	// trash that going back would need, and whether anything was written.
	touched  map[*Partition]struct{}
	kept     map[uint64]struct{}
	unsynced bool
	// unchecked is set when opening has not looked at all pages; see treeCheck.
	unchecked bool

	eraser eraser
}

// Open opens or creates the file. Its time grows with the number of partitions,
// not with their logs. A file that another process (or another DB) has open is
// ErrInUse, one of another format ErrFormat, a damaged one ErrCorruptFile.
func Open(path string, opts Options) (*DB, error) {
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &DB{
		opts:    opts,
		parts:   map[PartitionID]*Partition{},
		touched: map[*Partition]struct{}{},
		kept:    map[uint64]struct{}{},
	}
	d.w.commit = d.commit
	d.eraser.db = d
	if err := d.open(path); err != nil {
		return nil, fmt.Errorf("log: opening %s: %w", path, err)
	}
	return d, nil
}

func (d *DB) open(path string) error {
	b, file, whole, err := openBolt(path)
	if err != nil {
		return err
	}
	d.bolt, d.file, d.unchecked = b, file, !whole
	b.NoSync = !d.opts.SyncEveryAppend
	b.NoFreelistSync = true
	if err := d.load(); err != nil {
		_ = d.closeBolt()
		d.eraser.wait()
		return err
	}
	return nil
}

// load reads what is kept in memory, and takes up erasing where a former process
// has left it.
func (d *DB) load() error {
	if err := d.update(prepareFile); err != nil {
		return err
	}
	var prefixes []*Partition
	var trash bool
	err := d.view(func(tx *bolt.Tx) (err error) {
		prefixes, trash, err = d.loadPartitions(tx)
		return err
	})
	if err != nil {
		return err
	}
	if d.opts.SyncEveryAppend {
		err = d.Sync()
	}
	for _, p := range prefixes {
		d.erasePrefix(p)
	}
	if trash {
		d.erase()
	}
	return err
}

// prepareFile checks the format, or sets it in a new file.
func prepareFile(tx *bolt.Tx) error {
	m := tx.Bucket([]byte(bucketMeta))
	if m == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return fmt.Errorf("%w: it is a bbolt file of something else", ErrFormat)
		}
		m, err := tx.CreateBucket([]byte(bucketMeta))
		if err != nil {
			return err
		}
		if err := m.Put([]byte(keyFormat), []byte{fileFormat}); err != nil {
			return err
		}
	} else if v := m.Get([]byte(keyFormat)); len(v) != 1 || v[0] != fileFormat {
		return fmt.Errorf("%w: meta/format is %v, not %d", ErrFormat, v, fileFormat)
	}
	for _, name := range []string{bucketState, bucketUndo, bucketTrash} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for running changes, checkpoints, syncs and closes the file: a
// clean shutdown. A closed DB answers ErrClosed.
func (d *DB) Close() error {
	return d.shut(true, func() error {
		if err := d.finalCheckpoint(); err != nil {
			return err
		}
		return d.bolt.Sync()
	})
}

// Crash closes the file as the death of the process would: what was written
// stays; the high watermark above its checkpoint is gone, and requests that
// wait for their commit fail.
func (d *DB) Crash() error {
	return d.shut(false, func() error { return nil })
}

// PowerOff closes the file as a power cut would: everything after the last
// sync is undone, unsynced truncations included.
func (d *DB) PowerOff() error {
	return d.shut(false, d.undoAll)
}

// shut ends the writer, runs last alone with the file, and closes it.
func (d *DB) shut(drain bool, last func() error) error {
	var lastErr error
	err := d.w.shut(drain, func() {
		lastErr = guard(last)
		// The freelist is written only here: commits stay cheap, and opening
		// need not walk the pages to find it (see openBolt).
		d.bolt.NoFreelistSync = false
		freelist := d.update(func(*bolt.Tx) error { return nil })
		lastErr = errors.Join(lastErr, freelist, d.closeBolt())
	})
	if err == nil {
		err = lastErr
	}
	d.eraser.wait()
	return err
}

// Sync makes all that was written durable, and a point that PowerOff goes back
// to.
func (d *DB) Sync() error {
	return d.w.submit(&request{sync: true, run: func(*txn) error { return nil }})
}

// Size is the file's size in bytes; it does not shrink when logs are deleted.
func (d *DB) Size() int64 {
	var n int64
	_ = d.view(func(tx *bolt.Tx) error {
		n = tx.Size()
		return nil
	})
	return n
}
