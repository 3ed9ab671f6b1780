package robust_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

const topic = "orders"

// bystander is a client that goes on producing, one record after the other, and
// must not be disturbed.
type bystander struct {
	client *kgo.Client
	sent   atomic.Int64
	failed atomic.Pointer[error]
	cancel context.CancelFunc
	done   chan struct{}
}

func startBystander(t *testing.T, c *minikafka.Cluster) *bystander {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &bystander{client: client, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		for ctx.Err() == nil {
			if err := client.ProduceSync(ctx, kgo.StringRecord(strconv.FormatInt(b.sent.Load(), 10))).FirstErr(); err == nil {
				b.sent.Add(1)
			} else if ctx.Err() == nil {
				b.failed.Store(&err)
				return
			}
		}
	}()
	return b
}

// check waits until the bystander has stored ten more records.
func (b *bystander) check(t *testing.T) {
	t.Helper()
	goal := b.sent.Load() + 10
	within(t, "the bystander to store records", func() bool { return b.sent.Load() >= goal || b.failed.Load() != nil })
	if err := b.failed.Load(); err != nil {
		t.Fatalf("the bystander was disturbed: %v", *err)
	}
}

// stop ends the bystander and checks that the partition has all its records.
func (b *bystander) stop(t *testing.T, c *minikafka.Cluster) {
	t.Helper()
	b.cancel()
	<-b.done
	b.client.Close()
	s := c.For(t).PartitionState(topic, 0)
	// The last record may be stored though its producer was stopped.
	if sent := b.sent.Load(); s.HighWatermark < sent {
		t.Errorf("%d records were acknowledged, %d are there", sent, s.HighWatermark)
	}
}
