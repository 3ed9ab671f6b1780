package log

import (
	"bytes"
	"cmp"
	"math"
	"slices"
)

func (m *modelRun) verifyAll() {
	m.t.Helper()
	ids := m.d.Partitions()
	if len(ids) != len(m.logs) {
		m.fail("partitions %v, want %d", ids, len(m.logs))
	}
	for _, id := range ids {
		if m.logs[id] == nil {
			m.fail("partition %v should not be there", id)
		}
		p, err := m.d.Partition(id)
		m.check(err)
		m.verify(p, m.logs[id])
	}
}

func (m *modelRun) verify(p *Partition, l *modelLog) {
	m.t.Helper()
	if index, term := p.Previous(); index != l.prevIndex || term != l.prevTerm {
		m.fail("%v: previous (%d, %d), want (%d, %d)", p.ID(), index, term, l.prevIndex, l.prevTerm)
	}
	first, last := l.prevIndex+1, l.prevIndex+uint64(len(l.entries))
	if len(l.entries) == 0 {
		first, last = 0, 0
	}
	if p.FirstIndex() != first || p.LastIndex() != last {
		m.fail("%v: entries %d-%d, want %d-%d", p.ID(), p.FirstIndex(), p.LastIndex(), first, last)
	}
	if p.LogStartOffset() != l.logStart || p.LogEndOffset() != l.end() {
		m.fail("%v: offsets %d-%d, want %d-%d", p.ID(), p.LogStartOffset(), p.LogEndOffset(), l.logStart, l.end())
	}
	_, lastTerm := l.last()
	if want := max(l.term, lastTerm); p.Term() != want {
		m.fail("%v: term %d, want %d", p.ID(), p.Term(), want)
	}
	size := int64(0)
	for _, want := range l.entries {
		m.verifyEntry(p, want)
		if want.Kind == KindBatch {
			size += int64(len(want.Data))
		}
	}
	if p.Size() != size {
		m.fail("%v: size %d, want %d", p.ID(), p.Size(), size)
	}
	p.mu.RLock()
	epochs := p.epochs
	p.mu.RUnlock()
	if !slices.Equal(epochs, l.epochs) {
		m.fail("%v: epochs %v, want %v", p.ID(), epochs, l.epochs)
	}
	m.verifyReads(p, l)
	m.verifyProducers(p, l)
}

func (m *modelRun) verifyEntry(p *Partition, want Entry) {
	m.t.Helper()
	got, err := p.Entry(want.Index)
	m.check(err)
	if got.Term != want.Term || got.Kind != want.Kind || got.Base != want.Base || got.Last != want.Last || !bytes.Equal(got.Data, want.Data) {
		m.fail("%v: entry %d is (%d, %d, %d-%d), want (%d, %d, %d-%d)", p.ID(), want.Index,
			got.Term, got.Kind, got.Base, got.Last, want.Term, want.Kind, want.Base, want.Last)
	}
	end, err := p.EndOffsetAt(want.Index)
	m.check(err)
	if end != max(want.Last+1, p.LogStartOffset()) {
		m.fail("%v: end at %d is %d", p.ID(), want.Index, end)
	}
}

func (m *modelRun) verifyReads(p *Partition, l *modelLog) {
	m.t.Helper()
	for range 4 {
		offset := l.logStart + m.r.Int64N(l.end()-l.logStart+1)
		limit := offset + m.r.Int64N(50)
		most := m.r.IntN(3000)
		one := m.r.IntN(2) == 0
		var want, cut []byte // cut follows want where the batch that does not fit is cut
		available := 0
		full := false
		for _, e := range l.entries {
			if e.Kind != KindBatch || e.Last < offset {
				continue
			}
			if e.Last >= limit {
				break
			}
			available += len(e.Data)
			if len(want)+len(e.Data) > most && (len(want) > 0 || !one) {
				if !full && len(want) > 0 {
					cut = e.Data[:max(0, most-len(want))]
				}
				full = true
			}
			if !full {
				want = append(want, e.Data...)
			}
		}
		got, err := p.Read(offset, limit, most, one)
		m.check(err)
		if !bytes.Equal(got, want) {
			m.fail("%v: read %d-%d gave %d bytes, want %d", p.ID(), offset, limit, len(got), len(want))
		}
		got, err = p.ReadCut(offset, limit, most, one)
		m.check(err)
		if !bytes.Equal(got, slices.Concat(want, cut)) {
			m.fail("%v: cut read %d-%d gave %d bytes, want %d and %d", p.ID(), offset, limit, len(got), len(want), len(cut))
		}
		if got := p.BytesAvailable(offset, limit, most); got != min(available, most) {
			m.fail("%v: %d bytes available in %d-%d up to %d, want %d", p.ID(), got, offset, limit, most, available)
		}
	}
}

func (m *modelRun) verifyProducers(p *Partition, l *modelLog) {
	m.t.Helper()
	if got, want := p.Producers(), l.producers.List(); !slices.Equal(got, want) {
		m.fail("%v: producers\n%v, want\n%v", p.ID(), got, want)
	}
	p.mu.RLock()
	stored := p.producers.Clone()
	p.mu.RUnlock()
	for id, want := range l.producers.byID {
		got := stored.byID[id]
		if got.sent > want.sent || !slices.Equal(got.batches[:got.sent], want.batches[want.sent-got.sent:want.sent]) {
			m.fail("%v: batches of producer %d\n%v, want\n%v", p.ID(), id, got.batches[:got.sent], want.batches[:want.sent])
		}
	}
	if !slices.Equal(stored.ongoing, l.producers.ongoing) {
		m.fail("%v: ongoing %v, want %v", p.ID(), stored.ongoing, l.producers.ongoing)
	}
	hw := p.HighWatermark()
	most, least := l.unstable(max(hw, l.maxHW)), l.unstable(hw)
	got := p.FirstUnstableOffset()
	if got < 0 {
		got = math.MaxInt64
	}
	if got < least || got > most {
		m.fail("%v: first unstable %d, want %d-%d (high watermark %d, %v %v)", p.ID(), got, least, most, hw, l.producers.ongoing, l.producers.completed)
	}
	from := l.logStart + m.r.Int64N(l.end()-l.logStart+1)
	to := from + m.r.Int64N(40)
	var aborted []AbortedTxn
	for _, a := range l.aborted {
		if a.LastOffset >= from && a.FirstOffset < to {
			aborted = append(aborted, a)
		}
	}
	found := p.AbortedTxns(from, to)
	slices.SortFunc(found, func(a, b AbortedTxn) int { return cmp.Compare(a.LastOffset, b.LastOffset) })
	if !slices.Equal(found, aborted) {
		m.fail("%v: aborted in %d-%d %v, want %v", p.ID(), from, to, found, aborted)
	}
}
