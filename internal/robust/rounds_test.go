package robust_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// TestRounds starts, breaks, mends and closes clusters, and finds as many
// goroutines and files afterwards as before.
func TestRounds(t *testing.T) {
	round(t) // What is started once and for all is started here.
	before := holds(t)
	for range 6 {
		round(t)
		before.waitBack(t)
	}
}

// round is the life of one cluster, with a client that outlives it.
func round(t *testing.T) {
	t.Helper()
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Topic(topic, 4))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext), kgo.DefaultProduceTopic(topic), kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	produce := func() {
		t.Helper()
		for range 8 {
			if err := client.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = c.Try(func(c *minikafka.Cluster) {
		produce()
		a, b := c.Brokers()[0], c.Brokers()[1]
		a.Crash()
		produce()
		release := c.HoldReplication(topic, 0)
		a.Restart()
		release()
		b.PowerOff()
		active := c.Controller()
		active.Crash()
		c.Controller()
		b.Restart()
		active.Restart()
		c.WaitHealthy()
		a.Shutdown()
		produce()
		a.Restart()
		c.Isolate(b)
		c.Heal()
		b.CloseClientConnections()
		produce()
		b.Crash()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCloseEndsIdleConnections closes a cluster under a thousand clients that
// are doing nothing, half of which have sent a part of a request.
func TestCloseEndsIdleConnections(t *testing.T) {
	before := holds(t)
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Topic("target", 1))
	if err != nil {
		t.Fatal(err)
	}
	x := &target{cluster: c}
	var conns []net.Conn
	for i := range 1000 {
		x.addr = c.Addrs()[i%3]
		conn := x.dial(t)
		conns = append(conns, conn)
		if i%2 == 0 {
			continue
		}
		if _, err := conn.Write([]byte{0, 0, 1, 0, 0, 18}); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("closed in %v", time.Since(begin))
	for i, conn := range conns {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d: %d bytes, %v", i, n, err)
		}
		_ = conn.Close() // its other end is gone
	}
	before.waitBack(t)
}
