package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"
)

// A damaged file can make bbolt recurse or loop for ever, or panic in a
// goroutine of its own, none of which can be recovered from. So the tree of
// pages is walked before bbolt does: all of it when the process that wrote the
// file has died (bbolt would walk it too, to find the free pages), and all but
// entries, with the first checkPages of those, when it was closed. The others are
// looked at when they are read (see treeCheck), and are ErrCorruptFile then.

const (
	// checkPages bounds the pages of entries looked at in a file that was closed,
	// so that opening does not grow with the log.
	checkPages = 1024
	// checkDepth is deeper than any tree that fits a file, checkNesting than our
	// buckets in buckets.
	checkDepth   = 64
	checkNesting = 8

	pageHeaderBytes  = 16
	pageElementBytes = 16
	pageBranch       = 0x01
	pageLeaf         = 0x02
	pageFreelist     = 0x10
	leafBucket       = 0x01
	boltMagic        = 0xED0CDAED
	boltVersion      = 2
	noFreelist       = ^uint64(0)
)

// CheckFile finds damage that bbolt would not survive, in any file of bbolt's: the
// error is ErrCorruptFile then, ErrInUse while another process writes to it. It
// holds the file's lock for reading. No file, or an empty one, is no error.
func CheckFile(path string) error {
	_, err := checkFile(path)
	return err
}

// checkFile is CheckFile. It tells whether it has looked at all pages.
func checkFile(path string) (whole bool, err error) {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case info.Size() == 0:
		return true, nil
	}
	var file *os.File
	err = guard(func() error {
		b, err := bolt.Open(path, 0o600, &bolt.Options{
			ReadOnly: true, Timeout: lockWait, NoStatistics: true,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := os.OpenFile(name, flag, mode)
				file = f
				return f, err
			},
		})
		if err != nil {
			return err
		}
		whole, err = checkPagesOf(file)
		return errors.Join(err, b.Close())
	})
	if errors.Is(err, ErrCorruptFile) && file != nil {
		_ = file.Close() // bbolt may have panicked before it closed it
	}
	return whole, openError(err)
}

// pageCheck walks the pages of a file.
type pageCheck struct {
	f        *os.File
	pageSize int64
	size     int64
	high     uint64 // the first page id that was never used
	seen     []uint64
	queue    []pageRef
	buffer   []byte // of the page that is looked at
}

// pageRef is a page that is to be looked at.
type pageRef struct {
	id    uint64
	depth int
	root  bool
	// nesting counts the buckets around it; entries says that one is of entries.
	nesting int
	entries bool
	// The page's keys are at or above least and below limit; nil is no bound.
	least, limit []byte
}

// damaged is an error at a page.
func damaged(id uint64, format string, args ...any) error {
	return fmt.Errorf("%w: page %d: %s", ErrCorruptFile, id, fmt.Sprintf(format, args...))
}

func checkPagesOf(f *os.File) (whole bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	c := &pageCheck{f: f, size: info.Size()}
	root, freelist, err := c.meta()
	if err != nil {
		return false, err
	}
	c.seen = make([]uint64, c.high/64+1)
	c.queue = []pageRef{{id: root, root: true}}
	var entries []pageRef // these come last
	for looked := 0; len(c.queue) > 0 || len(entries) > 0; {
		var next pageRef
		if len(c.queue) > 0 {
			next, c.queue = c.queue[0], c.queue[1:]
			if next.entries && freelist != noFreelist {
				entries = append(entries, next)
				continue
			}
		} else {
			next, entries = entries[0], entries[1:]
			if looked++; looked > checkPages {
				return false, c.checkFreelist(freelist)
			}
		}
		if err := c.page(next); err != nil {
			return false, err
		}
	}
	return true, c.checkFreelist(freelist)
}

// meta reads the newer of the valid meta pages.
func (c *pageCheck) meta() (root, freelist uint64, err error) {
	ne := binary.NativeEndian
	var newest uint64
	found := false
	try := func(at int64) (pageSize int64) {
		b := make([]byte, pageHeaderBytes+64)
		if _, err := c.f.ReadAt(b, at); err != nil {
			return 0
		}
		b = b[pageHeaderBytes:]
		if ne.Uint32(b) != boltMagic || ne.Uint32(b[4:]) != boltVersion || ne.Uint64(b[56:]) != fnv64(b[:56]) {
			return 0
		}
		if txid := ne.Uint64(b[48:]); !found || txid > newest {
			found, newest = true, txid
			c.pageSize, c.high = int64(ne.Uint32(b[8:])), ne.Uint64(b[40:])
			root, freelist = ne.Uint64(b[16:]), ne.Uint64(b[32:])
		}
		return int64(ne.Uint32(b[8:]))
	}
	if size := try(0); size > 0 {
		try(size)
	} else {
		for size := int64(1 << 10); size <= 1<<24 && !found; size <<= 1 {
			try(size)
		}
	}
	if !found || c.pageSize < 1<<9 || c.pageSize > 1<<24 || c.pageSize&(c.pageSize-1) != 0 {
		return 0, 0, fmt.Errorf("%w: no valid meta page", ErrCorruptFile)
	}
	if c.high > uint64(c.size/c.pageSize)+1 {
		return 0, 0, fmt.Errorf("%w: %d pages in a file of %d bytes", ErrCorruptFile, c.high, c.size)
	}
	return root, freelist, nil
}

// fnv64 is the hash of a meta page.
func fnv64(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, x := range b {
		h = (h ^ uint64(x)) * 1099511628211
	}
	return h
}

// page checks one page and queues what it refers to.
func (c *pageCheck) page(ref pageRef) error {
	b, flags, count, err := c.load(ref.id)
	if err != nil {
		return err
	}
	if ref.depth > checkDepth {
		return damaged(ref.id, "too deep")
	}
	switch {
	case flags == pageBranch && count > 0:
		return c.branch(ref, b, count)
	case flags == pageLeaf && (count > 0 || ref.root):
		return c.leaf(ref, b, count)
	}
	return damaged(ref.id, "flags %#x with %d elements", flags, count)
}

// load reads a page with all it overflows to, and marks it as used.
func (c *pageCheck) load(id uint64) (b []byte, flags, count uint16, err error) {
	ne := binary.NativeEndian
	if id < 2 || id >= c.high {
		return nil, 0, 0, damaged(id, "out of range")
	}
	if c.buffer == nil {
		c.buffer = make([]byte, c.pageSize)
	}
	b = c.buffer
	if _, err := c.f.ReadAt(b, int64(id)*c.pageSize); err != nil {
		return nil, 0, 0, damaged(id, "%v", err)
	}
	flags, count = ne.Uint16(b[8:]), ne.Uint16(b[10:])
	pages := uint64(ne.Uint32(b[12:])) + 1
	if ne.Uint64(b) != id || id+pages > c.high {
		return nil, 0, 0, damaged(id, "calls itself page %d of %d pages", ne.Uint64(b), pages)
	}
	for i := id; i < id+pages && c.seen != nil; i++ {
		if c.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, 0, 0, damaged(i, "used twice")
		}
		c.seen[i/64] |= 1 << (i % 64)
	}
	whole := int64(pages) * c.pageSize
	if int64(id)*c.pageSize+whole > c.size {
		return nil, 0, 0, damaged(id, "beyond the end of the file")
	}
	return b, flags, count, nil
}

// span is how many bytes a page has with its overflow.
func (c *pageCheck) span(b []byte) int64 {
	return (int64(binary.NativeEndian.Uint32(b[12:])) + 1) * c.pageSize
}

// elements reads the element table, which may reach beyond the first page.
func (c *pageCheck) elements(id uint64, b []byte, count uint16) ([]byte, error) {
	need := pageHeaderBytes + int(count)*pageElementBytes
	if int64(need) > c.span(b) {
		return nil, damaged(id, "%d elements", count)
	}
	if need > len(b) {
		b = make([]byte, need)
		if _, err := c.f.ReadAt(b, int64(id)*c.pageSize); err != nil {
			return nil, damaged(id, "%v", err)
		}
	}
	return b[pageHeaderBytes:need], nil
}

func (c *pageCheck) branch(ref pageRef, b []byte, count uint16) error {
	ne := binary.NativeEndian
	table, err := c.elements(ref.id, b, count)
	if err != nil {
		return err
	}
	order := keyOrder{ref: ref}
	for i := range int(count) {
		e := table[i*pageElementBytes:]
		pos, size := int64(ne.Uint32(e)), int64(ne.Uint32(e[4:]))
		at := pageHeaderBytes + int64(i*pageElementBytes) + pos
		if size == 0 || at+size > c.span(b) {
			return damaged(ref.id, "element %d", i)
		}
		key, err := c.key(ref.id, b, at, size)
		if err == nil {
			err = order.next(key)
		}
		if err != nil {
			return err
		}
		if i > 0 {
			c.queue[len(c.queue)-1].limit = key
		}
		c.queue = append(c.queue, pageRef{
			id: ne.Uint64(e[8:]), depth: ref.depth + 1, nesting: ref.nesting, entries: ref.entries, least: key, limit: ref.limit,
		})
	}
	return nil
}

// key reads a key, which may lie beyond the first page.
func (c *pageCheck) key(id uint64, b []byte, at, size int64) ([]byte, error) {
	if at+size <= int64(len(b)) {
		return bytes.Clone(b[at : at+size]), nil
	}
	key := make([]byte, size)
	if _, err := c.f.ReadAt(key, int64(id)*c.pageSize+at); err != nil {
		return nil, damaged(id, "%v", err)
	}
	return key, nil
}

// keyOrder checks that the keys of a page ascend, within its bounds. bbolt does
// so too when it looks for free pages, and panics in a way that nobody survives.
type keyOrder struct {
	ref  pageRef
	last []byte
}

func (o *keyOrder) next(key []byte) error {
	switch {
	case o.last == nil && bytes.Compare(key, o.ref.least) < 0,
		o.last != nil && bytes.Compare(key, o.last) <= 0,
		o.ref.limit != nil && bytes.Compare(key, o.ref.limit) >= 0:
		return damaged(o.ref.id, "key %x is out of order", key)
	}
	o.last = key
	return nil
}

func (c *pageCheck) leaf(ref pageRef, b []byte, count uint16) error {
	ne := binary.NativeEndian
	table, err := c.elements(ref.id, b, count)
	if err != nil {
		return err
	}
	order := keyOrder{ref: ref}
	for i := range int(count) {
		e := table[i*pageElementBytes:]
		flags, pos, ksize, vsize := ne.Uint32(e), int64(ne.Uint32(e[4:])), int64(ne.Uint32(e[8:])), int64(ne.Uint32(e[12:]))
		at := pageHeaderBytes + int64(i*pageElementBytes) + pos
		if ksize == 0 || at+ksize+vsize > c.span(b) || flags > leafBucket {
			return damaged(ref.id, "element %d", i)
		}
		key, err := c.key(ref.id, b, at, ksize)
		if err == nil {
			err = order.next(key)
		}
		if err != nil {
			return err
		}
		if flags != leafBucket {
			continue
		}
		if vsize > c.pageSize {
			return damaged(ref.id, "bucket of %d bytes", vsize)
		}
		value := make([]byte, vsize)
		if _, err := c.f.ReadAt(value, int64(ref.id)*c.pageSize+at+ksize); err != nil {
			return damaged(ref.id, "%v", err)
		}
		if err := c.bucket(ref, key, value); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the value of a bucket: a root page, or a page inside of it.
func (c *pageCheck) bucket(ref pageRef, name, value []byte) error {
	ne := binary.NativeEndian
	const header = 16
	if len(value) < header {
		return damaged(ref.id, "bucket of %d bytes", len(value))
	}
	if ref.nesting > checkNesting {
		return damaged(ref.id, "buckets in buckets")
	}
	if root := ne.Uint64(value); root != 0 {
		isEntries := ref.entries || len(name) == 1+idBytes && name[0] == bucketName(PartitionID{})[0]
		c.queue = append(c.queue, pageRef{id: root, root: true, nesting: ref.nesting + 1, entries: isEntries})
		return nil
	}
	page := value[header:]
	if len(page) < pageHeaderBytes || ne.Uint16(page[8:]) != pageLeaf {
		return damaged(ref.id, "inline bucket")
	}
	count := int(ne.Uint16(page[10:]))
	if pageHeaderBytes+count*pageElementBytes > len(page) {
		return damaged(ref.id, "inline bucket with %d elements", count)
	}
	for i := range count {
		e := page[pageHeaderBytes+i*pageElementBytes:]
		at := pageHeaderBytes + int64(i*pageElementBytes) + int64(ne.Uint32(e[4:]))
		ksize, vsize := int64(ne.Uint32(e[8:])), int64(ne.Uint32(e[12:]))
		if ne.Uint32(e) != 0 || ksize == 0 || at+ksize+vsize > int64(len(page)) {
			return damaged(ref.id, "element %d of an inline bucket", i)
		}
	}
	return nil
}

// checkFreelist checks that no page in use is said to be free.
func (c *pageCheck) checkFreelist(id uint64) error {
	if id == noFreelist {
		return nil
	}
	ne := binary.NativeEndian
	b, flags, count, err := c.load(id)
	if err != nil {
		return err
	}
	if flags != pageFreelist {
		return damaged(id, "flags %#x, not a freelist", flags)
	}
	span := c.span(b)
	if int64(len(b)) < span {
		b = make([]byte, span)
		if _, err := io.ReadFull(io.NewSectionReader(c.f, int64(id)*c.pageSize, span), b); err != nil {
			return damaged(id, "%v", err)
		}
	}
	ids := b[pageHeaderBytes:]
	n := uint64(count)
	if n == 0xffff {
		n = ne.Uint64(ids)
		ids = ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return damaged(id, "%d free pages", n)
	}
	last := uint64(1)
	for i := range n {
		free := ne.Uint64(ids[8*i:])
		if free <= last || free >= c.high || c.seen[free/64]&(1<<(free%64)) != 0 {
			return damaged(id, "free page %d", free)
		}
		last = free
	}
	return nil
}
