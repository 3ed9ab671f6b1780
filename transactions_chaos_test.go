package minikafka_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// A committedReader reads the copies with read_committed, and sees that those of each
// partition of the input come once, in order.
type committedReader struct {
	t    *testing.T
	mu   sync.Mutex
	next map[int32]int64 // by the input's partition
	ends int
	// moved is closed when something has been read.
	moved chan struct{}
}

func (r *committedReader) work(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.see(record)
			close(r.moved)
			r.moved = make(chan struct{})
		})
	}
}

func (r *committedReader) see(record *kgo.Record) {
	value := string(record.Value)
	if value == "end" {
		r.ends++
		return
	}
	var from int32
	var at int64
	if _, err := fmt.Sscanf(value, "%d:%d", &from, &at); err != nil || from%copies != record.Partition || at != r.next[from] {
		r.t.Errorf("a committed %q at offset %d of partition %d where %v is next", value, record.Offset, record.Partition, r.next)
		return
	}
	r.next[from]++
}

// await waits until all copies are read.
func (r *committedReader) await(ctx context.Context, want map[int32]int64) {
	r.t.Helper()
	for {
		r.mu.Lock()
		done, moved := r.ends == copies, r.moved
		for n, at := range want {
			done = done && r.next[n] == at
		}
		state := fmt.Sprintf("%v and %d ends", r.next, r.ends)
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			r.t.Errorf("a read_committed consumer has read %s, want %v", state, want)
			return
		}
	}
}

// work copies until the time is over, and then until there is nothing left to be done
// again.
func (p *copier) work(over <-chan struct{}, strict bool, haunting *sync.WaitGroup) {
	again := p.begin()
	for {
		select {
		case <-over:
			if again == nil {
				return
			}
		default:
		}
		switch {
		case again != nil && (strict || p.ctx.Err() != nil):
			p.t.Errorf("%v\n%s", again, strings.Join(p.trace, "\n"))
			return
		case again != nil:
			again = p.begin()
		case p.r.IntN(8) == 0:
			again = p.replaced(haunting)
		default:
			again = p.transaction()
		}
		p.wait(time.Duration(p.r.Int64N(int64(500 * time.Millisecond))))
	}
}

// replaced has another producer take the place of this one, in the middle of a
// transaction; this one goes on as if it had not.
func (p *copier) replaced(haunting *sync.WaitGroup) error {
	if _, err := p.fill(); err != nil {
		return err
	}
	z, done := p.zombie(), make(chan bool, 1)
	haunting.Go(func() {
		defer z.close()
		_ = z.produce(z.partitions[1], "in the middle of it") // It may come before, or after.
		if <-done {
			z.haunt()
		}
	})
	err := p.begin()
	done <- err == nil
	return err
}

// copyInChaos copies with transactions through a time of chaos. Strict producers have
// all the time they want: whatever is refused is a failure.
func copyInChaos(t *testing.T, seed uint64, o minikafka.ChaosOptions, strict bool, opts ...minikafka.Option) {
	t.Helper()
	c := minikafka.Start(t, append([]minikafka.Option{
		minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Config("min.insync.replicas", "2"),
		minikafka.Config("offsets.topic.num.partitions", "2"), minikafka.Config("transaction.state.log.num.partitions", "2"),
		minikafka.Topic("in", 4), minikafka.Topic(copied, copies), minikafka.Network(minikafka.PipeNetwork()),
		minikafka.Timing(minikafka.KafkaTimings), minikafka.Seed(seed), quiet(),
	}, opts...)...)
	ctx, cancel := context.WithTimeout(t.Context(), o.For+20*time.Minute)
	defer cancel()
	reader := committedReader{t: t, next: map[int32]int64{}, moved: make(chan struct{})}
	cl := client(t, c, kgo.ConsumeTopics(copied), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var reading, copying, haunting sync.WaitGroup
	read, stop := context.WithCancel(ctx)
	reading.Go(func() { reader.work(read, cl) })
	copiers := []*copier{newCopier(ctx, t, c, "new", 2, seed, 0, 1), newCopier(ctx, t, c, "old", 0, seed, 2, 3)}
	// Messages overtake each other, until a link has been broken and mended.
	for _, from := range c.Brokers() {
		for _, to := range c.Brokers() {
			if from != to {
				c.Delay(from, to, 0, 50*time.Millisecond)
			}
		}
	}
	chaos := c.Chaos(seed, o)
	for _, p := range copiers {
		defer p.close()
		if !strict {
			p.timeoutMs = 15_000
		}
		copying.Go(func() { p.work(chaos.Done(), strict, &haunting) })
	}
	copying.Wait()
	haunting.Wait()
	chaos.Wait()
	want := map[int32]int64{}
	for _, p := range copiers {
		for _, n := range p.partitions {
			want[n] = p.at[n]
		}
	}
	t.Logf("copied %v", want)
	end(ctx, t, c, copied, copies)
	reader.await(within(t, 10*time.Minute), want)
	stop()
	reading.Wait()
	cl.Close()
}

// inChaos runs what copies in virtual time, once for each seed.
func inChaos(t *testing.T, o minikafka.ChaosOptions, strict bool) {
	t.Parallel()
	n := 10
	if raceEnabled {
		n = 2
	}
	all := seeds(t)
	for _, seed := range all[:min(len(all), n)] {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { copyInChaos(t, seed, o, strict) })
		})
	}
}

// TestTransactionsInChaos copies with transactions, committed and aborted, through
// everything that may happen to brokers, controllers, links and disks, one broker at a
// time, with producers that are replaced and do not know it, and with requests that
// come late: each record is copied once, in order. A producer may be refused, and begins
// anew: coordinators that are cut off do not know that others have taken over, and
// answer from what they know, as Kafka's do; and transactions take longer than they may.
func TestTransactionsInChaos(t *testing.T) {
	inChaos(t, minikafka.ChaosOptions{For: 2 * time.Minute, Every: 10 * time.Second, Lasting: 8 * time.Second}, false)
}

// TestTransactionsAreNotRefused is the same with brokers that end, restart and are slow,
// but are never left behind: nobody is refused who has done nothing wrong.
func TestTransactionsAreNotRefused(t *testing.T) {
	inChaos(t, minikafka.ChaosOptions{For: 2 * time.Minute, Every: 10 * time.Second, Lasting: 5 * time.Second, Kinds: []minikafka.Mishap{
		minikafka.MishapCrash, minikafka.MishapPowerOff, minikafka.MishapShutdown, minikafka.MishapReset, minikafka.MishapLostAnswers,
		minikafka.MishapSlowDisk, minikafka.MishapBadDisk,
		minikafka.MishapCrashController, minikafka.MishapPauseController, minikafka.MishapIsolateController,
	}}, true)
}
