package log

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// modelLog is what a partition should be: a list of entries, and what follows
// from it.
type modelLog struct {
	exists              bool
	prevIndex, prevTerm uint64
	logStart            int64
	emptyEnd            int64 // log end when there are no entries
	term                uint64
	entries             []Entry
	epochs              []EpochStart
	base                *Producers // as of prevIndex
	producers           *Producers
	aborted             []AbortedTxn
	// maxHW is the largest high watermark ever set: transactions completed
	// below it may be forgotten, as in Kafka, even if it goes down again.
	maxHW int64
}

func newModelLog() *modelLog {
	return &modelLog{base: newProducers(), producers: newProducers()}
}

func (m *modelLog) clone() *modelLog {
	c := *m
	c.entries = slices.Clone(m.entries)
	c.epochs = slices.Clone(m.epochs)
	c.aborted = slices.Clone(m.aborted)
	c.base, c.producers = m.base.Clone(), m.producers.Clone()
	return &c
}

func (m *modelLog) end() int64 {
	if len(m.entries) == 0 {
		return m.emptyEnd
	}
	return max(m.entries[len(m.entries)-1].Last+1, m.logStart)
}

func (m *modelLog) last() (index, term uint64) {
	if len(m.entries) == 0 {
		return m.prevIndex, m.prevTerm
	}
	e := m.entries[len(m.entries)-1]
	return e.Index, e.Term
}

func (m *modelLog) add(e Entry) {
	if n := len(m.epochs); n == 0 || m.epochs[n-1].Epoch < int32(e.Term-1) {
		m.epochs = append(m.epochs, EpochStart{Epoch: int32(e.Term - 1), Offset: e.Base})
	}
	m.entries = append(m.entries, e)
	m.apply(m.producers, e, true)
}

func (m *modelLog) apply(s *Producers, e Entry, aborted bool) {
	if e.Kind != KindBatch {
		return
	}
	pb, err := producerBatchOf(e.Data)
	if err != nil {
		panic(err)
	}
	if pb == nil {
		return
	}
	if a, ok := s.addStored(pb); ok && aborted {
		m.aborted = append(m.aborted, AbortedTxn{ProducerID: a.producerID, FirstOffset: a.first, LastOffset: a.last})
	}
}

func (m *modelLog) truncate(index uint64) {
	n := 0
	if index > m.prevIndex {
		n = int(index - m.prevIndex - 1)
	}
	if n >= len(m.entries) {
		return
	}
	m.entries = m.entries[:n]
	if n == 0 {
		m.emptyEnd = max(m.emptyEnd, m.logStart)
	}
	_, term := m.last()
	m.epochs = slices.DeleteFunc(m.epochs, func(e EpochStart) bool { return uint64(e.Epoch)+1 > term })
	m.producers = m.base.Clone()
	m.aborted = slices.DeleteFunc(m.aborted, func(a AbortedTxn) bool { return a.LastOffset >= m.end() })
	for _, e := range m.entries {
		m.apply(m.producers, e, false)
	}
}

func (m *modelLog) raise(offset int64) {
	m.logStart = offset
	n := 0
	for n < len(m.entries) && m.entries[n].Last < offset {
		m.apply(m.base, m.entries[n], false)
		n++
	}
	if n > 0 {
		e := m.entries[n-1]
		m.prevIndex, m.prevTerm, m.emptyEnd = e.Index, e.Term, max(e.Last+1, offset)
		m.entries = slices.Clone(m.entries[n:])
	}
	m.emptyEnd = max(m.emptyEnd, offset)
	below := 0
	for below < len(m.epochs) && m.epochs[below].Offset <= offset {
		below++
	}
	if below > 0 {
		m.epochs = slices.Clone(m.epochs[below-1:])
		m.epochs[0].Offset = offset
	}
	m.aborted = slices.DeleteFunc(m.aborted, func(a AbortedTxn) bool { return a.LastOffset < offset })
}

// unstable is the first unstable offset for a high watermark, or the largest
// number.
func (m *modelLog) unstable(highWatermark int64) int64 {
	first := int64(math.MaxInt64)
	for _, o := range slices.Concat(m.producers.ongoing, m.producers.completed) {
		if o.last < 0 || (o.last >= highWatermark && o.last >= m.logStart) {
			first = min(first, o.first)
		}
	}
	return first
}

// modelRun drives a file and its model.
type modelRun struct {
	t       *testing.T
	r       *rand.Rand
	path    string
	opts    Options
	d       *DB
	logs    map[PartitionID]*modelLog
	durable map[PartitionID]*modelLog
	step    int
	what    string
}

func (m *modelRun) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("step %d, after %s: %s", m.step, m.what, fmt.Sprintf(format, args...))
}

func (m *modelRun) check(err error) {
	m.t.Helper()
	if err != nil {
		m.fail("%v", err)
	}
}

func (m *modelRun) id() PartitionID {
	return PartitionID{Topic: TopicID{9}, Partition: m.r.Int32N(3)}
}

// partition picks a partition and its model.
func (m *modelRun) partition() (*Partition, *modelLog) {
	id := m.id()
	p, err := m.d.Partition(id)
	m.check(err)
	l := m.logs[id]
	if l == nil {
		l = newModelLog()
		l.exists = true
		m.logs[id] = l
	}
	return p, l
}

func (m *modelRun) open() {
	d, err := Open(m.path, m.opts)
	m.check(err)
	m.d = d
}

func cloneLogs(logs map[PartitionID]*modelLog) map[PartitionID]*modelLog {
	c := map[PartitionID]*modelLog{}
	for id, l := range logs {
		c[id] = l.clone()
	}
	return c
}

func (m *modelRun) synced() { m.durable = cloneLogs(m.logs) }

func (m *modelRun) batch() []byte {
	o := BatchOptions{ProducerID: -1}
	n := 1 + m.r.IntN(4)
	if m.r.IntN(2) == 0 {
		o.ProducerID = 1 + m.r.Int64N(3)
		o.ProducerEpoch = int16(m.r.IntN(2))
		o.BaseSequence = m.r.Int32N(1000)
		o.Transactional = m.r.IntN(2) == 0
		if m.r.IntN(3) == 0 {
			o.Control = true
			b, err := BuildBatch([]Record{{
				Timestamp: int64(m.r.IntN(1000)), Key: []byte{0, 0, 0, byte(m.r.IntN(2))}, Value: []byte{0, 0, 0, 0, 0, byte(m.r.IntN(3))},
			}}, o)
			m.check(err)
			return b
		}
	}
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Timestamp: int64(m.r.IntN(1000)), Key: []byte{byte(m.r.IntN(5))}, Value: make([]byte, m.r.IntN(200))}
		if m.r.IntN(25) == 0 {
			records[i].Value = make([]byte, m.r.IntN(20000)) // some with a bucket of their own
		}
	}
	b, err := BuildBatch(records, o)
	m.check(err)
	return b
}

func (m *modelRun) append() {
	p, l := m.partition()
	index, term := l.last()
	if l.term > term && m.r.IntN(2) == 0 {
		term = l.term
	}
	if m.r.IntN(4) == 0 || term == 0 {
		term++
	}
	assign := m.r.IntN(3) > 0
	end := l.end()
	var entries []Entry
	for range 1 + m.r.IntN(5) {
		index++
		e := Entry{Index: index, Term: term, Kind: KindBatch}
		switch m.r.IntN(6) {
		case 0:
			e.Kind, e.Data = KindControl, []byte("noop")
			e.Base, e.Last = end, end-1
		default:
			e.Data = m.batch()
			n := int64(lastOffsetDelta(e.Data)) + 1
			gap := int64(0)
			if !assign && m.r.IntN(5) == 0 {
				gap = m.r.Int64N(3)
			}
			e.Base, e.Last = end+gap, end+gap+n-1
			end = e.Last + 1
		}
		want := e
		if e.Kind == KindBatch {
			want.Data = bytes.Clone(e.Data)
			putBase(want.Data, e.Base, int32(term-1))
			if !assign {
				e.Data = bytes.Clone(want.Data)
			}
		}
		l.add(want)
		entries = append(entries, e)
	}
	l.term = max(l.term, term)
	m.check(p.Append(entries, assign))
	for i, e := range entries {
		want := l.entries[len(l.entries)-len(entries)+i]
		if e.Base != want.Base || e.Last != want.Last || !bytes.Equal(e.Data, want.Data) {
			m.fail("the entry came back as %v, want %v", e, want)
		}
	}
}

func putBase(raw []byte, base int64, epoch int32) {
	for i := range 8 {
		raw[i] = byte(base >> (56 - 8*i))
	}
	for i := range 4 {
		raw[batchEpochAt+i] = byte(epoch >> (24 - 8*i))
	}
}

func (m *modelRun) badAppend() {
	p, l := m.partition()
	index, term := l.last()
	e := Entry{Index: index + 1, Term: max(term, 1), Data: m.batch()}
	switch {
	case m.r.IntN(2) == 0:
		e.Index += 1 + uint64(m.r.IntN(3))
	case term > 1:
		e.Term = term - 1
	default:
		return
	}
	if err := p.Append([]Entry{e}, true); !errors.Is(err, ErrHole) {
		m.fail("an append over a hole: %v", err)
	}
	if len(l.entries) > 0 && l.end() > 0 {
		e.Index, e.Term = index+1, max(term, 1)
		putBase(e.Data, l.end()-1, int32(term))
		if err := p.Append([]Entry{e}, false); !errors.Is(err, ErrHole) {
			m.fail("an append below the log end: %v", err)
		}
	}
}

func (m *modelRun) truncate() {
	p, l := m.partition()
	if len(l.entries) == 0 {
		return
	}
	n := m.r.IntN(min(len(l.entries), 12) + 1)
	if m.r.IntN(20) == 0 {
		n = m.r.IntN(len(l.entries) + 2)
	}
	last, _ := l.last()
	index := last + 1 - uint64(min(uint64(n), last))
	m.check(p.TruncateFrom(index))
	l.truncate(index)
}

func (m *modelRun) raise() {
	p, l := m.partition()
	end := l.end()
	if err := p.RaiseLogStart(end + 1); !errors.Is(err, ErrOffsetOutOfRange) {
		m.fail("raised above the end: %v", err)
	}
	offset := l.logStart + m.r.Int64N(max(1, min(30, end-l.logStart+1)))
	if m.r.IntN(20) == 0 {
		offset = end
	}
	m.check(p.RaiseLogStart(offset))
	if offset > l.logStart {
		l.raise(offset)
	}
}

// reset starts one partition where another one starts.
func (m *modelRun) reset() {
	from, lf := m.partition()
	p, l := m.partition()
	s, err := from.ResetState()
	m.check(err)
	if lf == l {
		lf = l.clone()
	}
	m.check(p.Reset(s))
	_, lastTerm := l.last()
	term := max(l.term, lastTerm)
	maxHW := max(l.maxHW, lf.maxHW, lf.logStart)
	*l = *newModelLog()
	l.maxHW = maxHW
	l.exists, l.term = true, term
	l.prevIndex, l.prevTerm, l.logStart, l.emptyEnd = lf.prevIndex, lf.prevTerm, lf.logStart, lf.logStart
	for _, e := range lf.epochs {
		if uint64(e.Epoch)+1 <= lf.prevTerm {
			l.epochs = append(l.epochs, e)
		}
	}
	l.base = lf.base.Clone()
	l.producers = lf.base.Clone()
}

func (m *modelRun) setTerm() {
	p, l := m.partition()
	l.term += uint64(m.r.IntN(3))
	m.check(p.SetTerm(l.term))
}

func (m *modelRun) delete() {
	id := m.id()
	m.check(m.d.Delete(id))
	delete(m.logs, id)
}

func (m *modelRun) highWatermark() {
	p, l := m.partition()
	hw := l.logStart + m.r.Int64N(l.end()-l.logStart+1)
	p.SetHighWatermark(hw)
	l.maxHW = max(l.maxHW, hw)
	if got := p.HighWatermark(); got != hw {
		m.fail("high watermark %d, want %d", got, hw)
	}
	if m.r.IntN(3) == 0 {
		m.check(m.d.Checkpoint())
	}
}

func (m *modelRun) down() {
	switch m.r.IntN(5) {
	case 0:
		m.what = "death"
		m.check(dieOf(m.d))
		m.d.eraser.wait()
	case 1:
		m.what = "close"
		m.check(m.d.Close())
		m.synced()
	case 2:
		m.what = "power off"
		m.check(m.d.PowerOff())
		if !m.opts.SyncEveryAppend {
			m.goBack()
		}
	default:
		m.what = "crash"
		m.check(m.d.Crash())
	}
	checkTree(m.t, m.path)
	m.open()
	m.verifyAll()
}

// goBack makes the logs those of the last sync.
func (m *modelRun) goBack() {
	now := m.logs
	m.logs = cloneLogs(m.durable)
	for id, l := range m.logs {
		if now[id] != nil {
			l.maxHW = max(l.maxHW, now[id].maxHW)
		}
	}
}

func (m *modelRun) do() {
	ops := []struct {
		what   string
		weight int
		do     func()
	}{
		{"append", 60, m.append},
		{"bad append", 3, m.badAppend},
		{"truncate", 8, m.truncate},
		{"raise", 6, m.raise},
		{"reset", 1, m.reset},
		{"set term", 3, m.setTerm},
		{"delete", 1, m.delete},
		{"high watermark", 8, m.highWatermark},
		{"sync", 3, func() { m.check(m.d.Sync()); m.synced() }},
		{"down", 3, m.down},
	}
	total := 0
	for _, o := range ops {
		total += o.weight
	}
	n := m.r.IntN(total)
	for _, o := range ops {
		if n -= o.weight; n < 0 {
			m.what = o.what
			o.do()
			return
		}
	}
}

// TestModel compares the file with its model under random operations.
func TestModel(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	for i, opts := range []Options{{}, {CacheBytes: 1}, {CacheBytes: 20000}, {SyncEveryAppend: true}} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			m := &modelRun{
				t: t, r: rand.New(rand.NewPCG(seed, uint64(i))), path: filepath.Join(t.TempDir(), "broker-1.db"), opts: opts,
				logs: map[PartitionID]*modelLog{}, durable: map[PartitionID]*modelLog{},
			}
			m.open()
			defer func() { _ = m.d.Crash() }()
			steps := 1500
			if opts.SyncEveryAppend {
				steps = 300
			}
			for m.step = range steps {
				m.do()
				if m.step%7 == 0 {
					m.verifyAll()
				}
			}
		})
	}
}
