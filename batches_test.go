package minikafka_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// TestBatches has a producer send a record a millisecond for a fifth of a second,
// with settings by which its batches come otherwise. Time is virtual, so that
// they come the same way on any machine.
func TestBatches(t *testing.T) {
	t.Parallel()
	const records = 200
	for _, c := range []struct {
		name   string
		opts   []kgo.Opt
		verify func(t *testing.T, p minikafka.ProducerBatches)
	}{
		{"without linger", []kgo.Opt{kgo.ProducerLinger(0)}, func(t *testing.T, p minikafka.ProducerBatches) {
			if p.Batches != records || p.LargestRecords != 1 || p.Requests != records {
				t.Errorf("want a batch and a request for each record:\n%+v", p)
			}
			if rate := p.RequestsPerSecond(); rate < 999 || rate > 1001 {
				t.Errorf("%.1f requests a second, want 1000", rate)
			}
			if between := p.Partitions[0].Between(); between != time.Millisecond {
				t.Errorf("%v between batches, want 1ms", between)
			}
		}},
		{"linger of 50 ms", []kgo.Opt{kgo.ProducerLinger(50 * time.Millisecond)}, func(t *testing.T, p minikafka.ProducerBatches) {
			if p.Batches < 4 || p.Batches > 5 || p.LargestRecords < 45 || p.RecordsPerBatch() < 40 {
				t.Errorf("want a batch each 50 ms:\n%+v", p)
			}
			if between := p.Partitions[0].Between(); between < 45*time.Millisecond || between > 55*time.Millisecond {
				t.Errorf("%v between batches, want 50ms", between)
			}
		}},
		{
			"linger of 50 ms, small batches",
			[]kgo.Opt{kgo.ProducerLinger(50 * time.Millisecond), kgo.ProducerBatchMaxBytes(1200)},
			func(t *testing.T, p minikafka.ProducerBatches) {
				if p.LargestBytes > 1200 || p.LargestRecords > 12 || p.Batches < 15 {
					t.Errorf("want batches of 1200 bytes at most:\n%+v", p)
				}
			},
		},
		{
			"compressed",
			[]kgo.Opt{kgo.ProducerLinger(50 * time.Millisecond), kgo.ProducerBatchCompression(kgo.ZstdCompression())},
			func(t *testing.T, p minikafka.ProducerBatches) {
				if p.Codecs["zstd"] != p.Batches || len(p.Codecs) != 1 || p.BytesPerBatch() > 2000 {
					t.Errorf("want all of it compressed:\n%+v", p)
				}
			},
		},
		{"without idempotence", []kgo.Opt{kgo.ProducerLinger(0), kgo.DisableIdempotentWrite()}, func(t *testing.T, p minikafka.ProducerBatches) {
			if p.ProducerID != -1 || p.Batches != records {
				t.Errorf("want no producer id:\n%+v", p)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cl := minikafka.Start(t, minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
				producer, err := kgo.NewClient(append([]kgo.Opt{
					kgo.SeedBrokers(cl.Addrs()...), kgo.Dialer(cl.DialContext), kgo.DefaultProduceTopic("orders"), kgo.ClientID("app"),
					kgo.ProducerBatchCompression(kgo.NoCompression()),
				}, c.opts...)...)
				if err != nil {
					t.Fatal(err)
				}
				defer producer.Close()
				send := func() {
					producer.Produce(t.Context(), &kgo.Record{Value: bytes.Repeat([]byte("x"), 80)}, func(_ *kgo.Record, err error) {
						if err != nil {
							t.Error(err)
						}
					})
				}
				send() // finds the leader
				if err := producer.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				cl.ResetBatches()
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for range records {
					<-tick.C
					send()
				}
				if err := producer.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				p := cl.Batches().Client("app")
				if p.Records != records || p.Refused != 0 || p.Duplicates != 0 || len(p.Partitions) != 1 || p.Partitions[0].Topic != "orders" {
					t.Errorf("%d records counted of %d: %+v", p.Records, records, p)
				}
				c.verify(t, p)
			})
		})
	}
}

// TestBatchesRefusedAndRepeated counts errors, and what came twice; brokers may
// crash meanwhile.
func TestBatchesRefusedAndRepeated(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(2), minikafka.Topic("orders", 1, minikafka.TopicConfig("max.message.bytes", "500")))
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ClientID("app"), kgo.DefaultProduceTopic("orders"),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 1000)}).FirstErr(); err == nil {
		t.Error("a record that is too large was accepted")
	}
	c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Effect: minikafka.LoseAnswer})
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("twice")).FirstErr(); err != nil {
		t.Error(err)
	}
	leader := c.Leader("orders", 0)
	leader.Crash()
	leader.Restart()
	r := c.Batches()
	if p := r.Client("app"); p.Batches != 3 || p.Refused != 1 || p.Duplicates != 1 || p.Records != 3 {
		t.Errorf("counted %+v", p)
	}
	if text := r.String(); !strings.Contains(text, "app") || !strings.Contains(text, "orders/0") {
		t.Errorf("the table:\n%s", text)
	}
	encoded, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(encoded), `"duplicates":1`) {
		t.Errorf("%s, %v", encoded, err)
	}
	if p := r.Client("nobody"); p.Batches != 0 || p.RequestsPerSecond() != 0 || p.RecordsPerBatch() != 0 {
		t.Errorf("of nobody: %+v", p)
	}
}
