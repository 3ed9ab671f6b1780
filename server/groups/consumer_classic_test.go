package groups

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// joining is a JoinGroup as consumers send it. owned are partitions of topic a
// that it says it has.
func joining(member string, owned []int32, topics ...string) *kmsg.JoinGroupRequest {
	s := kmsg.NewConsumerMemberMetadata()
	s.Version, s.Topics = 1, topics
	if len(owned) > 0 {
		s.OwnedPartitions = []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "a", Partitions: owned}}
	}
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.MemberID, q.ProtocolType = 5, testGroup, member, protocolTypeConsumer
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 20_000, 10_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", s.AppendTo(nil)
	q.Protocols = append(q.Protocols, p)
	return q
}

// join sends a JoinGroup; the answer is nil when it does not come yet.
func (r *rig) join(q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	r.t.Helper()
	p := NewPromise[*kmsg.JoinGroupResponse]()
	o, err := r.shard.JoinGroup(Client{ID: "client", Host: "/127.0.0.1", Version: q.Version}, q, p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.apply(o)
	return now(p)
}

// now is the answer of a promise, if it is there.
func now[T any](p *Promise[T]) (none T) {
	select {
	case a := <-p.Answer():
		return a
	default:
		return none
	}
}

// sync sends a SyncGroup and gives the error code and the partitions of topic a.
func (r *rig) sync(member string, generation int32, assignments ...kmsg.SyncGroupRequestGroupAssignment) (int16, []int32) {
	r.t.Helper()
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation, q.GroupAssignment = 3, testGroup, member, generation, assignments
	p := NewPromise[*kmsg.SyncGroupResponse]()
	o, err := r.shard.SyncGroup(q, p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.apply(o)
	resp := now(p)
	if resp == nil {
		r.t.Fatalf("SyncGroup of %s is not answered", member)
	}
	var a kmsg.ConsumerMemberAssignment
	if len(resp.MemberAssignment) > 0 {
		if err := a.ReadFrom(resp.MemberAssignment); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, t := range a.Topics {
		return resp.ErrorCode, t.Partitions
	}
	return resp.ErrorCode, nil
}

// heartbeat is the error code of a classic heartbeat.
func (r *rig) heartbeat(member string, generation int32) int16 {
	r.t.Helper()
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group, q.MemberID, q.Generation = testGroup, member, generation
	resp, o, err := r.shard.Heartbeat(q)
	if err != nil {
		return clientError(err).Code
	}
	r.apply(o)
	return resp.ErrorCode
}

func assigned(member string, partitions ...int32) kmsg.SyncGroupRequestGroupAssignment {
	a := kmsg.NewConsumerMemberAssignment()
	a.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: "a", Partitions: partitions}}
	s := kmsg.NewSyncGroupRequestGroupAssignment()
	s.MemberID, s.MemberAssignment = member, a.AppendTo(nil)
	return s
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// classicMembers makes a stable classic group of one member that has all three
// partitions of topic a, and gives its id.
func (r *rig) classicGroupOfOne() string {
	r.t.Helper()
	id := r.join(joining("", nil, "a")).MemberID
	q := joining(id, nil, "a")
	p := NewPromise[*kmsg.JoinGroupResponse]()
	o, err := r.shard.JoinGroup(Client{ID: "client", Version: 5}, q, p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.apply(o)
	r.pass(3 * time.Second)
	resp := now(p)
	if resp == nil || resp.ErrorCode != 0 || resp.Generation != 1 {
		r.t.Fatalf("the first member joined with %+v", resp)
	}
	code, ps := r.sync(id, 1, assigned(id, 0, 1, 2))
	if code != 0 || len(ps) != 3 {
		r.t.Fatalf("the first member has %v, code %d", ps, code)
	}
	return id
}

// TestUpgradeAndDowngrade takes a group from the classic protocol to the new one
// and back, while it has members.
func TestUpgradeAndDowngrade(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 3})
	classicID := r.classicGroupOfOne()

	expect(t, r.beat("new", 0, topics("a")), "2: ")
	expect(t, r.consumer().state(timeline.Latest), consumerReconciling)
	r.checkReplay()
	// The classic member is told to join, gives up a partition, and joins again.
	equal(t, "heartbeat", r.heartbeat(classicID, 1), kerr.RebalanceInProgress.Code)
	joined := r.join(joining(classicID, []int32{0, 1, 2}, "a"))
	equal(t, "error of the join", joined.ErrorCode, 0)
	equal(t, "leader", joined.LeaderID, "")
	code, ps := r.sync(classicID, joined.Generation)
	equal(t, "sync", code, 0)
	equal(t, "partitions", len(ps), 2)
	equal(t, "heartbeat", r.heartbeat(classicID, joined.Generation), kerr.RebalanceInProgress.Code)
	joined = r.join(joining(classicID, ps, "a"))
	equal(t, "generation", joined.Generation, 2)
	code, ps = r.sync(classicID, 2)
	equal(t, "sync", code, 0)
	equal(t, "partitions", len(ps), 2)
	equal(t, "heartbeat", r.heartbeat(classicID, 2), 0)
	expect(t, r.beat("new", 2), "2: a[2]")
	expect(t, r.consumer().state(timeline.Latest), consumerStable)
	d := r.shard.ConsumerGroupDescribe([]string{testGroup}, timeline.Latest)[0]
	types := map[string]int8{d.Members[0].MemberID: d.Members[0].MemberType, d.Members[1].MemberID: d.Members[1].MemberType}
	equal(t, "type of the classic member", types[classicID], 0)
	equal(t, "type of the other", types["new"], 1)
	r.checkReplay()

	// The last member of the new protocol leaves: the group is classic again.
	expect(t, r.beat("new", leaveEpoch), "-1")
	g := r.shard.classic(testGroup)
	if g == nil {
		t.Fatal("the group is not a classic one")
	}
	equal(t, "state", g.state_, statePreparing)
	equal(t, "heartbeat", r.heartbeat(classicID, 2), kerr.RebalanceInProgress.Code)
	joined = r.join(joining(classicID, ps, "a"))
	equal(t, "generation", joined.Generation, 3)
	equal(t, "leader", joined.LeaderID, classicID)
	code, ps = r.sync(classicID, 3, assigned(classicID, 0, 1, 2))
	equal(t, "sync", code, 0)
	equal(t, "partitions", len(ps), 3)
	r.checkReplay()
}

func TestUpgradeOfAnEmptyGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 3})
	id := r.classicGroupOfOne()
	r.pass(20 * time.Second)
	equal(t, "heartbeat", r.heartbeat(id, 1), kerr.UnknownMemberID.Code)
	expect(t, r.beat("new", 0, topics("a")), "2: a[0 1 2]")
	r.checkReplay()
	// And back: an empty consumer group goes when a classic member joins.
	r.beat("new", leaveEpoch)
	joined := r.join(joining("", nil, "a"))
	equal(t, "error", joined.ErrorCode, kerr.MemberIDRequired.Code)
	if r.shard.classic(testGroup) == nil {
		t.Error("the group is not a classic one")
	}
	r.checkReplay()
}

func TestUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"group.consumer.migration.policy": "downgrade"})
	r.topics(map[string]int{"a": 3})
	id := r.classicGroupOfOne()
	_, err := r.try("new", 0, topics("a"))
	refused(t, err, kerr.GroupIDNotFound)
	equal(t, "heartbeat", r.heartbeat(id, 1), 0)

	r = newRig(t, nil)
	r.topics(map[string]int{"a": 3})
	q := joining("", nil, "a")
	q.Version, q.ProtocolType = 3, "connect"
	r.join(q)
	r.pass(3 * time.Second)
	_, err = r.try("new", 0, topics("a"))
	refused(t, err, kerr.GroupIDNotFound)
}

func TestClassicMemberOfAConsumerGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	r.beat("new", 0, topics("a"))
	q := joining("", nil, "a")
	q.ProtocolType = "connect"
	equal(t, "another protocol type", r.join(q).ErrorCode, kerr.InconsistentGroupProtocol.Code)
	joined := r.join(joining("", nil, "a"))
	equal(t, "without an id", joined.ErrorCode, kerr.MemberIDRequired.Code)
	id := joined.MemberID
	joined = r.join(joining(id, nil, "a"))
	equal(t, "error", joined.ErrorCode, 0)
	equal(t, "generation", joined.Generation, 3)
	equal(t, "protocol", *joined.Protocol, "range")
	code, ps := r.sync(id, 3)
	equal(t, "sync", code, 0)
	equal(t, "partitions before the other has revoked", len(ps), 0)
	// It waits, and is told when there is something for it.
	equal(t, "heartbeat", r.heartbeat(id, 3), 0)
	equal(t, "wrong generation", r.heartbeat(id, 2), kerr.IllegalGeneration.Code)
	equal(t, "a member of the other protocol", r.heartbeat("new", 2), kerr.UnknownMemberID.Code)
	r.beat("new", 2, has("a 0 1"))
	expect(t, r.beat("new", 2, has("a 0")), "3")
	equal(t, "heartbeat", r.heartbeat(id, 3), kerr.RebalanceInProgress.Code)
	joined = r.join(joining(id, nil, "a"))
	code, ps = r.sync(id, joined.Generation)
	equal(t, "sync", code, 0)
	equal(t, "partitions", len(ps), 1)
	r.checkReplay()

	// A classic member that does not join again in time is fenced.
	r.beat("third", 0, topics("a"))
	r.beat("fourth", 0, topics("a"))
	equal(t, "heartbeat", r.heartbeat(id, joined.Generation), kerr.RebalanceInProgress.Code)
	r.pass(9 * time.Second)
	equal(t, "heartbeat", r.heartbeat(id, joined.Generation), kerr.RebalanceInProgress.Code)
	r.pass(time.Second)
	equal(t, "heartbeat", r.heartbeat(id, joined.Generation), kerr.UnknownMemberID.Code)
	r.checkReplay()
}

// TestStaticMemberChangesProtocols has a static member come back with the other
// protocol.
func TestStaticMemberChangesProtocols(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	expect(t, r.beat("new", 0, topics("a"), instance("i")), "2: a[0 1]")
	name := "i"
	q := joining("", nil, "a")
	q.InstanceID = &name
	joined := r.join(q)
	equal(t, "error", joined.ErrorCode, 0)
	g := r.shard.classic(testGroup)
	if g == nil {
		t.Fatal("the group is not a classic one")
	}
	equal(t, "state", g.state_, stateStable)
	equal(t, "generation", joined.Generation, 2)
	code, ps := r.sync(joined.MemberID, joined.Generation)
	equal(t, "sync", code, 0)
	equal(t, "partitions", len(ps), 2)
	r.checkReplay()
	expect(t, r.beat("newer", 0, topics("a"), instance("i")), "2: a[0 1]")
	equal(t, "heartbeat of who was replaced", r.heartbeat(joined.MemberID, 2), kerr.UnknownMemberID.Code)
	r.checkReplay()
}

func TestLeaveGroupOfAConsumerGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	r.beat("m1", 0, topics("a"))
	r.beat("m2", 0, topics("a"), instance("i"))
	q := kmsg.NewPtrLeaveGroupRequest()
	name, other := "i", "j"
	q.Group = testGroup
	q.Members = []kmsg.LeaveGroupRequestMember{{MemberID: "m1"}, {InstanceID: &name}, {InstanceID: &other}, {MemberID: "m3"}}
	resp, o, err := r.shard.LeaveGroup(q)
	if err != nil {
		t.Fatal(err)
	}
	r.apply(o)
	for i, want := range []int16{0, 0, kerr.UnknownMemberID.Code, kerr.UnknownMemberID.Code} {
		equal(t, "error", resp.Members[i].ErrorCode, want)
	}
	expect(t, r.consumer().state(timeline.Latest), consumerEmpty)
	r.checkReplay()
}

// TestProtocolsOfShareGroups: members of other protocols may not be in a share
// group, not even when it is empty, and it stays.
func TestProtocolsOfShareGroups(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	r.shares("s", 0, "a")
	for range 2 {
		equal(t, "classic member", r.join(joining("", nil, "a")).ErrorCode, kerr.InconsistentGroupProtocol.Code)
		_, err := r.try("m", 0, topics("a"))
		refused(t, err, kerr.GroupIDNotFound)
		r.shareGroup()
		r.shares("s", leaveEpoch)
		if !r.shareGroup().empty() {
			t.Fatal("the share group is not empty")
		}
		r.shares("s", 0, "a")
	}
	r.shares("s", leaveEpoch)
	equal(t, "classic member", r.join(joining("", nil, "a")).ErrorCode, kerr.InconsistentGroupProtocol.Code)
	r.shareGroup()
}
