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
