package minikafka_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka"
)

// inBubble runs a test on a cluster in virtual time.
func inBubble(t *testing.T, f func(*testing.T, *minikafka.Cluster), opts ...minikafka.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, minikafka.Start(t, append([]minikafka.Option{
			minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()),
		}, opts...)...))
	})
}

func TestRestartOfAnIsolatedBrokerDoesNotWait(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		b := c.Broker(2)
		c.Isolate(b)
		b.Crash()
		begin := time.Now()
		b.Restart()
		if took := time.Since(begin); took > time.Second || b.State() != minikafka.Running {
			t.Errorf("after %v the broker is %s", took, b.State())
		}
		conn, err := c.DialContext(t.Context(), "tcp", b.Addr())
		if err != nil {
			t.Errorf("clients do not reach it: %v", err)
		} else {
			conn.Close()
		}
		c.Heal()
		c.WaitHealthy()
	})
}

func TestSplitLeavesTheSideOfTheController(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		c.Split(minikafka.Group(c.Broker(0), c.Controller()), minikafka.Group(c.Broker(1), c.Broker(2)))
		c.Wait("only broker 0 left", func() bool {
			s := c.PartitionState("orders", 0)
			return s.Leader == 0 && len(s.ISR) == 1
		})
		if cut := len(c.Status().Cut); cut != 8 {
			t.Errorf("the status tells %d cut links, want 2 x 2 x 2", cut)
		}
		c.Produce("orders", 0, minikafka.Values("x")...)
		c.Heal()
		c.WaitHealthy()
		if got := values(c.Broker(2).Records("orders", 0)); got != "x" {
			t.Errorf("broker 2 has %q", got)
		}
	})
}

func TestCutIsOneWay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		leader := c.Leader("orders", 0)
		follower := c.Broker((leader.ID() + 1) % 3)
		// The leader hears no answers of the follower, which still gets one
		// message more: the next record, unless another message was under way.
		c.Produce("orders", 0, minikafka.Values("a")...)
		c.Cut(follower, leader)
		c.Produce("orders", 0, minikafka.Values("x")...)
		if s := c.PartitionState("orders", 0); len(s.ISR) != 2 {
			t.Errorf("the ISR is %v", s.ISR)
		}
		if got := values(follower.Records("orders", 0)); got != "a" && got != "a x" {
			t.Errorf("the follower has %q", got)
		}
		if cut := c.Status().Cut; len(cut) != 1 || cut[0].From != follower.String() || cut[0].To != leader.String() {
			t.Errorf("the status tells the cuts %v", cut)
		}
		c.Heal()
		c.WaitISR("orders", 0)
	})
}

func TestRestartOfAControllerWithoutAMajority(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		all := c.Controllers()
		for _, ctl := range all {
			ctl.Crash()
		}
		begin := time.Now()
		all[0].Restart()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("one of three took %v", took)
		}
		all[1].Restart() // has a majority, and so waits for an active one
		if s := c.Status(); !s.Controllers[0].Active && !s.Controllers[1].Active {
			t.Errorf("no controller is active: %v", s)
		}
		all[2].Restart()
		c.WaitHealthy()
	}, minikafka.Controllers(3))
}

func TestHoldsAddUp(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		one, two := c.HoldReplication("orders", 0), c.HoldReplication("orders", 0)
		one()
		one()
		if !c.PartitionState("orders", 0).Held {
			t.Error("one of two releases ends the hold")
		}
		two()
		if c.PartitionState("orders", 0).Held {
			t.Error("held after both releases")
		}
	})
}

// TestElectionOfWhoeverIsThere loses the last replica in sync, and elects
// another one uncleanly.
func TestElectionOfWhoeverIsThere(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		leader := c.Leader("orders", 0)
		release := c.HoldReplication("orders", 0)
		if _, err := leader.Produce("orders", 0, minikafka.Values("lost")...); err != nil {
			t.Fatal(err)
		}
		c.WaitISR("orders", 0, leader.ID())
		leader.Crash()
		c.Wait("no leader", func() bool { return c.PartitionState("orders", 0).Leader < 0 })
		if err := c.Try(func(c *minikafka.Cluster) { c.Elect("orders", 0, false) }); err == nil {
			t.Error("a clean election found a leader")
		}
		if c.Elect("orders", 0, true) == leader {
			t.Error("the crashed broker was elected")
		}
		release()
		leader.Restart()
		c.WaitISR("orders", 0)
		if got := values(leader.Records("orders", 0)); got != "" {
			t.Errorf("the old leader has %q", got)
		}
	})
}
