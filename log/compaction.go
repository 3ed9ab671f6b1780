package log

import (
	"fmt"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Compaction says how a compacted log is cleaned.
type Compaction struct {
	Now             time.Time
	MinDirtyRatio   float64
	MinLagMs        int64
	MaxLagMs        int64 // not positive: none
	DeleteRetention int64 // ms tombstones are kept
	SegmentBytes    int64
	SegmentMs       int64
	Bound           int64 // never at or above (high watermark / last stable offset)
}

const (
	// compactKeys bounds the keys that one pass keeps in memory, as Kafka's
	// dedupe buffer does; the rest of the log is left to the next pass.
	compactKeys = 1 << 20
	// compactChunk and compactChunkBytes bound how much is read or written in
	// one transaction.
	compactChunk      = 256
	compactChunkBytes = 2 << 20
)

// Compact keeps the last value of each key below Bound (Cleaner): batches are
// rewritten without the superseded records (offsets kept), emptied ones become
// stubs. Records of aborted transactions go, markers once their transaction's
// records are gone, tombstones and markers DeleteRetention after the pass that
// found them so. The active segment is left alone, and so is a log that is not
// dirty enough. It reports whether anything changed.
func (p *Partition) Compact(c Compaction) (changed bool, err error) {
	pass, err := p.planCompaction(&c)
	if err != nil || pass == nil {
		return false, err
	}
	if err := pass.collectKeys(); err != nil {
		return false, err
	}
	return pass.rewrite()
}

// compaction is one pass over a log.
type compaction struct {
	p                     *Partition
	c                     *Compaction
	generation            uint64
	firstDirty, uncleaned int64 // the offsets between which keys are collected
	aborted               []AbortedTxn
	offsets               map[string]int64 // newest offset of each key
	end                   int64            // up to here all keys are known
	lastOf                map[int64]producer

	batch   []*stored // rewritten, waiting for their transaction
	forget  []int64   // markers of aborted transactions without records, too
	bytes   int
	changed bool
}

// planCompaction decides whether the log is to be cleaned, and up to where
// (LogCleanerManager.cleanableOffsets, grabFilthiestCompactedLog); nil when not.
func (p *Partition) planCompaction(c *Compaction) (*compaction, error) {
	p.mu.RLock()
	m, end, generation := p.meta, p.tail.end, p.generation
	p.mu.RUnlock()
	firstDirty := m.cleanedTo
	if firstDirty < m.logStart || firstDirty > end {
		firstDirty = m.logStart
	}
	dirt := dirtyPart{c: c, uncleaned: firstDirty, oldest: math.MaxInt64}
	var cleanBytes int64
	err := p.read(func(v *view) error {
		first, err := v.find(v.first, func(s *stored) bool { return s.last >= firstDirty })
		if err != nil {
			return err
		}
		if cleanBytes, err = v.servedUpTo(first, &m); err != nil {
			return err
		}
		return v.segments(first, end, &m, segmentRules{bytes: c.SegmentBytes, ms: c.SegmentMs}, dirt.add)
	})
	if err != nil || !dirt.enough(cleanBytes) {
		return nil, err
	}
	return &compaction{
		p: p, c: c, generation: generation, firstDirty: firstDirty, uncleaned: dirt.uncleaned,
		offsets: map[string]int64{}, aborted: p.AbortedTxns(m.logStart, dirt.uncleaned),
	}, nil
}

// dirtyPart adds up the segments that were not compacted yet.
type dirtyPart struct {
	c         *Compaction
	uncleaned int64 // up to here they may be
	bytes     int64
	oldest    int64 // first timestamp of all but the active one
	stopped   bool
}

func (d *dirtyPart) add(s *segment) bool {
	if s.active {
		return false
	}
	if s.firstTimestamp > 0 {
		d.oldest = min(d.oldest, s.firstTimestamp)
	}
	young := d.c.MinLagMs > 0 && s.age() > d.c.Now.UnixMilli()-d.c.MinLagMs
	d.stopped = d.stopped || s.end > d.c.Bound || young
	if !d.stopped {
		d.uncleaned, d.bytes = s.end, d.bytes+s.bytes
	}
	return true
}

// enough tells whether the log is dirty enough, or dirty for too long.
func (d *dirtyPart) enough(cleanBytes int64) bool {
	if d.bytes == 0 {
		return false
	}
	if d.c.MaxLagMs > 0 && d.oldest < d.c.Now.UnixMilli()-d.c.MaxLagMs {
		return true
	}
	return float64(d.bytes)/float64(cleanBytes+d.bytes) > d.c.MinDirtyRatio
}

// servedUpTo is how many bytes the batches before the entry at index have.
func (v *view) servedUpTo(index uint64, m *meta) (int64, error) {
	if index <= v.first {
		return 0, nil
	}
	if m.saved == 0 {
		s, err := v.at(index - 1)
		return s.bytes - m.prevBytes, err
	}
	n := int64(0)
	err := v.walk(v.first, func(s *stored) (bool, error) {
		if s.index < index {
			n += int64(s.servedBytes())
		}
		return s.index < index, nil
	})
	return n, err
}

// each calls fn with copies of the batches that hold offsets from one offset up
// to, not including, another, in transactions of bounded length.
func (k *compaction) each(from, to int64, fn func(*stored) error) error {
	index, done := uint64(0), false
	for !done {
		var chunk []*stored
		err := k.p.read(func(v *view) error {
			if index == 0 {
				var err error
				if index, err = v.findOffset(from); err != nil {
					return err
				}
			}
			size, n := 0, 0
			done = true
			return v.walk(index, func(s *stored) (bool, error) {
				if s.last >= to {
					return false, nil
				}
				if n++; n > compactChunk || size > compactChunkBytes {
					done = false
					return false, nil
				}
				index = s.index + 1
				if s.served() {
					chunk = append(chunk, s.clone())
					size += len(s.data)
				}
				return true, nil
			})
		})
		if err != nil {
			return err
		}
		for _, s := range chunk {
			if err := fn(s); err != nil {
				return k.p.wrap(fmt.Errorf("entry %d: %w", s.index, err))
			}
		}
	}
	return nil
}

// collectKeys notes the newest offset of each key in the dirty part
// (Cleaner.buildOffsetMap).
func (k *compaction) collectKeys() error {
	k.end = k.uncleaned
	txns := newCleanedTxns(k.aborted)
	full := false
	return k.each(k.firstDirty, k.uncleaned, func(s *stored) error {
		b := readBatch(s.data)
		if full {
			return nil
		}
		if b.Control() {
			_, err := txns.control(&b)
			return err
		}
		if txns.data(&b) {
			return nil
		}
		records, err := Records(b, 0)
		if err != nil {
			return err
		}
		if len(k.offsets)+len(records) > compactKeys && len(k.offsets) > 0 {
			full, k.end = true, s.base
			return nil
		}
		for i := range records {
			if r := &records[i]; r.Key != nil && r.Offset >= k.firstDirty {
				k.offsets[string(r.Key)] = r.Offset
			}
		}
		return nil
	})
}

// rewrite cleans the log up to where all keys are known (Cleaner.cleanSegments).
func (k *compaction) rewrite() (changed bool, err error) {
	k.p.mu.RLock()
	k.lastOf = k.p.producers.Clone().byID
	start := k.p.meta.logStart
	k.p.mu.RUnlock()
	txns := newCleanedTxns(k.aborted)
	err = k.each(start, k.end, func(s *stored) error {
		out, err := k.clean(s, txns)
		if err != nil || out == nil {
			return err
		}
		k.batch = append(k.batch, out)
		k.bytes += len(out.data)
		if len(k.batch) >= compactChunk || k.bytes >= compactChunkBytes {
			return k.flush(false)
		}
		return nil
	})
	if err == nil {
		err = k.flush(true)
	}
	return k.changed, err
}

// flush writes the rewritten entries, and at last how far the log is clean.
func (k *compaction) flush(last bool) error {
	p, batch, forget := k.p, k.batch, k.forget
	k.batch, k.bytes, k.forget = nil, 0, nil
	size := 0
	for _, s := range batch {
		size += len(s.data)
	}
	err := p.db.w.submit(&request{low: true, bytes: size, run: func(t *txn) error { return k.write(t, batch, forget, last) }})
	if err != nil {
		return p.wrap(err)
	}
	return nil
}

func (k *compaction) write(t *txn, batch []*stored, forget []int64, last bool) error {
	d, err := t.draft(k.p)
	if err != nil {
		return err
	}
	k.p.mu.RLock()
	void := k.p.generation != k.generation
	k.p.mu.RUnlock()
	if void {
		return fmt.Errorf("%w: the log was truncated while it was compacted", ErrNotFound)
	}
	if err := t.touch(d); err != nil {
		return err
	}
	b, err := t.bucket(d)
	if err != nil {
		return err
	}
	t.setMeta(d)
	for _, s := range batch {
		if err := t.replace(d, b, s); err != nil {
			return err
		}
	}
	if last {
		d.meta.cleanedTo = k.end
	}
	if err := t.forgetTxns(d, func(a *abortedTxn) bool { return slices.Contains(forget, a.last) }); err != nil {
		return err
	}
	d.publish = append(d.publish, func() { k.changed = k.changed || len(batch) > 0 })
	return nil
}

// replace puts a rewritten entry in its place, unless it was trimmed meanwhile.
func (t *txn) replace(d *draft, b *bolt.Bucket, s *stored) error {
	if s.index <= d.meta.prevIndex {
		return nil
	}
	was, ok, err := getStored(b, s.index)
	if err == nil && !ok {
		err = fmt.Errorf("%w: entry %d is missing", ErrCorruptFile, s.index)
	}
	if err != nil {
		return err
	}
	if err := t.saveEntry(d, &was); err != nil {
		return err
	}
	d.meta.saved += int64(was.servedBytes() - s.servedBytes())
	if err := deleteEntry(b, entryKey(s.index)); err != nil {
		return err
	}
	if _, err := putEntry(b, s.index, &s.header, s.data); err != nil {
		return err
	}
	d.publish = append(d.publish, func() { d.p.cache.replace(*s) })
	return nil
}
