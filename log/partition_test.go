package log

import (
	"errors"
	"path/filepath"
	"testing"
)

// testDB opens a file in the test's directory, closed at its end.
func testDB(t testing.TB, opts Options) *DB {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "broker-1.db"), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Crash() })
	return d
}

func testPartition(t testing.TB, d *DB, n int32) *Partition {
	t.Helper()
	p, err := d.Partition(PartitionID{Topic: TopicID{1, 2, 3}, Partition: n})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// batchOf builds a batch of n records.
func batchOf(t testing.TB, n int, o BatchOptions) []byte {
	t.Helper()
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Timestamp: 1000 + int64(i), Key: []byte("key"), Value: []byte("value")}
	}
	if o.ProducerID == 0 {
		o.ProducerID = -1
	}
	b, err := BuildBatch(records, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendReadReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broker-1.db")
	d, err := Open(path, Options{CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := testPartition(t, d, 0)
	entries := []Entry{{Index: 1, Term: 1, Kind: KindControl}}
	for i := range 10 {
		entries = append(entries, Entry{Index: uint64(i + 2), Term: 1, Data: batchOf(t, 3, BatchOptions{})})
	}
	if err := p.Append(entries, true); err != nil {
		t.Fatal(err)
	}
	check := func(p *Partition) {
		t.Helper()
		if got := p.LogEndOffset(); got != 30 {
			t.Errorf("log end %d, want 30", got)
		}
		if p.FirstIndex() != 1 || p.LastIndex() != 11 {
			t.Errorf("entries %d-%d", p.FirstIndex(), p.LastIndex())
		}
		for off := int64(0); off < 30; off++ {
			b, err := p.Read(off, 30, 1, true)
			if err != nil {
				t.Fatal(err)
			}
			batch, rest, err := ParseBatch(b)
			if err != nil || len(rest) > 0 || batch.BaseOffset != off-off%3 || !batch.ValidCRC() || batch.LeaderEpoch != 0 {
				t.Fatalf("offset %d: %+v %v", off, batch, err)
			}
		}
		b, err := p.Read(4, 29, 1<<20, true)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for len(b) > 0 {
			if _, b, err = ParseBatch(b); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 8 {
			t.Errorf("%d batches, want 8", n)
		}
		if _, err := p.Read(31, 40, 1, true); !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("beyond the end: %v", err)
		}
		if e, s := p.EpochEnd(0); e != 0 || s != 30 {
			t.Errorf("epoch end %d %d", e, s)
		}
	}
	check(p)
	for _, down := range []func(*DB) error{(*DB).Crash, (*DB).Close, (*DB).PowerOff} {
		if err := down(d); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Entry(3); !errors.Is(err, ErrNotFound) {
			t.Errorf("closed: %v", err)
		}
		if d, err = Open(path, Options{CacheBytes: 1}); err != nil {
			t.Fatal(err)
		}
		p = testPartition(t, d, 0)
		check(p)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHighWatermark: what is left of it after a crash, and that a truncation
// lowers it for good.
func TestHighWatermark(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := testPartition(t, d, 0)
	reopen := func() {
		t.Helper()
		if err := d.Crash(); err != nil {
			t.Fatal(err)
		}
		if d, err = Open(path, Options{}); err != nil {
			t.Fatal(err)
		}
		p = testPartition(t, d, 0)
	}
	want := func(what string, offset int64) {
		t.Helper()
		if got := p.HighWatermark(); got != offset {
			t.Errorf("%s: %d, want %d", what, got, offset)
		}
	}
	appendBatches(t, p, 1, batchOf(t, 10, BatchOptions{}))
	p.SetHighWatermark(7)
	want("set", 7)
	reopen()
	want("not checkpointed", 0)
	p.SetHighWatermark(7)
	if err := d.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	p.SetHighWatermark(9)
	reopen()
	want("checkpointed", 7)
	p.SetHighWatermark(8)
	appendBatches(t, p, 1, batchOf(t, 10, BatchOptions{}))
	p.SetHighWatermark(20)
	reopen()
	want("rides on an append", 8)
	p.SetHighWatermark(5)
	want("lowered", 5)
	if err := d.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	reopen()
	want("lowered and checkpointed", 5)
	p.SetHighWatermark(20)
	if err := p.TruncateFrom(2); err != nil {
		t.Fatal(err)
	}
	want("truncated", 10)
	appendBatches(t, p, 2, batchOf(t, 10, BatchOptions{}))
	want("appended after it", 10)
	if err := p.RaiseLogStart(15); err != nil {
		t.Fatal(err)
	}
	want("log start above", 15)
	_ = d.Crash()
}

// TestResetInsideBatch: a follower reset to a log start inside of a batch takes
// that batch.
func TestResetInsideBatch(t *testing.T) {
	t.Parallel()
	d := testDB(t, Options{})
	p, q := testPartition(t, d, 0), testPartition(t, d, 1)
	appendBatches(t, p, 3, batchOf(t, 10, BatchOptions{}), batchOf(t, 10, BatchOptions{}), batchOf(t, 10, BatchOptions{}))
	if err := p.RaiseLogStart(15); err != nil {
		t.Fatal(err)
	}
	s, err := p.ResetState()
	if err != nil || s.Index != 1 || s.Term != 3 || s.LogStartOffset != 15 {
		t.Fatalf("%+v, %v", s, err)
	}
	appendBatches(t, q, 5, batchOf(t, 1, BatchOptions{}))
	if err := q.Reset(s); err != nil {
		t.Fatal(err)
	}
	if q.LogStartOffset() != 15 || q.LogEndOffset() != 15 || q.FirstIndex() != 0 || q.Term() != 5 {
		t.Errorf("reset: %d-%d, first %d, term %d", q.LogStartOffset(), q.LogEndOffset(), q.FirstIndex(), q.Term())
	}
	if e, err := q.Entry(1); err != nil || e.Kind != KindControl || e.Term != 3 {
		t.Errorf("the entry before: %+v, %v", e, err)
	}
	if epoch, end := q.EpochEnd(2); epoch != 2 || end != 15 {
		t.Errorf("epoch 2 ends as (%d, %d)", epoch, end)
	}
	for i := p.FirstIndex(); i <= p.LastIndex(); i++ {
		e, err := p.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		e.Data = append([]byte(nil), e.Data...)
		if err := q.Append([]Entry{e}, false); err != nil {
			t.Fatal(err)
		}
	}
	if q.LogStartOffset() != 15 || q.LogEndOffset() != 30 {
		t.Errorf("caught up: %d-%d", q.LogStartOffset(), q.LogEndOffset())
	}
	a, _ := p.Read(15, 30, 1<<20, true)
	b, err := q.Read(15, 30, 1<<20, true)
	if err != nil || string(a) != string(b) {
		t.Errorf("the follower serves something else, %v", err)
	}
}
