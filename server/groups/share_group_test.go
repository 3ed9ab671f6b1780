package groups

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// shareBeat sends a share group's heartbeat.
func (r *rig) shareBeat(member string, epoch int32, topics ...string) (*kmsg.ShareGroupHeartbeatResponse, *ShareInitialization, error) {
	r.t.Helper()
	q := kmsg.NewPtrShareGroupHeartbeatRequest()
	q.Version, q.GroupID, q.MemberID, q.MemberEpoch = 1, testGroup, member, epoch
	q.SubscribedTopicNames = topics
	if err := CheckShareHeartbeat(q); err != nil {
		return nil, nil, err
	}
	resp, wanted, o, err := r.shard.ShareGroupHeartbeat(Client{ID: "client", Host: "/127.0.0.1"}, q)
	if err != nil {
		return nil, nil, err
	}
	r.apply(o)
	return resp, wanted, nil
}

// shares shows the answer of a heartbeat that goes well, and has the share
// coordinator begin what is to be begun.
func (r *rig) shares(member string, epoch int32, topics ...string) string {
	r.t.Helper()
	resp, wanted, err := r.shareBeat(member, epoch, topics...)
	if err != nil {
		r.t.Fatalf("heartbeat of %s in epoch %d: %v", member, epoch, err)
	}
	if wanted != nil {
		o, err := r.shard.SharesInitialized(testGroup, wanted.Partitions, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		r.apply(o)
	}
	if resp.Assignment == nil {
		return fmt.Sprint(resp.MemberEpoch)
	}
	var out []string
	for _, t := range resp.Assignment.TopicPartitions {
		out = append(out, strings.TrimRight(string(t.TopicID[:]), "\x00")+fmt.Sprint(t.Partitions))
	}
	return fmt.Sprintf("%d: %s", resp.MemberEpoch, strings.Join(out, " "))
}

func (r *rig) wantShares(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Fatalf("got %q, want %q", got, want)
	}
}

func (r *rig) shareGroup() *shareGroup {
	r.t.Helper()
	g, err := r.shard.shareGroup(testGroup, timeline.Latest)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

func TestShareGroupLife(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"t": 2})
	r.wantShares(r.shares("a", 0, "t"), "2: ")
	r.wantShares(r.shares("a", 2), "3: t[0 1]")
	r.wantShares(r.shares("a", 3), "3")
	r.wantShares(r.shares("b", 0, "t"), "3: ") // the assignment was made a moment ago
	r.pass(time.Second)
	r.wantShares(r.shares("b", 3), "4: t[0]")
	r.wantShares(r.shares("a", 3), "4: t[1]")
	r.pass(time.Second)
	r.wantShares(r.shares("c", 0, "t"), "5: t[1]")
	if d := r.shard.ShareGroupDescribe(testGroup, timeline.Latest); d.GroupState != "Stable" || len(d.Members) != 3 || d.GroupEpoch != 5 || d.Assignor != "simple" {
		t.Fatalf("described: %+v", d)
	}
	if _, _, err := r.shareBeat("b", -1); err != nil {
		t.Fatal(err)
	}
	r.checkShareReplay()
	// Sessions end.
	r.pass(50 * time.Second)
	if g := r.shareGroup(); !g.empty() {
		t.Fatalf("members are left: %v", sortedKeys(g.members))
	}
	if d := r.shard.ShareGroupDescribe(testGroup, timeline.Latest); d.GroupState != "Empty" {
		t.Fatalf("described: %+v", d)
	}
	r.checkShareReplay()
	_, o, err := r.shard.DeleteGroups([]string{testGroup})
	if err != nil {
		t.Fatal(err)
	}
	r.apply(o)
	if _, err := r.shard.shareGroup(testGroup, timeline.Latest); err == nil {
		t.Fatal("the group was deleted and is there")
	}
	r.checkShareReplay()
}

// checkShareReplay compares the groups with those of a shard made of the log.
func (r *rig) checkShareReplay() {
	r.t.Helper()
	show := func(s *Shard) string {
		var out []string
		for id, g := range s.groups.All() {
			g := g.(*shareGroup)
			out = append(out, fmt.Sprintf("%s epoch %d hash %d target %v states %v", id, g.epoch.Get(), g.hash.Get(), g.targetOf.Get(), *g.states.Get().clone()))
			for _, m := range sortedKeys(g.members) {
				member, _ := g.members.Get(m)
				target, _ := g.target.Get(m)
				out = append(out, fmt.Sprintf("%+v %v", *member, target))
			}
		}
		return strings.Join(out, "\n")
	}
	if got, want := show(r.replayed()), show(r.shard); got != want {
		r.t.Fatalf("the log gives\n%s\nand the shard has\n%s", got, want)
	}
}

func TestShareGroupRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"group.share.max.size": "1"})
	r.topics(map[string]int{"t": 2})
	r.shares("a", 0, "t")
	r.shares("a", 2)
	cases := []struct {
		name, member string
		epoch        int32
		topics       []string
		want         *kerr.Error
	}{
		{"unknown member", "b", 1, nil, kerr.GroupMaxSizeReached},
		{"full", "b", 0, []string{"t"}, kerr.GroupMaxSizeReached},
		{"an epoch ahead", "a", 9, nil, kerr.FencedMemberEpoch},
		{"an epoch behind", "a", 1, nil, kerr.FencedMemberEpoch},
		{"the epoch before", "a", 2, nil, nil},
		{"no topics", "a", 0, nil, kerr.InvalidRequest},
		{"no member id", "", 0, []string{"t"}, kerr.InvalidRequest},
		{"a bad epoch", "a", -2, nil, kerr.InvalidRequest},
		{"who is not there leaves", "b", -1, nil, kerr.UnknownMemberID},
	}
	for _, c := range cases {
		_, _, err := r.shareBeat(c.member, c.epoch, c.topics...)
		if got := clientError(err); (err == nil) != (c.want == nil) || c.want != nil && got.Code != c.want.Code {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := r.try("c", 0, topics("t")); clientError(err) == nil || clientError(err).Code != kerr.GroupIDNotFound.Code {
		t.Errorf("a consumer joins a share group: %v", err)
	}
	if err := r.shareGroup().checkDelete(); !errors.Is(err, kerr.NonEmptyGroup) {
		t.Errorf("deleted with members: %v", err)
	}
}

func TestShareGroupSeesNewPartitions(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"t": 1})
	r.shares("a", 0, "t", "u")
	r.wantShares(r.shares("a", 2), "3: t[0]")
	r.topics(map[string]int{"t": 2, "u": 1})
	r.pass(time.Second)
	r.wantShares(r.shares("a", 3), "4")
	r.wantShares(r.shares("a", 4), "5: t[0 1] u[0]")
	r.topics(map[string]int{"t": 2})
	r.pass(time.Second)
	if _, ok := r.shareGroup().states.Get().initialized[topicID("u")]; ok {
		t.Fatal("the deleted topic is still there")
	}
	r.wantShares(r.shares("a", 5), "6: t[0 1]")
	r.checkShareReplay()
}

func TestShareInitializationFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"t": 1})
	_, wanted, err := r.shareBeat("a", 0, "t")
	if err != nil || wanted == nil || wanted.StateEpoch != 2 {
		t.Fatalf("to be initialized: %+v, %v", wanted, err)
	}
	if _, again, _ := r.shareBeat("a", 2); again != nil {
		t.Fatalf("asked for twice: %+v", again)
	}
	o, _ := r.shard.SharesInitialized(testGroup, nil, wanted.Partitions)
	r.apply(o)
	if _, again, _ := r.shareBeat("a", 2); again == nil {
		t.Fatal("not asked for again after it has failed")
	}
	// Who never answers is asked again.
	r.pass(20 * time.Second)
	if _, again, err := r.shareBeat("a", 2); err != nil || again != nil {
		t.Fatalf("asked for again soon: %+v, %v", again, err)
	}
	r.pass(20 * time.Second)
	if _, again, _ := r.shareBeat("a", 2); again == nil {
		t.Fatal("not asked for again after a while")
	}
}

func TestShareOffsetsOfAGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"t": 2})
	r.shares("a", 0, "t")
	change := []SharePartition{{topicID("t"), "t", 1, 7}}
	if _, _, err := r.shard.AlterShareOffsets(testGroup, change); clientError(err).Code != kerr.NonEmptyGroup.Code {
		t.Fatalf("altered with members: %v", err)
	}
	if _, _, err := r.shard.DeleteShareOffsets("other", nil); clientError(err).Code != kerr.GroupIDNotFound.Code {
		t.Fatalf("deleted without a group: %v", err)
	}
	if _, _, err := r.shareBeat("a", -1); err != nil {
		t.Fatal(err)
	}
	epoch := r.shareGroup().epoch.Get()
	wanted, o, err := r.shard.AlterShareOffsets(testGroup, change)
	if err != nil || wanted.StateEpoch != epoch || !slices.Equal(wanted.Partitions, change) {
		t.Fatalf("altered: %+v, %v", wanted, err)
	}
	r.apply(o)
	o, _ = r.shard.SharesInitialized(testGroup, wanted.Partitions, nil)
	r.apply(o)
	found, o, err := r.shard.DeleteShareOffsets(testGroup, []log.TopicID{topicID("t"), topicID("u")})
	if err != nil || len(found) != 1 || !slices.Equal(found[topicID("t")], []int32{0, 1}) {
		t.Fatalf("deleted: %v, %v", found, err)
	}
	r.apply(o)
	o, _ = r.shard.ShareOffsetsDeleted(testGroup, []log.TopicID{topicID("t")})
	r.apply(o)
	if list, _ := r.shard.SharePartitions(testGroup, timeline.Latest); len(list) != 0 {
		t.Fatalf("left: %v", list)
	}
	r.checkShareReplay()
}

func TestShareOffsetsMakeAGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.topics(map[string]int{"t": 1})
	change := []SharePartition{{topicID("t"), "t", 0, 7}}
	if list := r.shard.InitializedShares(testGroup, timeline.Latest); list != nil {
		t.Fatalf("initialized without a group: %v", list)
	}
	wanted, o, err := r.shard.AlterShareOffsets(testGroup, change)
	if err != nil || wanted.StateEpoch != 1 || len(o.Records) != 1 {
		t.Fatalf("altered: %+v %v, %v", wanted, o.Records, err)
	}
	r.apply(o)
	if list := r.shard.InitializedShares(testGroup, timeline.Latest); list != nil {
		t.Fatalf("initialized before they are: %v", list)
	}
	o, _ = r.shard.SharesInitialized(testGroup, wanted.Partitions, nil)
	r.apply(o)
	if list := r.shard.InitializedShares(testGroup, timeline.Latest); len(list) != 1 {
		t.Fatalf("initialized: %v", list)
	}
	if d := r.shard.ShareGroupDescribe(testGroup, timeline.Latest); d.GroupState != shareEmpty || d.GroupEpoch != 1 {
		t.Fatalf("described: %+v", d)
	}
	r.checkShareReplay()
}

// TestShareRecordsAreKafkas compares bytes with what Kafka's own serializer writes.
func TestShareRecordsAreKafkas(t *testing.T) {
	t.Parallel()
	rack, id := "r", log.TopicID{1}
	m := &shareMember{
		id: "m", epoch: 3, previousEpoch: 2, rackID: &rack, clientID: "c", clientHost: "h", topics: []string{"t", "u"},
		assigned: assignor.Assignment{id: {1, 2}},
	}
	states := &shareStates{
		map[log.TopicID]shareTopic{id: {"t", []int32{1}}}, map[log.TopicID]shareTopic{id: {"t", []int32{2}}}, map[log.TopicID]string{id: "t"},
	}
	topic := "01" + strings.Repeat("00", 15)
	cases := []struct {
		name       string
		record     coordinator.Record
		key, value string
	}{
		{"member", shareMemberRecord("g", m), "000a00016700016d", "0000027202630268030274027500"},
		{"epoch", shareEpochRecord("g", 7, 9), "000b000167", "000000000007000000000000000900"},
		{"target", shareTargetRecord("g", targetMetadata{epoch: 7}), "000c000167", "00000000000700"},
		{"target of a member", shareTargetMemberRecord("g", "m", m.assigned), "000d00016700016d", "000002" + topic + "0300000001000000020000"},
		{"current", shareCurrentRecord("g", m), "000e00016700016d", "000000000003000000020002" + topic + "0300000001000000020000"},
		{"states", shareStatesRecord("g", states), "000f000167", "000002" + topic + "0274020000000100" + "02" + topic + "0274020000000200" + "02" + topic + "02740000"},
	}
	for _, c := range cases {
		if key, value := hex.EncodeToString(c.record.Key), hex.EncodeToString(c.record.Value); key != c.key || value != c.value {
			t.Errorf("%s:\n%s %s, want\n%s %s", c.name, key, value, c.key, c.value)
		}
	}
}
