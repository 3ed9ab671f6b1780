package log

import (
	"fmt"
	"testing"
	"time"
)

// timed appends batches of one record with these timestamps (ms).
func timed(t testing.TB, p *Partition, size int, timestamps ...int64) {
	t.Helper()
	for _, ts := range timestamps {
		b, err := BuildBatch([]Record{{Timestamp: ts, Key: []byte("k"), Value: make([]byte, size)}}, BatchOptions{ProducerID: -1})
		if err != nil {
			t.Fatal(err)
		}
		appendBatches(t, p, 1, b)
	}
}

func TestRetain(t *testing.T) {
	t.Parallel()
	const each = 1000 // bytes a batch
	cases := []struct {
		what       string
		timestamps []int64
		r          Retention
		bound      int64
		want       int64 // log start
	}{
		{"no limits", []int64{1, 2, 3}, Retention{Ms: -1, Bytes: -1, SegmentBytes: each}, 3, 0},
		{"by age, whole segments", []int64{1, 2, 3, 100, 101}, Retention{Ms: 50, Bytes: -1, SegmentBytes: 2 * each}, 5, 2},
		{"by age, a young record keeps its segment and what follows", []int64{1, 100, 2, 3}, Retention{Ms: 50, Bytes: -1, SegmentBytes: 2 * each}, 4, 0},
		{"by age, all expired: the log is emptied", []int64{1, 2, 3}, Retention{Ms: 50, Bytes: -1, SegmentBytes: 2 * each}, 3, 3},
		{"exactly as old as allowed", []int64{71, 72}, Retention{Ms: 50, Bytes: -1, SegmentBytes: each}, 2, 0},
		{"by age, not beyond the bound", []int64{1, 2, 3, 4}, Retention{Ms: 50, Bytes: -1, SegmentBytes: each}, 2, 2},
		{"by size", []int64{1, 2, 3, 4, 5}, Retention{Ms: -1, Bytes: 2 * each, SegmentBytes: each}, 5, 3},
		{"by size, only whole segments", []int64{1, 2, 3, 4, 5}, Retention{Ms: -1, Bytes: 2 * each, SegmentBytes: 2 * each}, 5, 2},
		{"by size, 0 deletes all", []int64{1, 2, 3}, Retention{Ms: -1, Bytes: 0, SegmentBytes: each}, 3, 3},
		{"by size, then by age", []int64{1, 2, 3, 100, 100}, Retention{Ms: 50, Bytes: 4 * each, SegmentBytes: each}, 5, 3},
		{"segments by time", []int64{1, 5, 11, 12, 100}, Retention{Ms: 50, Bytes: -1, SegmentBytes: 1 << 30, SegmentMs: 10}, 5, 4},
		{"segments by time, not yet full", []int64{1, 5, 11, 12, 100}, Retention{Ms: 109, Bytes: -1, SegmentBytes: 1 << 30, SegmentMs: 10}, 5, 3},
		{"segments by time, times that go back", []int64{50, 1, 2, 30, 100}, Retention{Ms: 50, Bytes: -1, SegmentBytes: 3 * each, SegmentMs: 10}, 5, 4},
		{
			"segments by time, times that go back, by one",
			[]int64{455, 1, 2, 400, 451, 501},
			Retention{Now: time.UnixMilli(1000), Ms: 540, Bytes: -1, SegmentBytes: 3 * each, SegmentMs: 50},
			6, 4,
		},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			p := testPartition(t, testDB(t, Options{}), 0)
			overhead := len(batchOf(t, 1, BatchOptions{})) // any record
			timed(t, p, each-overhead, c.timestamps...)
			if got := p.Size(); got < int64(len(c.timestamps)*(each-10)) || got > int64(len(c.timestamps)*(each+10)) {
				t.Fatalf("%d bytes", got)
			}
			r := c.r
			size := p.Size() / int64(len(c.timestamps))
			r.Bound = c.bound
			if r.Now.IsZero() {
				r.Now = time.UnixMilli(121)
			}
			r.SegmentBytes = r.SegmentBytes * size / each
			if r.Bytes > 0 {
				r.Bytes = r.Bytes * size / each
			}
			got, err := p.Retain(r)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if got != want || p.LogStartOffset() != want {
				t.Errorf("log start %d, %d, want %d", got, p.LogStartOffset(), want)
			}
			if p.LogEndOffset() != int64(len(c.timestamps)) {
				t.Errorf("log end %d", p.LogEndOffset())
			}
		})
	}
}

// TestRetainWithoutTimestamps: such segments age from their last append.
func TestRetainWithoutTimestamps(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1000)
	p := testPartition(t, testDB(t, Options{Now: func() time.Time { return now }}), 0)
	timed(t, p, 10, -1, -1)
	now = time.UnixMilli(2000)
	timed(t, p, 10, -1)
	r := Retention{Ms: 500, Bytes: -1, SegmentMs: 100, SegmentBytes: 1 << 20, Bound: 3, Now: time.UnixMilli(2100)}
	if got, err := p.Retain(r); err != nil || got != 2 {
		t.Errorf("log start %d, %v, want 2", got, err)
	}
}

func TestOffsetForTimestamp(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{1, 1 << 20} {
		for _, codec := range allCodecs() {
			t.Run(fmt.Sprint(cache, codec), func(t *testing.T) {
				t.Parallel()
				p := testPartition(t, testDB(t, Options{CacheBytes: cache}), 0)
				// Offsets 0-2: 10, 30, 20; 3-5: 15, 40, 40; 6: 40; 7: 35.
				for i, times := range [][]int64{{10, 30, 20}, {15, 40, 40}, {40}, {35}} {
					var records []Record
					for _, ts := range times {
						records = append(records, Record{Timestamp: ts})
					}
					b, err := BuildBatch(records, BatchOptions{ProducerID: -1, Codec: codec})
					if err != nil {
						t.Fatal(err)
					}
					appendBatches(t, p, uint64(i+1), b)
				}
				check := func(ts, offset, found int64) {
					t.Helper()
					got, ok, err := p.OffsetForTimestamp(ts)
					if err != nil || ok != (offset >= 0) || (ok && (got.Offset != offset || got.Timestamp != found)) {
						t.Errorf("%d: %+v %v %v, want offset %d at %d", ts, got, ok, err, offset, found)
					}
				}
				check(0, 0, 10)
				check(10, 0, 10)
				check(11, 1, 30)
				check(31, 4, 40)
				check(40, 4, 40)
				check(41, -1, 0)
				best, ok, err := p.MaxTimestamp()
				if err != nil || !ok || best != (TimestampOffset{Offset: 4, Timestamp: 40, LeaderEpoch: 1}) {
					t.Errorf("largest timestamp: %+v %v %v", best, ok, err)
				}
				// Below the log start nothing is found, though its times linger.
				if err := p.RaiseLogStart(7); err != nil {
					t.Fatal(err)
				}
				check(10, 7, 35)
				check(36, -1, 0)
				best, ok, err = p.MaxTimestamp()
				if err != nil || !ok || best.Offset != 7 || best.Timestamp != 35 {
					t.Errorf("largest timestamp after deletion: %+v %v %v", best, ok, err)
				}
				if err := p.RaiseLogStart(8); err != nil {
					t.Fatal(err)
				}
				check(0, -1, 0)
				if _, ok, err = p.MaxTimestamp(); ok || err != nil {
					t.Errorf("an empty log has a largest timestamp, %v", err)
				}
			})
		}
	}
}

// TestLargestOfTrimmed: the largest timestamp that was deleted does not count.
func TestLargestOfTrimmed(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	timed(t, p, 10, 100, 20, 30, 25)
	if err := p.RaiseLogStart(1); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := p.MaxTimestamp(); err != nil || !ok || got.Offset != 2 || got.Timestamp != 30 {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	if got, ok, err := p.OffsetForTimestamp(21); err != nil || !ok || got.Offset != 2 {
		t.Errorf("%+v %v %v", got, ok, err)
	}
}

// TestLogStartInBatch: a lookup does not find what lies below the log start in
// the same batch.
func TestLogStartInBatch(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	appendBatches(t, p, 1, batchOf(t, 5, BatchOptions{})) // 1000-1004
	if err := p.RaiseLogStart(2); err != nil {
		t.Fatal(err)
	}
	got, ok, err := p.OffsetForTimestamp(0)
	if err != nil || !ok || got.Offset != 2 || got.Timestamp != 1002 {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	b, err := p.Read(2, 5, 1, true)
	if batch, _, _ := ParseBatch(b); err != nil || batch.BaseOffset != 0 {
		t.Errorf("read %+v, %v", batch, err)
	}
}

// TestEpochs holds LeaderEpochFileCache's answers.
func TestEpochs(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	control := func(term uint64) {
		t.Helper()
		if err := p.Append([]Entry{{Index: p.LastIndex() + 1, Term: term, Kind: KindControl}}, true); err != nil {
			t.Fatal(err)
		}
	}
	check := func(asked, epoch int32, end int64) {
		t.Helper()
		if e, o := p.EpochEnd(asked); e != epoch || o != end {
			t.Errorf("epoch %d ends as (%d, %d), want (%d, %d)", asked, e, o, epoch, end)
		}
	}
	check(0, -1, -1)
	control(3)
	appendBatches(t, p, 3, batchOf(t, 10, BatchOptions{})) // epoch 2: 0-9
	control(5)                                             // epoch 4 writes nothing
	control(7)
	appendBatches(t, p, 7, batchOf(t, 10, BatchOptions{})) // epoch 6: 10-19
	check(-1, -1, -1)
	check(1, 1, 0)
	check(2, 2, 10)
	check(3, 2, 10)
	check(4, 2, 10) // not known: it wrote nothing
	check(5, 2, 10)
	check(6, 6, 20)
	check(7, -1, -1)
	if e, s := p.LatestEpoch(); e != 6 || s != 10 {
		t.Errorf("latest (%d, %d)", e, s)
	}
	if p.EpochAt(9) != 2 || p.EpochAt(10) != 6 {
		t.Errorf("epochs at 9 and 10: %d, %d", p.EpochAt(9), p.EpochAt(10))
	}
	if err := p.TruncateFrom(4); err != nil {
		t.Fatal(err)
	}
	check(4, 4, 10) // the newest again
	check(6, -1, -1)
	if err := p.RaiseLogStart(10); err != nil {
		t.Fatal(err)
	}
	check(2, 2, 10)
	check(4, 4, 10)
	if e := p.EpochAt(10); e != 4 {
		t.Errorf("epoch of an empty log %d", e)
	}
}
