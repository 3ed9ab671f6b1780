package server_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server"
)

func TestStartErrors(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	path := filepath.Join(c.dir, "broker-1.db")
	try := func(id int32, cluster, listen, path string) error {
		b, err := server.Start(server.Config{
			ID: id, Listen: listen, Fabric: c.fabric, Controllers: []int32{1}, Path: path, ClusterID: cluster, Timing: timing(),
		})
		if err == nil {
			b.Crash()
		}
		return err
	}
	fresh := func() string { return filepath.Join(t.TempDir(), "b.db") }
	if err := try(2, clusterID, "127.0.0.1:0", path); !errors.Is(err, log.ErrInUse) {
		t.Errorf("a file in use: %v", err)
	}
	if err := try(2, clusterID, c.listen[1], fresh()); err == nil || !strings.Contains(err.Error(), c.listen[1]) {
		t.Errorf("an address in use: %v", err)
	}
	if err := try(1, clusterID, "127.0.0.1:0", fresh()); err == nil {
		t.Error("a broker of this id runs")
	}
	if err := try(2, clusterID, "127.0.0.1:0", fresh()); err != nil {
		t.Errorf("after errors: %v", err)
	}
	c.crash(1)
	if err := try(2, clusterID, "127.0.0.1:0", path); !errors.Is(err, server.ErrWrongFile) {
		t.Errorf("another broker's file: %v", err)
	}
	if err := try(1, "another", "127.0.0.1:0", path); !errors.Is(err, server.ErrWrongFile) {
		t.Errorf("another cluster's file: %v", err)
	}
	c.start(1)
}

func TestRestartKeepsRecords(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*server.Broker) error{
		"crash":    func(b *server.Broker) error { b.Crash(); return nil },
		"shutdown": func(b *server.Broker) error { return b.Shutdown(context.Background()) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 1, nil)
			c.createTopic("t", 1, 1, nil)
			conn := c.dial(1)
			for i := range int64(3) {
				if p := conn.produce(produceRequest("t", 0, 1, batch("v"))); p.ErrorCode != 0 || p.BaseOffset != i {
					t.Fatalf("%+v", p)
				}
			}
			epoch := c.brokers[1].Client().Epoch()
			if err := end(c.brokers[1]); err != nil {
				t.Fatal(err)
			}
			conn.closed()
			c.start(1)
			c.ready(1)
			if now := c.brokers[1].Client().Epoch(); now <= epoch {
				t.Errorf("broker epoch %d after %d", now, epoch)
			}
			c.leader("t", 0)
			if p := c.dial(1).produce(produceRequest("t", 0, 1, batch("v"))); p.ErrorCode != 0 || p.BaseOffset != 3 {
				t.Errorf("after %s: %+v", name, p)
			}
		})
	}
}

// A power cut loses what was not synced; with flush.messages=1 nothing.
func TestPowerOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("unsynced", 1, 1, nil)
	c.createTopic("synced", 1, 1, map[string]string{"flush.messages": "1"})
	conn := c.dial(1)
	conn.produce(produceRequest("synced", 0, 1, batch("v")))
	conn.produce(produceRequest("unsynced", 0, 1, batch("v")))
	c.brokers[1].PowerOff()
	delete(c.brokers, 1)
	c.start(1)
	c.ready(1)
	for topic, want := range map[string]int64{"synced": 1, "unsynced": 0} {
		c.leader(topic, 0)
		if end := c.brokers[1].Manager().Replica(c.id(topic, 0)).State().LogEndOffset; end != want {
			t.Errorf("%s ends at %d, want %d", topic, end, want)
		}
	}
}

// A broker that was shut down in order is told apart from one that crashed: only
// the first may lead from the ELR without an election of the last leader.
func TestShutdownMovesLeaderships(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("t", 6, 3, map[string]string{"min.insync.replicas": "2"})
	for p := range int32(6) {
		c.inSync("t", p, 3)
	}
	producer := c.kgo(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	done, sent := make(chan error, 1), make(chan struct{})
	go func() {
		for i := range 2000 {
			if i == 300 {
				close(sent)
			}
			if err := producer.ProduceSync(c.ctx(), &kgo.Record{Key: fmt.Append(nil, i), Value: []byte("v")}).FirstErr(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	<-sent
	if err := c.brokers[1].Shutdown(c.ctx()); err != nil {
		t.Fatal(err)
	}
	delete(c.brokers, 1)
	c.start(1)
	c.ready(1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	consumed(t, c, "t", 2000)
}

// Topics that were deleted while a broker was down are deleted when it is back.
func TestStrayPartitionsAreDeleted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("t", 1, 2, nil)
	id := c.id("t", 0)
	c.crash(2)
	c.deleteTopic("t")
	b := c.start(2)
	c.ready(2)
	c.eventually("the deletion", func() bool { return b.Image().Topics["t"] == nil })
	if r := b.Manager().Replica(id); r != nil {
		t.Error("a replica of a deleted topic")
	}
	b.Crash()
	delete(c.brokers, 2)
	db, err := log.Open(filepath.Join(c.dir, "broker-2.db"), log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if left := db.Partitions(); len(left) != 0 {
		t.Errorf("the file keeps %v", left)
	}
}

func (c *cluster) deleteTopic(name string) {
	c.t.Helper()
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.TopicNames, q.TimeoutMillis = []string{name}, 5000
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	q.Topics = append(q.Topics, topic)
	if resp, err := q.RequestWith(c.ctx(), c.kgo()); err != nil || resp.Topics[0].ErrorCode != 0 {
		c.t.Fatalf("delete %s: %+v %v", name, resp, err)
	}
}

// Nothing is left running after a broker has ended. It does not run in parallel:
// it counts the process's goroutines.
func TestNoGoroutineIsLeft(t *testing.T) { //nolint:paralleltest // It counts goroutines.
	c := newCluster(t, 2, nil)
	c.createTopic("t", 5, 2, nil)
	round := func(end func(*server.Broker)) {
		conn := c.dial(2)
		conn.send(fetchRequest("t", 0, 60_000))
		end(c.brokers[2])
		_ = conn.Close()
		c.start(2)
		c.ready(2)
		for p := range int32(5) {
			c.inSync("t", p, 2) // all replicas run
		}
	}
	round((*server.Broker).Crash)
	before := settled(0, time.Second)
	for range 10 {
		round((*server.Broker).Crash)
		round(func(b *server.Broker) { _ = b.Shutdown(c.ctx()) })
		round((*server.Broker).PowerOff)
	}
	if after := settled(before+3, 30*time.Second); after > before+3 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before\n%s", after, before, buf[:runtime.Stack(buf, true)])
	}
}

// settled is the least number of goroutines within a time, which ends when there are
// few enough.
func settled(enough int, within time.Duration) int {
	least := runtime.NumGoroutine()
	limit := time.Now().Add(within)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(limit) && least > enough {
		<-tick.C
		least = min(least, runtime.NumGoroutine())
	}
	return least
}
