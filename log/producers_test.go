package log

import (
	"errors"
	"math"
	"path/filepath"
	"testing"
)

func sent(epoch int16, first, n int32, base int64) ProducerBatch {
	return ProducerBatch{ProducerID: 7, ProducerEpoch: epoch, BaseSequence: first, Records: n, Base: base, MaxTimestamp: 1000 + base}
}

func inTxn(b ProducerBatch) ProducerBatch { b.Transactional = true; return b }

func marker(epoch int16, coordinator int32, base int64) ProducerBatch {
	return ProducerBatch{
		ProducerID: 7, ProducerEpoch: epoch, BaseSequence: -1, Records: 1, Base: base,
		Transactional: true, Control: true, Commit: true, CoordinatorEpoch: coordinator,
	}
}

// TestCheckProducer holds the rows of the idempotence table (semantics 6.3).
func TestCheckProducer(t *testing.T) {
	t.Parallel()
	var five []ProducerBatch
	for i := range int32(6) {
		five = append(five, sent(0, i*10, 10, int64(i*10)))
	}
	cases := []struct {
		what   string
		before []ProducerBatch
		batch  ProducerBatch
		want   error
		dup    int64 // base offset; -2: none
	}{
		{"unknown producer, any sequence (I04)", nil, sent(0, 10, 1, -1), nil, -2},
		{"no producer id", nil, ProducerBatch{ProducerID: -1}, nil, -2},
		{"next", []ProducerBatch{sent(0, 0, 3, 0)}, sent(0, 3, 1, -1), nil, -2},
		{"duplicate of the last (I01)", five, sent(0, 50, 10, -1), nil, 50},
		{"duplicate of the fifth last", five, sent(0, 10, 10, -1), nil, 10},
		{"duplicate of the sixth last (I02)", five, sent(0, 0, 10, -1), ErrOutOfOrderSequence, -2},
		{"overlap with other bounds", five, sent(0, 50, 5, -1), ErrOutOfOrderSequence, -2},
		{"gap (I03)", []ProducerBatch{sent(0, 0, 3, 0)}, sent(0, 4, 1, -1), ErrOutOfOrderSequence, -2},
		{"new epoch from 0 (I05)", five, sent(1, 0, 1, -1), nil, -2},
		{"new epoch from 3 (I06)", five, sent(1, 3, 1, -1), ErrOutOfOrderSequence, -2},
		{"old epoch (I07)", []ProducerBatch{sent(1, 0, 3, 0)}, sent(0, 3, 1, -1), ErrInvalidProducerEpoch, -2},
		{"old epoch, once known (I08)", []ProducerBatch{sent(0, 0, 3, 0), sent(1, 0, 3, 3)}, sent(0, 0, 3, -1), ErrInvalidProducerEpoch, -2},
		{"wrap (I09)", []ProducerBatch{sent(0, math.MaxInt32, 1, 0)}, sent(0, 0, 1, -1), nil, -2},
		{"wrap inside of a batch", []ProducerBatch{sent(0, math.MaxInt32-1, 4, 0)}, sent(0, 2, 1, -1), nil, -2},
		{"duplicate across the wrap", []ProducerBatch{sent(0, math.MaxInt32-1, 4, 8)}, sent(0, math.MaxInt32-1, 4, -1), nil, 8},
		{"after a marker of the same epoch", []ProducerBatch{inTxn(sent(0, 0, 3, 0)), marker(0, 0, 3)}, inTxn(sent(0, 3, 1, -1)), nil, -2},
		{"duplicate after a marker of the same epoch", []ProducerBatch{inTxn(sent(0, 0, 3, 0)), marker(0, 0, 3)}, inTxn(sent(0, 0, 3, -1)), nil, 0},
		{"after a marker that raised the epoch, from 0", []ProducerBatch{inTxn(sent(0, 0, 3, 0)), marker(1, 0, 3)}, inTxn(sent(1, 0, 1, -1)), nil, -2},
		{"after a marker that raised the epoch, not from 0", []ProducerBatch{inTxn(sent(0, 0, 3, 0)), marker(1, 0, 3)}, inTxn(sent(1, 3, 1, -1)), ErrOutOfOrderSequence, -2},
		{"outside of the ongoing transaction", []ProducerBatch{inTxn(sent(0, 0, 3, 0))}, sent(0, 3, 1, -1), ErrInvalidTxnState, -2},
		{"sequence goes before transaction", []ProducerBatch{inTxn(sent(0, 0, 3, 0))}, sent(0, 5, 1, -1), ErrOutOfOrderSequence, -2},
		{"a coordinator's batch has no sequence", []ProducerBatch{inTxn(sent(0, -1, 3, 0))}, inTxn(sent(0, -1, 1, -1)), nil, -2},
		{"a coordinator's batch of an old epoch", []ProducerBatch{inTxn(sent(2, -1, 3, 0))}, inTxn(sent(1, -1, 1, -1)), ErrInvalidProducerEpoch, -2},
		{"marker of an old epoch", []ProducerBatch{inTxn(sent(2, 0, 3, 0))}, marker(1, 0, -1), ErrInvalidProducerEpoch, -2},
		{"marker of an old coordinator", []ProducerBatch{marker(0, 5, 0)}, marker(0, 4, -1), ErrCoordinatorFenced, -2},
		{"marker of the same coordinator", []ProducerBatch{marker(0, 5, 0)}, marker(0, 5, -1), nil, -2},
		{"duplicate of a pending batch", []ProducerBatch{sent(0, 0, 3, -1)}, sent(0, 0, 3, -1), nil, -1},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			var s Producers
			for _, b := range c.before {
				s.Add(b)
			}
			dup, err := s.Clone().Check(c.batch)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			got := int64(-2)
			if dup != nil {
				got = dup.Base
				if dup.Records != c.batch.Records || dup.MaxTimestamp != 1000+dup.Base {
					t.Errorf("duplicate %+v", dup)
				}
			}
			if got != c.dup {
				t.Errorf("duplicate at %d, want %d", got, c.dup)
			}
			coded, err := parseProducers(s.encode())
			if err != nil {
				t.Fatal(err)
			}
			if dup2, err2 := coded.Check(c.batch); !errors.Is(err2, c.want) || (dup2 == nil) != (dup == nil) {
				t.Errorf("after a snapshot: %v, %v", dup2, err2)
			}
		})
	}
}

func TestProducersExpire(t *testing.T) {
	t.Parallel()
	var s Producers
	s.Add(sent(0, 0, 1, 0)) // last timestamp 1000
	open := inTxn(sent(0, 0, 1, 0))
	open.ProducerID = 8
	s.Add(open)
	s.Expire(1099, 100)
	if len(s.List()) != 2 {
		t.Error("expired too early")
	}
	s.Expire(1100, 100)
	if l := s.List(); len(l) != 1 || l[0].ID != 8 || l[0].TxnStart != 0 {
		t.Errorf("left: %+v", l)
	}
}

// appendBatches appends batches as entries of one term.
func appendBatches(t testing.TB, p *Partition, term uint64, batches ...[]byte) {
	t.Helper()
	index := max(p.LastIndex(), first(p.Previous()))
	var entries []Entry
	for _, b := range batches {
		index++
		entries = append(entries, Entry{Index: index, Term: term, Data: b})
	}
	if err := p.Append(entries, true); err != nil {
		t.Fatal(err)
	}
}

func first(a, _ uint64) uint64 { return a }

// TestProducersSurvive: which retries are recognised after what (semantics 6.5).
func TestProducersSurvive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := testPartition(t, d, 0)
	for i := range int32(4) {
		appendBatches(t, p, 1, batchOf(t, 1, BatchOptions{ProducerID: 7, BaseSequence: i}))
	}
	known := func(what string, want ...int32) {
		t.Helper()
		got := map[int32]bool{}
		for i := range int32(10) {
			dup, err := p.CheckProducer(sent(0, i, 1, -1))
			if dup != nil && err == nil {
				got[i] = true
			}
		}
		for _, i := range want {
			if !got[i] {
				t.Errorf("%s: sequence %d is no duplicate", what, i)
			}
			delete(got, i)
		}
		for i := range got {
			t.Errorf("%s: sequence %d is a duplicate", what, i)
		}
	}
	known("appended", 0, 1, 2, 3)
	if err := p.TruncateFrom(4); err != nil {
		t.Fatal(err)
	}
	known("truncated", 0, 1, 2)
	for _, down := range []func(*DB) error{(*DB).Close, (*DB).Crash} {
		if err := down(d); err != nil {
			t.Fatal(err)
		}
		if d, err = Open(path, Options{}); err != nil {
			t.Fatal(err)
		}
		p = testPartition(t, d, 0)
		known("restarted", 2)
	}
	appendBatches(t, p, 2, batchOf(t, 1, BatchOptions{ProducerID: 7, BaseSequence: 3}), batchOf(t, 1, BatchOptions{ProducerID: 7, BaseSequence: 4}))
	known("appended after the restart", 2, 3, 4)
	if err := p.TruncateFrom(5); err != nil {
		t.Fatal(err)
	}
	known("truncated to above the restart", 2, 3)
	if err := p.TruncateFrom(3); err != nil {
		t.Fatal(err)
	}
	known("truncated to below the restart", 0, 1)
	// The state outlives the records (KIP-360), and goes with a reset.
	if err := p.RaiseLogStart(p.LogEndOffset()); err != nil {
		t.Fatal(err)
	}
	known("all records deleted", 0, 1)
	s, err := p.ResetState()
	if err != nil {
		t.Fatal(err)
	}
	q := testPartition(t, d, 1)
	if err := q.Reset(s); err != nil {
		t.Fatal(err)
	}
	if q.LogEndOffset() != 2 || q.LogStartOffset() != 2 || first(q.Previous()) != 2 {
		t.Errorf("reset to %d-%d after %d", q.LogStartOffset(), q.LogEndOffset(), first(q.Previous()))
	}
	p = q
	known("reset from it", 0, 1)
	_ = d.Crash()
}

func markerBatch(t testing.TB, id int64, commit bool) []byte {
	t.Helper()
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	b, err := BuildBatch([]Record{{Timestamp: 5000, Key: key, Value: make([]byte, 6)}},
		BatchOptions{ProducerID: id, Transactional: true, Control: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTransactions: first unstable offset and aborted transactions.
func TestTransactions(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	txn := func(id int64, n int) []byte { return batchOf(t, n, BatchOptions{ProducerID: id, Transactional: true}) }
	unstable := func(what string, want int64) {
		t.Helper()
		if got := p.FirstUnstableOffset(); got != want {
			t.Errorf("%s: first unstable offset %d, want %d", what, got, want)
		}
	}
	appendBatches(t, p, 1, batchOf(t, 10, BatchOptions{}))
	unstable("no transactions", -1)
	appendBatches(t, p, 1, markerBatch(t, 5, false))
	unstable("a marker without records", -1)
	appendBatches(t, p, 1, txn(1, 5), txn(2, 5)) // 11-15, 16-20
	unstable("two ongoing", 11)
	appendBatches(t, p, 1, markerBatch(t, 1, false)) // 21
	unstable("the first aborted, its marker not below the high watermark", 11)
	p.SetHighWatermark(21)
	unstable("the marker at the high watermark", 11)
	p.SetHighWatermark(22)
	unstable("the marker below it", 16)
	appendBatches(t, p, 1, markerBatch(t, 2, true)) // 22
	p.SetHighWatermark(23)
	unstable("all complete", -1)
	for _, c := range []struct {
		from, to int64
		want     int
	}{{0, 11, 0}, {0, 12, 1}, {21, 30, 1}, {22, 30, 0}} {
		got := p.AbortedTxns(c.from, c.to)
		if len(got) != c.want {
			t.Errorf("aborted in [%d, %d): %v, want %d", c.from, c.to, got, c.want)
		}
		for _, a := range got {
			if a != (AbortedTxn{ProducerID: 1, FirstOffset: 11, LastOffset: 21}) {
				t.Errorf("aborted %+v", a)
			}
		}
	}
}
