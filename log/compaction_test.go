package log

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// served reads all records of a log, with the offsets at which batches are
// served.
func served(t testing.TB, p *Partition) (records []Record, batches []Batch) {
	t.Helper()
	b, err := p.Read(p.LogStartOffset(), p.LogEndOffset(), 1<<30, true)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		var batch Batch
		if batch, b, err = ParseBatch(b); err != nil || !batch.ValidCRC() {
			t.Fatal(err, batch)
		}
		list, err := Records(batch, 0)
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, batch)
		if !batch.Control() {
			records = append(records, list...)
		}
	}
	return records, batches
}

// keyed appends a batch with these keys and values; a value "" is a tombstone.
func keyed(t testing.TB, p *Partition, o BatchOptions, pairs ...string) {
	t.Helper()
	var records []Record
	for i := 0; i < len(pairs); i += 2 {
		r := Record{Timestamp: 1000, Key: []byte(pairs[i]), Value: []byte(pairs[i+1]), Headers: []Header{{Key: "h", Value: []byte("x")}}}
		if pairs[i+1] == "" {
			r.Value = nil
		}
		records = append(records, r)
	}
	if o.ProducerID == 0 {
		o.ProducerID = -1
	}
	b, err := BuildBatch(records, o)
	if err != nil {
		t.Fatal(err)
	}
	appendBatches(t, p, 1, b)
}

func show(records []Record) []string {
	var list []string
	for _, r := range records {
		v := string(r.Value)
		if r.Value == nil {
			v = "null"
		}
		list = append(list, fmt.Sprintf("%d:%s=%s", r.Offset, r.Key, v))
	}
	return list
}

// everySegment makes each batch a segment of its own.
func everySegment(bound int64) Compaction {
	return Compaction{Now: time.UnixMilli(10_000), SegmentBytes: 1, Bound: bound, DeleteRetention: 1000}
}

func compactNow(t testing.TB, p *Partition, c Compaction, changed bool) {
	t.Helper()
	got, err := p.Compact(c)
	if err != nil || got != changed {
		t.Fatalf("compacted: %v, %v, want %v", got, err, changed)
	}
}

func wantServed(t testing.TB, p *Partition, want ...string) {
	t.Helper()
	records, _ := served(t, p)
	if got := show(records); !slices.Equal(got, want) {
		t.Errorf("served %v, want %v", got, want)
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	for _, codec := range allCodecs() {
		t.Run(fmt.Sprint("codec", codec), func(t *testing.T) {
			t.Parallel()
			p := testPartition(t, testDB(t, Options{}), 0)
			o := BatchOptions{Codec: codec}
			keyed(t, p, o, "a", "1", "b", "1")
			keyed(t, p, o, "a", "2")
			keyed(t, p, o, "c", "1", "b", "2", "a", "3")
			keyed(t, p, o, "c", "2") // active
			compactNow(t, p, everySegment(7), true)
			wantServed(t, p, "3:c=1", "4:b=2", "5:a=3", "6:c=2")
			if p.LogEndOffset() != 7 || p.LastIndex() != 4 {
				t.Errorf("log end %d, last index %d", p.LogEndOffset(), p.LastIndex())
			}
			if e, err := p.Entry(1); err != nil || e.Kind != KindStub || e.Base != 0 || e.Last != 1 || len(e.Data) > 0 {
				t.Errorf("entry 1: %+v, %v", e, err)
			}
			compactNow(t, p, everySegment(7), false)
		})
	}
}

func TestCompactLimits(t *testing.T) {
	t.Parallel()
	fill := func(t *testing.T) *Partition {
		p := testPartition(t, testDB(t, Options{}), 0)
		for range 5 {
			keyed(t, p, BatchOptions{}, "a", "x") // offsets 0-4, timestamp 1000
		}
		return p
	}
	cases := []struct {
		what   string
		change func(*Compaction)
		want   []string // nil: untouched
	}{
		{"all but the active segment", nil, []string{"3:a=x", "4:a=x"}},
		{"not above the bound", func(c *Compaction) { c.Bound = 3 }, []string{"2:a=x", "3:a=x", "4:a=x"}},
		{"not younger than the lag", func(c *Compaction) { c.MinLagMs = 9001 }, nil},
		{"as old as the lag", func(c *Compaction) { c.MinLagMs = 9000 }, []string{"3:a=x", "4:a=x"}},
		{"one segment, which is active", func(c *Compaction) { c.SegmentBytes = 1 << 20 }, nil},
		{"not dirty enough", func(c *Compaction) { c.MinDirtyRatio = 1 }, nil},
		{"not dirty enough, but overdue", func(c *Compaction) { c.MinDirtyRatio, c.MaxLagMs = 1, 8999 }, []string{"3:a=x", "4:a=x"}},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			p := fill(t)
			settings := everySegment(5)
			if c.change != nil {
				c.change(&settings)
			}
			compactNow(t, p, settings, c.want != nil)
			want := c.want
			if want == nil {
				want = []string{"0:a=x", "1:a=x", "2:a=x", "3:a=x", "4:a=x"}
			}
			wantServed(t, p, want...)
		})
	}
}

// TestLastCleaned: what ends the cleaned part stays as an empty batch, so that a
// reader gets past it.
func TestLastCleaned(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	keyed(t, p, BatchOptions{}, "a", "1")
	timed(t, p, 10, 1000)
	b, err := BuildBatch([]Record{{Timestamp: 1000, Value: []byte("without a key")}}, BatchOptions{ProducerID: -1})
	if err != nil {
		t.Fatal(err)
	}
	appendBatches(t, p, 1, b)
	keyed(t, p, BatchOptions{}, "a", "2")
	compactNow(t, p, everySegment(4), true)
	_, batches := served(t, p)
	if n := len(batches); n != 4 || batches[2].NumRecords != 0 || batches[2].BaseOffset != 2 || len(batches[2].Raw) != batchRecordsAt {
		t.Errorf("%d batches: %+v", n, batches)
	}
}

// TestTombstones go once their time has come, counted from the pass that found
// them last of their key.
func TestTombstones(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	keyed(t, p, BatchOptions{}, "a", "1", "b", "1")
	keyed(t, p, BatchOptions{}, "a", "")
	keyed(t, p, BatchOptions{}, "z", "1")
	keyed(t, p, BatchOptions{}, "z", "2")
	c := everySegment(5)
	compactNow(t, p, c, true)
	wantServed(t, p, "1:b=1", "2:a=null", "3:z=1", "4:z=2")
	_, batches := served(t, p)
	if h, ok := batches[1].deleteHorizon(); !ok || h != 11_000 {
		t.Errorf("delete horizon %d, %v", h, ok)
	}
	records, _ := served(t, p)
	if records[1].Timestamp != 1000 {
		t.Errorf("the tombstone's timestamp became %d", records[1].Timestamp)
	}
	keyed(t, p, BatchOptions{}, "z", "3") // something dirty again
	c.Bound, c.Now = 6, time.UnixMilli(10_999)
	compactNow(t, p, c, true)
	wantServed(t, p, "1:b=1", "2:a=null", "4:z=2", "5:z=3")
	keyed(t, p, BatchOptions{}, "z", "4")
	c.Bound, c.Now = 7, time.UnixMilli(11_000)
	compactNow(t, p, c, true)
	wantServed(t, p, "1:b=1", "5:z=3", "6:z=4")
}

// TestCompactTransactions: aborted records go and hide nothing, markers stay as
// long as they have records, producer state stays.
func TestCompactTransactions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := testPartition(t, d, 0)
	txn := func(id int64, seq int32) BatchOptions {
		return BatchOptions{ProducerID: id, BaseSequence: seq, Transactional: true}
	}
	keyed(t, p, BatchOptions{}, "a", "committed before")   // 0
	keyed(t, p, txn(1, 0), "a", "aborted", "b", "aborted") // 1-2
	appendBatches(t, p, 1, markerBatch(t, 1, false))       // 3
	keyed(t, p, txn(2, 0), "c", "committed")               // 4
	appendBatches(t, p, 1, markerBatch(t, 2, true))        // 5
	keyed(t, p, txn(2, 1), "c", "newer")                   // 6
	appendBatches(t, p, 1, markerBatch(t, 2, true))        // 7
	keyed(t, p, BatchOptions{}, "z", "1")                  // 8
	keyed(t, p, BatchOptions{}, "z", "2")                  // 9
	p.SetHighWatermark(10)
	c := everySegment(10)
	compactNow(t, p, c, true)
	wantServed(t, p, "0:a=committed before", "6:c=newer", "8:z=1", "9:z=2")
	before := p.Producers()
	for range 3 {
		c.Now = c.Now.Add(time.Hour)
		keyed(t, p, BatchOptions{}, "z", "x")
		p.SetHighWatermark(p.LogEndOffset())
		c.Bound = p.LogEndOffset()
		if _, err := p.Compact(c); err != nil {
			t.Fatal(err)
		}
		if err := d.Crash(); err != nil {
			t.Fatal(err)
		}
		if d, err = Open(path, Options{}); err != nil {
			t.Fatal(err)
		}
		p = testPartition(t, d, 0)
		if got := p.Producers(); !slices.Equal(got, before) {
			t.Errorf("producers %+v, want %+v", got, before)
		}
	}
	records, batches := served(t, p)
	if len(records) != 4 {
		t.Errorf("served %v", show(records))
	}
	// The markers of 6-7 and of the emptied last batches are still there.
	markers := 0
	for _, b := range batches {
		if b.Control() {
			markers++
		}
	}
	if markers < 2 {
		t.Errorf("%d markers left", markers)
	}
	if n := len(p.AbortedTxns(0, 10)); n != 1 {
		t.Errorf("%d aborted transactions", n)
	}
	_ = d.Crash()
}

// finalValues is what a read_committed reader ends up with. It filters as
// clients do: a producer is aborted from the first offset that the list names
// until its next abort marker.
func finalValues(t testing.TB, p *Partition) map[string]string {
	t.Helper()
	_, batches := served(t, p)
	list := p.AbortedTxns(p.LogStartOffset(), p.LogEndOffset())
	slices.SortFunc(list, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	aborted := map[int64]bool{}
	values := map[string]string{}
	for _, b := range batches {
		for len(list) > 0 && list[0].FirstOffset <= b.BaseOffset+int64(b.LastOffset) {
			aborted[list[0].ProducerID] = true
			list = list[1:]
		}
		if b.Control() {
			if pb, err := b.Producer(); err == nil && pb != nil && !pb.Commit {
				delete(aborted, b.ProducerID)
			}
			continue
		}
		if b.Transactional() && aborted[b.ProducerID] {
			continue
		}
		records, err := Records(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Value == nil {
				delete(values, string(r.Key))
			} else {
				values[string(r.Key)] = string(r.Value)
			}
		}
	}
	return values
}

// TestCompactRandom: whatever is written and however often it is compacted,
// readers end up with the same values, and PowerOff goes back to the bytes of the
// last sync.
func TestCompactRandom(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(seedOf(t), 1))
	path := filepath.Join(t.TempDir(), "x.db")
	open := func() (*DB, *Partition) {
		d, err := Open(path, Options{CacheBytes: 1 + r.IntN(20000)})
		if err != nil {
			t.Fatal(err)
		}
		return d, testPartition(t, d, 0)
	}
	d, p := open()
	defer func() { _ = d.Crash() }()
	now := time.UnixMilli(0)
	sequence := map[int64]int32{}
	var durable []Entry
	for step := range 400 {
		now = now.Add(time.Duration(r.IntN(50)) * time.Millisecond)
		id := r.Int64N(4)
		o := BatchOptions{ProducerID: id, BaseSequence: sequence[id], Transactional: true, Codec: Codec(r.IntN(5))}
		var pairs []string
		for range 1 + r.IntN(4) {
			value := fmt.Sprint(step)
			if r.IntN(5) == 0 {
				value = ""
			}
			pairs = append(pairs, fmt.Sprint("k", r.IntN(12)), value)
		}
		if id == 0 {
			o = BatchOptions{ProducerID: -1, Codec: o.Codec}
		}
		keyed(t, p, o, pairs...)
		sequence[id] += int32(len(pairs) / 2)
		if id > 0 && r.IntN(2) == 0 {
			appendBatches(t, p, 1, markerBatch(t, id, r.IntN(2) == 0))
		}
		if r.IntN(10) > 0 {
			continue
		}
		p.SetHighWatermark(p.LogEndOffset())
		bound := p.LogEndOffset()
		if u := p.FirstUnstableOffset(); u >= 0 {
			bound = u
		}
		want := finalValues(t, p)
		if _, err := p.Compact(Compaction{
			Now: now, DeleteRetention: int64(r.IntN(300)), SegmentBytes: 1 + r.Int64N(2000), Bound: bound,
			MinDirtyRatio: r.Float64() / 2,
		}); err != nil {
			t.Fatal(err)
		}
		if got := finalValues(t, p); !maps.Equal(got, want) {
			t.Fatalf("step %d: values\n%v, want\n%v", step, got, want)
		}
		checkSize(t, p)
		switch r.IntN(4) {
		case 0:
			if err := d.Sync(); err != nil {
				t.Fatal(err)
			}
			durable = allEntries(t, p)
		case 1:
			if err := d.PowerOff(); err != nil {
				t.Fatal(err)
			}
			d, p = open()
			if got := allEntries(t, p); !slices.EqualFunc(got, durable, equalEntries) {
				t.Fatalf("step %d: after a power cut %d entries, want the %d of the last sync", step, len(got), len(durable))
			}
			checkSize(t, p)
			for id := range sequence {
				sequence[id] = 0
			}
			for _, s := range p.Producers() {
				sequence[s.ID] = s.LastSequence + 1
			}
		}
	}
}

func equalEntries(a, b Entry) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Kind == b.Kind && a.Base == b.Base && a.Last == b.Last && bytes.Equal(a.Data, b.Data)
}

func allEntries(t testing.TB, p *Partition) []Entry {
	t.Helper()
	var list []Entry
	for i := p.FirstIndex(); i > 0 && i <= p.LastIndex(); i++ {
		e, err := p.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func checkSize(t testing.TB, p *Partition) {
	t.Helper()
	want := int64(0)
	for _, e := range allEntries(t, p) {
		if e.Kind == KindBatch {
			want += int64(len(e.Data))
		}
	}
	if p.Size() != want {
		t.Errorf("size %d, want %d", p.Size(), want)
	}
}

// TestTruncateCompacted: sizes hold, and what is written over the truncated part
// is dirty again.
func TestTruncateCompacted(t *testing.T) {
	t.Parallel()
	p := testPartition(t, testDB(t, Options{}), 0)
	for range 6 {
		keyed(t, p, BatchOptions{}, "a", "1", "b", "1")
	}
	compactNow(t, p, everySegment(12), true)
	checkSize(t, p)
	if err := errors.Join(p.TruncateFrom(4), p.RaiseLogStart(2)); err != nil {
		t.Fatal(err)
	}
	checkSize(t, p)
	for range 3 {
		keyed(t, p, BatchOptions{}, "a", "2", "b", "2")
	}
	compactNow(t, p, everySegment(12), true)
	wantServed(t, p, "8:a=2", "9:b=2", "10:a=2", "11:b=2")
	checkSize(t, p)
}
