package bench

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// BenchmarkLatency is one record after the other with acks=all: the median of
// the time until it is acknowledged, in rounds of ours and the peer's in turn.
func BenchmarkLatency(b *testing.B) {
	peer := startKfake(b)
	ours, _ := startMinikafka(b)
	for _, rf := range []int16{1, 3} {
		b.Run(map[int16]string{1: "RF1", 3: "RF3"}[rf], func(b *testing.B) {
			var p50 figures
			for round := range rounds {
				p50.ours = append(p50.ours, serial(b, ours, round, rf, 1000))
				p50.peer = append(p50.peer, serial(b, peer, round, rf, 1000))
			}
			p50.report(b, "p50 acks=all", "µs")
			beside(b, "p50 acks=all", median(p50.ours), "µs", func(t target) float64 { return serial(b, t, 0, rf, 2000) })
			for b.Loop() {
			}
		})
	}
}

func serial(b *testing.B, t target, round int, rf int16, n int) float64 {
	topic := name(b, t.name, round)
	t.create(b, topic, 1, rf)
	cl := t.client(b)
	ctx := context.Background()
	var took []time.Duration
	for i := range n + 200 {
		start := time.Now()
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value(100)}).FirstErr(); err != nil {
			b.Fatal(err)
		}
		if i >= 200 {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Nanoseconds()) / 1000
}

// rounds is how often a figure is measured, ours and the peer's in turn.
const rounds = 5

// figures are those of all rounds.
type figures struct{ ours, peer []float64 }

// report prints the medians, and the ratio of each round.
func (f figures) report(b *testing.B, what, unit string) {
	b.Helper()
	report(b, what, median(f.ours), median(f.peer), unit)
	ratios := make([]float64, len(f.ours))
	for i := range ratios {
		ratios[i] = f.ours[i] / f.peer[i]
	}
	b.Logf("%-40s ratios of the rounds: %.2f", "", slices.Sorted(slices.Values(ratios)))
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// BenchmarkStart is from nothing until three brokers are ready, and until the
// first record is acknowledged.
func BenchmarkStart(b *testing.B) {
	start := time.Now()
	peer := startKfake(b)
	peerReady := time.Since(start)
	var all []time.Duration
	for range 10 {
		start := time.Now()
		c, err := minikafka.New(minikafka.Brokers(3))
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(start))
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(all)
	report(b, "start", float64(all[len(all)/2].Microseconds())/1000, float64(peerReady.Microseconds())/1000, "ms")
	ours, _ := startMinikafka(b)
	report(b, "first record", first(b, ours), first(b, peer), "ms")
	for b.Loop() {
	}
}

func first(b *testing.B, t target) float64 {
	start := time.Now()
	topic := name(b, t.name)
	t.create(b, topic, 1, 3)
	cl := t.client(b)
	if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Value: value(100)}).FirstErr(); err != nil {
		b.Fatal(err)
	}
	return float64(time.Since(start).Microseconds()) / 1000
}
