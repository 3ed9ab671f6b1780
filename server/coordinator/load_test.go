package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/coordinator"
)

// fill writes batches of one record, without a coordinator.
func (d *disk) fill(t *testing.T, keysAndValues ...string) {
	t.Helper()
	for i := 0; i < len(keysAndValues); i += 2 {
		d.add(t, log.BatchOptions{ProducerID: -1}, log.Record{Key: []byte(keysAndValues[i]), Value: []byte(keysAndValues[i+1])})
	}
}

func (d *disk) add(t *testing.T, o log.BatchOptions, records ...log.Record) {
	t.Helper()
	raw, err := log.BuildBatch(records, o)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := log.ParseBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	d.change(func() { d.writeLocked(b) })
}

func TestLoad(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		const n = 10000
		for i := range n / 100 {
			var records []log.Record
			for j := range 100 {
				records = append(records, log.Record{Key: fmt.Append(nil, j), Value: fmt.Append(nil, i)})
			}
			d.add(t, log.BatchOptions{ProducerID: -1, Codec: log.CodecGzip}, records...)
		}
		d.change(func() { d.start = 7 }) // within a batch
		reads := 0
		proceed := make(chan struct{})
		d.reading = func() {
			if reads++; reads == 1 {
				<-proceed
			}
		}
		b := newBench(t, d, func(c *coordinator.Config[*store]) { c.LoadBuffer = 4 << 10 })
		b.lead(0)
		b.write(nothing).gets(kerr.CoordinatorLoadInProgress)
		if got := b.Active(); len(got) != 0 {
			t.Errorf("active while it loads: %v", got)
		}
		if got := b.Led(); len(got) != 1 {
			t.Errorf("led while it loads: %v", got)
		}
		close(proceed)
		synctest.Wait()
		b.has("0", "99", "99")
		if reads < 3 {
			t.Errorf("loaded by %d reads", reads)
		}
		err := b.Run(t.Context(), 0, func(s *store) (coordinator.Outcome, error) {
			if !s.loaded || len(s.order) != n-7 || s.order[0] != "7@7" {
				t.Errorf("%d records were replayed, the first is %s", len(s.order), s.order[0])
			}
			return coordinator.Outcome{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.write(put("0", "new")).gets(nil)
	})
}

// TestReadsAfterAFailoverLag is semantics 8.7: the new leader's high watermark lags,
// and reads see the state as of it; operations wait.
func TestReadsAfterAFailoverLag(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		d.fill(t, "a", "1", "a", "2")
		d.change(func() { d.frozen = true })
		d.fill(t, "a", "3", "a", "4")
		b := newBench(t, d)
		b.lead(0)
		b.has("a", "4", "2")
		waits := b.write(nothing)
		waits.waits()
		d.change(func() { d.hw = 3 })
		waits.waits()
		b.has("a", "4", "3")
		d.change(func() { d.hw = 4 })
		waits.gets(nil)
		b.has("a", "4", "4")
		d.change(func() { d.hw = 0 })
		b.has("a", "4", "4") // it never goes back
	})
}

func TestUnloadWhileLoading(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		d.fill(t, "a", "1", "a", "2", "a", "3")
		proceed := make(chan struct{})
		var reads atomic.Int32
		d.reading = func() {
			reads.Add(1)
			<-proceed
		}
		b := newBench(t, d)
		b.lead(0)
		b.Resign(0, 1)
		b.write(nothing).gets(kerr.NotCoordinator)
		b.lead(2) // it waits for the one before
		b.write(nothing).gets(kerr.CoordinatorLoadInProgress)
		if reads.Load() != 1 {
			t.Error("it did not wait")
		}
		close(proceed)
		synctest.Wait()
		b.has("a", "3", "3")
	})
}

// TestWhatCannotBeLoaded has no coordinator, until it is led again.
func TestWhatCannotBeLoaded(t *testing.T) {
	for _, key := range []string{"poison", "bomb"} {
		t.Run(key, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				d := newDisk()
				d.fill(t, "a", "1", key, "")
				b := newBench(t, d)
				b.lead(0)
				b.write(nothing).gets(kerr.NotCoordinator)
				b.Lead(1, 0, newDisk()) // others work
				synctest.Wait()
				if err := b.Write(t.Context(), 1, put("a", "1")); err != nil {
					t.Error(err)
				}
				d.change(func() { d.batches = d.batches[:1] })
				b.lead(1)
				b.has("a", "1", "1")
			})
		})
	}
}

// TestBugsOfAShard cost their operation, or their batch, and nothing else.
func TestBugsOfAShard(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.write(func(*store) (coordinator.Outcome, error) { panic("a bug") }).gets(kerr.UnknownServerError)
		b.write(put("a", "1")).gets(nil)
		for _, key := range []string{"poison", "bomb"} {
			b.disk.change(func() { b.disk.held = true })
			flying := b.write(put("b", key))
			flying.waits()
			shares := b.write(put("c", key))
			shares.waits()
			b.write(put("a", "2", key, "2")).gets(kerr.UnknownServerError)
			shares.gets(kerr.UnknownServerError)
			b.has("a", "1", "1")
			b.has("b", key, b.committed("b"))
			b.has("c", "", "")
			b.disk.change(func() { b.disk.held = false })
			flying.gets(nil)
			b.has("b", key, key)
		}
	})
}

// TestSomebodyElseWroteToTheLog: the state is not that of the log, and is loaded
// anew.
func TestSomebodyElseWroteToTheLog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, newDisk())
		b.lead(0)
		b.disk.fill(t, "a", "theirs")
		b.write(put("b", "ours")).gets(kerr.NotCoordinator)
		b.has("a", "theirs", "theirs")
		b.has("b", "ours", "ours")
		b.write(put("b", "2")).gets(nil)
	})
}

func TestTransactions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		b := newBench(t, d)
		b.lead(0)
		ctx := context.Background()
		write := func(id int64, key string) {
			t.Helper()
			if err := b.WriteTransactional(ctx, 0, id, 4, put(key, "pending")); err != nil {
				t.Fatal(err)
			}
		}
		write(7, "a")
		write(8, "b")
		b.has("a", "", "")
		if err := b.EndTransaction(ctx, 0, 7, 4, 1, true); err != nil {
			t.Fatal(err)
		}
		if err := b.EndTransaction(ctx, 0, 8, 4, 1, false); err != nil {
			t.Fatal(err)
		}
		write(9, "c")
		b.has("a", "committed", "committed")
		b.has("b", "", "")

		d.change(func() { d.frozen = true })
		late := make(chan error, 1)
		go func() { late <- b.EndTransaction(ctx, 0, 9, 4, 1, true) }()
		synctest.Wait()
		b.has("c", "committed", "")
		if err := <-late; !errors.Is(err, kerr.CoordinatorNotAvailable) {
			t.Error(err)
		}
		d.change(func() { d.frozen = false })

		again := newBench(t, d)
		again.lead(1)
		again.has("a", "committed", "committed")
		again.has("b", "", "")
		again.has("c", "committed", "committed")
		for i := range d.batches {
			batch := &d.batches[i]
			if !batch.ValidCRC() && batch.BaseOffset == 0 {
				t.Error("a batch is damaged")
			}
			if !batch.Transactional() || batch.ProducerEpoch != 4 {
				t.Errorf("batch %d is of producer epoch %d, transactional: %t", i, batch.ProducerEpoch, batch.Transactional())
			}
		}
	})
}

// TestRandom runs operations over appends that fail, high watermarks that stand
// still, and failovers; what was acknowledged stays, and what the shard has is what
// the log says.
func TestRandom(t *testing.T) {
	seed := seedOf(t)
	for round := range 20 {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, uint64(round)))
				newRandomTest(t, random).run()
			})
		})
	}
}

type randomTest struct {
	*bench
	random *rand.Rand
	epoch  int32
	calls  map[string]*call // by the value each writes
	acked  map[string]bool
}

func newRandomTest(t *testing.T, random *rand.Rand) *randomTest {
	linger := []time.Duration{-1, 0, 5 * time.Millisecond}[random.IntN(3)]
	b := newBench(t, newDisk(), func(c *coordinator.Config[*store]) { c.Linger = linger })
	b.lead(0)
	return &randomTest{bench: b, random: random, calls: map[string]*call{}, acked: map[string]bool{}}
}

func (r *randomTest) run() {
	for step := range 300 {
		switch n := r.random.IntN(30); {
		case n < 15:
			value := strconv.Itoa(step)
			// Each record has a key of its own, so that none hides another.
			r.calls[value] = r.write(put("k"+value, value, "newest", value))
		case n < 18:
			after(time.Duration(r.random.IntN(1000)) * time.Millisecond)
		case n < 20:
			r.disk.change(func() { r.disk.frozen = !r.disk.frozen })
		case n < 22:
			r.disk.change(func() { r.disk.held = !r.disk.held })
		case n < 24:
			r.disk.change(func() {
				if r.disk.fail = replication.ErrNotEnoughReplicas; r.random.IntN(2) == 0 {
					r.disk.fail = nil
				}
			})
		case n == 24:
			r.failover()
		}
		if r.random.IntN(2) == 0 {
			synctest.Wait()
		}
		r.collect()
	}
	r.disk.change(func() { r.disk.frozen, r.disk.held, r.disk.fail = false, false, nil })
	after(2 * timeout)
	synctest.Wait()
	r.collect()
	if len(r.calls) > 0 {
		r.t.Errorf("without an answer: %v", slices.Collect(maps.Keys(r.calls)))
	}
	r.check()
	r.Resign(0, r.epoch)
	r.epoch++
	r.lead(r.epoch)
	r.check()
}

func (r *randomTest) failover() {
	r.Resign(0, r.epoch)
	if r.random.IntN(2) == 0 {
		synctest.Wait()
	}
	if r.random.IntN(2) == 0 {
		r.disk.change(r.disk.loseLocked) // another broker has led, and did not have it
	}
	r.disk.change(func() { r.disk.held, r.disk.fail = false, nil })
	r.epoch++
	r.Lead(0, r.epoch, r.disk)
}

// collect takes the answers there are.
func (r *randomTest) collect() {
	for value, c := range r.calls {
		select {
		case err := <-c.done:
			delete(r.calls, value)
			if err == nil {
				r.acked[value] = true
			}
		default:
		}
	}
}

// check compares the shard with the log, and both with what was acknowledged.
func (r *randomTest) check() {
	r.t.Helper()
	want := map[string]string{}
	for i := range r.disk.batches {
		records, err := log.Records(r.disk.batches[i], 0)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, record := range records {
			want[string(record.Key)] = string(record.Value)
		}
	}
	for value := range r.acked {
		if want["k"+value] != value {
			r.t.Errorf("%s was acknowledged and is not in the log", value)
		}
	}
	err := r.Read(r.t.Context(), 0, func(s *store, committed int64) error {
		if got := maps.Collect(s.values.AllAt(committed)); !maps.Equal(got, want) {
			r.t.Errorf("the shard has %d keys, the log %d: %v, %v", len(got), len(want), got, want)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestTheLogStartMovesWhileLoading: what is gone is not waited for.
func TestTheLogStartMovesWhileLoading(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		d.fill(t, "a", "1", "b", "1", "c", "1")
		moved := false
		d.reading = func() {
			if !moved {
				moved = true
				d.change(func() { d.start, d.batches = 2, d.batches[2:] })
			}
		}
		b := newBench(t, d)
		b.lead(0)
		b.has("a", "", "")
		b.has("c", "1", "1")
		b.write(put("d", "1")).gets(nil)
	})
}
