package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkThroughput is how many bytes of records a second a producer gets
// acknowledged with acks=all, and a consumer gets back.
func BenchmarkThroughput(b *testing.B) {
	peer := startKfake(b)
	ours, _ := startMinikafka(b)
	for _, c := range []struct {
		rf    int16
		size  int
		total int
	}{{1, 100, 40 << 20}, {1, 1000, 128 << 20}, {1, 64 << 10, 256 << 20}, {3, 100, 20 << 20}, {3, 1000, 64 << 20}, {3, 64 << 10, 128 << 20}} {
		b.Run(fmt.Sprintf("RF%d/%dB", c.rf, c.size), func(b *testing.B) {
			var produce, consume figures
			for round := range rounds {
				p, q := stream(b, ours, round, c.rf, c.size, c.total)
				produce.ours, consume.ours = append(produce.ours, p), append(consume.ours, q)
				p, q = stream(b, peer, round, c.rf, c.size, c.total)
				produce.peer, consume.peer = append(produce.peer, p), append(consume.peer, q)
			}
			produce.report(b, "produce", "MB/s")
			consume.report(b, "consume", "MB/s")
			beside(b, "produce", median(produce.ours), "MB/s", func(t target) float64 {
				produced, consumed := stream(b, t, 0, c.rf, c.size, c.total)
				beside(b, "consume", median(consume.ours), "MB/s", func(target) float64 { return consumed })
				return produced
			})
			for b.Loop() {
			}
		})
	}
}

// stream produces total bytes in records of a size to a topic of three partitions,
// reads them back, tells the rates in MB/s, and deletes the topic.
func stream(b *testing.B, t target, round int, rf int16, size, total int) (produced, consumed float64) {
	topic := name(b, t.name, round)
	t.create(b, topic, 3, rf)
	defer t.remove(b, topic)
	cl := t.client(b, kgo.MaxBufferedRecords(100_000), kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	v, n := value(size), total/size
	var failed error
	start := time.Now()
	for range n {
		cl.Produce(ctx, &kgo.Record{Topic: topic, Value: v}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := cl.Flush(ctx); err != nil || failed != nil {
		b.Fatal(err, failed)
	}
	produced = float64(n*size) / 1e6 / time.Since(start).Seconds()

	reader := t.client(b, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	start = time.Now()
	for got := 0; got < n; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		got += fetches.NumRecords()
	}
	return produced, float64(n*size) / 1e6 / time.Since(start).Seconds()
}
