package clients_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// cluster has the topic with min.insync.replicas=2. Followers that are held stay in the ISR: the tests decide when there is
// no leader, not the clock.
func cluster(t *testing.T) *minikafka.Cluster {
	return minikafka.Start(t,
		minikafka.Brokers(3),
		minikafka.Topic(topic, 1, minikafka.TopicConfig("min.insync.replicas", "2")),
		minikafka.Config("replica.lag.time.max.ms", "600000"),
	)
}

// exactlyOnce loses the answers to records that are stored, crashes leaders that hold records nobody else has and leaders
// in full flow, and expects every record of an idempotent producer once, in the order sent, where its acknowledgement said.
func exactlyOnce(t *testing.T, client client) {
	t.Parallel()
	c := cluster(t)
	p := client.produce(t, c, "idempotent")
	p.send(100)
	p.awaitAll()

	release := heldInFlight(c, p)
	c.Leader(topic, 0).CloseClientConnections()
	release()
	p.awaitAll()

	release = heldInFlight(c, p)
	crashed := c.Leader(topic, 0)
	crashed.Crash()
	release()
	p.awaitAll()
	p.send(100)
	crashed.Restart()
	p.awaitAll()
	c.WaitISR(topic, 0)

	p.send(300)
	p.await(len(p.sent) - 250)
	crashed = c.Leader(topic, 0)
	crashed.Crash()
	p.awaitAll()
	crashed.Restart()
	c.WaitISR(topic, 0)
	p.finish()

	sameRecords(t, "readable on the leader", stored(c.Records(topic, 0)), p.sent)
	if client.consumes {
		sameRecords(t, "consumed", client.consume(t, c), p.sent)
	} else {
		sameRecords(t, "consumed with franz-go", franz(t, c, len(p.sent)), p.sent)
	}
}

// heldInFlight has the leader store records that no follower has, and that are therefore not acknowledged.
func heldInFlight(c *minikafka.Cluster, p *producer) (release func()) {
	release = c.HoldReplication(topic, 0)
	p.send(50)
	c.Wait("records that only the leader has", func() bool {
		s := c.PartitionState(topic, 0)
		return s.Log(s.Leader).LogEnd > s.HighWatermark
	})
	return release
}

// lost shows the loss of records that were acknowledged with acks=1: others take their offsets.
func lost(t *testing.T, client client) {
	t.Parallel()
	c := cluster(t)
	p := client.produce(t, c, "1")
	p.send(10)
	p.awaitAll()
	c.Wait("the first records on all replicas", func() bool { return c.PartitionState(topic, 0).HighWatermark == 10 })

	release := c.HoldReplication(topic, 0)
	p.send(10)
	p.awaitAll()
	leader := c.Leader(topic, 0)
	leader.Crash()
	release()
	c.WaitLeader(topic, 0)
	p.send(10)
	p.finish()
	leader.Restart()
	c.WaitISR(topic, 0)

	kept := append(slices.Clone(p.sent[:10]), p.sent[20:]...)
	if a, b := p.sent[10].Offset, p.sent[20].Offset; a != 10 || b != 10 {
		t.Errorf("the first lost record was acknowledged at offset %d, the first after it at %d; expected 10 twice", a, b)
	}
	sameRecords(t, "consumed", client.consume(t, c), kept)
}

func stored(records []minikafka.Record) []record {
	var out []record
	for _, r := range records {
		out = append(out, record{Offset: r.Offset, Key: string(r.Key), Value: string(r.Value)})
	}
	return out
}

func sameRecords(t *testing.T, what string, got, want []record) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: record %d is %+v, expected %+v", what, i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d records, expected %d", what, len(got), len(want))
	}
}

// franz reads the partition with franz-go, for clients that can read only as members of a group.
func franz(t *testing.T, c *minikafka.Cluster, count int) []record {
	t.Helper()
	start := kgo.NewOffset().AtStart()
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(c.Addrs()...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: start}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("waited for all records"))
	defer cancel()
	var out []record
	for len(out) < count {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v: %v", len(out), count, err, context.Cause(ctx))
		}
		for _, r := range fetches.Records() {
			out = append(out, record{Offset: r.Offset, Key: string(r.Key), Value: string(r.Value)})
		}
	}
	return out
}
