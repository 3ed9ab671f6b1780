package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server"
)

const offsetsTopic = "__consumer_offsets"

// find asks broker 1 for the coordinators of groups.
func (c *cluster) find(groups ...string) []kmsg.FindCoordinatorResponseCoordinator {
	c.t.Helper()
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKeys = 6, groups
	return c.dial(1).ask(q).(*kmsg.FindCoordinatorResponse).Coordinators
}

func TestFindCoordinatorCreatesTheTopic(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	if c.anyImage().Topics[offsetsTopic] != nil {
		t.Error("the topic is there, and nobody has asked for it")
	}
	began := time.Now()
	found := c.find("a", "b")
	t.Logf("%d coordinators after %v", len(found), time.Since(began))
	for _, got := range found {
		partition := server.CoordinatorPartition(got.Key, 50)
		if got.ErrorCode != 0 || got.NodeID != c.leader(offsetsTopic, partition) {
			t.Errorf("%s: %v, broker %d", got.Key, kerr.ErrorForCode(got.ErrorCode), got.NodeID)
		}
	}
}

func TestFindCoordinatorBeforeVersion4(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, map[string]string{"offsets.topic.replication.factor": "1"})
	for version := range int16(4) {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKey = version, "a"
		if got := c.dial(1).ask(q).(*kmsg.FindCoordinatorResponse); got.ErrorCode != 0 || got.NodeID != 1 || got.Port <= 0 {
			t.Errorf("version %d: %+v", version, got)
		}
		if q.CoordinatorType = 7; version == 0 {
			continue
		}
		if got := c.dial(1).ask(q).(*kmsg.FindCoordinatorResponse); got.ErrorCode != kerr.InvalidRequest.Code || got.NodeID != -1 {
			t.Errorf("version %d, unknown type: %+v", version, got)
		}
	}
}

// TestFindCoordinatorWithoutOne is semantics G02 and G03.
func TestFindCoordinatorWithoutOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil) // three replicas do not fit
	for range 2 {
		began := time.Now()
		if got := c.find("a")[0]; got.ErrorCode != kerr.CoordinatorNotAvailable.Code || got.NodeID != -1 || got.Port != -1 {
			t.Errorf("too few brokers: %+v", got)
		}
		if took := time.Since(began); took > time.Second/2 {
			t.Errorf("that took %v", took)
		}
	}

	c = newCluster(t, 2, map[string]string{"offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "2"})
	c.find("a")
	groups := map[int32]string{} // by their partitions
	for i := range 10 {
		group := fmt.Sprint("group-", i)
		groups[server.CoordinatorPartition(group, 2)] = group
	}
	for partition, group := range groups {
		if c.leader(offsetsTopic, partition) != 2 {
			continue
		}
		c.crash(2)
		c.eventually("no coordinator", func() bool { return c.find(group)[0].ErrorCode == kerr.CoordinatorNotAvailable.Code })
		return
	}
	t.Error("broker 2 leads no partition")
}

// TestOffsetsTopicDeleted: what groups there were is gone, and the next one starts
// anew.
func TestOffsetsTopicDeleted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	adm := c.kadm()
	c.createTopic("t", 1, 1, nil)
	var o kadm.Offsets
	o.AddOffset("t", 0, 5, -1)
	if err := adm.CommitAllOffsets(c.ctx(), "g", o); err != nil {
		t.Fatal(err)
	}
	fetched := func() (offset int64) {
		t.Helper()
		got, err := adm.FetchOffsets(c.ctx(), "g")
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := got.Lookup("t", 0); ok {
			return o.At
		}
		return -1
	}
	if got := fetched(); got != 5 {
		t.Errorf("fetched %d", got)
	}
	old := c.id(offsetsTopic, 0)
	c.deleteTopic(offsetsTopic)
	if got := fetched(); got != -1 {
		t.Errorf("fetched %d after the topic was deleted", got)
	}
	c.eventually("a new topic", func() bool {
		t := c.anyImage().Topics[offsetsTopic]
		return t != nil && t.ID != old.Topic
	})
	if err := adm.CommitAllOffsets(c.ctx(), "g", o); err != nil {
		t.Fatal(err)
	}
	if got := fetched(); got != 5 {
		t.Errorf("fetched %d from the new topic", got)
	}
}

func TestOffsetsAreCompressed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, map[string]string{
		"offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "1", "offsets.topic.compression.codec": "3",
	})
	c.createTopic("t", 1, 1, nil)
	var o kadm.Offsets
	o.AddOffset("t", 0, 5, -1)
	if err := c.kadm().CommitAllOffsets(c.ctx(), "g", o); err != nil {
		t.Fatal(err)
	}
	raw, err := c.brokers[1].Manager().Replica(c.id(offsetsTopic, 0)).Log().Read(0, 1<<40, 1<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := log.ParseBatch(raw)
	if err != nil || b.Codec() != log.CodecLz4 || !b.ValidCRC() {
		t.Errorf("a batch of codec %d, %v", b.Codec(), err)
	}
	c.crash(1)
	c.start(1)
	c.ready(1)
	got, err := c.kadm().FetchOffsets(c.ctx(), "g")
	if o, ok := got.Lookup("t", 0); err != nil || !ok || o.At != 5 {
		t.Errorf("after a restart: %v, %v", got, err)
	}
}

// TestCoordinatorLoadsACompactedLog commits often, lets the log be compacted, and
// has another coordinator load what is left.
func TestCoordinatorLoadsACompactedLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, map[string]string{
		"offsets.topic.replication.factor": "2", "offsets.topic.num.partitions": "1", "log.roll.ms": "1",
		"log.cleaner.backoff.ms": "20", "log.cleaner.min.cleanable.ratio": "0.01",
	})
	c.createTopic("t", 3, 1, nil)
	adm := c.kadm()
	const last = 200
	for i := range last + 1 {
		var o kadm.Offsets
		o.AddOffset("t", int32(i%3), int64(i), -1)
		if err := adm.CommitAllOffsets(c.ctx(), fmt.Sprint("g", i%2), o); err != nil {
			t.Fatal(err)
		}
	}
	coordinator := c.leader(offsetsTopic, 0)
	id := c.id(offsetsTopic, 0)
	for _, b := range c.brokers {
		l := b.Manager().Replica(id).Log()
		c.eventually("a compacted log", func() bool { return l.Size() < 10000 })
	}
	c.inSync(offsetsTopic, 0, 2)
	c.crash(coordinator)
	c.eventually("another coordinator", func() bool { return c.anyImage().Partition(id).Leader != coordinator })
	adm = c.kadm()
	for _, group := range []string{"g0", "g1"} {
		got, err := adm.FetchOffsets(c.ctx(), group)
		if err != nil {
			t.Fatal(err)
		}
		for p := range int32(3) { // every group has committed for each partition
			want := int64(last)
			for want%3 != int64(p) || fmt.Sprint("g", want%2) != group {
				want--
			}
			if o, ok := got.Lookup("t", p); !ok || o.At != want {
				t.Errorf("%s, partition %d: %v, want %d", group, p, o.At, want)
			}
		}
	}
}
