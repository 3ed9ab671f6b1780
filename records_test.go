package minikafka_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/server"
)

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Topic("orders", 1))
	when := time.UnixMilli(1_700_000_000_123)
	sent := []minikafka.Record{
		{Key: []byte("k"), Value: []byte("v"), Timestamp: when, Headers: []minikafka.Header{{Key: "h", Value: []byte("x")}}},
		{Value: []byte{}},
		{Key: []byte("tombstone")},
	}
	if base := c.Produce("orders", 0, sent...); base != 0 {
		t.Errorf("the first offset is %d", base)
	}
	if base := c.Produce("orders", 0, minikafka.Values("later")...); base != 3 {
		t.Errorf("the offset of the second batch is %d", base)
	}
	got := c.Records("orders", 0)
	if len(got) != 4 {
		t.Fatalf("read %d records, want 4", len(got))
	}
	if r := got[0]; string(r.Key) != "k" || string(r.Value) != "v" || !r.Timestamp.Equal(when) || len(r.Headers) != 1 ||
		r.Headers[0].Key != "h" || string(r.Headers[0].Value) != "x" {
		t.Errorf("the first record is %+v", r)
	}
	if got[1].Key != nil || got[1].Value == nil || got[2].Value != nil {
		t.Errorf("null and empty are not told apart: %+v, %+v", got[1], got[2])
	}
	if since := time.Since(got[3].Timestamp); since < 0 || since > time.Minute {
		t.Errorf("a record without a time has %v", got[3].Timestamp)
	}
	for i, r := range got {
		if r.Offset != int64(i) {
			t.Errorf("record %d has offset %d", i, r.Offset)
		}
	}
}

func TestProduceIsRefusedAsAClientIs(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(2),
		minikafka.Topic("small", 1, minikafka.TopicConfig("max.message.bytes", "100")),
		minikafka.Topic("safe", 1, minikafka.TopicConfig("min.insync.replicas", "2")))
	cases := []struct {
		name string
		do   func(*minikafka.Cluster)
		want error
	}{
		{"too large", func(c *minikafka.Cluster) {
			c.Produce("small", 0, minikafka.Values(strings.Repeat("x", 1000))...)
		}, kerr.MessageTooLarge},
		{"too few in sync", func(c *minikafka.Cluster) {
			c.Broker(1).Crash()
			c.WaitISR("safe", 0, 0)
			c.Produce("safe", 0, minikafka.Values("x")...)
		}, kerr.NotEnoughReplicas},
	}
	for _, tc := range cases {
		if err := c.Try(tc.do); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if _, err := c.Broker(1).Produce("safe", 0, minikafka.Values("x")...); !errors.Is(err, minikafka.ErrNotRunning) {
		t.Errorf("on a crashed broker: %v", err)
	}
	c.Broker(1).Restart()
	follower := c.Broker(1 - c.WaitLeader("safe", 0).ID())
	if _, err := follower.Produce("safe", 0, minikafka.Values("x")...); !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Errorf("on a follower: %v", err)
	}
	if _, err := follower.Produce("safe", 0); err == nil {
		t.Error("a batch without records was taken")
	}
}

// A broker that has not heard of a controller since its start has no metadata, and
// answers nobody.
func TestBrokerWithoutMetadata(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()), minikafka.WaitTimeout(5*time.Second))
		b := c.Broker(0)
		c.Controller().Crash()
		b.Crash()
		b.Restart()
		if _, err := b.Produce("orders", 0, minikafka.Values("x")...); !errors.Is(err, server.ErrNoMetadata) {
			t.Errorf("Produce: %v", err)
		}
		if groups := c.Groups(); len(groups) != 0 {
			t.Errorf("there are groups: %v", groups)
		}
		if g := c.Group("readers"); g.State == "Stable" {
			t.Errorf("a group: %v", g)
		}
		c.Controllers()[0].Restart()
		c.WaitHealthy()
		if _, err := b.Produce("orders", 0, minikafka.Values("x")...); err != nil {
			t.Errorf("Produce: %v", err)
		}
	})
}
