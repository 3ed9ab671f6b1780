package log

import (
	"bytes"
	"errors"
	"fmt"
)

// Entry returns the entry at index, or ErrNotFound. For Previous's index it
// answers a KindControl stub with its term. Its Data must not be changed. It
// goes on working (ErrNotFound) after the file is closed, and never panics.
func (p *Partition) Entry(index uint64) (Entry, error) {
	p.mu.RLock()
	s := p.cache.get(index)
	if s != nil {
		e := s.entry()
		p.mu.RUnlock()
		return e, nil
	}
	m, last := p.meta, p.tail.index
	p.mu.RUnlock()
	if e, ok := m.previous(index); ok {
		return e, nil
	}
	if index <= m.prevIndex || index > last {
		return Entry{}, ErrNotFound
	}
	var e Entry
	err := p.read(func(v *view) error {
		s, err := v.at(index)
		if err != nil {
			return err
		}
		e = s.entry()
		e.Data = bytes.Clone(e.Data)
		return nil
	})
	if errors.Is(err, ErrClosed) || errors.Is(err, ErrNotFound) {
		// The log start may have moved meanwhile, to just behind this entry.
		p.mu.RLock()
		m = p.meta
		p.mu.RUnlock()
		if e, ok := m.previous(index); ok {
			return e, nil
		}
		return Entry{}, ErrNotFound
	}
	return e, err
}

// previous is the stub of the entry before the first one, if index is its index.
func (m *meta) previous(index uint64) (Entry, bool) {
	if index != m.prevIndex || index == 0 {
		return Entry{}, false
	}
	return Entry{Index: index, Term: m.prevTerm, Kind: KindControl, Base: m.prevEnd, Last: m.prevEnd - 1}, true
}

// EndOffsetAt is the log end offset as of the entry at index: the offset that
// follows its last record. Served from memory for cached entries.
func (p *Partition) EndOffsetAt(index uint64) (int64, error) {
	p.mu.RLock()
	m, t := p.meta, p.tail
	s := p.cache.get(index)
	var end int64
	if s != nil {
		end = s.end()
	}
	p.mu.RUnlock()
	switch {
	case s != nil:
		return max(end, m.logStart), nil
	case index == t.index:
		return t.end, nil
	case index == m.prevIndex:
		return max(m.prevEnd, m.logStart), nil
	}
	e, err := p.Entry(index)
	return max(e.Last+1, m.logStart), err
}

// Read returns whole batches from the one that contains offset up to, not
// including, the batch that reaches beyond limit, at most maxBytes of them; the
// first is returned whole even when larger, if minOne. offset must lie in
// [start, end], else ErrOffsetOutOfRange. At or above limit the answer is
// empty. What compaction has emptied is skipped. The bytes are a copy, or
// immutable.
func (p *Partition) Read(offset, limit int64, maxBytes int, minOne bool) ([]byte, error) {
	return p.gather(offset, gatherer{limit: limit, left: maxBytes, minOne: minOne})
}

// ReadCut is Read, but where a later batch does not fit it is cut at maxBytes,
// as Kafka's slices of its files are. Clients drop what is cut.
func (p *Partition) ReadCut(offset, limit int64, maxBytes int, minOne bool) ([]byte, error) {
	return p.gather(offset, gatherer{limit: limit, left: maxBytes, minOne: minOne, cut: true})
}

func (p *Partition) gather(offset int64, g gatherer) ([]byte, error) {
	p.mu.RLock()
	start, end := p.meta.logStart, p.tail.end
	if offset < start || offset > end {
		p.mu.RUnlock()
		return nil, p.wrap(fmt.Errorf("%w: %d, log %d-%d", ErrOffsetOutOfRange, offset, start, end))
	}
	cached, ok := p.cache.from(offset)
	if ok {
		for i := range cached {
			if !g.take(&cached[i]) {
				break
			}
		}
	}
	p.mu.RUnlock()
	if ok || offset >= g.limit || offset == end {
		return g.bytes(), nil
	}
	err := p.read(func(v *view) error {
		first, err := v.findOffset(offset)
		if err != nil {
			return err
		}
		err = v.walk(first, func(s *stored) (bool, error) { return g.take(s), nil })
		if err == nil {
			g.copied = g.bytes()
			if len(g.batches) == 1 {
				g.copied = bytes.Clone(g.copied)
			}
		}
		return err
	})
	return g.copied, err
}

// gatherer collects batches within the limits of a read.
type gatherer struct {
	limit   int64
	left    int
	minOne  bool
	cut     bool // a batch that does not fit is cut
	batches [][]byte
	copied  []byte
}

// take adds the entry's batch; false ends the read.
func (g *gatherer) take(s *stored) bool {
	if s.last >= g.limit {
		return false
	}
	if !s.served() {
		return true
	}
	if len(s.data) > g.left && (len(g.batches) > 0 || !g.minOne) {
		if g.cut && g.left > 0 && len(g.batches) > 0 {
			g.batches = append(g.batches, s.data[:g.left])
		}
		return false
	}
	g.batches = append(g.batches, s.data)
	g.left -= len(s.data)
	return true
}

// bytes joins what was taken; a single batch is not copied.
func (g *gatherer) bytes() []byte {
	if len(g.batches) == 1 {
		return g.batches[0]
	}
	return bytes.Join(g.batches, nil)
}

// BytesAvailable is how many bytes of batches lie in [offset, limit), counted up
// to most.
func (p *Partition) BytesAvailable(offset, limit int64, most int) int {
	if offset >= limit {
		return 0
	}
	n := 0
	count := func(s *stored) bool {
		if s.last >= limit || n >= most {
			return false
		}
		if s.served() {
			n += len(s.data)
		}
		return true
	}
	p.mu.RLock()
	cached, ok := p.cache.from(offset)
	for i := range cached {
		if !count(&cached[i]) {
			break
		}
	}
	p.mu.RUnlock()
	if !ok {
		n = 0
		_ = p.read(func(v *view) error {
			first, err := v.findOffset(offset)
			if err != nil {
				return err
			}
			return v.walk(first, func(s *stored) (bool, error) { return count(s), nil })
		})
	}
	return min(n, most)
}
