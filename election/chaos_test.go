package election_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// TestChaos makes topics while nodes crash, pause and are cut off, in virtual
// time. Afterwards everything works again, all nodes have the same metadata, and
// no topic is lost whose creation was confirmed.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	for _, timing := range []election.Timing{fast(), kafka()} {
		for i := range uint64(3) {
			t.Run(fmt.Sprintf("session %v MINIKAFKA_SEED=%d", timing.SessionTimeout, seed+i), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { chaos(t, timing, seed+i) })
			})
		}
	}
}

func chaos(t *testing.T, timing election.Timing, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, timing, 1, 2, 3).run()
	defer c.stop()
	c.startBrokers(1, 2, 3)
	confirmed := map[string]bool{}
	for i := range 60 {
		c.disturb(r)
		<-time.After(time.Duration(r.Int64N(int64(2 * timing.SessionTimeout))))
		b := c.brokers[1+r.Int32N(3)]
		if b == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), timing.SessionTimeout)
		name := fmt.Sprint("topic", i)
		a, err := b.Do(ctx, &election.CreateTopics{Topics: []election.NewTopic{{Name: name, Partitions: 2, ReplicationFactor: 2}}})
		cancel()
		if results, ok := a.([]election.CreateTopicResult); ok && err == nil && results[0].Err == nil {
			confirmed[name] = true
		}
	}
	c.recover()
	c.compare(confirmed)
	t.Logf("%d topics confirmed", len(confirmed))
}

// disturb breaks something, or mends it.
func (c *cluster) disturb(r *rand.Rand) {
	c.t.Helper()
	id := 1 + r.Int32N(3)
	n := fabric.Broker(id)
	if r.IntN(2) == 0 {
		n = fabric.Controller(id)
	}
	switch r.IntN(8) {
	case 0:
		c.fabric.Pause(n)
	case 1:
		c.fabric.Resume(n)
	case 2:
		c.fabric.Cut(n, fabric.Controller(1+r.Int32N(3)))
	case 3:
		c.fabric.Heal()
	case 4:
		if b := c.brokers[id]; b != nil {
			b.crash()
			delete(c.brokers, id)
		} else {
			c.startBroker(id)
		}
	case 5, 6:
		if n := c.controllers[id]; n != nil && len(c.controllers) > 1 {
			if err := n.Crash(); err != nil {
				c.t.Fatal(err)
			}
			delete(c.controllers, id)
		} else if n == nil {
			c.startController(id)
		}
	case 7: // Let it be.
	}
}

// recover mends everything, and waits until it works again.
func (c *cluster) recover() {
	c.t.Helper()
	c.fabric.Heal()
	for id := range int32(3) {
		c.fabric.Resume(fabric.Broker(1 + id))
		c.fabric.Resume(fabric.Controller(1 + id))
		if c.controllers[1+id] == nil {
			c.startController(1 + id)
		}
		if c.brokers[1+id] == nil {
			c.startBroker(1 + id)
		}
	}
	for _, b := range c.brokers {
		b.wait(c, "all brokers unfenced and every partition led", func(m *election.Image) bool {
			for _, t := range m.Topics {
				for _, p := range t.Partitions {
					if p.Leader < 0 {
						return false
					}
				}
			}
			return m.Brokers[1].Alive() && m.Brokers[2].Alive() && m.Brokers[3].Alive()
		})
	}
	<-time.After(time.Minute)
	synctest.Wait()
}

// compare holds that all nodes know the same, and all that was confirmed.
func (c *cluster) compare(confirmed map[string]bool) {
	c.t.Helper()
	active := c.controllers[c.activeController()].Image()
	for id, n := range c.controllers {
		if n.Active() && n.Image() != active {
			c.t.Error("two active controllers")
		}
		if !reflect.DeepEqual(n.Image(), active) {
			c.t.Errorf("controller %d has another image: %s\nactive: %s", id, describe(n.Image()), describe(active))
		}
	}
	for id, b := range c.brokers {
		if b.Image() != active {
			c.t.Errorf("broker %d is at %d, the controller at %d", id, b.Image().Index, active.Index)
		}
	}
	for name := range confirmed {
		if active.Topics[name] == nil {
			c.t.Errorf("%s was confirmed and is not there", name)
		}
	}
}
