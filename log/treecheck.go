package log

import (
	"bytes"
	"encoding/binary"
	"math"

	bolt "go.etcd.io/bbolt"
)

// treeCheck looks at pages of a bucket before bbolt does, in a file of which
// opening has looked at a part only. Pages that were written since are sound, and
// looked at all the same. It is good for one transaction; nil checks nothing.
type treeCheck struct {
	pages pageCheck
	root  uint64
}

// treeCheck is nil when all of the file was checked at opening, or the bucket has
// no pages of its own.
func (d *DB) treeCheck(b *bolt.Bucket) *treeCheck {
	if !d.unchecked || b.Root() == 0 {
		return nil
	}
	pageSize := int64(b.Tx().DB().Info().PageSize)
	return &treeCheck{
		pages: pageCheck{f: d.file, pageSize: pageSize, size: math.MaxInt64, high: uint64(b.Tx().Size() / pageSize)},
		root:  uint64(b.Root()),
	}
}

// lookAtAll is after how many looks into a log all of its pages are looked at:
// that costs less then than going on, 2 s for 1 GB of batches of 1 kB, and 0.05 s
// where each has pages of its own.
const lookAtAll = 64

// treeCheck is what a reader of the log has to look with; nil for nothing.
func (p *Partition) treeCheck(b *bolt.Bucket) (*treeCheck, error) {
	if !p.db.unchecked || p.sound.Load() {
		return nil, nil
	}
	c := p.db.treeCheck(b)
	if p.looks.Add(1) < lookAtAll {
		return c, c.edges()
	}
	err := c.all()
	p.sound.Store(err == nil)
	return nil, err
}

// to looks at the pages that lead to a key. What lies below limit (nil: all that
// follows) is on the same page. A way that does not end is damage.
func (c *treeCheck) to(key []byte) (limit []byte, err error) {
	if c == nil {
		return nil, nil
	}
	return c.pages.path(c.root, key)
}

func (c *pageCheck) path(root uint64, key []byte) (limit []byte, err error) {
	next := pageRef{id: root, root: true}
	for {
		c.queue = c.queue[:0]
		if err := c.page(next); err != nil {
			return nil, err
		}
		if binary.NativeEndian.Uint16(c.buffer[8:]) == pageLeaf {
			return next.limit, nil
		}
		next = c.queue[0]
		for _, child := range c.queue[1:] { // as bbolt chooses
			if bytes.Compare(child.least, key) > 0 {
				break
			}
			next = child
		}
	}
}

// own looks at the pages of a large entry that a cursor of the bucket has found.
func (c *treeCheck) own(b *bolt.Bucket, k, value []byte) error {
	if c == nil || k == nil || value != nil {
		return nil
	}
	own := b.Bucket(k)
	if own == nil {
		return damaged(c.root, "key %x is neither a value nor a bucket", k)
	}
	_, err := c.pages.path(uint64(own.Root()), []byte(keyHeader))
	return err
}

// edges looks at the ways to the first and to the last entry.
func (c *treeCheck) edges() error {
	if c == nil {
		return nil
	}
	if _, err := c.to(entryKey(0)); err != nil {
		return err
	}
	_, err := c.to(entryKey(math.MaxUint64))
	return err
}

// all looks at all pages.
func (c *treeCheck) all() error {
	if c == nil {
		return nil
	}
	c.pages.seen = make([]uint64, c.pages.high/64+1)
	defer func() { c.pages.seen = nil }()
	c.pages.queue = []pageRef{{id: c.root, root: true}}
	for len(c.pages.queue) > 0 {
		next := c.pages.queue[0]
		c.pages.queue = c.pages.queue[1:]
		if err := c.pages.page(next); err != nil {
			return err
		}
	}
	return nil
}

// checkPartition looks at all pages of a partition's entries.
func (d *DB) checkPartition(p *Partition) error {
	if p == nil || !d.unchecked || p.sound.Load() {
		return nil
	}
	err := d.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(p.name)
		if b == nil {
			return nil // deleted
		}
		return d.treeCheck(b).all()
	})
	p.sound.Store(err == nil)
	return err
}

// checkTrash looks at all pages of the logs that were deleted.
func (d *DB) checkTrash() error {
	if !d.unchecked {
		return nil
	}
	return d.view(func(tx *bolt.Tx) error {
		trash := tx.Bucket([]byte(bucketTrash))
		return trash.ForEachBucket(func(k []byte) error { return d.treeCheck(trash.Bucket(k)).all() })
	})
}
