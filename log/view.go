package log

import (
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"
)

// view reads the entries of one partition within one transaction of the file.
// Indexes are dense and offsets grow with them, so that everything is found by
// binary search over keys.
type view struct {
	c *bolt.Cursor
	// Entries from first to last are there; last is first-1 when none is.
	first, last uint64
	// check is not nil in a file that may be damaged; the entries from sound up to,
	// not including, soundTo are on a page that was looked at.
	check          *treeCheck
	sound, soundTo uint64
}

// read runs fn with a view of the entries that are published.
func (p *Partition) read(fn func(v *view) error) error {
	p.mu.RLock()
	first, last := p.meta.prevIndex+1, p.tail.index
	p.mu.RUnlock()
	if last < first {
		return fn(&view{first: first, last: first - 1})
	}
	err := p.db.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(p.name)
		if b == nil {
			return ErrNotFound
		}
		v, err := newView(p, b, first, last)
		if err != nil {
			return err
		}
		return fn(v)
	})
	if err != nil {
		return p.wrap(err)
	}
	return nil
}

// newView views what is there of the entries from first to last.
func newView(p *Partition, b *bolt.Bucket, first, last uint64) (*view, error) {
	check, err := p.treeCheck(b)
	if err != nil {
		return nil, err
	}
	v := &view{c: b.Cursor(), first: first, last: first - 1, check: check}
	if err := v.look(first); err != nil {
		return nil, err
	}
	k, _ := v.c.Last()
	if k == nil {
		return v, nil
	}
	i, err := entryIndex(k)
	if err != nil {
		return nil, err
	}
	// A truncation may have come between, or an append that is not published.
	v.last = max(min(i, last), first-1)
	if k, _ = v.c.Seek(entryKey(first)); k == nil {
		v.last = first - 1
		return v, nil
	}
	if i, err = entryIndex(k); err != nil {
		return nil, err
	}
	// A trim may have come between too.
	v.first = i
	v.last = max(v.last, v.first-1)
	return v, nil
}

// look has the way to the entry checked, where it must be.
func (v *view) look(index uint64) error {
	if v.check == nil || (index >= v.sound && index < v.soundTo) {
		return nil
	}
	limit, err := v.check.to(entryKey(index))
	if err != nil {
		return err
	}
	v.sound, v.soundTo = index, math.MaxUint64
	if limit != nil {
		v.soundTo, err = entryIndex(limit)
	}
	return err
}

// at is the entry at index; its data is valid until the transaction ends.
func (v *view) at(index uint64) (stored, error) {
	if index < v.first || index > v.last {
		return stored{}, ErrNotFound
	}
	if err := v.look(index); err != nil {
		return stored{}, err
	}
	k, value := v.c.Seek(entryKey(index))
	return v.parse(index, k, value)
}

// next is the entry after the one that was read last.
func (v *view) next(index uint64) (stored, error) {
	if index > v.last {
		return stored{}, ErrNotFound
	}
	if err := v.look(index); err != nil {
		return stored{}, err
	}
	k, value := v.c.Next()
	return v.parse(index, k, value)
}

func (v *view) parse(index uint64, k, value []byte) (stored, error) {
	if k == nil {
		return stored{}, fmt.Errorf("%w: entry %d is missing", ErrCorruptFile, index)
	}
	if i, err := entryIndex(k); err != nil || i != index {
		return stored{}, fmt.Errorf("%w: entry %d is missing", ErrCorruptFile, index)
	}
	if err := v.check.own(v.c.Bucket(), k, value); err != nil {
		return stored{}, err
	}
	return storedAt(v.c.Bucket(), k, value)
}

// find is the first index from first to last+1 for which is holds; from there
// on it must hold for all.
func (v *view) find(first uint64, is func(*stored) bool) (uint64, error) {
	low, high := max(first, v.first), v.last+1
	for low < high {
		middle := low + (high-low)/2
		s, err := v.at(middle)
		if err != nil {
			return 0, err
		}
		if is(&s) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// findOffset is the first index whose entry ends at or after the offset.
func (v *view) findOffset(offset int64) (uint64, error) {
	return v.find(v.first, func(s *stored) bool { return s.last >= offset })
}

// walk calls fn for the entries from index on, until it returns false.
func (v *view) walk(index uint64, fn func(*stored) (bool, error)) error {
	for i := max(index, v.first); i <= v.last; i++ {
		var s stored
		var err error
		if i == max(index, v.first) {
			s, err = v.at(i)
		} else {
			s, err = v.next(i)
		}
		if err != nil {
			return err
		}
		if more, err := fn(&s); err != nil || !more {
			return err
		}
	}
	return nil
}
