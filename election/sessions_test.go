package election_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// virtual runs a test in virtual time, on a cluster of one controller and
// brokers 1, 2, 3 with the topic t on all of them.
func virtual(t *testing.T, timing election.Timing, test func(*cluster)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, timing, 1).run()
		defer c.stop()
		c.startBrokers(1, 2, 3)
		c.createTopic(c.brokers[1], "t", 1, 3, nil)
		synctest.Wait()
		test(c)
	})
}

// fencedAfter waits until broker 1 is fenced, as broker 2 sees it.
func (c *cluster) fencedAfter() time.Duration {
	c.t.Helper()
	start := time.Now()
	c.brokers[2].wait(c, "broker 1 fenced", func(m *election.Image) bool { return m.Brokers[1].Fenced })
	return time.Since(start)
}

func TestSilentBrokerIsFenced(t *testing.T) {
	for _, timing := range []election.Timing{fast(), kafka()} {
		for _, end := range []struct {
			name string
			fall func(*cluster)
		}{
			{"paused", func(c *cluster) { c.fabric.Pause(fabric.Broker(1)) }},
			{"cut off", func(c *cluster) { c.fabric.Cut(fabric.Broker(1), fabric.Controller(1)) }},
			{"cut off the other way", func(c *cluster) { c.fabric.Cut(fabric.Controller(1), fabric.Broker(1)) }},
		} {
			t.Run(end.name+" "+timing.SessionTimeout.String(), func(t *testing.T) {
				virtual(t, timing, func(c *cluster) {
					<-time.After(time.Minute)
					end.fall(c)
					took := c.fencedAfter()
					t.Logf("fenced after %v", took)
					// Its last heartbeat may be an interval old. One way cut,
					// one more is heard.
					if s := timing.SessionTimeout; took < s-timing.HeartbeatInterval || took > s+s/8+timing.HeartbeatInterval {
						t.Errorf("fenced after %v", took)
					}
					p := partition(c.brokers[2].Image(), "t")
					if p.Leader != 2 || !same(p.ISR, 2, 3) || p.LeaderEpoch != 1 {
						t.Errorf("partition %+v", *p)
					}
				})
			})
		}
	}
}

// TestHungBrokerIsFenced: its heartbeats end, and nothing else tells of it.
func TestHungBrokerIsFenced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1).run()
		defer c.stop()
		c.startBrokers(1)
		c.brokers[1].Stop()
		<-time.After(1200 * time.Millisecond)
		if !c.controllers[1].Image().Brokers[1].Fenced {
			t.Error("not fenced")
		}
	})
}

func TestHealthyBrokerIsNeverFenced(t *testing.T) {
	for _, timing := range []election.Timing{fast(), kafka()} {
		t.Run(timing.SessionTimeout.String(), func(t *testing.T) {
			virtual(t, timing, func(c *cluster) {
				before := c.brokers[1].Image()
				<-time.After(time.Hour)
				if m := c.brokers[1].Image(); m != before {
					t.Errorf("something happened in a quiet hour: %s", describe(m))
				}
			})
		})
	}
}

func TestCrashedBrokerIsFencedAtOnce(t *testing.T) {
	virtual(t, fast(), func(c *cluster) {
		c.brokers[1].crash()
		if took := c.fencedAfter(); took != 0 {
			t.Errorf("fenced after %v", took)
		}
	})
}

func TestCrashedBrokerIsFencedBySilenceOnKafka(t *testing.T) {
	virtual(t, kafka(), func(c *cluster) {
		c.brokers[1].crash()
		if took := c.fencedAfter(); took < 7*time.Second || took > 10*time.Second {
			t.Errorf("fenced after %v", took)
		}
	})
}

// TestPausedBrokerReturns holds that nobody fences a broker whose connection is
// merely silent, before its session is over, and that it comes back by itself.
func TestPausedBrokerReturns(t *testing.T) {
	virtual(t, fast(), func(c *cluster) {
		before := c.brokers[2].Image()
		c.fabric.Pause(fabric.Broker(1))
		<-time.After(700 * time.Millisecond)
		c.fabric.Resume(fabric.Broker(1))
		<-time.After(10 * time.Second)
		if c.brokers[2].Image() != before {
			t.Error("a short pause fenced a broker")
		}
		c.fabric.Pause(fabric.Broker(1))
		c.fencedAfter()
		c.fabric.Resume(fabric.Broker(1))
		m := c.brokers[1].wait(c, "the broker back", func(m *election.Image) bool { return m.Brokers[1].Alive() && m.Index > before.Index })
		if m.Brokers[1].Epoch != before.Brokers[1].Epoch {
			t.Error("the same incarnation got another epoch")
		}
		if p := partition(m, "t"); p.Leader != 2 || !same(p.ISR, 2, 3) {
			t.Errorf("partition %+v", *p)
		}
	})
}

// TestPausedControllerFencesNobody: its timers stop with it.
func TestPausedControllerFencesNobody(t *testing.T) {
	for _, timing := range []election.Timing{fast(), kafka()} {
		t.Run(timing.SessionTimeout.String(), func(t *testing.T) {
			virtual(t, timing, func(c *cluster) {
				before := c.brokers[2].Image()
				c.fabric.Pause(fabric.Controller(1))
				<-time.After(10 * time.Minute)
				c.fabric.Resume(fabric.Controller(1))
				<-time.After(10 * time.Minute)
				if m := c.brokers[2].Image(); m != before {
					t.Errorf("something happened: %s", describe(m))
				}
			})
		})
	}
}

func TestRestartedBroker(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		virtual(t, fast(), func(c *cluster) {
			old := c.brokers[1].Epoch()
			c.brokers[1].crash()
			start := time.Now()
			c.startBrokers(1)
			if took := time.Since(start); took != 0 || c.brokers[1].Epoch() <= old {
				t.Errorf("back after %v with epoch %d, before %d", took, c.brokers[1].Epoch(), old)
			}
		})
	})
	t.Run("E18 after the old session", func(t *testing.T) {
		virtual(t, kafka(), func(c *cluster) {
			<-time.After(time.Minute)
			c.brokers[1].crash()
			start := time.Now()
			c.startBrokers(1)
			// Kafka: 8 to 10 s with its defaults.
			if took := time.Since(start); took < 7*time.Second || took > 12*time.Second {
				t.Errorf("back after %v", took)
			}
		})
	})
	t.Run("E18 after a clean shutdown too", func(t *testing.T) {
		virtual(t, kafka(), func(c *cluster) {
			<-time.After(time.Minute)
			if err := c.brokers[1].ControlledShutdown(c.ctx()); err != nil {
				t.Fatal(err)
			}
			epoch := c.brokers[1].Epoch()
			c.brokers[1].crash()
			start := time.Now()
			c.startBroker(1, func(cfg *election.ClientConfig) { cfg.PreviousEpoch = epoch })
			c.await("broker 1 back", c.brokers[1].Unfenced())
			if took := time.Since(start); took < 7*time.Second || took > 12*time.Second {
				t.Errorf("back after %v", took)
			}
		})
	})
}

func TestControlledShutdown(t *testing.T) {
	for _, timing := range []election.Timing{fast(), kafka()} {
		t.Run(timing.SessionTimeout.String(), func(t *testing.T) {
			virtual(t, timing, func(c *cluster) {
				start := time.Now()
				if err := c.brokers[1].ControlledShutdown(c.ctx()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > 200*time.Millisecond {
					t.Errorf("granted after %v", took)
				}
				m := c.controllers[1].Image()
				if p := partition(m, "t"); p.Leader != 2 || !same(p.ISR, 2, 3) || p.LeaderEpoch != 1 {
					t.Errorf("partition %+v", *p)
				}
				if !m.Brokers[1].Fenced {
					t.Error("the broker is not fenced")
				}
				synctest.Wait() // images travel after the grant
				for _, id := range ids(2, 3) {
					if partition(c.brokers[id].Image(), "t").Leader != 2 {
						t.Errorf("broker %d does not know of the move", id)
					}
				}
				<-time.After(time.Minute)
				if !c.controllers[1].Image().Brokers[1].Fenced {
					t.Error("the broker came back after its shutdown was granted")
				}
			})
		})
	}
}

// TestShutdownWaitsForThePaused: a paused broker that is not fenced yet holds
// the grant up.
func TestShutdownWaitsForThePaused(t *testing.T) {
	virtual(t, kafka(), func(c *cluster) {
		<-time.After(time.Minute)
		c.fabric.Pause(fabric.Broker(3))
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := c.brokers[1].ControlledShutdown(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("granted at once: %v", err)
		}
		m := c.controllers[1].Image()
		if b := m.Brokers[1]; !b.ShuttingDown || b.Fenced || partition(m, "t").Leader != 2 {
			t.Errorf("in shutdown: %s", describe(m))
		}
		if err := c.brokers[1].ControlledShutdown(c.ctx()); err != nil {
			t.Error(err)
		}
		if m := c.controllers[1].Image(); !m.Brokers[3].Fenced {
			t.Error("granted before the paused broker was fenced")
		}
	})
}

func TestShutdownOfTheLastBroker(t *testing.T) {
	virtual(t, fast(), func(c *cluster) {
		for _, id := range ids(1, 2, 3) {
			if err := c.brokers[id].ControlledShutdown(c.ctx()); err != nil {
				t.Fatal(err)
			}
		}
		if p := partition(c.controllers[1].Image(), "t"); p.Leader != -1 || len(p.ISR) != 0 || !same(p.ELR, 3) {
			t.Errorf("partition %+v", *p)
		}
	})
}

func TestReadyGatesUnfencing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, kafka(), 1).run()
		defer c.stop()
		ready := make(chan struct{})
		b := c.startBroker(1, func(cfg *election.ClientConfig) { cfg.Ready = ready })
		<-time.After(time.Hour)
		if m := b.Image(); m.Brokers[1] == nil || !m.Brokers[1].Fenced {
			t.Error("unfenced before it was ready")
		}
		start := time.Now()
		close(ready)
		c.await("broker unfenced", b.Unfenced())
		if took := time.Since(start); took != 0 {
			t.Errorf("unfenced after %v", took)
		}
	})
}

// TestUnfencingNeedsTheImage: a broker whose roles are not in force yet is not
// unfenced.
func TestUnfencingNeedsTheImage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1).run()
		defer c.stop()
		applied := make(chan struct{})
		b := c.startBroker(1, func(cfg *election.ClientConfig) {
			cfg.OnImage = func(m *election.Image) {
				if m.Brokers[1] != nil {
					<-applied
				}
			}
		})
		<-time.After(time.Minute)
		if !c.controllers[1].Image().Brokers[1].Fenced {
			t.Error("unfenced before it had applied its registration")
		}
		close(applied)
		c.await("broker unfenced", b.Unfenced())
	})
}

func TestUnregisteredBrokerRegistersAgain(t *testing.T) {
	virtual(t, fast(), func(c *cluster) {
		old := c.brokers[1].Epoch()
		if _, err := c.brokers[2].Do(c.ctx(), &election.UnregisterBroker{Broker: 1}); err != nil {
			t.Fatal(err)
		}
		m := c.brokers[1].wait(c, "broker 1 again", func(m *election.Image) bool {
			return m.Brokers[1].Alive() && m.Brokers[1].Epoch > old
		})
		if p := partition(m, "t"); p.Leader != 2 || !same(p.ISR, 2, 3) {
			t.Errorf("partition %+v", *p)
		}
		if c.brokers[1].Epoch() != m.Brokers[1].Epoch {
			t.Error("the broker does not know its epoch")
		}
	})
}

func TestImagesNeverGoBack(t *testing.T) {
	virtual(t, fast(), func(c *cluster) {
		for i := range 20 {
			c.createTopic(c.brokers[1], fmt.Sprint("topic", i), 1, 3, nil)
		}
		for id, b := range c.brokers {
			b.wait(c, "the last topic", func(m *election.Image) bool { return m.Topics["topic19"] != nil })
			synctest.Wait()
			if !slices.IsSorted(b.seen) || len(slices.Compact(slices.Clone(b.seen))) != len(b.seen) {
				t.Errorf("broker %d saw %v", id, b.seen)
			}
		}
	})
}

func TestPeriodicElections(t *testing.T) {
	timing := kafka()
	t.Run("leader rebalance", func(t *testing.T) {
		virtual(t, timing, func(c *cluster) {
			c.fabric.Pause(fabric.Broker(1))
			c.fencedAfter()
			c.fabric.Resume(fabric.Broker(1))
			b := c.brokers[2]
			m := b.wait(c, "broker 1 back", func(m *election.Image) bool { return m.Brokers[1].Alive() })
			p := partition(m, "t")
			do[election.AlterPartitionResult](c, b, alterISR(m, b, p, 2, 3, 1))
			start := time.Now()
			b.wait(c, "the preferred leader", func(m *election.Image) bool { return partition(m, "t").Leader == 1 })
			if took := time.Since(start); took > 300*time.Second {
				t.Errorf("after %v", took)
			}
		})
	})
	t.Run("E11 unclean", func(t *testing.T) {
		virtual(t, timing, func(c *cluster) {
			b := c.brokers[1]
			p := partition(b.Image(), "t")
			do[election.AlterPartitionResult](c, b, alterISR(b.Image(), b, p, 1))
			c.fabric.Pause(fabric.Broker(1))
			c.fencedAfter()
			b = c.brokers[2]
			<-time.After(10 * time.Minute)
			if p := partition(b.Image(), "t"); p.Leader != -1 {
				t.Errorf("elected uncleanly without being allowed: %+v", *p)
			}
			yes := "true"
			do[[]error](c, b, &election.AlterConfigs{Resources: []election.ResourceChange{{
				Resource: election.ConfigResource{Topic: "t"},
				Changes:  []election.ConfigChange{{Name: "unclean.leader.election.enable", Value: &yes}},
			}}})
			start := time.Now()
			b.wait(c, "an unclean leader", func(m *election.Image) bool { return partition(m, "t").Leader == 2 })
			if took := time.Since(start); took == 0 || took > 300*time.Second {
				t.Errorf("after %v", took)
			}
		})
	})
}
