package log

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// gate holds commits back until it is opened.
type gate struct {
	closed atomic.Bool
	in     chan struct{}
	open   chan struct{}
}

func newGate() *gate { return &gate{in: make(chan struct{}, 100), open: make(chan struct{})} }

func (g *gate) pass(int) error {
	if g.closed.Load() {
		g.in <- struct{}{}
		<-g.open
	}
	return nil
}

// TestGroupCommit: what comes while a commit runs shares the next one, and one
// that fails does not take the others along.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	g := newGate()
	var commits atomic.Int64
	d := testDB(t, Options{BeforeCommit: func(n int) error {
		commits.Add(1)
		return g.pass(n)
	}})
	var parts []*Partition
	for n := range int32(8) {
		parts = append(parts, testPartition(t, d, n))
	}
	before := commits.Load()
	g.closed.Store(true)
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	start := func(n int, fn func(p *Partition) error) {
		wg.Go(func() { errs[n] = fn(parts[n]) })
	}
	good := func(p *Partition) error {
		return p.Append([]Entry{{Index: 1, Term: 1, Data: batchOf(t, 2, BatchOptions{})}}, true)
	}
	start(0, good)
	<-g.in
	g.closed.Store(false)
	for n := 1; n < len(parts); n++ {
		switch n {
		case 3: // refused before it has changed anything
			start(n, func(p *Partition) error {
				return p.Append([]Entry{{Index: 9, Term: 1, Data: batchOf(t, 1, BatchOptions{})}}, true)
			})
		case 5: // fails in the middle
			start(n, func(p *Partition) error {
				return d.w.submit(&request{run: func(tx *txn) error {
					if err := tx.append(p, []Entry{{Index: 1, Term: 1, Data: batchOf(t, 1, BatchOptions{})}}, true); err != nil {
						return err
					}
					return errors.New("midway")
				}})
			})
		default:
			start(n, good)
		}
	}
	waitFor(t, "seven requests to queue", func() bool {
		d.w.mu.Lock()
		defer d.w.mu.Unlock()
		return len(d.w.queue) == 7
	})
	close(g.open)
	wg.Wait()
	if n := commits.Load() - before; n != 2 {
		t.Errorf("%d commits, want 2", n)
	}
	for n, p := range parts {
		bad := n == 3 || n == 5
		if (errs[n] != nil) != bad {
			t.Errorf("partition %d: %v", n, errs[n])
		}
		if want := int64(2); (p.LogEndOffset() == want) == bad {
			t.Errorf("partition %d ends at %d", n, p.LogEndOffset())
		}
	}
	// The one that failed midway can go on.
	if err := good(parts[5]); err != nil {
		t.Error(err)
	}
}

// waitFor waits with a deadline, without sleeping blindly.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// TestBeforeCommit: an error of the disk fails the appends, and nothing is
// there of them, now or later.
func TestBeforeCommit(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	var fail atomic.Bool
	var last atomic.Int64
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := Open(path, Options{BeforeCommit: func(n int) error {
		last.Store(int64(n))
		if fail.Load() {
			return full
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := testPartition(t, d, 0)
	raw := batchOf(t, 2, BatchOptions{ProducerID: 3})
	appendBatches(t, p, 1, bytes.Clone(raw))
	if last.Load() != int64(len(raw)) {
		t.Errorf("told of %d bytes, want %d", last.Load(), len(raw))
	}
	fail.Store(true)
	if err := p.Append([]Entry{{Index: 2, Term: 2, Data: bytes.Clone(raw)}}, true); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	if err := p.TruncateFrom(1); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	if p.LogEndOffset() != 2 || p.LastIndex() != 1 || p.Term() != 1 {
		t.Errorf("end %d, index %d, term %d", p.LogEndOffset(), p.LastIndex(), p.Term())
	}
	fail.Store(false)
	if err := p.Append([]Entry{{Index: 2, Term: 2, Data: bytes.Clone(raw)}}, true); err != nil {
		t.Error(err)
	}
	if err := d.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := p.Append([]Entry{{Index: 3, Term: 2, Data: raw}}, true); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := d.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

// TestCrashFailsWaiting: requests that wait behind a running commit fail at
// Crash, and are done at Close.
func TestCrashFailsWaiting(t *testing.T) {
	t.Parallel()
	for _, clean := range []bool{false, true} {
		g := newGate()
		d := testDB(t, Options{BeforeCommit: g.pass})
		p, q := testPartition(t, d, 0), testPartition(t, d, 1)
		g.closed.Store(true)
		results := make([]chan error, 2)
		for i, p := range []*Partition{p, q} {
			results[i] = make(chan error, 1)
			go func() {
				results[i] <- p.Append([]Entry{{Index: 1, Term: 1, Data: batchOf(t, 1, BatchOptions{})}}, true)
			}()
			if i == 0 {
				<-g.in
			}
		}
		waitFor(t, "the second to queue", func() bool {
			d.w.mu.Lock()
			defer d.w.mu.Unlock()
			return len(d.w.queue) == 1
		})
		g.closed.Store(false)
		down := make(chan error, 1)
		go func() {
			if clean {
				down <- d.Close()
			} else {
				down <- d.Crash()
			}
		}()
		waitFor(t, "the writer to be shut", func() bool {
			d.w.mu.Lock()
			defer d.w.mu.Unlock()
			return d.w.closed
		})
		close(g.open)
		if err := <-results[0]; err != nil {
			t.Errorf("the running one: %v", err)
		}
		if err := <-results[1]; clean != (err == nil) || (!clean && !errors.Is(err, ErrClosed)) {
			t.Errorf("clean %v, the waiting one: %v", clean, err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
	}
}

// TestConcurrent lets writers, readers, trims and deletions run into each other;
// the race detector watches.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	d := testDB(t, Options{CacheBytes: 5000})
	var wg sync.WaitGroup
	done := make(chan struct{})
	var parts []*Partition
	for n := range int32(4) {
		p := testPartition(t, d, n)
		parts = append(parts, p)
		wg.Go(func() {
			for i := range 150 {
				e := Entry{Index: p.tailIndex() + 1, Term: 1, Data: batchOf(t, 1+i%3, BatchOptions{ProducerID: 4})}
				if err := p.Append([]Entry{e}, true); err != nil {
					t.Error(err)
					return
				}
				p.SetHighWatermark(p.LogEndOffset())
				if i%50 == 49 {
					if err := p.TruncateFrom(e.Index - 5); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	var others sync.WaitGroup
	for _, p := range parts {
		others.Go(func() { readAround(t, p, done) })
	}
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			p := parts[i%len(parts)]
			if err := p.RaiseLogStart(p.LogStartOffset() + 2); err != nil && !errors.Is(err, ErrOffsetOutOfRange) {
				t.Error(err)
			}
			extra := PartitionID{Topic: TopicID{7}, Partition: int32(i % 2)}
			q, err := d.Partition(extra)
			if err == nil {
				err = q.Append([]Entry{{Index: 1, Term: 1, Data: batchOf(t, 1, BatchOptions{})}}, true)
			}
			if err = errors.Join(err, d.Delete(extra), d.Checkpoint(), d.SetValue("i", []byte(fmt.Sprint(i)))); err != nil {
				t.Error(err)
			}
			if i%5 == 0 {
				if err := d.Sync(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	close(done)
	others.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestLastEntryWhileItIsTrimmed: raft asks for the term of the last entry when it
// starts, also when the log start moves behind that entry meanwhile.
func TestLastEntryWhileItIsTrimmed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broker-1.db")
	for range 100 {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := testPartition(t, d, 0)
		last := p.tailIndex() + 1
		if err := p.Append([]Entry{{Index: last, Term: last, Data: batchOf(t, 1, BatchOptions{})}}, true); err != nil {
			t.Fatal(err)
		}
		if err := d.Crash(); err != nil {
			t.Fatal(err)
		}
		if d, err = Open(path, Options{}); err != nil { // nothing is in memory now
			t.Fatal(err)
		}
		p = testPartition(t, d, 0)
		trimmed := make(chan error, 1)
		go func() { trimmed <- p.RaiseLogStart(p.LogEndOffset()) }()
		for running := true; running; {
			select {
			case err := <-trimmed:
				if err != nil {
					t.Fatal(err)
				}
				running = false
			default:
			}
			if e, err := p.Entry(last); err != nil || e.Term != last {
				t.Fatalf("entry %d has term %d, %v", last, e.Term, err)
			}
		}
		if err := d.Crash(); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Partition) tailIndex() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.tail.index
}

// readAround reads everywhere; only what a race explains may fail.
func readAround(t *testing.T, p *Partition, done chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		start, end := p.LogStartOffset(), p.LogEndOffset()
		b, err := p.Read(start, end, 4000, true)
		if err != nil && !errors.Is(err, ErrOffsetOutOfRange) && !errors.Is(err, ErrNotFound) {
			t.Error(err)
			return
		}
		for len(b) > 0 {
			var batch Batch
			if batch, b, err = ParseBatch(b); err != nil || !batch.ValidCRC() {
				t.Errorf("read a damaged batch: %v", err)
				return
			}
		}
		for i := p.FirstIndex(); i > 0 && i < p.FirstIndex()+3; i++ {
			if _, err := p.Entry(i); err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
				return
			}
		}
		if _, _, err := p.OffsetForTimestamp(1001); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
			return
		}
		p.BytesAvailable(start, end, 1000)
		p.Producers()
		p.FirstUnstableOffset()
		p.AbortedTxns(start, end)
	}
}

// TestBubble: everything works in virtual time, and a slow disk does not stop it.
func TestBubble(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		d, err := Open(path, Options{BeforeCommit: func(int) error {
			<-time.After(slow)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		parts := []*Partition{testPartition(t, d, 0), testPartition(t, d, 1), testPartition(t, d, 2)}
		slow = time.Hour
		start := time.Now()
		var wg sync.WaitGroup
		for _, p := range parts {
			wg.Go(func() { appendBatches(t, p, 1, batchOf(t, 5, BatchOptions{Codec: CodecZstd})) })
		}
		wg.Wait()
		if took := time.Since(start); took < 2*time.Hour || took > 3*time.Hour {
			t.Errorf("three appends took %v", took)
		}
		if err := parts[0].RaiseLogStart(5); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// TestLongTruncation: many entries go in steps, and other partitions append in
// between.
func TestLongTruncation(t *testing.T) {
	t.Parallel()
	var bytes atomic.Int64
	var commits atomic.Int64
	d := testDB(t, Options{BeforeCommit: func(n int) error { commits.Add(1); bytes.Add(int64(n)); return nil }})
	p := testPartition(t, d, 0)
	raw := batchOf(t, 1, BatchOptions{ProducerID: 4})
	for range 10 {
		var batches [][]byte
		for range 500 {
			batches = append(batches, append([]byte(nil), raw...))
		}
		appendBatches(t, p, 1, batches...)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	before := commits.Load()
	if err := p.TruncateFrom(101); err != nil {
		t.Fatal(err)
	}
	if n := commits.Load() - before; n < 4900/truncateChunk {
		t.Errorf("4900 entries went in %d commits", n)
	}
	if p.LogEndOffset() != 100 || p.LastIndex() != 100 || len(allEntries(t, p)) != 100 {
		t.Errorf("log end %d, last index %d", p.LogEndOffset(), p.LastIndex())
	}
	appendBatches(t, p, 2, append([]byte(nil), raw...))
	path := d.bolt.Path()
	if err := d.PowerOff(); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Crash() }()
	p = testPartition(t, d, 0)
	if p.LogEndOffset() != 5000 || p.Term() != 1 || len(allEntries(t, p)) != 5000 {
		t.Errorf("after the power cut: log end %d, term %d", p.LogEndOffset(), p.Term())
	}
}

// TestErase: deleted logs and trimmed prefixes leave the file, and nothing that
// the last sync needs does before the next.
func TestErase(t *testing.T) {
	t.Parallel()
	d := testDB(t, Options{})
	keys := func(name []byte) int {
		n := 0
		_ = d.view(func(tx *bolt.Tx) error {
			if b := tx.Bucket(name); b != nil {
				n = b.Stats().KeyN
			}
			return nil
		})
		return n
	}
	trash := func() int { return keys([]byte(bucketTrash)) }
	p, q := testPartition(t, d, 0), testPartition(t, d, 1)
	for range 1000 {
		appendBatches(t, p, 1, batchOf(t, 1, BatchOptions{}))
	}
	appendBatches(t, q, 1, batchOf(t, 1, BatchOptions{}))
	if err := p.RaiseLogStart(400); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "what was never synced to go", func() bool { return keys(p.name) == 600 })
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.RaiseLogStart(800), d.Delete(q.ID())); err != nil {
		t.Fatal(err)
	}
	d.eraser.wait()
	if n := keys(p.name); n != 600 || trash() == 0 {
		t.Errorf("%d entries and %d deleted logs are left for the last sync", n, trash())
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the rest to go", func() bool { return keys(p.name) == 200 && trash() == 0 })
}
