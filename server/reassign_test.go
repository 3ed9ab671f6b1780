package server_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestReassignmentMovesAPartitionWithItsRecords(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 1, 2, nil)
	const n = 500
	producer := c.kgo(kgo.DefaultProduceTopic("orders"))
	for i := range n {
		producer.Produce(c.ctx(), &kgo.Record{Key: fmt.Append(nil, i), Value: []byte("v")}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := producer.Flush(c.ctx()); err != nil {
		t.Fatal(err)
	}
	was := c.anyImage().Topics["orders"].Partitions[0]
	var target []int32
	for _, id := range []int32{1, 2, 3, 0} { // the leader goes away
		if _, there := c.brokers[id]; there && id != was.Leader {
			target = append(target, id)
		}
	}
	adm := c.kadm()
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign("orders", 0, target)
	resp, err := adm.AlterPartitionAssignments(c.ctx(), req)
	is(t, "reassign", err, nil)
	is(t, "reassign", resp.Error(), nil)
	c.eventually("the new replicas", func() bool {
		p := c.anyImage().Topics["orders"].Partitions[0]
		return slices.Equal(p.Replicas, target) && !p.Reassigning() && len(p.ISR) == 2
	})
	p := c.anyImage().Topics["orders"].Partitions[0]
	if p.Leader != target[0] || p.LeaderEpoch != was.LeaderEpoch+1 {
		t.Errorf("leader %d in epoch %d, want %d in %d", p.Leader, p.LeaderEpoch, target[0], was.LeaderEpoch+1)
	}
	consumed(t, c, "orders", n)
	listed, err := adm.ListPartitionReassignments(c.ctx(), nil)
	if err != nil || len(listed) != 0 {
		t.Errorf("listed afterwards: %v, %v", listed, err)
	}
	req = kadm.AlterPartitionAssignmentsReq{}
	req.CancelAssign("orders", 0)
	resp, err = adm.AlterPartitionAssignments(c.ctx(), req)
	is(t, "cancel nothing", err, nil)
	is(t, "cancel nothing", resp.Error(), kerr.NoReassignmentInProgress)
}
