package minikafka_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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

// Delays between brokers are time that acks=all takes, and Heal ends them.
func TestDelayIsLatency(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		leader := c.Leader("orders", 0)
		follower := c.Broker((leader.ID() + 1) % 3)
		c.Produce("orders", 0, minikafka.Values("at once")...)
		c.Delay(leader, follower, 100*time.Millisecond, 50*time.Millisecond)
		for range 5 {
			begin := time.Now()
			c.Produce("orders", 0, minikafka.Values("late")...)
			// A record may have to wait for the message before it to arrive.
			if took := time.Since(begin); took < 100*time.Millisecond || took > 300*time.Millisecond {
				t.Errorf("a record took %v", took)
			}
		}
		want := fmt.Sprintf("slow link from %v to %v 100ms longer and up to 50ms on top", leader, follower)
		if s := c.Status(); !strings.Contains(s.String(), want) || len(s.Slow) != 1 {
			t.Errorf("the status does not say %q:\n%v", want, s)
		}
		c.Delay(leader, follower, time.Hour, 0)
		c.Heal()
		begin := time.Now()
		c.Produce("orders", 0, minikafka.Values("at once")...)
		if took := time.Since(begin); took > 200*time.Millisecond {
			t.Errorf("after Heal a record took %v", took)
		}
	})
}

// A lossy network is slow, and breaks connections, but loses nothing.
func TestLossLosesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		for _, from := range c.Brokers() {
			for _, to := range c.Brokers() {
				if from != to {
					c.Lose(from, to, 0.5)
				}
			}
		}
		cl := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.Dialer(c.DialContext), kgo.RequiredAcks(kgo.AllISRAcks()))
		const n = 300
		begin := time.Now()
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint(i))
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord(want[i])).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < n*100*time.Millisecond {
			t.Errorf("%d records took %v over a network that loses every other packet", n, took)
		}
		c.Heal()
		c.WaitHealthy()
		for _, b := range c.Brokers() {
			if got := values(b.Records("orders", 0)); got != strings.Join(want, " ") {
				t.Errorf("%v has %q", b, got)
			}
		}
	}, minikafka.Timing(minikafka.KafkaTimings))
}

// Controllers' links are links.
func TestDelayedControllers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		old := c.Controller()
		for _, other := range c.Controllers() {
			if other != old {
				c.Delay(old, other, time.Minute, 0)
			}
		}
		c.Wait("another active controller", func() bool { return c.Controller() != old })
		c.CreateTopic("new", 1)
		c.Heal()
		c.WaitHealthy()
	}, minikafka.Controllers(3))
}

func TestBadLinks(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		other := minikafka.Start(t, minikafka.Brokers(3), minikafka.Network(minikafka.PipeNetwork()))
		var none *minikafka.Broker
		a, b := c.Broker(0), c.Broker(1)
		for name, tc := range map[string]struct {
			want error
			says string
			do   func(c *minikafka.Cluster)
		}{
			"a negative delay":        {minikafka.ErrArgument, "negative", func(c *minikafka.Cluster) { c.Delay(a, b, -1, 0) }},
			"a negative jitter":       {minikafka.ErrArgument, "negative", func(c *minikafka.Cluster) { c.Delay(a, b, 0, -1) }},
			"more than everything":    {minikafka.ErrArgument, "0 to 1", func(c *minikafka.Cluster) { c.Lose(a, b, 1.1) }},
			"less than nothing":       {minikafka.ErrArgument, "0 to 1", func(c *minikafka.Cluster) { c.Lose(a, b, -0.1) }},
			"no number":               {minikafka.ErrArgument, "0 to 1", func(c *minikafka.Cluster) { c.Lose(a, b, math.NaN()) }},
			"a link to itself":        {minikafka.ErrArgument, "itself", func(c *minikafka.Cluster) { c.Cut(a, a) }},
			"one group":               {minikafka.ErrArgument, "two groups", func(c *minikafka.Cluster) { c.Split(minikafka.Group(a, b)) }},
			"a group of nobody":       {minikafka.ErrArgument, "without nodes", func(c *minikafka.Cluster) { c.Split(minikafka.Group(a), nil) }},
			"a broker in two groups":  {minikafka.ErrArgument, "broker 0", func(c *minikafka.Cluster) { c.Split(minikafka.Group(a), minikafka.Group(b, a)) }},
			"a broker of another":     {minikafka.ErrUnknownNode, "another cluster", func(c *minikafka.Cluster) { c.Isolate(other.Broker(0)) }},
			"a controller of another": {minikafka.ErrUnknownNode, "another cluster", func(c *minikafka.Cluster) { c.Cut(a, other.Controller()) }},
			"no node":                 {minikafka.ErrUnknownNode, "nil", func(c *minikafka.Cluster) { c.Isolate(nil) }},
			"no broker":               {minikafka.ErrUnknownNode, "nil", func(c *minikafka.Cluster) { c.Isolate(none) }},
		} {
			if err := c.Try(tc.do); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v, want %v, and %q in it", name, err, tc.want, tc.says)
			}
		}
		if s := c.Status(); len(s.Cut)+len(s.Slow) > 0 {
			t.Errorf("a bad argument had an effect: %v", s)
		}
	})
}

// A consumer that is ahead of a new leader's high watermark is answered at once,
// over and over, but time passes all the same.
func TestConsumerAboveTheHighWatermark(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		replicas := c.PartitionState("orders", 0).Replicas
		old, next, slow := c.Broker(replicas[0]), c.Broker(replicas[1]), c.Broker(replicas[2])
		cl := client(t, c, append(onPipes(c), kgo.ConsumeTopics("orders"))...)
		c.Delay(old, next, 200*time.Millisecond, 0)
		c.Delay(old, slow, 200*time.Millisecond, 0)
		c.Produce("orders", 0, minikafka.Values("a")...)
		if got := cl.PollFetches(within(t, time.Minute)).Records(); len(got) != 1 {
			t.Fatalf("read %d records", len(got))
		}
		// Followers have the record, but do not know yet that it is committed. The
		// next leader cannot commit anything before the last one leaves the ISR.
		c.Split(minikafka.Group(next), minikafka.Group(slow))
		old.Crash()
		if leader := c.WaitLeader("orders", 0); leader != next {
			t.Fatalf("%v leads", leader)
		}
		if hw := c.PartitionState("orders", 0).HighWatermark; hw != 0 {
			t.Fatalf("the high watermark is %d: the consumer is not above it", hw)
		}
		<-time.After(100 * time.Millisecond)
		c.Produce("orders", 0, minikafka.Values("b")...)
		if got := cl.PollFetches(within(t, time.Minute)).Records(); len(got) != 1 || string(got[0].Value) != "b" {
			t.Errorf("then it read %v", got)
		}
	})
}

// A follower hears of the high watermark though the message that told it was
// lost with its connection.
func TestWatermarkAfterAReset(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		leader := c.Leader("orders", 0)
		one, two := c.Broker((leader.ID()+1)%3), c.Broker((leader.ID()+2)%3)
		c.Delay(leader, two, time.Second, 0)
		if _, err := leader.Produce("orders", 0, minikafka.Values("x")...); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second / 2) // one has the record by now, two has not
		c.Lose(leader, one, 1)
		<-time.After(time.Second) // two has, so the high watermark has moved
		c.Lose(leader, one, 0)
		if hw := c.PartitionState("orders", 0).Log(one.ID()).HighWatermark; hw != 0 {
			t.Fatalf("the message was not lost: the follower knows of the high watermark %d", hw)
		}
		c.Wait("the follower to hear of the high watermark", func() bool {
			return c.PartitionState("orders", 0).Log(one.ID()).HighWatermark == 1
		})
	}, minikafka.Timing(minikafka.KafkaTimings))
}
