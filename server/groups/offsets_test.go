package groups

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

func commitRequest(group, memberID string, generation int32, topic string, offset int64) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 9, group, memberID, generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch = offset, -1
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// send commits, and returns the code of the request or that of its first
// partition.
func (h *harness) sendCommit(q *kmsg.OffsetCommitRequest) int16 {
	h.t.Helper()
	var resp *kmsg.OffsetCommitResponse
	err := h.do(func(s *Shard) (o coordinator.Outcome, err error) {
		resp, o, err = s.CommitOffsets(Client{Version: q.Version}, q)
		return o, err
	})
	if err != nil {
		return clientError(err).Code
	}
	return resp.Topics[0].Partitions[0].ErrorCode
}

func (h *harness) commitAs(memberID string, generation int32, offset int64) int16 {
	h.t.Helper()
	return h.sendCommit(commitRequest("g", memberID, generation, "orders", offset))
}

// offsetAt is the offset of partition 0 of a topic.
func (h *harness) offsetAt(group, topic string, epoch int64) int64 {
	h.t.Helper()
	q := kmsg.NewOffsetFetchRequestGroup()
	q.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	q.Topics = append(q.Topics, t)
	resp, err := h.shard.FetchOffsets(&q, epoch)
	if err != nil || resp.ErrorCode != 0 {
		h.t.Fatalf("fetch: %v %d", err, resp.ErrorCode)
	}
	return resp.Topics[0].Partitions[0].Offset
}

func TestCommitChecks(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	if code := h.commitAs("a", 1, 5); code != kerr.GroupIDNotFound.Code {
		t.Errorf("no such group: %d", code)
	}
	old := commitRequest("g", "a", 1, "orders", 5)
	old.Version = 8
	if code := h.sendCommit(old); code != kerr.IllegalGeneration.Code {
		t.Errorf("no such group, version 8: %d", code)
	}
	if code := h.commitAs("", -1, 5); code != 0 || h.offsetAt("g", "orders", h.committed) != 5 {
		t.Errorf("a simple group: %d", code)
	}
	members, g := h.stable(2)
	for _, tc := range []struct {
		name       string
		memberID   string
		generation int32
		want       int16
	}{
		{"a member", members[1], g, 0},
		{"nobody", "nobody", g, kerr.UnknownMemberID.Code},
		{"an old generation", members[1], g - 1, kerr.IllegalGeneration.Code},
		{"no generation", members[1], -1, kerr.IllegalGeneration.Code},
		{"an admin", "", -1, kerr.UnknownMemberID.Code},
	} {
		if code := h.commitAs(tc.memberID, tc.generation, 7); code != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, code, tc.want)
		}
	}
	fenced := commitRequest("g", members[0], g, "orders", 7)
	instance := "i"
	fenced.InstanceID = &instance
	if code := h.sendCommit(fenced); code != kerr.UnknownMemberID.Code {
		t.Errorf("an unknown instance: %d", code)
	}
	h.join(members[0])
	if code := h.commitAs(members[1], g, 8); code != 0 {
		t.Errorf("while a rebalance is prepared: %d", code)
	}
	h.join(members[1])
	h.inState(stateCompleting)
	if code := h.commitAs(members[1], g+1, 9); code != kerr.RebalanceInProgress.Code {
		t.Errorf("while one completes: %d", code)
	}
	if got := h.offsetAt("g", "orders", h.committed); got != 8 {
		t.Errorf("committed %d", got)
	}
}

// TestCommitIsASignOfLife renews a member's session.
func TestCommitIsASignOfLife(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stable(1)
	for i := range 4 {
		h.pass(testSession - time.Millisecond)
		if code := h.commitAs(members[0], g, int64(i)); code != 0 {
			t.Fatal(code)
		}
	}
	h.inState(stateStable)
}

func TestCommittedOffsetsOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.commitAs("", -1, 5)
	h.held = true
	h.commitAs("", -1, 6)
	if got := h.offsetAt("g", "orders", h.committed); got != 5 {
		t.Errorf("what is replicated: %d", got)
	}
	if got := h.offsetAt("g", "orders", timeline.Latest); got != 6 {
		t.Errorf("what is written: %d", got)
	}
	h.held = false
	h.commit()
	if got := h.offsetAt("g", "orders", h.committed); got != 6 {
		t.Errorf("replicated by now: %d", got)
	}
	h.fail = kerr.NotCoordinator
	h.commitAs("", -1, 7)
	if got := h.offsetAt("g", "orders", timeline.Latest); got != 6 {
		t.Errorf("of a commit that failed: %d", got)
	}
	if got := h.offsetAt("nobody", "orders", timeline.Latest); got != -1 {
		t.Errorf("of a group that is not there: %d", got)
	}
}

func TestCommitMetadata(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	q := commitRequest("g", "", -1, "orders", 5)
	for _, metadata := range []string{strings.Repeat("é", 4096), strings.Repeat("é", 4097), strings.Repeat("𝄞", 2049)} {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = int32(len(q.Topics[0].Partitions)), -17, &metadata
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	var resp *kmsg.OffsetCommitResponse
	err := h.do(func(s *Shard) (o coordinator.Outcome, err error) {
		resp, o, err = s.CommitOffsets(Client{Version: 9}, q)
		return o, err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int16{0, 0, kerr.OffsetMetadataTooLarge.Code, kerr.OffsetMetadataTooLarge.Code} {
		if got := resp.Topics[0].Partitions[i].ErrorCode; got != want {
			t.Errorf("partition %d: %d, want %d", i, got, want)
		}
	}
	all := kmsg.NewOffsetFetchRequestGroup()
	all.Group = "g"
	g, err := h.shard.FetchOffsets(&all, h.committed)
	if err != nil || len(g.Topics) != 1 || len(g.Topics[0].Partitions) != 2 {
		t.Fatalf("%+v %v", g, err)
	}
	if p := g.Topics[0].Partitions[1]; p.Offset != -17 || len(*p.Metadata) != 8192 || p.LeaderEpoch != -1 {
		t.Errorf("%+v", p)
	}
}

// TestRetention forgets offsets 7 days after their group was left, and then the
// group.
func TestRetention(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	h := newHarness(t, nil)
	members, g := h.stable(1)
	h.commitAs(members[0], g, 5)
	simple := commitRequest("simple", "", -1, "orders", 5)
	h.sendCommit(simple)
	h.send(4, func() *kmsg.JoinGroupRequest { q := joinRequest(""); q.Group = "unused"; return q }())
	other := commitRequest("g", members[0], g, "other", 7)
	h.sendCommit(other)
	for h.now.Sub(time.UnixMilli(1_700_000_000_000)) < 8*day {
		h.pass(5 * time.Second)
		h.heartbeat(members[0], g)
		if h.shard.classic("simple") == nil && h.offsetAt("g", "other", h.committed) == -1 {
			break
		}
	}
	if passed := h.now.Sub(time.UnixMilli(1_700_000_000_000)); passed < 7*day || passed > 7*day+20*time.Minute {
		t.Errorf("offsets of topics without subscription expire after %v", passed)
	}
	if h.shard.classic("unused") != nil {
		t.Error("a group that nobody ever joined is still there")
	}
	if got := h.offsetAt("g", "orders", h.committed); got != 5 {
		t.Errorf("the offset of a topic that is consumed: %d", got)
	}
	h.leave(members[0], nil)
	h.pass(7*day - time.Minute)
	if got := h.offsetAt("g", "orders", h.committed); got != 5 {
		t.Errorf("before its time: %d", got)
	}
	h.pass(20 * time.Minute)
	if got := h.offsetAt("g", "orders", h.committed); got != -1 || h.shard.classic("g") != nil {
		t.Errorf("after its time: %d", got)
	}
	h.load(h.log)
	if n := h.shard.groups.Len(); n != 0 {
		t.Errorf("%d groups are loaded", n)
	}
}

// TestRetentionOfTheRequest is of versions 2 to 4.
func TestRetentionOfTheRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	q := commitRequest("g", "", -1, "orders", 5)
	q.RetentionTimeMillis = time.Hour.Milliseconds()
	h.sendCommit(q)
	h.load(h.log)
	h.pass(59 * time.Minute)
	if got := h.offsetAt("g", "orders", h.committed); got != 5 {
		t.Errorf("before its time: %d", got)
	}
	h.pass(11 * time.Minute)
	if got := h.offsetAt("g", "orders", h.committed); got != -1 {
		t.Errorf("after its time: %d", got)
	}
}

func TestDeletedTopic(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	id := log.TopicID{1}
	topic := &election.Topic{Name: "orders", ID: id}
	with := func(topics ...*election.Topic) *election.Image {
		m := &election.Image{Topics: map[string]*election.Topic{}, TopicsByID: map[log.TopicID]*election.Topic{}}
		for _, t := range topics {
			m.Topics[t.Name], m.TopicsByID[t.ID] = t, t
		}
		return m
	}
	change := func(m *election.Image) { h.image = m; h.shard.Changed(m) }
	change(with(topic))
	q := commitRequest("g", "", -1, "orders", 5)
	q.Topics[0].TopicID = id
	h.sendCommit(q)
	h.sendCommit(commitRequest("h", "", -1, "orders", 6)) // of a version without ids
	h.sendCommit(commitRequest("h", "", -1, "other", 7))
	// The name is taken by another topic, for which somebody commits at once.
	q = commitRequest("i", "", -1, "orders", 8)
	q.Topics[0].TopicID = [16]byte{2}
	h.sendCommit(q)
	change(with(&election.Topic{Name: "orders", ID: log.TopicID{2}}))
	h.pass(0)
	got := [4]int64{h.offsetAt("g", "orders", h.committed), h.offsetAt("h", "orders", h.committed), h.offsetAt("h", "other", h.committed), h.offsetAt("i", "orders", h.committed)}
	if want := [4]int64{-1, -1, 7, 8}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestOffsetOfAnotherTopic is not shown to who asks by topic id.
func TestOffsetOfAnotherTopic(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	q := commitRequest("g", "", -1, "orders", 5)
	q.Topics[0].TopicID = [16]byte{1}
	h.sendCommit(q)
	h.load(h.log)
	for id, want := range map[[16]byte]int64{{}: 5, {1}: 5, {2}: -1} {
		f := kmsg.NewOffsetFetchRequestGroup()
		f.Group = "g"
		f.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", TopicID: id, Partitions: []int32{0}}}
		resp, err := h.shard.FetchOffsets(&f, h.committed)
		if err != nil || resp.Topics[0].Partitions[0].Offset != want {
			t.Errorf("%v: %+v %v", id, resp, err)
		}
	}
}

func TestDeleteGroupsAndOffsets(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stable(1)
	h.commitAs(members[0], g, 5)
	h.sendCommit(commitRequest("g", members[0], g, "other", 7))
	deleteOffset := func(topic string) int16 {
		t.Helper()
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group = "g"
		q.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
		var resp *kmsg.OffsetDeleteResponse
		err := h.do(func(s *Shard) (o coordinator.Outcome, err error) {
			resp, o, err = s.DeleteOffsets(q)
			return o, err
		})
		if err != nil {
			return clientError(err).Code
		}
		return resp.Topics[0].Partitions[0].ErrorCode
	}
	if code := deleteOffset("orders"); code != kerr.GroupSubscribedToTopic.Code {
		t.Errorf("a subscribed topic: %d", code)
	}
	if code := deleteOffset("other"); code != 0 || h.offsetAt("g", "other", h.committed) != -1 {
		t.Errorf("another topic: %d", code)
	}
	deleteGroups := func() (codes []int16) {
		t.Helper()
		err := h.do(func(s *Shard) (coordinator.Outcome, error) {
			resp, o, err := s.DeleteGroups([]string{"g", "nobody"})
			for _, r := range resp {
				codes = append(codes, r.ErrorCode)
			}
			return o, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return codes
	}
	if codes := deleteGroups(); codes[0] != kerr.NonEmptyGroup.Code || codes[1] != kerr.GroupIDNotFound.Code {
		t.Errorf("%v", codes)
	}
	h.leave(members[0], nil)
	if code := deleteOffset("orders"); code != 0 {
		t.Errorf("of an empty group: %d", code)
	}
	h.commitAs("", -1, 9)
	if codes := deleteGroups(); codes[0] != 0 || h.shard.classic("g") != nil || h.offsetAt("g", "orders", timeline.Latest) != -1 {
		t.Errorf("%v", codes)
	}
	if code := deleteOffset("orders"); code != kerr.GroupIDNotFound.Code {
		t.Errorf("of no group: %d", code)
	}
	h.load(h.log)
	if h.shard.groups.Len() != 0 {
		t.Error("deleted groups are loaded")
	}
}

// TestTransactionalOffsets are pending until their transaction ends; the newest
// record counts.
func TestTransactionalOffsets(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	at := int64(100)
	replay := func(producer, offset int64) {
		t.Helper()
		at++
		r := offsetRecord("g", "orders", 0, committed{offset: offset, leaderEpoch: -1, expires: -1})
		if err := h.shard.Replay(coordinator.Position{Offset: at, ProducerID: producer}, r); err != nil {
			t.Fatal(err)
		}
	}
	code := func() int16 {
		q := kmsg.NewOffsetFetchRequestGroup()
		q.Group = "g"
		q.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", Partitions: []int32{0}}}
		resp, _ := h.shard.FetchOffsets(&q, timeline.Latest)
		return resp.Topics[0].Partitions[0].ErrorCode
	}
	end := func(producer int64, commit bool, want int64) {
		t.Helper()
		if err := h.shard.ReplayMarker(producer, 0, commit); err != nil {
			t.Fatal(err)
		}
		if got := h.offsetAt("g", "orders", timeline.Latest); got != want {
			t.Errorf("offset %d, want %d", got, want)
		}
	}
	replay(-1, 5)
	replay(1, 6)
	replay(2, 7)
	if code() != kerr.UnstableOffsetCommit.Code {
		t.Error("who requires stable offsets is told of none that are pending")
	}
	end(1, false, -1) // Another transaction is open: the offset is hidden.
	end(2, true, 7)
	if code() != 0 {
		t.Error("the offset is still unstable")
	}
	replay(1, 8)
	replay(-1, 9)
	end(1, true, 9) // The commit outside of the transaction is newer.
	replay(1, 10)
	h.shard.offsets.delete("g", place{"orders", 0})
	end(1, true, -1)
	if h.shard.offsets.transacting("g") {
		t.Error("transactions are left")
	}
}

func TestListAndDescribe(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, _ := h.stable(2)
	h.sendCommit(commitRequest("simple", "", -1, "orders", 5))
	list := func(states, types []string) map[string]string {
		got := map[string]string{}
		for _, g := range h.shard.ListGroups(states, types, h.committed) {
			got[g.Group] = g.GroupState + " " + g.ProtocolType + " " + g.GroupType
		}
		return got
	}
	both := map[string]string{"g": "Stable consumer classic", "simple": "Empty  classic"}
	for _, tc := range []struct {
		states, types []string
		want          []string
	}{
		{nil, nil, []string{"g", "simple"}},
		{[]string{" STABLE "}, nil, []string{"g"}},
		{[]string{"stable", "empty"}, []string{"CLASSIC"}, []string{"g", "simple"}},
		{nil, []string{"consumer"}, nil},
		{[]string{"dead"}, []string{"what"}, nil},
	} {
		want := map[string]string{}
		for _, id := range tc.want {
			want[id] = both[id]
		}
		if got := list(tc.states, tc.types); !maps.Equal(got, want) {
			t.Errorf("%v %v: %v, want %v", tc.states, tc.types, got, want)
		}
	}
	all := h.shard.DescribeGroups([]string{"g", "simple", "nobody"}, 6, h.committed)
	if g := all[0]; g.State != "Stable" || g.Protocol != "range" || len(g.Members) != 2 || string(g.Members[1].MemberAssignment) != "of "+members[1] ||
		string(g.Members[0].ProtocolMetadata) != string(subscribedTo("orders")) || g.Members[0].ClientHost != "/127.0.0.1" || g.Members[0].ClientID != "client" {
		t.Errorf("%+v", g)
	}
	if g := all[1]; g.State != "Empty" || g.ProtocolType != "" || g.ErrorCode != 0 {
		t.Errorf("%+v", g)
	}
	if g := all[2]; g.State != "Dead" || g.ErrorCode != kerr.GroupIDNotFound.Code || *g.ErrorMessage != "Group nobody not found." {
		t.Errorf("%+v", g)
	}
	if g := h.shard.DescribeGroups([]string{"nobody"}, 5, h.committed)[0]; g.ErrorCode != 0 || g.State != "Dead" {
		t.Errorf("version 5: %+v", g)
	}
	h.join(members[0])
	if g := h.shard.DescribeGroups([]string{"g"}, 6, h.committed)[0]; g.State != "PreparingRebalance" || g.Protocol != "" || g.Members[0].ProtocolMetadata != nil {
		t.Errorf("%+v", g)
	}
}

// TestGroupInUseStays has the look for expired groups leave alone who has not
// committed anything yet.
func TestGroupInUseStays(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stable(1)
	for range 12 * 15 {
		h.pass(5 * time.Second)
		if code := h.heartbeat(members[0], g); code != 0 {
			t.Fatal(code)
		}
	}
}
