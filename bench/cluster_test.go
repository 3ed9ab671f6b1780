package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/cputime"
)

// BenchmarkFailover is from the crash of a leader to the first record that is
// acknowledged with acks=all, by a client that asks for metadata every
// millisecond; and from a restart to the broker's return into the ISR.
func BenchmarkFailover(b *testing.B) {
	_, c := startMinikafka(b, minikafka.Topic("orders", 1), minikafka.Config("min.insync.replicas", "2"))
	var took, back []time.Duration
	for range 10 {
		c.WaitHealthy()
		leader := c.Leader("orders", 0)
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0),
			kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }))
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := cl.ProduceSync(ctx, kgo.StringRecord("before")).FirstErr(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		leader.Crash()
		if err := cl.ProduceSync(ctx, kgo.StringRecord("after")).FirstErr(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		start = time.Now()
		leader.Restart()
		c.WaitHealthy()
		back = append(back, time.Since(start))
		cancel()
		cl.Close()
	}
	slices.Sort(took)
	slices.Sort(back)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.Logf("crash of the leader to acks=all: p50 %.1f ms, worst %.1f ms; restart to full ISR: p50 %.1f ms, worst %.1f ms",
		ms(took[len(took)/2]), ms(took[len(took)-1]), ms(back[len(back)/2]), ms(back[len(back)-1]))
	b.ReportMetric(ms(took[len(took)/2]), "failover-ms")
	b.ReportMetric(ms(back[len(back)/2]), "back-in-isr-ms")
	for b.Loop() {
	}
}

// BenchmarkPartitions is what partitions cost: time to create, memory, and the
// processor while idle.
func BenchmarkPartitions(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			before := heap()
			_, c := startMinikafka(b)
			start := time.Now()
			c.CreateTopic("many", n, minikafka.ReplicationFactor(3))
			created := time.Since(start)
			c.WaitHealthy()
			used := float64(heap()-before) / 1e6
			cpu := processor(5 * time.Second)
			b.Logf("%d partitions with RF=3: created in %v, %.0f MB of heap, %d goroutines, %.2f %% of a core while idle",
				n, created.Round(time.Millisecond), used, runtime.NumGoroutine(), cpu)
			b.ReportMetric(float64(created.Milliseconds()), "create-ms")
			b.ReportMetric(used, "heap-MB")
			b.ReportMetric(cpu, "idle-cpu-%")
			for b.Loop() {
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// processor is the share of one core that this process takes in a while, in
// percent.
func processor(d time.Duration) float64 {
	start := cputime.Used()
	<-time.After(d)
	return 100 * float64(cputime.Used()-start) / float64(d)
}

// BenchmarkRestart is how long a broker takes to be back over a log of a size.
func BenchmarkRestart(b *testing.B) {
	for _, mb := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			t, c := startMinikafka(b, minikafka.Brokers(1), minikafka.Topic("big", 1), minikafka.DataDir(b.TempDir()))
			cl := t.client(b, kgo.DefaultProduceTopic("big"), kgo.ProducerBatchCompression(kgo.NoCompression()))
			for range mb * 1000 / 10 {
				cl.Produce(context.Background(), &kgo.Record{Value: value(10_000)}, nil)
			}
			if err := cl.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
			broker := c.Brokers()[0]
			broker.Crash()
			start := time.Now()
			broker.Restart()
			c.WaitHealthy()
			took := time.Since(start)
			b.Logf("log of %d MB, file of %d MB: back in %v", mb, fileSize(b, c.DataDir())>>20, took.Round(time.Microsecond*100))
			b.ReportMetric(float64(took.Microseconds())/1000, "restart-ms")
			for b.Loop() {
			}
		})
	}
}

func fileSize(b *testing.B, dir string) int64 {
	files, err := filepath.Glob(filepath.Join(dir, "broker-*.db"))
	if err != nil || len(files) == 0 {
		b.Fatal("no broker file in", dir, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
