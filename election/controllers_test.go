package election_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// inBoth runs a test in real and in virtual time.
func inBoth(t *testing.T, test func(*testing.T)) {
	t.Run("real time", func(t *testing.T) { t.Parallel(); test(t) })
	t.Run("virtual time", func(t *testing.T) { t.Parallel(); synctest.Test(t, test) })
}

// activeController waits for one.
func (c *cluster) activeController() int32 {
	c.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		var changed []reflect.SelectCase
		for id, n := range c.controllers {
			changed = append(changed, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(n.Changed())})
			if n.Active() {
				return id
			}
		}
		changed = append(changed, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(deadline)})
		if i, _, _ := reflect.Select(changed); i == len(changed)-1 {
			c.t.Fatal("waited in vain for an active controller")
		}
	}
}

// caughtUp waits until the controller's image is at the index.
func (c *cluster) caughtUp(id int32, index uint64) {
	c.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		changed := c.controllers[id].Changed()
		at := c.controllers[id].Image().Index
		if at >= index {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("waited in vain for controller %d to reach index %d, it is at %d", id, index, at)
		}
	}
}

func TestOnlyControllerIsActiveAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timing := kafka()
		timing.ElectionTimeout = time.Hour
		c := newCluster(t, timing, 7)
		defer c.stop()
		for range 3 {
			c.startController(7)
			synctest.Wait()
			if !c.controllers[7].Active() {
				t.Fatal("the only controller is not active without any time passing")
			}
			if err := c.controllers[7].Crash(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNewControllersElectWithoutWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timing := kafka()
		timing.ElectionTimeout = time.Hour
		c := newCluster(t, timing, 1, 2, 3).run()
		defer c.stop()
		start := time.Now()
		c.startBrokers(1)
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestControllerFailover(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1, 2, 3).run()
		defer c.stop()
		c.startBrokers(1, 2, 3)
		b := c.brokers[1]
		c.createTopic(b, "before", 1, 3, nil)
		for round := range 3 {
			old := c.activeController()
			start := time.Now()
			if err := c.controllers[old].Crash(); err != nil {
				t.Fatal(err)
			}
			delete(c.controllers, old)
			topic := c.createTopic(b, "after"+string(rune('a'+round)), 1, 3, nil)
			t.Logf("controller %d crashed: next command done after %v", old, time.Since(start))
			if len(topic.Partitions[0].ISR) != 3 {
				t.Errorf("a broker was fenced: %+v", *topic.Partitions[0])
			}
			c.startController(old)
			c.caughtUp(old, b.Image().Index)
			if c.controllers[old].Image().Topics["before"] == nil {
				t.Error("the restarted controller lost a topic")
			}
		}
		if m := b.Image(); m.Brokers[1].Fenced || m.Brokers[2].Fenced || m.Brokers[3].Fenced || m.Brokers[1].Epoch != b.Epoch() {
			t.Errorf("fail-overs changed the brokers: %s", describe(m))
		}
	})
}

// TestCrashIsKnownFromTheConnection: nobody waits for the election timeout.
func TestCrashIsKnownFromTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timing := fast()
		timing.ElectionTimeout = time.Hour
		c := newCluster(t, timing, 1, 2, 3).run()
		defer c.stop()
		c.startBrokers(1)
		c.createTopic(c.brokers[1], "before", 1, 1, nil)
		synctest.Wait()
		old := c.activeController()
		start := time.Now()
		if err := c.controllers[old].Crash(); err != nil {
			t.Fatal(err)
		}
		delete(c.controllers, old)
		c.createTopic(c.brokers[1], "after", 1, 1, nil)
		if took := time.Since(start); took > time.Second {
			t.Errorf("the next command was done after %v", took)
		}
	})
}

func TestIsolatedActiveControllerIsReplaced(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1, 2, 3).run()
		defer c.stop()
		c.startBrokers(1, 2)
		old := c.activeController()
		alone := fabric.Controller(old)
		var rest []fabric.Node
		for _, id := range c.peers {
			if id != old {
				rest = append(rest, fabric.Controller(id))
			}
		}
		c.fabric.Split([]fabric.Node{alone}, append(rest, fabric.Broker(1), fabric.Broker(2)))
		topic := c.createTopic(c.brokers[1], "orders", 1, 2, nil)
		if topic == nil || c.controllers[old].Image().Topics["orders"] != nil {
			t.Error("the topic should be known on the majority's side only")
		}
		c.fabric.Heal()
		c.caughtUp(old, c.brokers[1].Image().Index)
		if c.controllers[old].Active() && c.controllers[old].Image().Term == 1 {
			t.Error("the isolated controller is active still")
		}
		for _, id := range []int32{1, 2} {
			if c.brokers[id].Image().Brokers[id].Fenced {
				t.Errorf("broker %d was fenced", id)
			}
		}
	})
}

func TestNoMajorityNoCommands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, kafka(), 1, 2, 3).run()
		defer c.stop()
		c.startBrokers(1)
		old := c.activeController()
		for id, n := range c.controllers {
			if id != old {
				if err := n.Crash(); err != nil {
					t.Fatal(err)
				}
			}
		}
		start := time.Now()
		_, err := c.brokers[1].Do(c.ctx(), &election.AllocateProducerIDs{Broker: 1, Epoch: c.brokers[1].Epoch()})
		if !errors.Is(err, election.ErrTimedOut) || time.Since(start) != 60*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestRestartKeepsTheMetadata(t *testing.T) {
	t.Parallel()
	t.Run("stop", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { restart(t, (*election.Controller).Stop) }) })
	t.Run("crash", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { restart(t, (*election.Controller).Crash) }) })
}

func restart(t *testing.T, end func(*election.Controller) error) {
	timing := kafka()
	timing.WaitForOldSession = false
	c := newCluster(t, timing, 1).run()
	defer c.stop()
	c.startBrokers(1)
	b := c.brokers[1]
	c.createTopic(b, "orders", 2, 1, map[string]string{"retention.ms": "5"})
	c.outgrowLog(b)
	before := b.Image()
	if err := end(c.controllers[1]); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.startController(1)
	block := do[election.ProducerIDBlock](c, b, &election.AllocateProducerIDs{Broker: 1, Epoch: b.Epoch()})
	if block.First != 3_000_000 {
		t.Errorf("producer ids start at %d", block.First)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("restart took %v", took)
	}
	m := b.wait(c, "an image of the second reign", func(m *election.Image) bool { return m.Term > before.Term })
	if m.TopicsByID[m.Topics["orders"].ID] != m.Topics["orders"] {
		t.Error("the topics by id are others than by name")
	}
	after := *m
	after.Term, after.Index = before.Term, before.Index
	if !reflect.DeepEqual(&after, before) {
		t.Errorf("before the restart:\n%+v%s\nafter it:\n%+v%s", before, describe(before), m, describe(m))
	}
}

// outgrowLog runs more than a snapshot's worth of commands, and gives time for
// snapshots.
func (c *cluster) outgrowLog(b *broker) {
	c.t.Helper()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 30 {
				do[election.ProducerIDBlock](c, b, &election.AllocateProducerIDs{Broker: b.id, Epoch: b.Epoch()})
			}
		})
	}
	wg.Wait()
	<-time.After(5 * time.Minute)
}

// TestCatchUpBySnapshot is a controller that was away for longer than the log
// goes back; with its file, and without.
func TestCatchUpBySnapshot(t *testing.T) {
	t.Parallel()
	for _, wipe := range []bool{false, true} {
		t.Run(fmt.Sprint("wiped ", wipe), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { catchUp(t, wipe) })
		})
	}
}

func catchUp(t *testing.T, wipe bool) {
	c := newCluster(t, kafka(), 1, 2, 3).run()
	defer c.stop()
	c.startBrokers(1)
	c.createTopic(c.brokers[1], "orders", 3, 1, nil)
	away := int32(3)
	if c.activeController() == away {
		away = 2
	}
	c.crashController(away)
	c.outgrowLog(c.brokers[1])
	if wipe {
		if err := os.Remove(c.path(away)); err != nil {
			t.Fatal(err)
		}
	}
	c.startController(away)
	active := c.controllers[c.activeController()].Image()
	c.caughtUp(away, active.Index)
	if got := c.controllers[away].Image(); !reflect.DeepEqual(got, active) {
		t.Errorf("got %s\nwant %s", describe(got), describe(active))
	}
	// It has what brokers do not see, too: it leads, or helps one to lead that
	// has it from before.
	for id := range c.controllers {
		if id != away {
			c.crashController(id)
		}
	}
	c.startController(1 + away%3)
	block := do[election.ProducerIDBlock](c, c.brokers[1], &election.AllocateProducerIDs{Broker: 1, Epoch: c.brokers[1].Epoch()})
	if block.First != 3_000_000 {
		t.Errorf("producer ids start at %d", block.First)
	}
}

// crashController crashes one.
func (c *cluster) crashController(id int32) {
	c.t.Helper()
	if err := c.controllers[id].Crash(); err != nil {
		c.t.Fatal(err)
	}
	delete(c.controllers, id)
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fast(), 1).run()
	defer c.stop()
	start := func(path string) error {
		n, err := election.StartController(election.ControllerConfig{
			ID: 1, Peers: ids(1), Fabric: fabric.New(), Path: path, Rules: catalogue{}, Timing: fast(),
		})
		if err == nil {
			_ = n.Stop()
		}
		return err
	}
	if err := start(c.path(1)); !errors.Is(err, log.ErrInUse) {
		t.Errorf("a file in use: %v", err)
	}
	newer := filepath.Join(t.TempDir(), "newer.db")
	if err := start(newer); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(newer, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("3"))
	}), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	if err := start(newer); !errors.Is(err, log.ErrFormat) {
		t.Errorf("a newer file: %v", err)
	}
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(text); err == nil {
		t.Error("a file that is none was opened")
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	// Not parallel: it counts the goroutines of the process.
	before := runtime.NumGoroutine()
	for range 5 {
		c := newCluster(t, fast(), 1, 2, 3).run()
		c.startBrokers(1, 2, 3)
		c.createTopic(c.brokers[1], "orders", 3, 3, nil)
		active := c.activeController()
		if err := c.controllers[active].Crash(); err != nil {
			t.Fatal(err)
		}
		c.createTopic(c.brokers[1], "more", 3, 3, nil)
		c.stop()
	}
	deadline := time.After(10 * time.Second)
	for runtime.NumGoroutine() > before {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}
