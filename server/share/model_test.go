package share_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/minikafka/minikafka/server/share"
)

// seedOf takes the seed of a randomised test from MINIKAFKA_SEED, or makes one.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return seed
}

// held is what the model knows of one record.
type held struct {
	member     string
	until      time.Time
	deliveries int  // as last told
	done       bool // acknowledged or rejected, and stored
	deleted    bool
}

// writing is a transition on its way to the share coordinator.
type writing struct {
	t     *share.Transition
	acked map[int64]bool // offsets that are done with when it is stored
}

// model drives a partition at random, and knows what has to hold.
type model struct {
	*testing.T
	r        *rand.Rand
	p        *share.Partition
	limit    int
	room     int
	now      time.Time
	log      []share.Range
	logStart int64
	records  map[int64]*held
	stored   []share.StateBatch
	start    int64 // that is stored
	writes   []writing
}

func (m *model) limits() share.Limits {
	return share.Limits{MaxInFlight: m.room, MaxDeliveries: m.limit, Lock: lock}
}

func (m *model) end() int64 {
	if len(m.log) == 0 {
		return 0
	}
	return m.log[len(m.log)-1].Last + 1
}

func (m *model) produce() {
	first := m.end()
	last := first + m.r.Int64N(12)
	m.log = append(m.log, share.Range{First: first, Last: last})
	for o := first; o <= last; o++ {
		m.records[o] = &held{}
	}
}

// read returns some of the log from an offset on.
func (m *model) read(offset int64) (found []share.Range) {
	most := 1 + m.r.IntN(5)
	for _, b := range m.log {
		if b.Last >= offset && len(found) < most {
			found = append(found, b)
		}
	}
	return found
}

func (m *model) fetch(member string) {
	if !m.p.CanAcquire() {
		return
	}
	next := m.p.NextFetchOffset()
	if next < m.p.Start() && m.p.InFlight() > 0 {
		m.Fatalf("to be fetched: %d, before the start %d", next, m.p.Start())
	}
	got := m.p.Acquire(share.Acquisition{
		Member: member, RecordLimit: m.r.IntN(2) == 0, BatchSize: 1 + m.r.IntN(20), MaxRecords: 1 + m.r.IntN(40),
		FetchOffset: next, Batches: m.read(next), Now: m.now,
	})
	last := int64(-1)
	for _, a := range got {
		if a.First <= last || a.Last < a.First {
			m.Fatalf("acquired out of order: %v", got)
		}
		last = a.Last
		for o := a.First; o <= a.Last; o++ {
			m.acquired(member, o, int(a.DeliveryCount))
		}
	}
}

func (m *model) acquired(member string, o int64, count int) {
	h := m.records[o]
	switch {
	case h == nil:
		m.Fatalf("record %d was acquired and does not exist", o)
	case h.member != "":
		m.Fatalf("record %d was acquired by %s and is held by %s", o, member, h.member)
	case h.done:
		m.Fatalf("record %d was acquired again after it was done", o)
	case h.deleted && m.straddles(o):
		return // Kafka delivers the whole batch; it is done with when it comes back.
	case h.deleted:
		m.Fatalf("record %d was acquired and is deleted: start %d log start %d deliveries %d count %d", o, m.p.Start(), m.logStart, h.deliveries, count)
	case count > m.limit || count < 1:
		m.Fatalf("record %d was delivered %d times, the limit is %d", o, count, m.limit)
	case count != h.deliveries+1:
		m.Fatalf("record %d: delivery %d after %d", o, count, h.deliveries)
	}
	h.member, h.until, h.deliveries = member, m.now.Add(lock), count
}

// straddles tells whether a record's batch is not deleted as a whole.
func (m *model) straddles(o int64) bool {
	return slices.ContainsFunc(m.log, func(b share.Range) bool { return b.First <= o && o <= b.Last && b.Last >= m.logStart })
}

// acknowledge picks a run of records that a member holds.
func (m *model) acknowledge(member string) {
	var mine []int64
	for o := m.logStart; o < m.end(); o++ {
		if m.records[o].member == member {
			mine = append(mine, o)
		}
	}
	if len(mine) == 0 {
		return
	}
	i := m.r.IntN(len(mine))
	j := i
	for j+1 < len(mine) && mine[j+1] == mine[j]+1 && m.r.IntN(6) > 0 {
		j++
	}
	first, last := mine[i], mine[j]
	types := []share.AckType{share.AckType(m.r.IntN(5))}
	if m.r.IntN(2) == 0 {
		types = types[:0]
		for range last - first + 1 {
			types = append(types, share.AckType(m.r.IntN(5)))
		}
	}
	t, err := m.p.Acknowledge(member, []share.Acknowledgement{{First: first, Last: last, Types: types}}, m.now)
	if err != nil {
		m.Fatalf("%s acknowledges %d-%d: %v", member, first, last, err)
	}
	w := writing{t, map[int64]bool{}}
	for o := first; o <= last; o++ {
		typ := types[0]
		if len(types) > 1 {
			typ = types[o-first]
		}
		h := m.records[o]
		if typ == share.AckRenew {
			h.until = m.now.Add(lock)
			continue
		}
		h.member = "changing " + member
		w.acked[o] = typ != share.AckRelease
	}
	if t != nil {
		m.writes = append(m.writes, w)
	}
}

// write ends one of the transitions under way.
func (m *model) write() {
	if len(m.writes) == 0 {
		return
	}
	i := m.r.IntN(len(m.writes))
	w := m.writes[i]
	m.writes = append(m.writes[:i], m.writes[i+1:]...)
	ok := m.r.IntN(5) > 0
	if ok {
		m.start = max(m.start, m.p.Start())
		m.stored = share.Combine(m.stored, w.t.Batches, m.start)
	}
	m.p.Complete(w.t, ok, m.now)
	for o, ends := range w.acked {
		h := m.records[o]
		switch {
		case h.deleted:
		case ok:
			h.member, h.done = "", ends || h.deliveries >= m.limit
		case !h.until.After(m.now):
			h.member, h.done = "", h.deliveries >= m.limit
		default:
			h.member = h.member[len("changing "):]
		}
	}
}

func (m *model) expire() {
	m.now = m.now.Add(time.Duration(m.r.Int64N(int64(lock))))
	expired := map[int64]bool{}
	for o, h := range m.records {
		if h.member != "" && h.member[0] == 'm' && !h.until.After(m.now) && !h.deleted {
			expired[o] = true
		}
	}
	if next, ok := m.p.NextExpiry(); ok && next.After(m.now) {
		if len(expired) > 0 {
			m.Fatalf("the next expiry is at %v, and some locks have expired at %v", next, m.now)
		}
		return
	}
	batches := m.p.Expire(m.now)
	m.stored = share.Combine(m.stored, batches, m.start)
	m.p.Stored()
	for o := range expired {
		h := m.records[o]
		h.member, h.done = "", h.deliveries >= m.limit
	}
}

func (m *model) release(member string) {
	t := m.p.Release(member)
	w := writing{t, map[int64]bool{}}
	for o, h := range m.records {
		if h.member == member && !h.deleted {
			h.member = "changing " + member
			w.acked[o] = false
		}
	}
	if t != nil {
		m.writes = append(m.writes, w)
	} else if len(w.acked) > 0 {
		m.Fatalf("%s holds %v, and nothing was released", member, w.acked)
	}
}

func (m *model) deleteRecords() {
	if m.end() == m.logStart {
		return
	}
	m.logStart += m.r.Int64N(min(10, m.end()-m.logStart))
	for o := int64(0); o < m.logStart; o++ {
		m.records[o].deleted = true
	}
	for len(m.log) > 0 && m.log[0].Last < m.logStart {
		m.log = m.log[1:]
	}
	m.p.MoveLogStart(m.logStart)
}

// lead has another broker lead: what was not stored is forgotten.
func (m *model) lead() {
	m.writes = nil
	m.p = share.New(m.limits)
	m.stored = share.Combine(m.stored, nil, m.start)
	if err := m.p.Load(m.start, 0, m.stored); err != nil {
		m.Fatal(err)
	}
	for _, h := range m.records {
		h.member, h.deliveries, h.done = "", 0, false
	}
	for _, b := range m.stored {
		for o := b.First; o <= b.Last; o++ {
			m.records[o].deliveries = int(b.DeliveryCount)
			m.records[o].done = b.DeliveryState != share.Available
		}
	}
	for o := int64(0); o < m.start; o++ {
		m.records[o].done = true
	}
	m.p.MoveLogStart(m.logStart)
}

// drain has one member accept all that is left: nothing is ever lost.
func (m *model) drain() {
	for len(m.writes) > 0 {
		m.write()
	}
	m.now = m.now.Add(2 * lock)
	m.p.Expire(m.now)
	m.p.Stored()
	for _, h := range m.records {
		if h.member != "" {
			h.member, h.done = "", h.deliveries >= m.limit
		}
	}
	for range 100000 {
		if m.p.NextFetchOffset() >= m.end() && m.p.InFlight() == 0 {
			break
		}
		next := m.p.NextFetchOffset()
		got := m.p.Acquire(share.Acquisition{
			Member: "m", BatchSize: 100, MaxRecords: 100, FetchOffset: next, Batches: m.read(next), Now: m.now,
		})
		for _, a := range got {
			for o := a.First; o <= a.Last; o++ {
				m.acquired("m", o, int(a.DeliveryCount))
				m.records[o].done = true
			}
			t, err := m.p.Acknowledge("m", []share.Acknowledgement{{First: a.First, Last: a.Last, Types: []share.AckType{1}}}, m.now)
			if err != nil {
				m.Fatal(err)
			}
			if t != nil { // Not all of it is deleted.
				m.p.Complete(t, true, m.now)
			}
		}
		if len(got) == 0 && next >= m.end() {
			break
		}
		if len(got) == 0 { // What is deleted of a batch is held until its lock expires.
			m.now = m.now.Add(lock)
			m.p.Expire(m.now)
			m.p.Stored()
		}
	}
	for o := m.logStart; o < m.end(); o++ {
		if h := m.records[o]; !h.done {
			m.Fatalf("record %d was lost: %+v; limit %d, start %d, end %d, next %d", o, *h, m.limit, m.p.Start(), m.p.End(), m.p.NextFetchOffset())
		}
	}
	if m.p.DeliveryComplete() != 0 && m.p.InFlight() == 0 {
		m.Fatalf("%d are complete of nothing", m.p.DeliveryComplete())
	}
}

func TestPartitionModel(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, i))
		m := &model{
			T: t, r: r, limit: 1 + r.IntN(6), room: 20 + r.IntN(80), now: time.Unix(1, 0), records: map[int64]*held{},
		}
		m.p = share.New(m.limits)
		_ = m.p.Load(0, 0, nil)
		for range 400 {
			member := []string{"m1", "m2", "m3"}[r.IntN(3)]
			switch n := r.IntN(100); {
			case n < 12:
				m.produce()
			case n < 45:
				m.fetch(member)
			case n < 70:
				m.acknowledge(member)
			case n < 88:
				m.write()
			case n < 93:
				m.expire()
			case n < 95:
				m.release(member)
			case n < 97:
				m.deleteRecords()
			case n < 98:
				m.lead()
			}
		}
		m.drain()
		if t.Failed() {
			return
		}
	}
}
