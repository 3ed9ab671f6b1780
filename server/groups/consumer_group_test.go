package groups

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// now lets every heartbeat compute a new assignment.
func atOnce() map[string]string {
	return map[string]string{"group.consumer.assignment.interval.ms": "0"}
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func refused(t *testing.T, err error, code *kerr.Error) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("got %v, want %v", err, code)
	}
}

func TestConsumerGroupFirstMember(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"a": 3})
	expect(t, r.beat("m", 0, topics("a")), "2: a[0 1 2]")
	expect(t, r.beat("m", 2), "2")
	expect(t, r.consumer().state(timeline.Latest), "Stable")
	expect(t, r.beat("m", 2, topics("a"), has("a 0 1 2"), func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.RebalanceTimeoutMillis = 10_000 }), "2: a[0 1 2]")
	r.checkReplay()
}

func TestConsumerGroupRebalance(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 3})
	expect(t, r.beat("m1", 0, topics("a")), "2: a[0 1 2]")
	// The second waits for the first to give up a partition.
	expect(t, r.beat("m2", 0, topics("a")), "3: ")
	expect(t, r.consumer().state(timeline.Latest), "Reconciling")
	expect(t, r.beat("m1", 2, has("a 0 1 2")), "2: a[0 1]")
	expect(t, r.beat("m2", 3), "3")
	r.checkReplay()
	expect(t, r.beat("m1", 2, has("a 0 1 2")), "2")
	expect(t, r.beat("m1", 2, has("a 0 1")), "3")
	expect(t, r.beat("m2", 3), "3: a[2]")
	expect(t, r.consumer().state(timeline.Latest), "Stable")
	// Leaving gives everything back.
	expect(t, r.beat("m1", leaveEpoch), "-1")
	expect(t, r.beat("m2", 3), "4: a[0 1 2]")
	expect(t, r.beat("m2", leaveEpoch), "-1")
	expect(t, r.consumer().state(timeline.Latest), "Empty")
	expect(t, r.beat("m3", 0, topics("a")), "6: a[0 1 2]")
	r.checkReplay()
}

// TestConsumerGroupAssignmentInterval: KIP-1263.
func TestConsumerGroupAssignmentInterval(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"a": 2})
	expect(t, r.beat("m1", 0, topics("a")), "2: a[0 1]")
	r.pass(100 * time.Millisecond)
	expect(t, r.beat("m2", 0, topics("a")), "2: ")
	expect(t, r.beat("m1", 2), "2")
	expect(t, r.consumer().state(timeline.Latest), "Assigning")
	r.pass(900 * time.Millisecond)
	expect(t, r.beat("m1", 2, has("a 0 1")), "2: a[0]")
	expect(t, r.beat("m1", 2, has("a 0")), "3")
	expect(t, r.beat("m2", 2), "3: a[1]")
	r.checkReplay()
}

func TestConsumerGroupFencing(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	_, err := r.try("m1", 5)
	refused(t, err, kerr.GroupIDNotFound)
	_, err = r.try("m1", leaveEpoch)
	refused(t, err, kerr.GroupIDNotFound)
	r.beat("m1", 0, topics("a"))
	_, err = r.try("m2", 1)
	refused(t, err, kerr.UnknownMemberID)
	_, err = r.try("m1", 3)
	refused(t, err, kerr.FencedMemberEpoch)
	_, err = r.try("m1", 1, has())
	refused(t, err, kerr.FencedMemberEpoch)

	// A lost response: the epoch before is right when the member has only what is
	// still its own.
	r.beat("m2", 0, topics("a"))
	expect(t, r.beat("m1", 2, has("a 0 1")), "2: a[0]")
	expect(t, r.beat("m1", 2, has("a 0")), "3")
	expect(t, r.beat("m1", 2, has("a 0")), "3")
	_, err = r.try("m1", 2, has("a 0 1"))
	refused(t, err, kerr.FencedMemberEpoch)
	_, err = r.try("m1", 2)
	refused(t, err, kerr.FencedMemberEpoch)
	// Joining again is always right.
	expect(t, r.beat("m1", 0, topics("a")), "3: a[0]")
	r.checkReplay()
}

func TestConsumerGroupSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	r.beat("m1", 0, topics("a"))
	r.pass(30 * time.Second)
	r.beat("m2", 0, topics("a"))
	r.pass(15 * time.Second) // Now the first is gone.
	_, err := r.try("m1", 2)
	refused(t, err, kerr.UnknownMemberID)
	expect(t, r.beat("m2", 3), "4: a[0 1]")
	// One that does not revoke in time is gone, too.
	r.beat("m1", 0, topics("a"))
	expect(t, r.beat("m2", 4, has("a 0 1")), "4: a[0]")
	for range 9 {
		r.pass(time.Second)
		r.beat("m2", 4, has("a 0 1"))
	}
	r.pass(time.Second)
	_, err = r.try("m2", 4, has("a 0 1"))
	refused(t, err, kerr.UnknownMemberID)
	expect(t, r.beat("m1", 5), "6: a[0 1]")
	r.checkReplay()
}

func TestConsumerGroupStaticMembers(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	expect(t, r.beat("m1", 0, topics("a"), instance("i1")), "2: a[0 1]")
	_, err := r.try("m2", 0, topics("a"), instance("i1"))
	refused(t, err, kerr.UnreleasedInstanceID)
	_, err = r.try("m2", 2, instance("i1"))
	refused(t, err, kerr.FencedInstanceID)
	_, err = r.try("m2", 2, instance("i2"))
	refused(t, err, kerr.UnknownMemberID)
	_, err = r.try("m1", leaveStaticEpoch)
	refused(t, err, kerr.InvalidRequest)
	// Gone for a while, and back under another member id: no rebalance.
	expect(t, r.beat("m1", leaveStaticEpoch, instance("i1")), "-2")
	expect(t, r.consumer().state(timeline.Latest), "Reconciling")
	expect(t, r.beat("m2", 0, topics("a"), instance("i1")), "2: a[0 1]")
	_, err = r.try("m1", 2, instance("i1"))
	refused(t, err, kerr.FencedInstanceID)
	r.checkReplay()
	// It does not come back: its session ends.
	r.beat("m2", leaveStaticEpoch, instance("i1"))
	r.pass(45 * time.Second)
	expect(t, r.consumer().state(timeline.Latest), "Empty")
	r.checkReplay()
}

func TestConsumerGroupTopicsChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	expect(t, r.beat("m", 0, topics("a", "b")), "2: ")
	r.topics(map[string]int{"a": 1})
	expect(t, r.beat("m", 2), "3: a[0]")
	r.topics(map[string]int{"a": 2, "b": 1, "c": 1})
	expect(t, r.beat("m", 3), "4: a[0 1] b[0]")
	r.topics(map[string]int{"a": 2, "b": 1, "c": 2})
	expect(t, r.beat("m", 4), "4")
	r.topics(map[string]int{"b": 1})
	expect(t, r.beat("m", 4, has("a 0 1", "b 0")), "4: b[0]")
	expect(t, r.beat("m", 4, has("b 0")), "5")
	r.checkReplay()
}

func TestConsumerGroupSubscriptionChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"a": 1, "b": 1})
	expect(t, r.beat("m", 0, topics("a", "b")), "2: a[0] b[0]")
	// What it is not subscribed to any more is taken away at once, although the
	// next assignment is not due.
	expect(t, r.beat("m", 2, topics("b"), has("a 0", "b 0")), "2: b[0]")
	expect(t, r.beat("m", 2, has("b 0")), "2")
	r.pass(time.Second)
	expect(t, r.beat("m", 2), "3")
	r.checkReplay()
}

func TestConsumerGroupServerAssignor(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2, "b": 2})
	_, err := r.try("m1", 0, topics("a"), server("mine"))
	refused(t, err, kerr.UnsupportedAssignor)
	r.beat("m1", 0, topics("a", "b"), server("range"))
	r.beat("m2", 0, topics("a", "b"), server("range"))
	expect(t, r.beat("m1", 2, has("a 0 1", "b 0 1")), "2: a[0] b[0]")
	d := r.shard.ConsumerGroupDescribe([]string{"g"}, timeline.Latest)
	expect(t, d[0].AssignorName, "range")
	// As many for both: it is uniform.
	r.beat("m2", 3, server("uniform"))
	d = r.shard.ConsumerGroupDescribe([]string{"g"}, timeline.Latest)
	expect(t, d[0].AssignorName, "uniform")
	r.beat("m1", 2, server("uniform"))
	d = r.shard.ConsumerGroupDescribe([]string{"g"}, timeline.Latest)
	expect(t, d[0].AssignorName, "uniform")
	r.checkReplay()
}

func TestConsumerGroupRegex(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"foo1": 1, "foo2": 1, "bar": 1})
	_, err := r.try("m1", 0, matching("foo("))
	refused(t, err, kerr.InvalidRegularExpression)
	// It is resolved beside the heartbeat, and the next one has the assignment.
	expect(t, r.beat("m1", 0, matching("foo.*")), "1: ")
	r.pass(0)
	expect(t, r.beat("m1", 1), "2: foo1[0] foo2[0]")
	r.checkReplay()
	// Expressions match whole names.
	r.topics(map[string]int{"foo1": 1, "foo2": 1, "bar": 1, "afoo": 1, "foo3": 1})
	r.beat("m1", 2)
	r.pass(10 * time.Second)
	expect(t, r.beat("m1", 2), "2") // This one finds that there are new topics.
	r.pass(time.Millisecond)
	expect(t, r.beat("m1", 2), "2")
	r.pass(0)
	expect(t, r.beat("m1", 2), "3: foo1[0] foo2[0] foo3[0]")
	// A second member with the same expression need not wait.
	expect(t, r.beat("m2", 0, matching("foo.*")), "4: ")
	// Names beside expressions.
	expect(t, r.beat("m1", 3, topics("bar"), matching(""), has("foo1 0", "foo2 0", "foo3 0")), "3: ")
	expect(t, r.beat("m1", 3, has()), "5: bar[0]")
	expect(t, r.beat("m2", 4), "5: foo1[0] foo2[0] foo3[0]")
	r.beat("m2", leaveEpoch)
	if n := r.consumer().regexes.Len(); n != 0 {
		t.Errorf("%d expressions are left", n)
	}
	r.checkReplay()
}

func TestConsumerGroupMaxSize(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"group.consumer.max.size": "1"})
	r.topics(map[string]int{"a": 1})
	r.beat("m1", 0, topics("a"), instance("i"))
	_, err := r.try("m2", 0, topics("a"))
	refused(t, err, kerr.GroupMaxSizeReached)
	r.beat("m1", 2, instance("i"))
	r.beat("m1", leaveStaticEpoch, instance("i"))
	r.beat("m2", 0, topics("a"), instance("i"))
}

func TestConsumerGroupConfigs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"a": 1})
	r.configs["g"] = map[string]string{"consumer.heartbeat.interval.ms": "7000", "consumer.session.timeout.ms": "50000"}
	resp, err := r.try("m1", 0, topics("a"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.HeartbeatIntervalMillis != 7000 {
		t.Errorf("heartbeats every %d ms", resp.HeartbeatIntervalMillis)
	}
	r.pass(49 * time.Second)
	r.beat("m1", 2)
	r.pass(50 * time.Second)
	_, err = r.try("m1", 2)
	refused(t, err, kerr.UnknownMemberID)
}

func TestConsumerGroupCommits(t *testing.T) {
	t.Parallel()
	r := newRig(t, atOnce())
	r.topics(map[string]int{"a": 2})
	r.beat("m1", 0, topics("a"))
	r.beat("m2", 0, topics("a"))
	r.beat("m1", 2, has("a 0 1"))
	r.beat("m1", 2, has("a 0"))
	r.beat("m2", 3) // m1 is in epoch 3 and has 0 since 2, m2 has 1 since 3.
	g := r.consumer()
	for _, c := range []struct {
		what      string
		commit    commit
		partition int32
		want      *kerr.Error
	}{
		{"right", commit{memberID: "m1", generation: 3, version: 9}, 0, nil},
		{"an epoch before, but after the partition was assigned", commit{memberID: "m1", generation: 2, version: 9}, 0, nil},
		{"before that", commit{memberID: "m1", generation: 1, version: 9}, 0, kerr.StaleMemberEpoch},
		{"another's partition", commit{memberID: "m1", generation: 2, version: 9}, 1, kerr.StaleMemberEpoch},
		{"an epoch to come", commit{memberID: "m1", generation: 4, version: 9}, 0, kerr.StaleMemberEpoch},
		{"a partition assigned later", commit{memberID: "m2", generation: 2, version: 9}, 1, kerr.StaleMemberEpoch},
		{"nobody", commit{memberID: "m3", generation: 3, version: 9}, 0, kerr.UnknownMemberID},
		{"an old version", commit{memberID: "m1", generation: 3, version: 8}, 0, kerr.UnsupportedVersion},
		{"an admin", commit{generation: -1, version: 9}, 0, kerr.UnknownMemberID},
		{"an old producer", commit{generation: -1, transactional: true}, 0, nil},
	} {
		check, err := g.checkCommit(c.commit)
		if err == nil && check != nil {
			err = check("a", topicID("a"), c.partition)
		}
		if (err == nil) != (c.want == nil) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
	}
	for _, generation := range []int32{1, 4} { // Producers know no member epochs, until version 6.
		_, _, err := r.shard.CommitOffsetsOfTransaction(Client{Version: 5}, commitRequest("g", "m1", generation, "a", 5))
		refused(t, err, kerr.IllegalGeneration)
		_, _, err = r.shard.CommitOffsetsOfTransaction(Client{Version: 6}, commitRequest("g", "m1", generation, "a", 5))
		refused(t, err, kerr.StaleMemberEpoch)
	}
	_, _, err := r.shard.CommitOffsetsOfTransaction(Client{Version: 5}, commitRequest("missing", "m1", 3, "a", 5))
	refused(t, err, kerr.IllegalGeneration)
	_, _, err = r.shard.CommitOffsetsOfTransaction(Client{Version: 6}, commitRequest("missing", "m1", 3, "a", 5))
	refused(t, err, kerr.GroupIDNotFound)
	id, none := "m1", (*string)(nil)
	refused(t, g.checkFetch(&id, 2, timeline.Latest), kerr.StaleMemberEpoch)
	refused(t, g.checkFetch(none, 0, timeline.Latest), kerr.UnknownMemberID)
	if err := errors.Join(g.checkFetch(&id, 3, timeline.Latest), g.checkFetch(none, -1, timeline.Latest)); err != nil {
		t.Error(err)
	}
	refused(t, g.checkDelete(), kerr.NonEmptyGroup)
}
