package minikafka_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// A committedReader reads the copies with read_committed, and sees that each comes
// once, in order.
type committedReader struct {
	t    *testing.T
	mu   sync.Mutex
	next map[int32]int64
	ends int
	// moved is closed when something has been read.
	moved chan struct{}
}

func (r *committedReader) work(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			r.mu.Lock()
			defer r.mu.Unlock()
			switch value := string(record.Value); value {
			case "end":
				r.ends++
			case strconv.FormatInt(r.next[record.Partition], 10):
				r.next[record.Partition]++
			default:
				r.t.Errorf("partition %d: a committed %s at offset %d where %d is next", record.Partition, value, record.Offset, r.next[record.Partition])
			}
			close(r.moved)
			r.moved = make(chan struct{})
		})
	}
}

// await waits until all copies are read.
func (r *committedReader) await(ctx context.Context, want map[int32]int64) {
	r.t.Helper()
	for {
		r.mu.Lock()
		done, moved := r.ends == len(want), r.moved
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

// copyInChaos copies with transactions through a time of chaos. Strict producers have
// all the time they want: whatever is refused is a failure.
func copyInChaos(t *testing.T, seed uint64, o minikafka.ChaosOptions, strict bool, opts ...minikafka.Option) {
	t.Helper()
	const partitions = 4
	c := minikafka.Start(t, append([]minikafka.Option{
		minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Config("min.insync.replicas", "2"),
		minikafka.Config("offsets.topic.num.partitions", "2"), minikafka.Config("transaction.state.log.num.partitions", "2"),
		minikafka.Topic("in", partitions), minikafka.Topic(copied, partitions), minikafka.Network(minikafka.PipeNetwork()),
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
	chaos := c.Chaos(seed, o)
	for _, p := range copiers {
		defer p.close()
		copying.Go(func() {
			again := p.begin()
			for n := 0; ; n++ {
				over := false
				select {
				case <-chaos.Done():
					over = true
				default:
				}
				if over && again == nil {
					return
				}
				switch {
				case again != nil:
					if strict || ctx.Err() != nil {
						t.Errorf("%v\n%s", again, strings.Join(p.trace, "\n"))
						return
					}
					again = p.begin()
				case p.r.IntN(8) == 0:
					// Another one takes its place, in the middle of a transaction.
					if _, again = p.fill(); again != nil {
						continue
					}
					z := p.zombie()
					if again = p.begin(); again == nil {
						haunting.Go(func() { defer z.close(); z.haunt() })
					}
				default:
					again = p.transaction()
				}
				p.wait(time.Duration(p.r.Int64N(int64(500 * time.Millisecond))))
			}
		})
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
	end(ctx, t, c, copied, partitions)
	reader.await(within(t, 10*time.Minute), want)
	stop()
	reading.Wait()
	cl.Close()
}

// inChaos runs what copies in virtual time, once for each seed.
func inChaos(t *testing.T, o minikafka.ChaosOptions, strict bool) {
	t.Parallel()
	all := seeds(t)
	for _, seed := range all[:min(len(all), 10)] {
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
// answer from what they know, as Kafka's do.
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
