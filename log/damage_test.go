package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// sampleFile is a file with some of everything, as Crash or Close leaves it.
func sampleFile(t testing.TB, entries int, down func(*DB) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int32(3) {
		p := testPartition(t, d, n)
		for i := range entries {
			o := BatchOptions{ProducerID: 5, BaseSequence: int32(i), Transactional: true}
			e := Entry{Index: uint64(i + 1), Term: uint64(1 + i/10), Data: batchOf(t, 1, o)}
			if i == entries/2 {
				e.Data = batchOf(t, 800, o) // has a bucket of its own
			}
			if err := p.Append([]Entry{e}, true); err != nil {
				t.Fatal(err)
			}
		}
		if n == 1 {
			if err := errors.Join(d.Sync(), p.TruncateFrom(uint64(entries-3)), p.RaiseLogStart(4)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(d.Delete(PartitionID{Topic: TopicID{1, 2, 3}, Partition: 2}), d.SetValue("a", []byte("b"))); err != nil {
		t.Fatal(err)
	}
	if err := down(d); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// useAll opens the file and does all that a broker does with it. Errors are
// fine; a panic, a fault or a hang is not.
func useAll(t testing.TB, path string) {
	t.Helper()
	d, err := Open(path, Options{CacheBytes: 1})
	if err != nil {
		return
	}
	for _, id := range d.Partitions() {
		p, err := d.Partition(id)
		if err != nil {
			continue
		}
		first, last := p.FirstIndex(), p.LastIndex()
		for i := first; i <= last && i < first+100; i++ {
			_, _ = p.Entry(i)
		}
		start, end := p.LogStartOffset(), p.LogEndOffset()
		_, _ = p.Read(start, end, 1<<20, true)
		_, _ = p.Read(start+(end-start)/2, end, 1<<20, true)
		_, _, _ = p.OffsetForTimestamp(1001)
		_, _, _ = p.MaxTimestamp()
		_, _ = p.ResetState()
		_, _ = p.Retain(Retention{Now: time.UnixMilli(1 << 40), Ms: 10, Bytes: 1000, SegmentBytes: 500, Bound: end})
		_, _ = p.Compact(Compaction{Now: time.UnixMilli(1 << 40), SegmentBytes: 500, Bound: end})
		_ = p.Append([]Entry{{Index: last + 1, Term: p.Term(), Data: batchOf(t, 1, BatchOptions{})}}, true)
		_ = p.TruncateFrom(last - 2)
		_ = p.RaiseLogStart(start + 1)
	}
	_, _ = d.Value("a")
	_ = d.Sync()
	_ = d.PowerOff()
}

// withTimeout runs fn, and ends the process with all stacks when it hangs.
func withTimeout(t testing.TB, what string, fn func()) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { panic("hangs: " + what) })
	defer timer.Stop()
	fn()
}

// TestDamagedFiles changes bytes and cuts files at random.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(seedOf(t), 0))
	for _, down := range []func(*DB) error{(*DB).Crash, (*DB).Close, dieOf} {
		sample := sampleFile(t, 60, down)
		dir := t.TempDir()
		for range 150 {
			b := bytes.Clone(sample)
			switch r.IntN(4) {
			case 0:
				b = b[:r.IntN(len(b))]
			case 1: // a page of noise
				at := r.IntN(len(b)/4096) * 4096
				for i := at; i < at+4096; i++ {
					b[i] = byte(r.Uint32())
				}
			case 2: // one page in the place of another
				from, to := r.IntN(len(b)/4096)*4096, r.IntN(len(b)/4096)*4096
				copy(b[to:to+4096], b[from:from+4096])
			default:
				for range 1 + r.IntN(4) {
					b[r.IntN(len(b))] ^= 1 << r.IntN(8)
				}
			}
			path := filepath.Join(dir, "x.db")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			withTimeout(t, "a damaged file", func() { useAll(t, path) })
		}
	}
}

// dieOf closes the file as the death of the process does: the freelist is not
// written.
func dieOf(d *DB) error {
	return d.w.shut(false, func() { _ = d.bolt.Close() })
}

// TestKeysOutOfOrder swaps the first two keys of each leaf page of a file whose
// process died.
func TestKeysOutOfOrder(t *testing.T) {
	t.Parallel()
	ne := binary.NativeEndian
	sample := sampleFile(t, 10, dieOf)
	path := filepath.Join(t.TempDir(), "x.db")
	found := 0
	for at := 0; at+4096 <= len(sample); at += 4096 {
		b := bytes.Clone(sample)
		page := b[at : at+4096]
		if ne.Uint16(page[8:]) != pageLeaf || ne.Uint16(page[10:]) < 2 {
			continue
		}
		first, second := bytes.Clone(page[16:32]), bytes.Clone(page[32:48])
		ne.PutUint32(first[4:], ne.Uint32(first[4:])-pageElementBytes) // where a key is, is told from its element on
		ne.PutUint32(second[4:], ne.Uint32(second[4:])+pageElementBytes)
		copy(page[16:], second)
		copy(page[32:], first)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		switch d, err := Open(path, Options{}); {
		case errors.Is(err, ErrCorruptFile):
			found++
		case err != nil:
			t.Errorf("page %d: %v", at/4096, err)
		default:
			_ = d.Crash() // a page that is not in use
		}
	}
	if found < 3 {
		t.Errorf("noticed in %d pages", found)
	}
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	sample := sampleFile(t, 10, (*DB).Close)
	dir := t.TempDir()
	open := func(t *testing.T, name string, b []byte) error {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(path, Options{})
		if err == nil {
			_ = d.Crash()
		}
		return err
	}
	if err := open(t, "cut", sample[:len(sample)/2]); !errors.Is(err, ErrCorruptFile) {
		t.Errorf("a cut file: %v", err)
	}
	if err := open(t, "one page", sample[:5000]); !errors.Is(err, ErrCorruptFile) {
		t.Errorf("a page and a bit: %v", err)
	}
	if err := open(t, "noise", bytes.Repeat([]byte("noise"), 10000)); !errors.Is(err, ErrCorruptFile) {
		t.Errorf("noise: %v", err)
	}
	if err := open(t, "short", []byte("x")); !errors.Is(err, ErrCorruptFile) {
		t.Errorf("one byte: %v", err)
	}
	if err := open(t, "empty", nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	other := filepath.Join(dir, "other")
	format := func(n byte) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			m, err := tx.CreateBucket([]byte(bucketMeta))
			return errors.Join(err, m.Put([]byte(keyFormat), []byte{n}))
		}
	}
	for _, set := range []func(*bolt.Tx) error{
		func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("something")); return err },
		format(fileFormat - 1),
		format(fileFormat + 1),
	} {
		_ = os.Remove(other)
		b, err := bolt.Open(other, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Update(set), b.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(other, Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("a file of something else: %v", err)
		}
	}
}

func TestFileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := Open(path, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v to find out", took)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err = Open(path, Options{})
	if err != nil {
		t.Fatalf("closed: %v", err)
	}
	_ = d.Crash()
}

// FuzzOpenDamaged lets the fuzzer choose what is written where in the file.
func FuzzOpenDamaged(f *testing.F) {
	samples := [][]byte{sampleFile(f, 12, (*DB).Close), sampleFile(f, 12, dieOf)}
	f.Add(uint8(0), []byte{0, 0, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint8(1), []byte{0, 0, 16, 8, 1, 0, 0, 0, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		b := bytes.Clone(samples[int(which)%len(samples)])
		for ; len(edits) >= 12; edits = edits[12:] {
			at := int(binary.BigEndian.Uint32(edits)) % (len(b) - 8)
			copy(b[at:], edits[4:12])
		}
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		withTimeout(t, "a damaged file", func() { useAll(t, path) })
	})
}

// FuzzBatch parses, validates and decodes anything.
func FuzzBatch(f *testing.F) {
	for _, c := range allCodecs() {
		f.Add(franzBatch(f, someRecords(5), c, nil), uint8(0))
		f.Add(franzBatch(f, someRecords(5), c, nil), uint8(7))
	}
	f.Fuzz(func(t *testing.T, raw []byte, flags uint8) {
		withTimeout(t, "a batch", func() { fuzzBatch(t, raw, flags) })
	})
}

func fuzzBatch(t *testing.T, raw []byte, flags uint8) {
	b, err := SplitProduced(raw)
	if err != nil {
		return
	}
	if flags&1 != 0 && len(b.Raw) >= batchRecordsAt {
		sign(b.Raw) // so that what lies behind the CRC is reached
		b = readBatch(b.Raw)
	}
	r := plainRules()
	r.Compacted, r.LogAppendTime = flags&2 != 0, flags&4 != 0
	r.Recompress, r.Codec = flags&8 != 0, Codec(flags>>4)%5
	stored, err := Validate(b, r)
	if err != nil {
		return
	}
	again, rest, err := ParseBatch(stored.Raw)
	if err != nil || len(rest) > 0 || !again.ValidCRC() {
		t.Fatalf("what was accepted does not parse: %v", err)
	}
	records, err := Records(again, 1<<24)
	if err == nil && len(records) != int(again.NumRecords) {
		t.Fatalf("%d records of %d", len(records), again.NumRecords)
	}
}

// FuzzProducers reads producer states as they come from another replica.
func FuzzProducers(f *testing.F) {
	var s Producers
	for i := range int32(7) {
		s.Add(sent(0, i*10, 10, int64(i*10)))
	}
	s.Add(inTxn(sent(0, 70, 1, 70)))
	f.Add(s.encode())
	s.Add(marker(1, 3, 71))
	f.Add(s.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseProducers(b)
		if err != nil || len(b) == 0 {
			return
		}
		again, err := parseProducers(s.encode())
		if err != nil || !bytes.Equal(again.encode(), s.encode()) {
			t.Fatalf("not read back: %v", err)
		}
		_, _ = s.Check(sent(0, 0, 1, 0))
		s.Add(sent(0, 0, 1, 100))
		s.List()
	})
}

// TestDamageBeyondTheFirstPages damages pages of entries that opening a closed
// file does not look at: reads fail, and nothing hangs or ends the process.
func TestDamageBeyondTheFirstPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sample.db")
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const entries = 6000
	p := testPartition(t, d, 0)
	for i := 0; i < entries; {
		var list []Entry
		for range 100 {
			i++
			size := 1500
			if i%10 == 0 {
				size = largeBytes
			}
			list = append(list, Entry{Index: uint64(i), Term: 1, Data: sizedBatch(t, size, "k")})
		}
		if err := p.Append(list, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ne := binary.NativeEndian
	r := rand.New(rand.NewPCG(seedOf(t), 0))
	pages := len(sample) / 4096
	if pages < 2*checkPages {
		t.Fatalf("%d pages are too few", pages)
	}
	failed, opened := 0, 0
	few := func() bool { return opened < 2 || failed < 2 }
	for round := 0; round < 12 || few() && round < 100; round++ {
		b := bytes.Clone(sample)
		var hit []uint64 // entries on damaged pages
		for range 3 {
			at := r.IntN(pages) * 4096
			page := b[at : at+4096]
			if id := ne.Uint64(page); id != uint64(at/4096) || ne.Uint16(page[8:]) != pageLeaf || id < 2 {
				continue
			}
			if pos, size := ne.Uint32(page[20:]), ne.Uint32(page[24:]); size == 8 { // the first key
				hit = append(hit, binary.BigEndian.Uint64(page[16+pos:]))
			}
			// A leaf becomes a branch that leads back to itself.
			ne.PutUint16(page[8:], pageBranch)
			ne.PutUint16(page[10:], 1)
			ne.PutUint32(page[16:], pageElementBytes)
			ne.PutUint32(page[20:], 8)
			ne.PutUint64(page[24:], ne.Uint64(page))
			clear(page[32:40])
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(path, Options{CacheBytes: 1})
		if err != nil {
			continue
		}
		opened++
		p := testPartition(t, d, 0)
		for _, i := range hit {
			switch _, err := p.Entry(i); {
			case errors.Is(err, ErrCorruptFile):
				failed++
			case err == nil && i > 0 && i < entries:
				t.Errorf("entry %d was read from a damaged page", i)
			}
		}
		_ = d.Crash()
		withTimeout(t, "a damaged large file", func() { useAll(t, path) })
	}
	if few() {
		t.Errorf("%d files were opened, %d reads have failed", opened, failed)
	}
}
