package minikafka_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/log"
)

func onPipes(c *minikafka.Cluster) []kgo.Opt {
	return []kgo.Opt{kgo.DefaultProduceTopic("orders"), kgo.Dialer(c.DialContext)}
}

// A slow disk is latency, and a good one lets go of what waits.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		leader := c.Leader("orders", 0)
		took := func(what func()) time.Duration {
			begin := time.Now()
			what()
			return time.Since(begin)
		}
		produce := func() { c.Produce("orders", 0, minikafka.Values("x")...) }
		leader.Disk(minikafka.Disk{SlowWrites: 100 * time.Millisecond})
		if d := took(produce); d < 100*time.Millisecond || d > 300*time.Millisecond {
			t.Errorf("with slow writes a record took %v", d)
		}
		if s := c.Status().String(); !strings.Contains(s, fmt.Sprintf("disk of %v: writes take 100ms longer", leader)) {
			t.Errorf("the status does not tell of the disk:\n%s", s)
		}
		leader.Disk(minikafka.Disk{SlowSyncs: time.Second})
		if d := took(produce); d < time.Second || d > 2*time.Second {
			t.Errorf("with slow syncs a record took %v", d)
		}
		leader.Disk(minikafka.Disk{SlowReads: time.Second})
		if d := took(func() { consumeOnPipes(t, c, 2) }); d < time.Second || d > 3*time.Second {
			t.Errorf("with slow reads reading took %v", d)
		}
		leader.Disk(minikafka.Disk{SlowWrites: time.Hour})
		time.AfterFunc(time.Second, func() { leader.Disk(minikafka.Disk{}) })
		if d := took(produce); d < time.Second || d > 2*time.Second {
			t.Errorf("on a disk that is slow for a second a record took %v", d)
		}
	}, minikafka.Config("log.flush.interval.messages", "1"))
}

// consumeOnPipes reads n records of the topic orders.
func consumeOnPipes(t *testing.T, c *minikafka.Cluster, n int) (values []string) {
	t.Helper()
	cl := client(t, c, append(onPipes(c), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	defer cl.Close()
	ctx := within(t, 5*time.Minute)
	for len(values) < n {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
		if ctx.Err() != nil {
			t.Fatalf("read %d records, want %d", len(values), n)
		}
	}
	return values
}

// A broker whose disk fails answers KAFKA_STORAGE_ERROR and halts; what it has
// acknowledged is elsewhere, and it comes back when it is restarted.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for name, disk := range map[string]minikafka.Disk{
		"a write":    {FailWrite: 1},
		"a sync":     {FailSync: 1},
		"disk full":  {FullAfter: 1},
		"slow, full": {FullAfter: 1, SlowWrites: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
				c.Produce("orders", 0, minikafka.Values("kept")...)
				old := c.Leader("orders", 0)
				old.Disk(disk)
				if err := produceOnce(t, c, old, "refused"); !errors.Is(err, kerr.KafkaStorageError) {
					t.Errorf("the failing leader answers %v", err)
				}
				c.Wait("the broker to halt", func() bool { return old.State() == minikafka.Halted })
				begin := time.Now()
				c.Produce("orders", 0, minikafka.Values("goes on")...)
				if c.Leader("orders", 0) == old {
					t.Error("the halted broker leads")
				}
				// It halts before it could tell the controller.
				if took := time.Since(begin); took < 5*time.Second {
					t.Errorf("another leader after %v, before the session of the halted one ended", took)
				}
				old.Disk(minikafka.Disk{})
				old.Restart()
				c.WaitISR("orders", 0)
				if got := values(old.Records("orders", 0)); got != "kept goes on" {
					t.Errorf("the restarted broker has %q", got)
				}
			}, minikafka.Timing(minikafka.KafkaTimings), minikafka.Config("log.flush.interval.messages", "1"))
		})
	}
}

// produceOnce sends a record with acks=1 to a broker, and does not try again.
func produceOnce(t *testing.T, c *minikafka.Cluster, b *minikafka.Broker, value string) error {
	t.Helper()
	batch, err := log.BuildBatch([]log.Record{{Value: []byte(value)}}, log.BatchOptions{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1})
	if err != nil {
		t.Fatal(err)
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = "orders", append(topic.Partitions, p)
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 11, 1, 60_000
	q.Topics = append(q.Topics, topic)
	cl := client(t, c, append(onPipes(c), kgo.MaxVersions(kversion.V3_7_0()))...)
	defer cl.Close()
	resp, err := cl.Broker(int(b.ID())).Request(t.Context(), q)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

// A consumer reads on from the next leader when the disk of one cannot be read.
func TestUnreadableDisk(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		c.Produce("orders", 0, minikafka.Values("a", "b")...)
		old := c.Leader("orders", 0)
		old.Disk(minikafka.Disk{FailRead: 1})
		if got := strings.Join(consumeOnPipes(t, c, 2), " "); got != "a b" {
			t.Errorf("read %q", got)
		}
		if old.State() != minikafka.Halted {
			t.Errorf("the broker is %s", old.State())
		}
	})
}

// A follower with a full disk halts, and the others go on without it; while the
// disk is full a restart does not help.
func TestFullDiskOfAFollower(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		leader := c.Leader("orders", 0)
		follower := c.Broker((leader.ID() + 1) % 3)
		follower.Disk(minikafka.Disk{FullAfter: 10_000})
		for range 20 {
			c.Produce("orders", 0, minikafka.Values(strings.Repeat("x", 1000))...)
		}
		halted := func() bool { return follower.State() == minikafka.Halted }
		c.Wait("the follower to halt", halted)
		if s := c.PartitionState("orders", 0); len(s.ISR) != 2 || s.HighWatermark != 20 {
			t.Errorf("without the follower: %+v", s)
		}
		// It comes back, but finds no room for what it has missed.
		_ = c.Try(func(c *minikafka.Cluster) { c.Broker(follower.ID()).Restart() })
		c.Wait("the follower to halt again", halted)
		follower.Disk(minikafka.Disk{})
		follower.Restart()
		c.WaitISR("orders", 0)
	})
}

// A disk that hangs is noticed, and the broker can still be crashed.
func TestHangingDisk(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		old := c.Leader("orders", 0)
		old.Disk(minikafka.Disk{SlowWrites: 1000 * time.Hour})
		cl := client(t, c, onPipes(c)...)
		begin := time.Now()
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 5*time.Second || took > time.Minute {
			t.Errorf("the record took %v, want to wait until others lead", took)
		}
		old.Crash()
		old.Disk(minikafka.Disk{})
		old.Restart()
		c.WaitISR("orders", 0)
		if got := values(old.Records("orders", 0)); got != "x" {
			t.Errorf("the old leader has %q", got)
		}
	})
}

// A disk that hung for a while is as good as any again.
func TestHungDiskRecovers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		old := c.Leader("orders", 0)
		old.Disk(minikafka.Disk{SlowWrites: time.Minute})
		cl := client(t, c, onPipes(c)...)
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if s := c.PartitionState("orders", 0); s.Leader == old.ID() || len(s.ISR) != 2 {
			t.Errorf("the disk was not noticed: %+v", s)
		}
		old.Disk(minikafka.Disk{})
		c.WaitISR("orders", 0)
	})
}

// The same over sockets.
func TestFailingDiskOverTCP(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1))
	old := c.Leader("orders", 0)
	old.Disk(minikafka.Disk{FailWrite: 2})
	cl := client(t, c, kgo.DefaultProduceTopic("orders"))
	for i := range 5 {
		if err := cl.ProduceSync(within(t, 20*time.Second), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	c.Wait("the broker to halt", func() bool { return old.State() == minikafka.Halted })
	old.Restart()
	c.WaitISR("orders", 0)
	if got := values(old.Records("orders", 0)); got != "0 1 2 3 4" {
		t.Errorf("the restarted broker has %q", got)
	}
}

func TestBadDisks(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t)
	for name, d := range map[string]minikafka.Disk{
		"SlowWrites": {SlowWrites: -1}, "SlowSyncs": {SlowSyncs: -1}, "SlowReads": {SlowReads: -1},
		"FailWrite": {FailWrite: -1}, "FailSync": {FailSync: -1}, "FailRead": {FailRead: -1}, "FullAfter": {FullAfter: -1},
	} {
		refused(t, c, minikafka.ErrArgument, name+" is negative", func(c *minikafka.Cluster) { c.Broker(0).Disk(d) })
	}
}
