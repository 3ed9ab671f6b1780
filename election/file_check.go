package election

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/minikafka/minikafka/log"
)

// What a controller's file holds decides over all partitions, and raft panics
// where it cannot read it. So each value ends with a checksum of itself and its
// key, and opening checks them all: the log is short, as snapshots cut it.

// sealBytes is the length of the checksum.
const sealBytes = 4

func keySnapshotMeta() []byte { return []byte("meta") }
func keySnapshotData() []byte { return []byte("data") }

func checksum(key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, table), table, value)
}

// seal appends the checksum to the value.
func seal(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, checksum(key, value))
}

// unseal is the value without its checksum; log.ErrCorruptFile when that is
// wrong.
func unseal(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - sealBytes
	if n < 0 || binary.BigEndian.Uint32(sealed[n:]) != checksum(key, sealed[:n]) {
		return nil, fmt.Errorf("%w: the value of %q has a wrong checksum", log.ErrCorruptFile, key)
	}
	return sealed[:n], nil
}

// checkContents checks every value, and that the log has no holes. It tells
// the first and the last index of the log, 0 when it is empty.
func checkContents(tx *bolt.Tx) (first, last uint64, err error) {
	for _, name := range [][]byte{bucketLog(), bucketStable(), bucketSnapshot()} {
		b := tx.Bucket(name)
		if b == nil {
			return 0, 0, fmt.Errorf("%w: the bucket %s is missing", log.ErrCorruptFile, name)
		}
		err := b.ForEach(func(k, v []byte) error { _, err := unseal(k, v); return err })
		if err != nil {
			return 0, 0, err
		}
	}
	err = tx.Bucket(bucketLog()).ForEach(func(k, v []byte) error {
		i := index(k, nil)
		if len(v) < 10+sealBytes || v[0] != storedVersion || i == 0 || (last > 0 && i != last+1) {
			return fmt.Errorf("%w: entry %d after %d", log.ErrCorruptFile, i, last)
		}
		if first == 0 {
			first = i
		}
		last = i
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return first, last, checkSnapshot(tx.Bucket(bucketSnapshot()), first)
}

// checkSnapshot checks that a log that does not begin with 1 continues a
// snapshot.
func checkSnapshot(b *bolt.Bucket, first uint64) error {
	var meta raft.SnapshotMeta
	if v := b.Get(keySnapshotMeta()); v != nil {
		if err := json.Unmarshal(bytes.Clone(v[:len(v)-sealBytes]), &meta); err != nil {
			return fmt.Errorf("%w: snapshot: %w", log.ErrCorruptFile, err)
		}
	}
	if first > meta.Index+1 {
		return fmt.Errorf("%w: the log begins with entry %d, the snapshot ends with %d", log.ErrCorruptFile, first, meta.Index)
	}
	return nil
}
