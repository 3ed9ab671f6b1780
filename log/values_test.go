package log

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// checkTree has bbolt look for pages of a closed file that are in use twice, or
// not at all and not free either.
func checkTree(t testing.TB, path string) {
	t.Helper()
	b, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	err = b.View(func(tx *bolt.Tx) error {
		var all error
		for err := range tx.Check() {
			all = errors.Join(all, err)
		}
		return all
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatalf("the tree of pages: %v", err)
	}
}

// sizedBatch is a batch of exactly so many bytes with one record, told apart by
// its key.
func sizedBatch(t testing.TB, size int, key string) []byte {
	t.Helper()
	build := func(n int) []byte {
		raw, err := BuildBatch([]Record{{Timestamp: 1000, Key: []byte(key), Value: bytes.Repeat([]byte{'v'}, n)}}, BatchOptions{ProducerID: -1})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for n := max(0, size-90-len(key)); ; n++ {
		if raw := build(n); len(raw) == size {
			return raw
		} else if len(raw) > size {
			t.Fatalf("no batch of %d bytes", size)
		}
	}
}

// TestLargeEntries goes through all that happens to an entry, on both sides of
// the length from which it has a bucket of its own.
func TestLargeEntries(t *testing.T) {
	t.Parallel()
	for _, down := range []func(*DB) error{(*DB).Crash, dieOf, (*DB).PowerOff, (*DB).Close} {
		path := filepath.Join(t.TempDir(), "x.db")
		d, err := Open(path, Options{CacheBytes: 1})
		if err != nil {
			t.Fatal(err)
		}
		p := testPartition(t, d, 0)
		var want [][]byte
		for i, size := range []int{largeBytes - 1, largeBytes, largeBytes + 1, 200, 1 << 20, 5000, 100} {
			raw := sizedBatch(t, size, fmt.Sprint(i%3))
			e := []Entry{{Index: uint64(i + 1), Term: 1, Data: raw}}
			if err := p.Append(e, true); err != nil {
				t.Fatal(err)
			}
			want = append(want, bytes.Clone(e[0].Data))
		}
		verify := func(what string) {
			t.Helper()
			for i, raw := range want {
				e, err := p.Entry(uint64(i + 1))
				if err != nil || !bytes.Equal(e.Data, raw) {
					t.Fatalf("%s: entry %d has %d bytes, want %d, %v", what, i+1, len(e.Data), len(raw), err)
				}
			}
			if got, err := p.Read(0, p.LogEndOffset(), 4<<20, true); err != nil || !bytes.Equal(got, bytes.Join(want, nil)) {
				t.Fatalf("%s: read %d bytes, %v", what, len(got), err)
			}
		}
		verify("appended")
		p.SetHighWatermark(p.LogEndOffset())
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		// What follows is undone by a power cut only.
		if changed, err := p.Compact(Compaction{Now: time.UnixMilli(1 << 40), SegmentBytes: 1, Bound: p.LogEndOffset()}); err != nil || !changed {
			t.Fatalf("compacted: %v, %v", changed, err)
		}
		if e, err := p.Entry(2); err != nil || e.Kind != KindStub || len(e.Data) != 0 {
			t.Fatalf("a large entry was compacted to %d bytes of kind %d, %v", len(e.Data), e.Kind, err)
		}
		if err := errors.Join(p.TruncateFrom(5), p.RaiseLogStart(1)); err != nil {
			t.Fatal(err)
		}
		if err := down(d); err != nil {
			t.Fatal(err)
		}
		checkTree(t, path)
		if d, err = Open(path, Options{CacheBytes: 1}); err != nil {
			t.Fatal(err)
		}
		p = testPartition(t, d, 0)
		if first, last := p.FirstIndex(), p.LastIndex(); first == 1 && last == 7 {
			verify("after a power cut")
		} else if first != 2 || last != 4 {
			t.Fatalf("entries %d-%d", first, last)
		}
		if err := errors.Join(d.Delete(p.ID()), d.Close()); err != nil {
			t.Fatal(err)
		}
		checkTree(t, path)
	}
}

// TestDeleteBesideTruncation queues both for one group commit.
func TestDeleteBesideTruncation(t *testing.T) {
	t.Parallel()
	for _, reset := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "x.db")
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := testPartition(t, d, 0)
		for i := range uint64(4) {
			if err := p.Append([]Entry{{Index: i + 1, Term: 1, Data: sizedBatch(t, 2*largeBytes, "k")}}, true); err != nil {
				t.Fatal(err)
			}
		}
		// The writer is kept busy until both have queued up behind it.
		busy, free := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = d.w.submit(&request{run: func(*txn) error { close(busy); <-free; return nil }})
		})
		<-busy
		queued := func(n int) {
			for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
				d.w.mu.Lock()
				have := len(d.w.queue)
				d.w.mu.Unlock()
				if have == n {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d requests in the queue, waited for %d", have, n)
				}
			}
		}
		wg.Go(func() {
			if err := p.TruncateFrom(3); err != nil {
				t.Error(err)
			}
		})
		queued(1)
		wg.Go(func() {
			gone := func() error { return d.Delete(p.ID()) }
			if reset {
				gone = func() error { return p.Reset(ResetState{Index: 10, Term: 1, LogStartOffset: 10}) }
			}
			if err := gone(); err != nil {
				t.Error(err)
			}
		})
		queued(2)
		close(free)
		wg.Wait()
		if err := d.Crash(); err != nil {
			t.Fatal(err)
		}
		checkTree(t, path)
	}
}
