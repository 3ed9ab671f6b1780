package server_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// at gives a request the newest version that is not above v, and not below the
// oldest that is served.
func at[Q kmsg.Request](q Q, v, oldest, newest int16) Q {
	q.SetVersion(min(max(v, oldest), newest))
	return q
}

// TestGroupInEveryVersion takes a group through its life with requests of each
// version that is served.
func TestGroupInEveryVersion(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, map[string]string{"group.initial.rebalance.delay.ms": "0"})
	c.createTopic("orders", 2, 3, nil)
	for v := int16(0); v <= 10; v++ {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			t.Parallel()
			groupLife(t, c, v)
		})
	}
}

func groupLife(t *testing.T, c *cluster, v int16) {
	group := fmt.Sprintf("group-%d", v)
	w := c.dialCoordinator(group)
	code := func(what string, got, want int16) {
		t.Helper()
		if got != want {
			t.Fatalf("%s: %v, want %v", what, kerr.ErrorForCode(got), kerr.ErrorForCode(want))
		}
	}
	join := at(kmsg.NewPtrJoinGroupRequest(), v, 0, 9)
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = group, "consumer", 10_000, 10_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	join.Protocols = append(join.Protocols, p)
	joined := w.ask(join).(*kmsg.JoinGroupResponse)
	if join.Version >= 4 {
		code("join without an id", joined.ErrorCode, kerr.MemberIDRequired.Code)
		join.MemberID = joined.MemberID
		joined = w.ask(join).(*kmsg.JoinGroupResponse)
	}
	code("join", joined.ErrorCode, 0)
	if joined.LeaderID != joined.MemberID || len(joined.Members) != 1 || *joined.Protocol != "range" {
		t.Fatalf("%+v", joined)
	}
	member, generation := joined.MemberID, joined.Generation

	sync := at(kmsg.NewPtrSyncGroupRequest(), v, 0, 5)
	kind, protocol := "consumer", "range"
	sync.Group, sync.MemberID, sync.Generation, sync.ProtocolType, sync.Protocol = group, member, generation, &kind, &protocol
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = member, []byte("all")
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	synced := w.ask(sync).(*kmsg.SyncGroupResponse)
	if code("sync", synced.ErrorCode, 0); string(synced.MemberAssignment) != "all" {
		t.Fatalf("%+v", synced)
	}
	beat := at(kmsg.NewPtrHeartbeatRequest(), v, 0, 4)
	beat.Group, beat.MemberID, beat.Generation = group, member, generation
	code("heartbeat", w.ask(beat).(*kmsg.HeartbeatResponse).ErrorCode, 0)

	id := c.id("orders", 0).Topic
	commit := at(kmsg.NewPtrOffsetCommitRequest(), v, 2, 10)
	commit.Group, commit.MemberID, commit.Generation = group, member, generation
	ct := kmsg.NewOffsetCommitRequestTopic()
	ct.Topic, ct.TopicID = "orders", id
	for n := range int32(3) {
		cp := kmsg.NewOffsetCommitRequestTopicPartition()
		cp.Partition, cp.Offset, cp.LeaderEpoch = n, int64(100+n), 0
		ct.Partitions = append(ct.Partitions, cp)
	}
	commit.Topics = append(commit.Topics, ct)
	answers := w.ask(commit).(*kmsg.OffsetCommitResponse).Topics
	if len(answers) != 1 || len(answers[0].Partitions) != 3 {
		t.Fatalf("%+v", answers)
	}
	for _, p := range answers[0].Partitions {
		want := int16(0)
		if p.Partition == 2 {
			want = kerr.UnknownTopicOrPartition.Code
		}
		code(fmt.Sprint("commit of partition ", p.Partition), p.ErrorCode, want)
	}
	if got := fetchedOffset(w, group, v, id); got != 101 {
		t.Fatalf("the offset is %d", got)
	}
	groupLeft(t, c, w, group, member, v)
}

// fetchedOffset asks for partition 1.
func fetchedOffset(w *wire, group string, v int16, id [16]byte) int64 {
	q := at(kmsg.NewPtrOffsetFetchRequest(), v, 1, 10)
	q.Group = group
	q.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{1}}}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", TopicID: id, Partitions: []int32{1}}}
	q.Groups = append(q.Groups, g)
	resp := w.ask(q).(*kmsg.OffsetFetchResponse)
	if q.Version < 8 {
		return resp.Topics[0].Partitions[0].Offset
	}
	return resp.Groups[0].Topics[0].Partitions[0].Offset
}

// groupLeft has the member leave, and deletes the group.
func groupLeft(t *testing.T, c *cluster, w *wire, group, member string, v int16) {
	list := at(kmsg.NewPtrListGroupsRequest(), v, 0, 5)
	list.StatesFilter, list.TypesFilter = []string{"stable"}, []string{"classic"}
	c.eventually("the group to be listed", func() bool {
		resp := w.ask(list).(*kmsg.ListGroupsResponse)
		if resp.ErrorCode == kerr.CoordinatorLoadInProgress.Code { // of other partitions of the new topic
			return false
		}
		return resp.ErrorCode == 0 && slices.ContainsFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
			return g.Group == group && g.ProtocolType == "consumer"
		})
	})
	describe := at(kmsg.NewPtrDescribeGroupsRequest(), v, 0, 6)
	describe.Groups, describe.IncludeAuthorizedOperations = []string{group}, true
	g := w.ask(describe).(*kmsg.DescribeGroupsResponse).Groups[0]
	if g.State != "Stable" || g.Members[0].MemberID != member || g.Members[0].ClientHost != "/127.0.0.1" || string(g.Members[0].MemberAssignment) != "all" ||
		(g.AuthorizedOperations == 3400) != (describe.Version >= 3) {
		t.Errorf("%+v", g)
	}
	remove := at(kmsg.NewPtrDeleteGroupsRequest(), v, 0, 3)
	remove.Groups = []string{group}
	if got := w.ask(remove).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode; got != kerr.NonEmptyGroup.Code {
		t.Errorf("delete of a group with members: %d", got)
	}
	leave := at(kmsg.NewPtrLeaveGroupRequest(), v, 0, 5)
	leave.Group, leave.MemberID = group, member
	for _, id := range []string{member, "nobody"} {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = id
		leave.Members = append(leave.Members, m)
	}
	left := w.ask(leave).(*kmsg.LeaveGroupResponse)
	if left.ErrorCode != 0 || leave.Version >= 3 && (left.Members[0].ErrorCode != 0 || left.Members[1].ErrorCode != kerr.UnknownMemberID.Code) {
		t.Errorf("%+v", left)
	}
	forget := at(kmsg.NewPtrOffsetDeleteRequest(), 0, 0, 0)
	forget.Group = group
	forget.Topics = []kmsg.OffsetDeleteRequestTopic{
		{Topic: "orders", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 1}, {Partition: 9}}},
	}
	parts := w.ask(forget).(*kmsg.OffsetDeleteResponse).Topics[0].Partitions
	if len(parts) != 2 || parts[0].ErrorCode != kerr.UnknownTopicOrPartition.Code || parts[1].ErrorCode != 0 {
		t.Errorf("%+v", parts)
	}
	if got := w.ask(remove).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode; got != 0 {
		t.Errorf("delete: %d", got)
	}
}

// dialCoordinator connects to the coordinator of a group once it is there.
func (c *cluster) dialCoordinator(group string) *wire {
	c.t.Helper()
	var to int32
	c.eventually("a coordinator of "+group, func() bool {
		for id := range c.brokers {
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.Version, q.CoordinatorKeys = 6, []string{group}
			found := c.dial(id).ask(q).(*kmsg.FindCoordinatorResponse).Coordinators[0]
			if to = found.NodeID; found.ErrorCode != 0 {
				return false
			}
			break
		}
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Version, q.Groups = 5, []string{group}
		return c.dial(to).ask(q).(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode == 0
	})
	return c.dial(to)
}
