package minikafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// A ledger is what a client was told of its records.
type ledger struct {
	mu     sync.Mutex
	acked  map[string]bool // by value
	failed []error
}

// work produces records, one every pause, to all partitions in turn, until
// stopped, with an idempotent producer and acks=all. A partition whose last record
// is still on its way is left out: a restarted broker, as one of Kafka's, knows
// only the last batch of a producer (ProducerStateManager writes no more into its
// snapshots), and refuses retries of those before it, which clients then store
// again in another epoch.
func (l *ledger) work(ctx context.Context, cl *kgo.Client, partitions int, pause time.Duration) {
	l.acked = map[string]bool{}
	waiting := make([]atomic.Bool, partitions)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p := i % partitions
		if !waiting[p].CompareAndSwap(false, true) {
			continue
		}
		r := &kgo.Record{Partition: int32(p), Value: strconv.AppendInt(nil, int64(i), 10)}
		cl.Produce(context.Background(), r, func(r *kgo.Record, err error) {
			waiting[p].Store(false)
			l.mu.Lock()
			defer l.mu.Unlock()
			if err != nil {
				l.failed = append(l.failed, err)
				return
			}
			l.acked[string(r.Value)] = true
		})
	}
}

// check compares what was acknowledged with what is there: everything, once, in
// order, and the same on all replicas.
func (l *ledger) check(t *testing.T, c *minikafka.Cluster, partitions int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failed) > 0 {
		t.Errorf("%d records failed, the first with: %v", len(l.failed), l.failed[0])
	}
	found := map[string]bool{}
	for p := range int32(partitions) {
		records := c.Records("orders", p)
		last := -1
		for _, r := range records {
			n, err := strconv.Atoi(string(r.Value))
			if err != nil {
				t.Fatal(err)
			}
			if n <= last {
				t.Errorf("orders/%d: %d at offset %d comes after %d", p, n, r.Offset, last)
			}
			last = n
			found[string(r.Value)] = true
		}
		for _, b := range c.Brokers() {
			if got, want := values(b.Records("orders", p)), values(records); got != want {
				t.Errorf("orders/%d: %v does not have what the leader has:\n%s\n%s", p, b, got, want)
			}
		}
	}
	for value := range l.acked {
		if !found[value] {
			t.Errorf("record %s was acknowledged, and is lost", value)
		}
	}
}

// An eagerReader is a consumer, and what it has read, by partition.
type eagerReader struct {
	mu      sync.Mutex
	read    map[int32][]string
	changed chan struct{} // closed when read changes
}

// work reads until stopped.
func (r *eagerReader) work(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.read[record.Partition] = append(r.read[record.Partition], string(record.Value))
			close(r.changed)
			r.changed = make(chan struct{})
		})
	}
}

// check waits until the consumer has read what there is, and compares.
func (r *eagerReader) check(ctx context.Context, t *testing.T, c *minikafka.Cluster, partitions int) {
	t.Helper()
	for p := range int32(partitions) {
		want := values(c.Records("orders", p))
		for {
			r.mu.Lock()
			got, changed := strings.Join(r.read[p], " "), r.changed
			r.mu.Unlock()
			if got == want {
				break
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
			}
			t.Errorf("orders/%d: the consumer has read\n%s\nwant\n%s", p, got, want)
			return
		}
	}
}

// chaos lets clients work through a time of chaos, and checks what is left of it.
func chaos(t *testing.T, seed uint64, o minikafka.ChaosOptions, opts ...minikafka.Option) {
	t.Helper()
	const partitions = 3
	c := minikafka.Start(t, append([]minikafka.Option{
		minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Topic("orders", partitions),
		minikafka.Config("min.insync.replicas", "2"), minikafka.Network(minikafka.PipeNetwork()),
		minikafka.Timing(minikafka.KafkaTimings), minikafka.Seed(seed), quiet(),
	}, opts...)...)
	cl := client(t, c, append(onPipes(c), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	// franz-go holds a lock while it asks for its id, which would stop the time.
	if _, _, err := cl.ProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	var l ledger
	ctx, stop := context.WithCancel(t.Context())
	var working, consuming sync.WaitGroup
	working.Go(func() { l.work(ctx, cl, partitions, min(time.Second, o.Every/10)) })
	read := eagerReader{read: map[int32][]string{}, changed: make(chan struct{})}
	consumer := client(t, c, append(onPipes(c), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	reading, stopReading := context.WithCancel(t.Context())
	consuming.Go(func() { read.work(reading, consumer) })
	run := c.Chaos(seed, o)
	run.Wait()
	stop()
	working.Wait()
	if err := cl.Flush(within(t, 10*time.Minute)); err != nil {
		t.Errorf("records are still not acknowledged ten minutes after the chaos: %v\n%v", err, c.Status())
	}
	c.WaitISR("orders", 0)
	c.WaitHealthy()
	c.Wait("followers to know what is committed", func() bool {
		for _, p := range c.Status().Partitions {
			for _, replica := range p.Logs {
				if replica.HighWatermark != p.HighWatermark {
					return false
				}
			}
		}
		return true
	})
	l.check(t, c, partitions)
	read.check(within(t, 10*time.Minute), t, c, partitions)
	stopReading()
	consuming.Wait()
	cl.Close()
	consumer.Close()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if left := openFiles(c); len(left) > 0 {
		t.Errorf("files are left open: %v", left)
	}
}

// openFiles are a cluster's files that this process has open, where the operating
// system tells. Files in memory have the cluster's id in their names.
func openFiles(c *minikafka.Cluster) (open []string) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if name, err := os.Readlink(l); err == nil && (strings.Contains(name, c.ID()) || c.DataDir() != "" && strings.HasPrefix(name, c.DataDir())) {
			open = append(open, name)
		}
	}
	return open
}

// seeds are what randomised tests run with: the one of MINIKAFKA_SEED, or as many
// as there is time for.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	if text := os.Getenv("MINIKAFKA_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
		return []uint64{seed}
	}
	n := uint64(10)
	if os.Getenv("CI") != "" {
		n = 50
	}
	if raceEnabled {
		n = 5
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i) + 1
	}
	return all
}

// Through everything that may happen to brokers, controllers, links and disks,
// one broker at a time, nothing that was acknowledged with acks=all is lost, and
// an idempotent producer's records are there once and in order.
func TestChaos(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chaos(t, seed, minikafka.ChaosOptions{For: 5 * time.Minute, Every: 10 * time.Second, Lasting: 8 * time.Second})
			})
		})
	}
}

// The same over sockets, in real time.
func TestChaosOverTCP(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t)[:1] {
		chaos(t, seed, minikafka.ChaosOptions{For: 2 * time.Second, Every: 200 * time.Millisecond},
			minikafka.Network(nil), minikafka.Timing(minikafka.FastTimings))
	}
}

// An hour of it takes seconds.
func TestHourOfChaos(t *testing.T) {
	t.Parallel()
	seed := seeds(t)[0]
	hour := time.Hour
	if raceEnabled {
		hour /= 6
	}
	begin := time.Now()
	synctest.Test(t, func(t *testing.T) {
		chaos(t, seed, minikafka.ChaosOptions{For: hour, Every: time.Minute, Lasting: 20 * time.Second})
	})
	t.Logf("the hour took %v", time.Since(begin))
}

// What happens follows from the seed and the options.
func TestChaosFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), quiet())
	plan := func(seed uint64) string {
		run := c.Chaos(seed, minikafka.ChaosOptions{For: 10 * time.Hour, Every: time.Minute})
		run.Stop()
		return run.String()
	}
	one := plan(1)
	if plan(1) != one {
		t.Error("the same seed gives another schedule")
	}
	if plan(2) == one {
		t.Error("another seed gives the same schedule")
	}
	for _, m := range minikafka.Mishaps() {
		if !strings.Contains(one, " "+strings.TrimSuffix(string(m), " controller")+" ") {
			t.Errorf("in ten hours there is no %s", m)
		}
	}
}

// Stopping mends what is broken, and so does closing the cluster.
func TestStopOfChaos(t *testing.T) {
	t.Parallel()
	for _, kind := range minikafka.Mishaps() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
				o := minikafka.ChaosOptions{For: 24 * time.Hour, Every: time.Minute, Lasting: time.Hour, Kinds: []minikafka.Mishap{kind}}
				run := c.Chaos(1, o)
				<-time.After(10 * time.Minute)
				run.Stop()
				run.Wait()
				c.WaitISR("orders", 0)
				if s := c.Status(); len(s.Cut)+len(s.Slow)+len(s.Faults) > 0 {
					t.Errorf("something is left:\n%v", s)
				}
				for _, b := range c.Status().Brokers {
					if b.State != minikafka.Running || b.Disk != nil {
						t.Errorf("something is left: %+v", b)
					}
				}
				c.Chaos(2, o)
				<-time.After(10 * time.Minute)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				refused(t, c, minikafka.ErrClosed, "", func(c *minikafka.Cluster) { c.Chaos(3, o) })
			}, minikafka.Controllers(3), minikafka.Timing(minikafka.KafkaTimings), quiet())
		})
	}
}

func TestBadChaos(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t)
	for says, o := range map[string]minikafka.ChaosOptions{
		"For is 0s":       {},
		"For is -1s":      {For: -time.Second},
		"Every is -1s":    {For: time.Hour, Every: -time.Second},
		"Lasting -1s":     {For: time.Hour, Lasting: -time.Second},
		"1 to 1":          {For: time.Hour, AtOnce: 2},
		`there is no "x"`: {For: time.Hour, Kinds: []minikafka.Mishap{"x"}},
		"no links":        {For: time.Hour, Kinds: []minikafka.Mishap{minikafka.MishapCut}},
	} {
		refused(t, c, minikafka.ErrArgument, says, func(c *minikafka.Cluster) { c.Chaos(1, o) })
	}
}

// quiet keeps what nodes say of faults that are caused on purpose out of the log.
func quiet() minikafka.Option { return minikafka.Logger(slog.New(slog.DiscardHandler)) }
