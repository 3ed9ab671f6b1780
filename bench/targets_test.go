package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// target is a running cluster to measure.
type target struct {
	name  string
	seeds []string
}

// startKfake starts the peer with three brokers.
func startKfake(b *testing.B) target {
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return target{"kfake", c.ListenAddrs()}
}

// startMinikafka starts ours with three brokers.
func startMinikafka(b *testing.B, opts ...minikafka.Option) (target, *minikafka.Cluster) {
	c, err := minikafka.New(append([]minikafka.Option{minikafka.Brokers(3)}, opts...)...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	return target{"minikafka", c.Addrs()}, c
}

// kafka is a running Apache Kafka of three brokers to measure beside, if
// MINIKAFKA_BENCH_KAFKA names its addresses; `make bench-kafka` starts one.
func kafka() (target, bool) {
	seeds := os.Getenv("MINIKAFKA_BENCH_KAFKA")
	return target{"Apache-Kafka", strings.Split(seeds, ",")}, seeds != ""
}

// beside prints Apache Kafka's figure, if there is one, and the ratio to it.
func beside(b *testing.B, what string, ours float64, unit string, measure func(target) float64) {
	b.Helper()
	if t, ok := kafka(); ok {
		theirs := measure(t)
		b.ReportMetric(ours/theirs, strings.ReplaceAll(what, " ", "-")+"_ratio-to-Kafka")
		b.Logf("%-40s %12.2f %s, Apache Kafka %7.2f %s, ratio %.2f", what, ours, unit, theirs, unit, ours/theirs)
	}
}

// client is a franz-go client of a target.
func (t target) client(b *testing.B, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(t.seeds...), kgo.ProducerLinger(0), kgo.RequiredAcks(kgo.AllISRAcks()),
	}, opts...)...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cl.Close)
	return cl
}

// create makes a topic, and returns when its leaders are known.
func (t target) create(b *testing.B, topic string, partitions int32, rf int16) {
	cl := t.client(b)
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, rf
	min := "2"
	if rf == 1 {
		min = "1"
	}
	rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "min.insync.replicas", Value: &min})
	req.Topics = append(req.Topics, rt)
	req.TimeoutMillis = 30000
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		b.Fatal(err)
	}
	if code := resp.Topics[0].ErrorCode; code != 0 {
		b.Fatalf("create %s on %s: code %d", topic, t.name, code)
	}
}

// remove deletes a topic.
func (t target) remove(b *testing.B, topic string) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.TimeoutMillis = []string{topic}, 30000
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if resp, err := req.RequestWith(ctx, t.client(b)); err != nil || resp.Topics[0].ErrorCode != 0 {
		b.Fatalf("delete %s on %s: %+v %v", topic, t.name, resp, err)
	}
}

// report prints a figure of each side and their ratio.
func report(b *testing.B, what string, ours, peer float64, unit string) {
	b.Helper()
	slug := strings.ReplaceAll(what, " ", "-")
	b.ReportMetric(ours, slug+"_"+unit)
	b.ReportMetric(peer, slug+"_kfake_"+unit)
	if peer > 0 {
		b.ReportMetric(ours/peer, slug+"_ratio")
	}
	b.Logf("%-40s %12.2f %s, kfake %12.2f %s, ratio %.2f", what, ours, unit, peer, unit, ours/peer)
}

// value is a record's value of n bytes that does not compress to nothing.
func value(n int) []byte {
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(i*7 + i/251)
	}
	return v
}

func name(b *testing.B, parts ...any) string {
	return strings.NewReplacer("/", ".", "#", ".").Replace(b.Name()) + "-" + fmt.Sprint(parts...)
}
