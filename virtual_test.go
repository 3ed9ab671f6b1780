package minikafka_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

func TestWaitTellsTheStateAtItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(2), minikafka.Topic("orders", 1),
			minikafka.Network(minikafka.PipeNetwork()), minikafka.WaitTimeout(time.Minute))
		begin := time.Now()
		err := c.Try(func(c *minikafka.Cluster) { c.Wait("pigs to fly", func() bool { return false }) })
		if !errors.Is(err, minikafka.ErrTimeout) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("waited %v, not the minute of WaitTimeout", took)
		}
		for _, want := range []string{"pigs to fly", "orders/0", "controller 0", c.Broker(1).Addr()} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not say %q:\n%v", want, err)
			}
		}
	})
}

// TestKafkaTimings holds the waits of a Kafka with its defaults, in virtual
// time: a crash is noticed when its session ends, and a restart has to wait for
// its old one.
func TestKafkaTimings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1),
			minikafka.Network(minikafka.PipeNetwork()), minikafka.Timing(minikafka.KafkaTimings))
		old := c.Leader("orders", 0)
		begin := time.Now()
		old.Crash()
		if c.WaitLeader("orders", 0) == old {
			t.Error("the crashed broker still leads")
		}
		// The session counts from the last heartbeat, which is up to 2 s old.
		if took := time.Since(begin); took < 6*time.Second || took > 11*time.Second {
			t.Errorf("a new leader after %v, want the end of a session of 9 s", took)
		}
		old.Restart()
		follower := c.Broker((old.ID() + 1) % 3)
		begin = time.Now()
		follower.Crash()
		follower.Restart()
		if took := time.Since(begin); took < 6*time.Second || took > 14*time.Second {
			t.Errorf("back after %v, want to wait for the old session of 9 s", took)
		}
		c.WaitHealthy()
	})
}

// TestTimePassesQuickly lets a client produce and consume a record a second for
// ten minutes.
func TestTimePassesQuickly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { recordsASecond(t, 600) })
}

// BenchmarkVirtualHour is an hour of a cluster with Kafka's timings, and of a
// client that produces and consumes a record a second.
func BenchmarkVirtualHour(b *testing.B) {
	for b.Loop() {
		// A bubble needs a test of its own.
		ok := testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{
			Name: "hour",
			F:    func(t *testing.T) { synctest.Test(t, func(t *testing.T) { recordsASecond(t, 3600) }) },
		}})
		if !ok {
			b.Fatal("the hour failed")
		}
	}
}

func recordsASecond(t *testing.T, n int) {
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1),
		minikafka.Network(minikafka.PipeNetwork()), minikafka.Timing(minikafka.KafkaTimings))
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext),
		kgo.DefaultProduceTopic("orders"), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	begin := time.Now()
	for i := range n {
		<-time.After(time.Second)
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < 1; {
			cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
				if r.Offset != int64(i) || string(r.Value) != fmt.Sprint(i) {
					t.Fatalf("read %q at offset %d, want %d", r.Value, r.Offset, i)
				}
				got++
			})
		}
	}
	if took := time.Since(begin); took < time.Duration(n)*time.Second {
		t.Errorf("%d records took %v", n, took)
	}
	if s := c.PartitionState("orders", 0); s.HighWatermark != int64(n) || s.LeaderEpoch != 0 {
		t.Errorf("afterwards: %+v", s)
	}
}

// TestNothingIsLeftBehind crashes, powers off, shuts down and restarts nodes: a
// bubble fails when a goroutine of it is left at its end.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Topic("orders", 3),
			minikafka.Network(minikafka.PipeNetwork()))
		for _, b := range c.Brokers() {
			for _, end := range []func(){b.Crash, b.PowerOff, b.Shutdown} {
				end()
				b.Restart()
			}
			ctl := c.Controller()
			ctl.Crash()
			c.Controller()
			ctl.Restart()
		}
		c.WaitHealthy()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
