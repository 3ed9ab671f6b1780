package minikafka_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// A client takes a paused leader for slow, until another leads.
func TestPauseOfALeader(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		cl := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.Dialer(c.DialContext))
		defer cl.Close()
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("before")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		b := c.Leader("orders", 0)
		b.Pause()
		b.Pause() // has no effect
		if b.State() != minikafka.Paused || !strings.Contains(c.Status().String(), "paused") {
			t.Errorf("the broker is %s", b.State())
		}
		if cut := c.Status().Cut; len(cut) > 0 {
			t.Errorf("links are said to be cut, where a node is paused: %v", cut)
		}
		begin := time.Now()
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("during")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 9*time.Second {
			t.Errorf("the record was acknowledged after %v, within the session of the paused leader", took)
		}
		c.WaitHealthy() // as far as nodes run
		if next := c.Controller(); next.State() != minikafka.Running {
			t.Errorf("%v is %s", next, next.State())
		}
		b.Resume()
		c.WaitISR("orders", 0)
		if got := values(b.Records("orders", 0)); got != "before during" {
			t.Errorf("afterwards the broker has %q", got)
		}
	}, minikafka.Timing(minikafka.KafkaTimings))
}

// What is in a paused broker's sockets is answered when it goes on, new
// connections included, and nothing before.
func TestPausedBrokerIsSilent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		b := c.Broker(1)
		b.Pause()
		conn, err := c.DialContext(t.Context(), "tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silence(t, conn, time.Hour)
		b.Resume()
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the pause: %v", err)
		}
		c.WaitHealthy()
	})
}

// No connection of a paused broker is closed for being idle, whatever was done
// with it before.
func TestPauseOfIdleConnections(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		b := c.Leader("orders", 0)
		dial := func() *scenario.Wire {
			w, err := scenario.DialWire(t.Context(), c.DialContext, b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		fresh, fetched := dial(), dial()
		defer fresh.Close()
		defer fetched.Close()
		q := kmsg.NewPtrFetchRequest()
		q.Version, q.MaxWaitMillis, q.MinBytes, q.SessionEpoch = 11, 100, 1, -1
		p := kmsg.NewFetchRequestTopicPartition()
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.Partitions = "orders", append(topic.Partitions, p)
		q.Topics = append(q.Topics, topic)
		ask := func(w *scenario.Wire, q kmsg.Request) {
			t.Helper()
			if _, err := w.Request(q); err != nil {
				t.Error(err)
			}
		}
		ask(fetched, q) // waits for records, with the connection watched
		b.Pause()
		<-time.After(time.Hour)
		b.Resume()
		ask(fresh, kmsg.NewPtrApiVersionsRequest())
		ask(fetched, kmsg.NewPtrApiVersionsRequest())
	}, minikafka.Config("connections.max.idle.ms", "60000"))
}

// silence sends a request and fails when anything but silence comes back.
func silence(t *testing.T, conn net.Conn, d time.Duration) {
	t.Helper()
	q := kmsg.NewPtrApiVersionsRequest()
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("a paused broker is not silent: %d bytes, %v", n, err)
	}
}

// The same over sockets.
func TestPauseOverTCP(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1))
	b := c.Leader("orders", 0)
	b.Pause()
	conn, err := c.DialContext(t.Context(), "tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	silence(t, conn, 100*time.Millisecond)
	c.Produce("orders", 0, minikafka.Values("during")...)
	b.Resume()
	c.WaitISR("orders", 0)
	if got := values(b.Records("orders", 0)); got != "during" {
		t.Errorf("afterwards the broker has %q", got)
	}
}

// A controller that is paused is replaced, and finds out about it.
func TestPauseOfTheController(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		old := c.Controller()
		old.Pause()
		if next := c.Controller(); next == old {
			t.Fatal("the paused controller is still the active one")
		}
		c.CreateTopic("new", 3)
		old.Resume()
		c.WaitHealthy()
		old.Crash()
		old.Restart()
		c.WaitHealthy()
	}, minikafka.Controllers(3))
}

// With its only controller paused a cluster goes on, but nothing changes.
func TestPauseOfTheOnlyController(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		c.Controller().Pause()
		epoch := c.PartitionState("orders", 0).LeaderEpoch
		<-time.After(time.Minute)
		c.Produce("orders", 0, minikafka.Values("x")...)
		if now := c.PartitionState("orders", 0).LeaderEpoch; now != epoch {
			t.Errorf("a paused controller has had another leader elected, for epoch %d", now)
		}
		c.Controller().Resume()
		c.WaitHealthy()
		if now := c.PartitionState("orders", 0).LeaderEpoch; now != epoch {
			t.Errorf("after the pause somebody was fenced: epoch %d", now)
		}
	})
}

// breakable is a broker or a controller.
type breakable interface {
	Pause()
	Resume()
	Crash()
	PowerOff()
	Shutdown()
	Restart()
}

// Every other verb on a paused node does what it would do to its process.
func TestVerbsOnPausedNodes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		for _, find := range []func(c *minikafka.Cluster) breakable{
			func(c *minikafka.Cluster) breakable { return c.Broker(1) },
			func(c *minikafka.Cluster) breakable { return c.Controllers()[0] },
		} {
			node := find(c)
			node.Pause()
			refused(t, c, minikafka.ErrPaused, "Resume", func(c *minikafka.Cluster) { find(c).Shutdown() })
			refused(t, c, minikafka.ErrRunning, "Resume", func(c *minikafka.Cluster) { find(c).Restart() })
			for _, end := range []func(){node.Crash, node.PowerOff} {
				end()
				refused(t, c, minikafka.ErrNotRunning, "Restart", func(c *minikafka.Cluster) { find(c).Pause() })
				refused(t, c, minikafka.ErrNotRunning, "Restart", func(c *minikafka.Cluster) { find(c).Resume() })
				node.Restart()
				c.WaitHealthy()
				node.Pause()
			}
			node.Resume()
			c.WaitHealthy()
		}
		b := c.Broker(1)
		b.Pause()
		if _, err := b.Produce("orders", 0, minikafka.Values("x")...); !errors.Is(err, minikafka.ErrPaused) {
			t.Errorf("Produce: %v", err)
		}
	}, minikafka.DataDir(t.TempDir()))
}

// refused fails unless the verb fails with the error and says what to do.
func refused(t *testing.T, c *minikafka.Cluster, want error, says string, verb func(*minikafka.Cluster)) {
	t.Helper()
	if err := c.Try(verb); !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v: want %v, and %q in it", err, want, says)
	}
}
