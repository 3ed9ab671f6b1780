package log

import (
	"sort"
	"sync/atomic"
)

// cacheOverhead is counted for each cached entry beside its bytes.
const cacheOverhead = headerBytes + 96

// cacheBudget bounds what the caches of one file hold together, but for
// cacheLeast of each.
const (
	cacheBudget = 64 << 20
	cacheLeast  = 64 << 10
)

// tailCache holds the newest entries of a log without gaps, as many as fit; the
// last one always. Its partition's lock guards it.
type tailCache struct {
	limit int
	bytes int
	// total counts the bytes of all caches of the file; over its budget each
	// keeps but a little.
	total *atomic.Int64
	head  int // entries[:head] were evicted
	// entries is only appended to and cut; what a reader has copied stays.
	entries []stored
}

func (c *tailCache) live() []stored { return c.entries[c.head:] }

// add appends entries that follow the last one, or starts over with them.
func (c *tailCache) add(entries []stored) {
	for _, e := range entries {
		c.entries = append(c.entries, e)
		c.count(len(e.data) + cacheOverhead)
	}
	limit := c.limit
	if c.total != nil && c.total.Load() > cacheBudget {
		limit = min(limit, cacheLeast)
	}
	for c.bytes > limit && c.head < len(c.entries)-1 {
		c.evict()
	}
	if c.head > 64 && c.head > len(c.entries)/2 {
		n := copy(c.entries, c.entries[c.head:])
		clear(c.entries[n:])
		c.entries, c.head = c.entries[:n], 0
	}
}

func (c *tailCache) evict() {
	e := &c.entries[c.head]
	c.count(-len(e.data) - cacheOverhead)
	*e = stored{}
	c.head++
}

// get returns the entry at index, or nil.
func (c *tailCache) get(index uint64) *stored {
	live := c.live()
	if len(live) == 0 || index < live[0].index || index > live[len(live)-1].index {
		return nil
	}
	return &live[index-live[0].index]
}

// truncate forgets the entries above index.
func (c *tailCache) truncate(index uint64) {
	for n := len(c.entries); n > c.head && c.entries[n-1].index > index; n = len(c.entries) {
		c.count(-len(c.entries[n-1].data) - cacheOverhead)
		c.entries[n-1] = stored{}
		c.entries = c.entries[:n-1]
	}
}

// trim forgets the entries up to and with index.
func (c *tailCache) trim(index uint64) {
	for c.head < len(c.entries) && c.entries[c.head].index <= index {
		c.evict()
	}
}

// replace puts another entry at the place of one that is cached.
func (c *tailCache) replace(e stored) {
	if old := c.get(e.index); old != nil {
		c.count(len(e.data) - len(old.data))
		*old = e
	}
}

func (c *tailCache) clear() {
	c.count(-c.bytes)
	c.entries, c.head = nil, 0
}

// count adds n bytes.
func (c *tailCache) count(n int) {
	c.bytes += n
	if c.total != nil {
		c.total.Add(int64(n))
	}
}

// from returns the cached entries from the one that contains offset on. ok is
// false when that one may not be cached.
func (c *tailCache) from(offset int64) (entries []stored, ok bool) {
	live := c.live()
	if len(live) == 0 || live[0].base > offset {
		return nil, false
	}
	return live[sort.Search(len(live), func(i int) bool { return live[i].last >= offset }):], true
}
