package coordinator_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// seedOf takes the seed of a randomised test from MINIKAFKA_SEED, or makes one,
// and prints it.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return seed
}

// disk is a partition's log. Runtimes lead it one after the other.
type disk struct {
	mu       sync.Mutex
	start    int64
	batches  []log.Batch
	hw       int64
	frozen   bool // the high watermark stands still
	held     bool // appends do not end
	deposed  bool
	refuse   error // of Append
	fail     error // of what Append has queued
	maxBytes int
	pending  []*pending
	watchers map[chan<- struct{}]bool
	reading  func() // called by Read
}

type pending struct {
	batch log.Batch
	done  chan struct{}
	last  int64
	err   error
}

// Stored is coordinator.Appending's.
func (p *pending) Stored() <-chan struct{} { return p.done }

// Last is coordinator.Appending's.
func (p *pending) Last() (int64, error) { return p.last, p.err }

func newDisk() *disk {
	return &disk{maxBytes: 1 << 20, watchers: map[chan<- struct{}]bool{}}
}

func (d *disk) endLocked() int64 {
	if n := len(d.batches); n > 0 {
		b := &d.batches[n-1]
		return b.BaseOffset + int64(b.LastOffset) + 1
	}
	return d.start
}

// Bounds is coordinator.Log's.
func (d *disk) Bounds() (start, end int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.start, d.endLocked()
}

// Read is coordinator.Log's.
func (d *disk) Read(offset, limit int64, maxBytes int) ([]byte, error) {
	if d.reading != nil {
		d.reading()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset < d.start || offset > d.endLocked() {
		return nil, log.ErrOffsetOutOfRange
	}
	var out []byte
	for i := range d.batches {
		b := &d.batches[i]
		last := b.BaseOffset + int64(b.LastOffset)
		if last < offset {
			continue
		}
		if last >= limit || len(out) > 0 && len(out)+len(b.Raw) > maxBytes {
			break
		}
		out = append(out, b.Raw...)
	}
	return out, nil
}

// HighWatermark is coordinator.Log's.
func (d *disk) HighWatermark() (int64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hw, !d.deposed
}

// Watch is coordinator.Log's.
func (d *disk) Watch(ch chan<- struct{}) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers[ch] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, ch)
	}
}

// MaxBatchBytes is coordinator.Log's.
func (d *disk) MaxBatchBytes() int { return d.maxBytes }

// Append is coordinator.Log's.
func (d *disk) Append(b log.Batch) (coordinator.Appending, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return nil, d.refuse
	}
	p := &pending{batch: b, done: make(chan struct{})}
	d.pending = append(d.pending, p)
	if !d.held {
		d.storeLocked()
	}
	return p, nil
}

// storeLocked ends the appends under way.
func (d *disk) storeLocked() {
	for _, p := range d.pending {
		if p.err = d.fail; p.err == nil {
			d.writeLocked(p.batch)
			p.last = d.endLocked() - 1
		}
		close(p.done)
	}
	d.pending = nil
	d.moveLocked()
}

// loseLocked takes away what is not committed.
func (d *disk) loseLocked() {
	for _, p := range d.pending {
		p.err = replication.ErrNotLeader
		close(p.done)
	}
	d.pending = nil
	for n := len(d.batches); n > 0 && d.batches[n-1].BaseOffset >= d.hw; n-- {
		d.batches = d.batches[:n-1]
	}
}

func (d *disk) writeLocked(b log.Batch) {
	b.BaseOffset = d.endLocked()
	binary.BigEndian.PutUint64(b.Raw, uint64(b.BaseOffset))
	d.batches = append(d.batches, b)
}

func (d *disk) moveLocked() {
	if !d.frozen {
		d.hw = d.endLocked()
	}
	for ch := range d.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// change changes the disk, and what follows from it.
func (d *disk) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	if !d.held {
		d.storeLocked()
	}
	d.moveLocked()
}

func (d *disk) sizes() (records []int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.batches {
		records = append(records, d.batches[i].NumRecords)
	}
	return records
}

// store is a shard that keeps the newest value of each key.
type store struct {
	ctx      coordinator.Context
	values   *timeline.Map[string, string]
	pending  *timeline.Map[string, int64] // by whose transaction
	order    []string                     // of what happened
	loaded   bool
	unloaded *sync.WaitGroup // of each shard that was made
	images   []uint64
}

// Replay is coordinator.Shard's. It fails on "poison", and panics on "bomb".
func (s *store) Replay(at coordinator.Position, r coordinator.Record) error {
	switch key := string(r.Key); {
	case key == "poison":
		return errors.New("poison")
	case key == "bomb":
		panic("bomb")
	case at.ProducerID >= 0:
		s.pending.Set(key, at.ProducerID)
	case r.Value == nil:
		s.values.Delete(key)
	default:
		s.values.Set(key, string(r.Value))
	}
	s.order = append(s.order, string(r.Key)+"@"+strconv.FormatInt(at.Offset, 10))
	return nil
}

// ReplayMarker is coordinator.Shard's.
func (s *store) ReplayMarker(producerID int64, _ int16, commit bool) error {
	for key, by := range s.pending.All() {
		if by != producerID {
			continue
		}
		s.pending.Delete(key)
		if commit {
			s.values.Set(key, "committed")
		}
	}
	return nil
}

// Loaded is coordinator.Shard's.
func (s *store) Loaded() { s.loaded = true }

// Unloaded is coordinator.Shard's.
func (s *store) Unloaded() { s.unloaded.Done() }

// Changed is coordinator.Shard's.
func (s *store) Changed(m *election.Image) { s.images = append(s.images, m.Index) }

const timeout = 5 * time.Second

// bench is a runtime in a bubble of virtual time.
type bench struct {
	t        *testing.T
	disk     *disk
	unloaded sync.WaitGroup
	*coordinator.Runtime[*store]
}

func newBench(t *testing.T, d *disk, options ...func(*coordinator.Config[*store])) *bench {
	t.Helper()
	b := &bench{t: t, disk: d}
	c := coordinator.Config[*store]{
		Topic: "state", Linger: -1, WriteTimeout: timeout,
		NewShard: func(ctx coordinator.Context) *store {
			b.unloaded.Add(1)
			return &store{
				ctx: ctx, values: timeline.NewMap[string, string](ctx.Timeline()),
				pending: timeline.NewMap[string, int64](ctx.Timeline()), unloaded: &b.unloaded,
			}
		},
	}
	for _, o := range options {
		o(&c)
	}
	b.Runtime = coordinator.New(c)
	t.Cleanup(func() {
		b.Stop()
		b.unloaded.Wait() // each shard is told
	})
	return b
}

// lead has partition 0 loaded.
func (b *bench) lead(epoch int32) {
	b.t.Helper()
	b.Lead(0, epoch, b.disk)
	synctest.Wait()
}

// put is an operation that writes.
func put(keysAndValues ...string) func(*store) (coordinator.Outcome, error) {
	return func(*store) (coordinator.Outcome, error) {
		var out coordinator.Outcome
		for i := 0; i < len(keysAndValues); i += 2 {
			out.Records = append(out.Records, coordinator.Record{Key: []byte(keysAndValues[i]), Value: []byte(keysAndValues[i+1])})
		}
		return out, nil
	}
}

func nothing(*store) (coordinator.Outcome, error) { return coordinator.Outcome{}, nil }

// write begins a Write.
func (b *bench) write(op func(*store) (coordinator.Outcome, error)) *call {
	c := &call{t: b.t, done: make(chan error, 1), began: time.Now()}
	go func() { c.done <- b.Write(context.Background(), 0, op) }()
	return c
}

// call is an operation under way.
type call struct {
	t     *testing.T
	done  chan error
	began time.Time
}

// waits says that the call has no answer.
func (c *call) waits() {
	c.t.Helper()
	synctest.Wait()
	select {
	case err := <-c.done:
		c.t.Fatalf("answered too early: %v", err)
	default:
	}
}

// gets says that the call has this answer now.
func (c *call) gets(want error) {
	c.t.Helper()
	synctest.Wait()
	select {
	case err := <-c.done:
		if !errors.Is(err, want) {
			c.t.Fatalf("answered %v, not %v", err, want)
		}
	default:
		c.t.Fatalf("no answer after %v; want %v", time.Since(c.began), want)
	}
}

// getsAfter says that the call is answered so long after it began.
func (c *call) getsAfter(want error, d time.Duration) {
	c.t.Helper()
	err := <-c.done
	if took := time.Since(c.began); took != d || !errors.Is(err, want) {
		c.t.Fatalf("answered %v after %v, not %v after %v", err, took, want, d)
	}
}

// newest and committed are a key's value now, and as of the high watermark.
func (b *bench) newest(key string) (value string) {
	b.t.Helper()
	err := b.Run(context.Background(), 0, func(s *store) (coordinator.Outcome, error) {
		value, _ = s.values.Get(key)
		return coordinator.Outcome{}, nil
	})
	if err != nil {
		b.t.Fatalf("reading %s: %v", key, err)
	}
	return value
}

func (b *bench) committed(key string) (value string) {
	b.t.Helper()
	err := b.Read(context.Background(), 0, func(s *store, at int64) error {
		value, _ = s.values.GetAt(at, key)
		return nil
	})
	if err != nil {
		b.t.Fatalf("reading %s: %v", key, err)
	}
	return value
}

// has says what a key's values are.
func (b *bench) has(key, newest, committed string) {
	b.t.Helper()
	if got := b.newest(key); got != newest {
		b.t.Errorf("%s is %q, not %q", key, got, newest)
	}
	if got := b.committed(key); got != committed {
		b.t.Errorf("%s is %q as of the high watermark, not %q", key, got, committed)
	}
}

// after lets time pass, and what is due happen.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

var errOfOperation = kerr.IllegalGeneration
