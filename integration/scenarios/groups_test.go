package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"

	"github.com/minikafka/minikafka"
)

// groupMember reads the topic orders as a member of the group "crew" until ctx ends, and then leaves. It gives every record to
// handle, and commits it afterwards.
type groupMember func(ctx context.Context, c *minikafka.Cluster, handle func(partition int32, offset int64, value string)) error

func TestSaramaGroup(t *testing.T) {
	t.Parallel()
	groupGoesOn(t, saramaMember)
}

func TestKafkaGoGroup(t *testing.T) {
	t.Parallel()
	groupGoesOn(t, kafkaGoMember)
}

// partitions of the topic orders.
const partitions = 6

// groupGoesOn has members of a group come and go, and its coordinator crash, while records are produced: every record is
// consumed, and in the end the group's offsets are the ends of the partitions.
func groupGoesOn(t *testing.T, member groupMember) {
	const group = "crew"
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", partitions, minikafka.TopicConfig("min.insync.replicas", "2")))
	ctx, cancel := context.WithCancel(t.Context())
	w := &readers{seen: map[string]bool{}}
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	hire := func() (fire func()) {
		ctx, cancel := context.WithCancel(ctx)
		gone := make(chan struct{})
		running.Go(func() {
			defer close(gone)
			if err := member(ctx, c, w.handle); err != nil && ctx.Err() == nil {
				t.Errorf("a member ended: %v", err)
			}
		})
		return func() {
			cancel()
			<-gone
		}
	}
	sent := 0
	send := func() {
		for range 10 * partitions {
			c.Produce("orders", int32(sent%partitions), minikafka.Values(fmt.Sprintf("order %d", sent))...)
			sent++
		}
	}
	stable := func(n int) {
		c.Wait(fmt.Sprintf("%d members with a share each", n), func() bool {
			g := c.Group(group)
			for _, m := range g.Members {
				if len(m.Assigned["orders"]) != partitions/n {
					return false
				}
			}
			return g.State == "Stable" && len(g.Members) == n
		})
	}
	caughtUp := func() {
		c.Wait(fmt.Sprintf("%d records to be consumed and committed", sent), func() bool {
			g := c.Group(group)
			for p := range int32(partitions) {
				if end := c.PartitionState("orders", p).HighWatermark; end > 0 && g.Offset("orders", p) != end {
					return false
				}
			}
			return w.count() == sent
		})
	}

	send()
	hire()
	stable(1)
	caughtUp()
	fire := hire()
	send()
	stable(2)
	send()
	fire()
	stable(1)
	caughtUp()

	hire()
	hire()
	stable(3)
	before := offsets(c.Group(group))
	old := c.Coordinator(group)
	old.Crash()
	send()
	stable(3)
	caughtUp()
	for p, o := range before {
		if now := c.Group(group).Offset("orders", p); now < o {
			t.Errorf("partition %d: offset %d after %d", p, now, o)
		}
	}
	old.Restart()
	c.WaitHealthy()
	send()
	caughtUp()
}

func offsets(g minikafka.GroupState) map[int32]int64 {
	out := map[int32]int64{}
	for _, o := range g.Offsets {
		out[o.Partition] = o.Offset
	}
	return out
}

// readers is what all members have read.
type readers struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (w *readers) handle(_ int32, _ int64, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[value] = true
}

func (w *readers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// session and heartbeat of members: brokers are near.
const (
	session   = 6 * time.Second
	heartbeat = 100 * time.Millisecond
)

// saramaMember is sarama's ConsumerGroup.
func saramaMember(ctx context.Context, c *minikafka.Cluster, handle func(int32, int64, string)) error {
	cfg := saramaConfig(c.DialContext)
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Consumer.Group.Session.Timeout, cfg.Consumer.Group.Heartbeat.Interval = session, heartbeat
	cfg.Consumer.Group.Rebalance.Retry.Backoff = backoff
	cfg.Consumer.Group.Rebalance.Retry.Max = tries
	cfg.Consumer.Offsets.AutoCommit.Interval = heartbeat
	g, err := sarama.NewConsumerGroup(c.Addrs(), "crew", cfg)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		// It returns when the group rebalances, and when its coordinator crashes: then it is to be called again.
		_ = g.Consume(ctx, []string{"orders"}, saramaHandler{handle})
	}
	return g.Close()
}

type saramaHandler struct {
	handle func(int32, int64, string)
}

func (saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			h.handle(m.Partition, m.Offset, string(m.Value))
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
}

// kafkaGoMember is kafka-go's Reader.
func kafkaGoMember(ctx context.Context, c *minikafka.Cluster, handle func(int32, int64, string)) error {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: c.Addrs(), GroupID: "crew", Topic: "orders", StartOffset: kafka.FirstOffset,
		Dialer:         &kafka.Dialer{DialFunc: c.DialContext, Timeout: session},
		SessionTimeout: session, RebalanceTimeout: session, HeartbeatInterval: heartbeat, JoinGroupBackoff: heartbeat,
		MaxWait: heartbeat, ReadBackoffMin: backoff, ReadBackoffMax: heartbeat,
	})
	for {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			return errors.Join(err, r.Close())
		}
		handle(int32(m.Partition), m.Offset, string(m.Value))
		// It fails when the group has rebalanced meanwhile: whoever has the partition now reads the record again.
		_ = r.CommitMessages(ctx, m)
	}
}
