package share_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/minikafka/minikafka/server/share"
)

const lock = 30 * time.Second

func limits(inFlight, deliveries int) func() share.Limits {
	return func() share.Limits {
		return share.Limits{MaxInFlight: inFlight, MaxDeliveries: deliveries, Lock: lock}
	}
}

// fixture is a partition in memory whose log has batches.
type fixture struct {
	*testing.T
	*share.Partition
	log []share.Range
	now time.Time
}

func start(t *testing.T, batches ...share.Range) *fixture {
	f := &fixture{T: t, Partition: share.New(limits(200, 5)), log: batches, now: time.Unix(1000, 0)}
	if err := f.Load(0, 0, nil); err != nil {
		t.Fatal(err)
	}
	return f
}

// read returns the batches from an offset on.
func (f *fixture) read(offset int64) (found []share.Range) {
	for _, b := range f.log {
		if b.Last >= offset {
			found = append(found, b)
		}
	}
	return found
}

func (f *fixture) wish(member string, most int) share.Acquisition {
	next := f.NextFetchOffset()
	return share.Acquisition{
		Member: member, BatchSize: 500, MaxRecords: most,
		FetchOffset: next, Batches: f.read(next), Now: f.now,
	}
}

func (f *fixture) acquire(member string, want ...share.AcquiredRecords) {
	f.Helper()
	if got := f.Acquire(f.wish(member, 500)); !slices.Equal(got, want) {
		f.Fatalf("acquired %v, want %v", got, want)
	}
}

func (f *fixture) ack(member string, first, last int64, types ...share.AckType) *share.Transition {
	f.Helper()
	t, err := f.Acknowledge(member, []share.Acknowledgement{{First: first, Last: last, Types: types}}, f.now)
	if err != nil {
		f.Fatal(err)
	}
	return t
}

func (f *fixture) done(t *share.Transition, want ...share.StateBatch) {
	f.Helper()
	if t == nil {
		f.Fatal("nothing to store")
	}
	if !slices.Equal(t.Batches, want) {
		f.Fatalf("to store %v, want %v", t.Batches, want)
	}
	f.Complete(t, true, f.now)
}

func (f *fixture) at(startOffset, end int64, complete int32) {
	f.Helper()
	if f.Start() != startOffset || f.End() != end || f.DeliveryComplete() != complete {
		f.Fatalf("start %d, end %d, %d complete; want %d, %d, %d",
			f.Start(), f.End(), f.DeliveryComplete(), startOffset, end, complete)
	}
}

func TestAcceptWholeBatch(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9}, share.Range{First: 10, Last: 14})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 14, DeliveryCount: 1})
	f.acquire("b")
	f.done(f.ack("a", 0, 14, share.AckAccept), share.StateBatch{First: 0, Last: 14, DeliveryState: share.Acknowledged, DeliveryCount: 1})
	f.at(15, 15, 0)
	if next := f.NextFetchOffset(); next != 15 {
		t.Fatalf("next fetch offset %d", next)
	}
}

func TestReleaseAndReject(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 4})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 4, DeliveryCount: 1})
	f.done(f.ack("a", 0, 4, 1, 2, 3, 2, 0),
		share.StateBatch{First: 0, Last: 0, DeliveryState: share.Acknowledged, DeliveryCount: 1},
		share.StateBatch{First: 1, Last: 1, DeliveryState: share.Available, DeliveryCount: 1},
		share.StateBatch{First: 2, Last: 2, DeliveryState: share.Archived, DeliveryCount: 1},
		share.StateBatch{First: 3, Last: 3, DeliveryState: share.Available, DeliveryCount: 1},
		share.StateBatch{First: 4, Last: 4, DeliveryState: share.Archived, DeliveryCount: 1})
	f.at(1, 4, 2)
	f.acquire("b", share.AcquiredRecords{First: 1, Last: 1, DeliveryCount: 2}, share.AcquiredRecords{First: 3, Last: 3, DeliveryCount: 2})
	f.done(f.ack("b", 3, 3, share.AckAccept), share.StateBatch{First: 3, Last: 3, DeliveryState: share.Acknowledged, DeliveryCount: 2})
	f.at(1, 4, 3)
	f.done(f.ack("b", 1, 1, share.AckAccept), share.StateBatch{First: 1, Last: 1, DeliveryState: share.Acknowledged, DeliveryCount: 2})
	f.at(5, 5, 0)
}

func TestWhoMayAcknowledge(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 9, DeliveryCount: 1})
	cases := []struct {
		member string
		ack    share.Acknowledgement
		want   error
	}{
		{"b", share.Acknowledgement{First: 0, Last: 9, Types: []share.AckType{1}}, share.ErrRecordState},
		{"b", share.Acknowledgement{First: 3, Last: 4, Types: []share.AckType{1}}, share.ErrRecordState},
		{"a", share.Acknowledgement{First: 0, Last: 10, Types: []share.AckType{1}}, share.ErrRequest},
		{"a", share.Acknowledgement{First: 10, Last: 12, Types: []share.AckType{1}}, share.ErrRequest},
		{"a", share.Acknowledgement{First: 0, Last: 9, Types: []share.AckType{5}}, share.ErrRequest},
		{"a", share.Acknowledgement{First: 0, Last: 9}, share.ErrRequest},
	}
	for _, c := range cases {
		if _, err := f.Acknowledge(c.member, []share.Acknowledgement{c.ack}, f.now); !errors.Is(err, c.want) {
			t.Errorf("%s acknowledges %v: %v, want %v", c.member, c.ack, err, c.want)
		}
	}
	// The first part of a request is undone with the rest.
	_, err := f.Acknowledge("a", []share.Acknowledgement{
		{First: 0, Last: 4, Types: []share.AckType{1}}, {First: 3, Last: 9, Types: []share.AckType{1}},
	}, f.now)
	if !errors.Is(err, share.ErrRecordState) {
		t.Fatalf("twice in a request: %v", err)
	}
	f.ack("a", 0, 9, share.AckAccept)
	if _, err := f.Acknowledge("a", []share.Acknowledgement{{First: 0, Last: 9, Types: []share.AckType{1}}}, f.now); !errors.Is(err, share.ErrRecordState) {
		t.Fatalf("acknowledged while it is being stored: %v", err)
	}
}

func TestFailedWriteRollsBack(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 9, DeliveryCount: 1})
	f.Complete(f.ack("a", 0, 9, share.AckAccept), false, f.now)
	f.at(0, 9, 0)
	f.acquire("b")
	first := f.ack("a", 0, 9, share.AckAccept)
	f.now = f.now.Add(lock)
	if b := f.Expire(f.now); b != nil {
		t.Fatalf("expired while it is being stored: %v", b)
	}
	f.Complete(first, false, f.now)
	f.acquire("b", share.AcquiredRecords{First: 0, Last: 9, DeliveryCount: 2})
}

func TestDeliveryLimit(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 0})
	for n := int16(1); n <= 5; n++ {
		f.acquire("a", share.AcquiredRecords{First: 0, Last: 0, DeliveryCount: n})
		want := share.Available
		if n == 5 {
			want = share.Archived
		}
		f.done(f.ack("a", 0, 0, share.AckRelease), share.StateBatch{First: 0, Last: 0, DeliveryState: want, DeliveryCount: n})
	}
	f.acquire("a")
	f.at(1, 1, 0)
}

func TestLockExpires(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 9, DeliveryCount: 1})
	f.now = f.now.Add(lock / 2)
	if tr := f.ack("a", 5, 9, share.AckRenew); tr != nil {
		t.Fatalf("a renewal stores %v", tr.Batches)
	}
	f.now = f.now.Add(lock / 2)
	got := f.Expire(f.now)
	if len(got) != 5 || got[0] != (share.StateBatch{First: 0, Last: 0, DeliveryState: share.Available, DeliveryCount: 1}) {
		t.Fatalf("expired: %v", got)
	}
	f.Stored()
	if next, ok := f.NextExpiry(); !ok || !next.Equal(f.now.Add(lock/2)) {
		t.Fatalf("next expiry %v", next)
	}
	if _, err := f.Acknowledge("a", []share.Acknowledgement{{First: 0, Last: 9, Types: []share.AckType{1}}}, f.now); !errors.Is(err, share.ErrRecordState) {
		t.Fatalf("acknowledged after the lock: %v", err)
	}
}

func TestThrottledDelivery(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 7})
	for n := int16(1); n <= 3; n++ {
		f.acquire("a", share.AcquiredRecords{First: 0, Last: 7, DeliveryCount: n})
		f.done(f.ack("a", 0, 7, share.AckRelease), share.StateBatch{First: 0, Last: 7, DeliveryState: share.Available, DeliveryCount: n})
	}
	// From the third delivery on half of the batch is delivered, then one by one.
	if got := f.Acquire(f.wish("a", 500)); len(got) != 1 || got[0].Last != 3 || got[0].DeliveryCount != 4 {
		t.Fatalf("acquired %v", got)
	}
	f.Complete(f.ack("a", 0, 3, share.AckRelease), true, f.now)
	f.acquire("b", share.AcquiredRecords{First: 0, Last: 0, DeliveryCount: 5})
}

func TestLimitOfRecordsInFlight(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 149}, share.Range{First: 150, Last: 249}, share.Range{First: 250, Last: 300})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 249, DeliveryCount: 1})
	if f.CanAcquire() {
		t.Fatal("more than the limit may be acquired")
	}
	f.Complete(f.ack("a", 20, 20, share.AckRelease), true, f.now)
	f.acquire("b", share.AcquiredRecords{First: 20, Last: 20, DeliveryCount: 2})
}

func TestAcquireModes(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9}, share.Range{First: 10, Last: 19}, share.Range{First: 20, Last: 29})
	w := f.wish("a", 12)
	w.BatchSize = 5
	got := f.Acquire(w)
	want := []share.AcquiredRecords{{First: 0, Last: 9, DeliveryCount: 1}, {First: 10, Last: 19, DeliveryCount: 1}}
	if !slices.Equal(got, want) {
		t.Fatalf("batch optimized: %v", got)
	}
	w = f.wish("a", 3)
	w.RecordLimit = true
	if got := f.Acquire(w); !slices.Equal(got, []share.AcquiredRecords{{First: 20, Last: 22, DeliveryCount: 1}}) {
		t.Fatalf("record limit: %v", got)
	}
	f.acquire("b", share.AcquiredRecords{First: 23, Last: 29, DeliveryCount: 1})
}

func TestLogStartMoves(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9}, share.Range{First: 10, Last: 19})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 19, DeliveryCount: 1})
	f.Complete(f.ack("a", 0, 9, share.AckRelease), true, f.now)
	f.MoveLogStart(5)
	f.at(5, 19, 0)
	f.log = []share.Range{{First: 5, Last: 9}, {First: 10, Last: 19}}
	if next := f.NextFetchOffset(); next != 5 {
		t.Fatalf("next fetch offset %d", next)
	}
	f.MoveLogStart(25)
	f.at(25, 25, 0)
	if tr := f.ack("a", 10, 19, share.AckAccept); tr != nil {
		t.Fatalf("acknowledging deleted records stores %v", tr.Batches)
	}
	f.now = f.now.Add(lock)
	f.Expire(f.now)
	f.Stored()
	f.log = []share.Range{{First: 25, Last: 29}}
	f.acquire("b", share.AcquiredRecords{First: 25, Last: 29, DeliveryCount: 1})
}

// TestLogStartWithinABatch is what Kafka 4.4.0 does: the batch is delivered as a
// whole when another one that was acquired lies before it.
func TestLogStartWithinABatch(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 1}, share.Range{First: 2, Last: 5})
	w := f.wish("a", 500)
	w.Batches = w.Batches[:1]
	if got := f.Acquire(w); len(got) != 1 {
		t.Fatalf("acquired %v", got)
	}
	f.Complete(f.ack("a", 0, 1, share.AckRelease), true, f.now)
	f.MoveLogStart(4)
	w = f.wish("a", 1)
	w.RecordLimit = true
	if got := f.Acquire(w); !slices.Equal(got, []share.AcquiredRecords{{First: 2, Last: 2, DeliveryCount: 1}}) {
		t.Fatalf("acquired %v", got)
	}
	if next := f.NextFetchOffset(); next != 4 {
		t.Fatalf("next fetch offset %d", next)
	}
}

func TestLoadWithGaps(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 10, Last: 19}, share.Range{First: 20, Last: 29}, share.Range{First: 30, Last: 40})
	err := f.Load(11, 0, []share.StateBatch{
		{First: 14, Last: 17, DeliveryState: share.Acknowledged, DeliveryCount: 1},
		{First: 25, Last: 29, DeliveryState: share.Available, DeliveryCount: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.at(11, 29, 4)
	f.acquire("a", share.AcquiredRecords{First: 11, Last: 13, DeliveryCount: 1}, share.AcquiredRecords{First: 18, Last: 24, DeliveryCount: 1},
		share.AcquiredRecords{First: 25, Last: 29, DeliveryCount: 3}, share.AcquiredRecords{First: 30, Last: 40, DeliveryCount: 1})
	f.Complete(f.ack("a", 11, 13, share.AckAccept), true, f.now)
	f.at(18, 40, 0)
	if err := f.Load(20, 0, []share.StateBatch{{First: 10, Last: 30}}); !errors.Is(err, share.ErrState) {
		t.Fatalf("state before the start: %v", err)
	}
	if err := f.Load(0, 0, []share.StateBatch{{First: 10, Last: 30, DeliveryState: share.Acquired}}); !errors.Is(err, share.ErrState) {
		t.Fatalf("a state that is never stored: %v", err)
	}
}

func TestAbortedTransactions(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9}, share.Range{First: 10, Last: 19}, share.Range{First: 20, Last: 20})
	w := f.wish("a", 500)
	w.Aborted = []share.Range{{First: 10, Last: 19}}
	got := f.Acquire(w)
	if want := []share.AcquiredRecords{{First: 0, Last: 9, DeliveryCount: 1}, {First: 20, Last: 20, DeliveryCount: 1}}; !slices.Equal(got, want) {
		t.Fatalf("acquired %v", got)
	}
	f.Complete(f.ack("a", 0, 9, share.AckAccept), true, f.now)
	f.at(20, 20, 0)
}

func TestCompactionRemovesAvailableBatches(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 4}, share.Range{First: 5, Last: 9}, share.Range{First: 10, Last: 14})
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 14, DeliveryCount: 1})
	f.Complete(f.Release("a"), true, f.now)
	f.log = f.log[2:]
	if got := f.Acquire(f.wish("a", 500)); len(got) != 1 || got[0] != (share.AcquiredRecords{First: 10, Last: 14, DeliveryCount: 2}) {
		t.Fatalf("acquired %v", got)
	}
	f.Complete(f.ack("a", 10, 14, share.AckAccept), true, f.now)
	f.at(15, 15, 0)
}

func TestReleaseOfASession(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 9})
	w := f.wish("a", 4)
	w.RecordLimit = true
	f.Acquire(w)
	f.Acquire(f.wish("b", 500))
	f.Complete(f.Release("b"), true, f.now)
	if next := f.NextFetchOffset(); next != 4 {
		t.Fatalf("next fetch offset %d", next)
	}
	if f.Release("b") != nil {
		t.Fatal("a member that holds nothing has something released")
	}
}

func TestCombine(t *testing.T) {
	t.Parallel()
	b := func(first, last int64, state share.RecordState, count int16) share.StateBatch {
		return share.StateBatch{First: first, Last: last, DeliveryState: state, DeliveryCount: count}
	}
	cases := []struct {
		name              string
		old, change, want []share.StateBatch
		start             int64
	}{
		{"new over old", []share.StateBatch{b(0, 9, 0, 1)}, []share.StateBatch{b(3, 5, 2, 1)}, []share.StateBatch{b(0, 2, 0, 1), b(3, 5, 2, 1), b(6, 9, 0, 1)}, -1},
		{"a higher count wins", []share.StateBatch{b(0, 9, 2, 2)}, []share.StateBatch{b(3, 5, 0, 1)}, []share.StateBatch{b(0, 9, 2, 2)}, -1},
		{"neighbours", []share.StateBatch{b(0, 4, 2, 1)}, []share.StateBatch{b(5, 9, 2, 1)}, []share.StateBatch{b(0, 9, 2, 1)}, -1},
		{"gap", []share.StateBatch{b(0, 4, 2, 1)}, []share.StateBatch{b(6, 9, 2, 1)}, []share.StateBatch{b(0, 4, 2, 1), b(6, 9, 2, 1)}, -1},
		{"start", []share.StateBatch{b(0, 4, 2, 1), b(5, 9, 0, 1)}, nil, []share.StateBatch{b(7, 9, 0, 1)}, 7},
		{"nothing", nil, nil, nil, 0},
	}
	for _, c := range cases {
		if got := share.Combine(c.old, c.change, c.start); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRenewalMayBeForbidden(t *testing.T) {
	t.Parallel()
	f := start(t, share.Range{First: 0, Last: 0})
	f.Partition = share.New(func() share.Limits {
		return share.Limits{MaxInFlight: 10, MaxDeliveries: 5, Lock: lock, NoRenewal: true}
	})
	if err := f.Load(0, 0, nil); err != nil {
		t.Fatal(err)
	}
	f.acquire("a", share.AcquiredRecords{First: 0, Last: 0, DeliveryCount: 1})
	_, err := f.Acknowledge("a", []share.Acknowledgement{{First: 0, Last: 0, Types: []share.AckType{share.AckRenew}}}, f.now)
	if !errors.Is(err, share.ErrRecordState) {
		t.Fatalf("renewed: %v", err)
	}
}
