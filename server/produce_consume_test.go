package server_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestProduceAndConsume(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 3, 3, map[string]string{"min.insync.replicas": "2"})
	const n = 1000
	producer := c.kgo(kgo.DefaultProduceTopic("orders"))
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Key: fmt.Append(nil, i), Value: fmt.Append(nil, "value ", i)})
	}
	if err := producer.ProduceSync(c.ctx(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	consumed(t, c, "orders", n)
}

// consumed reads a topic from its start, and expects so many records with keys of
// their own.
func consumed(t *testing.T, c *cluster, topic string, n int) {
	t.Helper()
	consumer := c.kgo(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]bool{}
	for len(seen) < n {
		f := consumer.PollFetches(c.ctx())
		if err := f.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(seen), n, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if seen[string(r.Key)] {
				t.Fatalf("key %s twice", r.Key)
			}
			seen[string(r.Key)] = true
		})
	}
}

func TestLeaderCrash(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 1, 3, map[string]string{"min.insync.replicas": "2"})
	producer := c.kgo(kgo.DefaultProduceTopic("orders"))
	send := func(from, to int) {
		t.Helper()
		var records []*kgo.Record
		for i := from; i < to; i++ {
			records = append(records, &kgo.Record{Key: fmt.Append(nil, i), Value: []byte("v")})
		}
		if err := producer.ProduceSync(c.ctx(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	send(0, 100)
	leader := c.leader("orders", 0)
	c.crash(leader)
	send(100, 200)
	c.start(leader)
	c.ready(leader)
	c.inSync("orders", 0, 3)
	send(200, 300)
	consumed(t, c, "orders", 300)
}
