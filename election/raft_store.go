package election

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/minikafka/minikafka/log"
)

const (
	fileFormat = "2" // 1 had no checksums
	// lockTimeout is how long opening waits for another process to close the
	// file; bbolt looks twice a tenth of a second.
	lockTimeout = time.Millisecond
)

// errNoKey is worded as raft expects of a stable store.
var errNoKey = errors.New("not found")

// errStoreClosed is what a closed store answers.
var errStoreClosed = errors.New("election: the controller's file is closed")

// The buckets of a controller's file. bucketLog: raft index, big-endian, to an
// entry; bucketStable: raft's own values; bucketSnapshot: the newest snapshot.
func bucketMeta() []byte     { return []byte("meta") }
func bucketLog() []byte      { return []byte("log") }
func bucketStable() []byte   { return []byte("stable") }
func bucketSnapshot() []byte { return []byte("snapshot") }

// store is one controller's bbolt file: raft's log, its term and vote, and the
// newest snapshot. Writes are not synced one by one: a process's death loses
// nothing, and a power cut is staged as if they were, as Kafka's metadata log
// syncs what it writes. Closing syncs.
//
// It goes on answering after close, with ErrLogNotFound and errors: a goroutine
// of raft's reads it now and then.
type store struct {
	mu          sync.RWMutex
	db          *bolt.DB // nil when closed
	first, last uint64
}

// openStore opens or creates the file. fresh tells that it was created. All of it
// is checked, so that what is damaged is found here (log.ErrCorruptFile) and not
// by raft, which panics.
func openStore(path string) (s *store, fresh bool, err error) {
	if err := log.CheckFile(path); err != nil {
		return nil, false, fmt.Errorf("election: open %s: %w", path, err)
	}
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("election: open %s: %w: %v", path, log.ErrCorruptFile, p)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: lockTimeout, NoSync: true, NoGrowSync: true, NoFreelistSync: true,
		FreelistType: bolt.FreelistMapType,
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, false, fmt.Errorf("%w: %s", log.ErrInUse, path)
	case err != nil:
		return nil, false, fmt.Errorf("election: open %s: %w", path, err)
	}
	s = &store{db: db}
	if err := db.Update(func(tx *bolt.Tx) error { fresh, err = format(tx, path); return err }); err != nil {
		_ = db.Close()
		return nil, false, err
	}
	err = db.View(func(tx *bolt.Tx) (err error) {
		s.first, s.last, err = checkContents(tx)
		return err
	})
	if err != nil {
		_ = db.Close()
		return nil, false, fmt.Errorf("election: open %s: %w", path, err)
	}
	return s, fresh, nil
}

// format checks the format, and writes it into an empty file.
func format(tx *bolt.Tx, path string) (fresh bool, err error) {
	meta := tx.Bucket(bucketMeta())
	if meta != nil {
		if got := meta.Get([]byte("format")); string(got) != fileFormat {
			return false, fmt.Errorf("%w: %s has format %q, this version reads %s", log.ErrFormat, path, got, fileFormat)
		}
		if meta.Get([]byte("controller")) == nil {
			return false, fmt.Errorf("%w: %s is not a controller's file", log.ErrFormat, path)
		}
		return false, nil
	}
	if k, _ := tx.Cursor().First(); k != nil {
		return false, fmt.Errorf("%w: %s", log.ErrFormat, path)
	}
	for _, name := range [][]byte{bucketMeta(), bucketLog(), bucketStable(), bucketSnapshot()} {
		if _, err := tx.CreateBucket(name); err != nil {
			return false, err
		}
	}
	meta = tx.Bucket(bucketMeta())
	return true, errors.Join(meta.Put([]byte("format"), []byte(fileFormat)), meta.Put([]byte("controller"), []byte{1}))
}

// close syncs the file, unless the node crashes, and closes it.
func (s *store) close(sync bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	var err error
	if sync {
		err = s.db.Sync()
	}
	err = errors.Join(err, s.db.Close())
	s.db = nil
	return err
}

func (s *store) view(fn func(*bolt.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errStoreClosed
	}
	return s.db.View(fn)
}

// update runs a write; then is run under the same lock when it went through.
func (s *store) update(fn func(*bolt.Tx) error, then func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return errStoreClosed
	}
	if err := s.db.Update(fn); err != nil {
		return err
	}
	then()
	return nil
}

func index(key, _ []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

func indexKey(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

// FirstIndex is 0 when the log is empty.
func (s *store) FirstIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.first, nil
}

// LastIndex is 0 when the log is empty.
func (s *store) LastIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last, nil
}

// An entry in the file: version, type, term, data.
const storedVersion = 1

// GetLog reads an entry.
func (s *store) GetLog(i uint64, l *raft.Log) error {
	err := s.view(func(tx *bolt.Tx) error {
		key := indexKey(i)
		v, err := unseal(key, tx.Bucket(bucketLog()).Get(key))
		if err != nil || len(v) < 10 || v[0] != storedVersion {
			return raft.ErrLogNotFound
		}
		*l = raft.Log{
			Index: i, Type: raft.LogType(v[1]), Term: binary.BigEndian.Uint64(v[2:]), Data: bytes.Clone(v[10:]),
		}
		return nil
	})
	if errors.Is(err, errStoreClosed) {
		return raft.ErrLogNotFound
	}
	return err
}

// StoreLog stores one entry.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries in one transaction.
func (s *store) StoreLogs(entries []*raft.Log) error {
	return s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLog())
		b.FillPercent = 1 // The log grows at its end.
		for _, l := range entries {
			key := indexKey(l.Index)
			v := make([]byte, 0, 10+len(l.Data)+sealBytes)
			v = append(v, storedVersion, byte(l.Type))
			v = binary.BigEndian.AppendUint64(v, l.Term)
			if err := b.Put(key, seal(key, append(v, l.Data...))); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		if s.first == 0 {
			s.first = entries[0].Index
		}
		s.last = entries[len(entries)-1].Index
	})
}

// DeleteRange deletes the entries from first to last.
func (s *store) DeleteRange(first, last uint64) error {
	var left, right uint64
	return s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLog())
		c := b.Cursor()
		var keys [][]byte
		for k, _ := c.Seek(indexKey(first)); k != nil && index(k, nil) <= last; k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		left, right = index(c.First()), index(c.Last())
		return nil
	}, func() { s.first, s.last = left, right })
}

// Set stores a value of raft's.
func (s *store) Set(key, value []byte) error {
	return s.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketStable()).Put(key, seal(key, bytes.Clone(value))) }, func() {})
}

// Get reads a value of raft's; the error of an absent one says "not found".
func (s *store) Get(key []byte) (value []byte, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketStable()).Get(key)
		if v == nil {
			return errNoKey
		}
		v, err := unseal(key, v)
		value = bytes.Clone(v)
		return err
	})
	return value, err
}

// SetUint64 stores a number of raft's.
func (s *store) SetUint64(key []byte, n uint64) error { return s.Set(key, indexKey(n)) }

// GetUint64 reads a number of raft's.
func (s *store) GetUint64(key []byte) (uint64, error) {
	v, err := s.Get(key)
	return index(v, nil), err
}

// snapshots is the raft.SnapshotStore in the same file: it keeps the newest.
type snapshots struct{ *store }

// Create begins a snapshot.
func (s snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	return &snapshotSink{store: s.store, meta: raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%d-%d", term, index), Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}}, nil
}

// List answers the snapshot there is, if any.
func (s snapshots) List() ([]*raft.SnapshotMeta, error) {
	meta, _, err := s.load()
	if err != nil || meta == nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{meta}, nil
}

// Open reads the snapshot.
func (s snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, data, err := s.load()
	if err != nil {
		return nil, nil, err
	}
	if meta == nil || meta.ID != id {
		return nil, nil, fmt.Errorf("election: no snapshot %s", id)
	}
	return meta, io.NopCloser(bytes.NewReader(data)), nil
}

func (s snapshots) load() (meta *raft.SnapshotMeta, data []byte, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSnapshot())
		if b.Get(keySnapshotMeta()) == nil {
			return nil
		}
		v, err := unseal(keySnapshotMeta(), b.Get(keySnapshotMeta()))
		if err != nil {
			return err
		}
		if data, err = unseal(keySnapshotData(), b.Get(keySnapshotData())); err != nil {
			return err
		}
		data = bytes.Clone(data)
		meta = &raft.SnapshotMeta{}
		return json.Unmarshal(v, meta)
	})
	return meta, data, err
}

// snapshotSink gathers a snapshot, and stores it whole when it is closed.
type snapshotSink struct {
	bytes.Buffer
	store *store
	meta  raft.SnapshotMeta
}

func (s *snapshotSink) ID() string    { return s.meta.ID }
func (s *snapshotSink) Cancel() error { return nil }

func (s *snapshotSink) Close() error {
	s.meta.Size = int64(s.Len())
	meta, err := json.Marshal(&s.meta)
	if err != nil {
		return err
	}
	return s.store.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSnapshot())
		return errors.Join(
			b.Put(keySnapshotMeta(), seal(keySnapshotMeta(), meta)),
			b.Put(keySnapshotData(), seal(keySnapshotData(), bytes.Clone(s.Bytes()))),
		)
	}, func() {})
}
