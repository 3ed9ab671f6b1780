package server_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reassigned starts a reassignment of orders-0 and waits until every broker knows
// of its end.
func (c *cluster) reassigned(adm *kadm.Client, to ...int32) {
	c.t.Helper()
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign("orders", 0, to)
	r, err := adm.AlterPartitionAssignments(c.ctx(), req)
	is(c.t, "reassign", err, nil)
	is(c.t, "reassign", r["orders"][0].Err, nil)
	c.eventually(fmt.Sprintf("replicas %v", to), func() bool {
		for _, b := range c.brokers {
			if p := b.Image().Topics["orders"].Partitions[0]; !slices.Equal(p.Replicas, to) || len(p.ISR) != len(to) {
				return false
			}
		}
		return true
	})
}

// TestReassignment moves a partition about while records are produced to it, and
// finds every one of them afterwards.
func TestReassignment(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4, nil)
	c.createTopic("orders", 1, 2, map[string]string{"min.insync.replicas": "2"})
	adm := c.kadm()
	c.reassigned(adm, 1, 2)
	producer := c.kgo(kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.AllISRAcks()))
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var sent atomic.Int64
	all.Go(func() {
		for ctx.Err() == nil {
			n := sent.Load()
			if err := producer.ProduceSync(c.ctx(), &kgo.Record{Key: fmt.Append(nil, n), Value: make([]byte, 100)}).FirstErr(); err != nil {
				t.Errorf("record %d: %v", n, err)
				return
			}
			sent.Add(1)
		}
	})
	more := func() {
		t.Helper()
		before := sent.Load()
		c.eventually("another record", func() bool { return sent.Load() > before })
	}
	more()
	epoch := c.anyImage().Topics["orders"].Partitions[0].LeaderEpoch
	c.reassigned(adm, 2, 3)
	if p := c.anyImage().Topics["orders"].Partitions[0]; p.Leader != 2 || p.LeaderEpoch != epoch+1 {
		t.Errorf("after a move away from the leader: %+v, the epoch was %d", *p, epoch)
	}
	if p := c.anyImage().Topics["orders"].Partitions[0]; p.Reassigning() {
		t.Errorf("it has ended, and is still under way: %+v", *p)
	}
	listed, err := adm.ListPartitionReassignments(c.ctx(), nil)
	if err != nil || len(listed) != 0 {
		t.Errorf("listed afterwards: %v, %v", listed, err)
	}
	c.reassigned(adm, 3, 4, 1)
	c.reassigned(adm, 1, 3)
	c.eventually("the replicas that are gone", func() bool {
		id := c.id("orders", 0)
		return c.brokers[2].Manager().Replica(id) == nil && c.brokers[4].Manager().Replica(id) == nil
	})
	more()
	stop()
	all.Wait()
	consumed(t, c, "orders", int(sent.Load()))
}

func TestReassignmentErrors(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 1, 2, nil)
	adm := c.kadm()
	c.reassigned(adm, 1, 2)
	for what, try := range map[string]struct {
		topic    string
		replicas []int32
		want     *kerr.Error
	}{
		"an unknown topic":   {"nope", []int32{1}, kerr.UnknownTopicOrPartition},
		"an unknown broker":  {"orders", []int32{1, 9}, kerr.InvalidReplicaAssignment},
		"a broker twice":     {"orders", []int32{1, 1}, kerr.InvalidReplicaAssignment},
		"no replicas":        {"orders", []int32{}, kerr.InvalidReplicaAssignment},
		"nothing to cancel":  {"orders", nil, kerr.NoReassignmentInProgress},
		"the same as before": {"orders", []int32{1, 2}, nil},
		"in another order":   {"orders", []int32{2, 1}, nil},
	} {
		var req kadm.AlterPartitionAssignmentsReq
		if try.replicas == nil {
			req.CancelAssign(try.topic, 0)
		} else {
			req.Assign(try.topic, 0, try.replicas)
		}
		r, err := adm.AlterPartitionAssignments(c.ctx(), req)
		is(t, what, err, nil)
		is(t, what, r[try.topic][0].Err, try.want)
	}
	if p := c.anyImage().Topics["orders"].Partitions[0]; p.Leader != 1 {
		t.Errorf("another order moved the leader: %+v", *p)
	}
}

// TestReassignmentList sees a reassignment that cannot end, and cancels it.
func TestReassignmentList(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 1, 2, nil)
	adm := c.kadm()
	c.reassigned(adm, 1, 2)
	c.crash(3)
	c.eventually("broker 3 fenced", func() bool { return c.anyImage().Brokers[3].Fenced })
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign("orders", 0, []int32{2, 3})
	r, err := adm.AlterPartitionAssignments(c.ctx(), req)
	is(t, "reassign", err, nil)
	is(t, "reassign", r["orders"][0].Err, nil)
	list := func(topics ...kmsg.ListPartitionReassignmentsRequestTopic) string {
		t.Helper()
		req := kmsg.NewPtrListPartitionReassignmentsRequest()
		req.Topics = topics
		l := ask[*kmsg.ListPartitionReassignmentsResponse](c, 1, req)
		s := ""
		for _, topic := range l.Topics {
			for _, p := range topic.Partitions {
				s += fmt.Sprint(topic.Topic, " ", p.Partition, " ", p.Replicas, " ", p.AddingReplicas, " ", p.RemovingReplicas)
			}
		}
		return s
	}
	named := func(name string, partition int32) kmsg.ListPartitionReassignmentsRequestTopic {
		return kmsg.ListPartitionReassignmentsRequestTopic{Topic: name, Partitions: []int32{partition}}
	}
	for _, got := range []string{list(), list(named("orders", 0), named("nope", 0))} {
		if got != "orders 0 [2 3 1] [3] [1]" {
			t.Errorf("listed as %s", got)
		}
	}
	if got := list(named("orders", 7)); got != "" {
		t.Errorf("of another partition: %s", got)
	}
	producer := c.kgo(kgo.DefaultProduceTopic("orders"))
	is(t, "produce meanwhile", producer.ProduceSync(c.ctx(), kgo.StringRecord("x")).FirstErr(), nil)
	req = nil
	req.CancelAssign("orders", 0)
	r, err = adm.AlterPartitionAssignments(c.ctx(), req)
	is(t, "cancel", err, nil)
	is(t, "cancel", r["orders"][0].Err, nil)
	if got := list(); got != "" {
		t.Errorf("after it was cancelled: %s", got)
	}
	p := c.anyImage().Topics["orders"].Partitions[0]
	replicas := slices.Sorted(slices.Values(p.Replicas))
	if !slices.Equal(replicas, []int32{1, 2}) {
		t.Errorf("after it was cancelled: %+v", *p)
	}
	start := time.Now()
	is(t, "produce afterwards", producer.ProduceSync(c.ctx(), kgo.StringRecord("x")).FirstErr(), nil)
	t.Logf("a record after %v", time.Since(start))
}
