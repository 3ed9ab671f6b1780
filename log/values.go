package log

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A small entry is one value: its header and its batch. A large one is a bucket
// of its own under its key, with the header and the batch as two values. bbolt
// keeps at least two values in a leaf and rewrites the last leaf with each
// append, so as a value a large batch would be written some three times over; the
// pages of a bucket are written once, and freed without being read.
const (
	// largeBytes is from what length on a batch has a bucket: about the length
	// from which it would have pages of its own anyway.
	largeBytes = 4000
	keyHeader  = "h"
	keyBatch   = "r" // Behind the header: what looks for one touches one page.
)

// putEntry stores an entry that is not there yet, and returns its batch as it is
// to be kept in memory: of a large one data itself, which must not be changed
// any more, else a copy.
func putEntry(b *bolt.Bucket, index uint64, h *header, data []byte) ([]byte, error) {
	head := make([]byte, headerBytes, headerBytes+min(len(data), largeBytes))
	h.put(head)
	if len(data) < largeBytes {
		value := append(head, data...)
		return value[headerBytes:len(value):len(value)], b.Put(entryKey(index), value)
	}
	own, err := b.CreateBucket(entryKey(index))
	if err != nil {
		return nil, err
	}
	// Two values in order fill the page, and are never split.
	if err := own.Put([]byte(keyHeader), head); err != nil {
		return nil, err
	}
	return data, own.Put([]byte(keyBatch), data)
}

// storedAt reads the entry under a key that a cursor of the bucket has found. Its
// data is valid until the transaction ends.
func storedAt(b *bolt.Bucket, k, value []byte) (stored, error) {
	index, err := entryIndex(k)
	if err != nil {
		return stored{}, err
	}
	if value != nil {
		return parseStored(index, value)
	}
	own := b.Bucket(k)
	if own == nil {
		return stored{}, fmt.Errorf("%w: entry %d is neither a value nor a bucket", ErrCorruptFile, index)
	}
	head, data := own.Get([]byte(keyHeader)), own.Get([]byte(keyBatch))
	if len(head) != headerBytes || data == nil {
		return stored{}, fmt.Errorf("%w: entry %d has a header of %d bytes", ErrCorruptFile, index, len(head))
	}
	s, err := parseStored(index, head)
	s.data = data[:len(data):len(data)]
	return s, err
}

// getStored reads the entry at index; false when it is not there.
func getStored(b *bolt.Bucket, index uint64) (stored, bool, error) {
	key := entryKey(index)
	k, value := b.Cursor().Seek(key)
	if !bytes.Equal(k, key) {
		return stored{}, false, nil
	}
	s, err := storedAt(b, k, value)
	return s, err == nil, err
}

// deleteEntry removes an entry; one that is not there is no error.
func deleteEntry(b *bolt.Bucket, key []byte) error {
	err := b.Delete(key)
	if errors.Is(err, bolterrors.ErrIncompatibleValue) {
		return b.DeleteBucket(key)
	}
	return err
}

func deleteEntries(b *bolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := deleteEntry(b, k); err != nil {
			return err
		}
	}
	return nil
}

// encode is the entry as one value, as the undo bucket holds it.
func (s *stored) encode() []byte {
	value := make([]byte, headerBytes, headerBytes+len(s.data))
	s.put(value)
	return append(value, s.data...)
}
