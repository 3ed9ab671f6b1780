package conformance_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareRows are about share groups (KIP-932).
func shareRows() []row {
	var all []row
	for _, rows := range [][]row{shareMemberRows(), shareFetchRows(), shareAckRows(), shareLeaderRows(), shareOffsetRows(), shareStateRows()} {
		all = append(all, rows...)
	}
	for i := range all {
		if all[i].apis == nil {
			all[i].apis = shareAPIs()
		}
	}
	return all
}

// shareMemberRows are about the members of share groups.
func shareMemberRows() []row {
	return []row{
		{id: "S01", title: "the first ShareGroupHeartbeat of a group has a member epoch, and a later one all partitions", run: func(e *env) {
			t := e.topic(sized(3, 1))
			s := e.sharer(e.group(), t)
			resp := s.try(s.request())
			check(e, "answer", code(resp.ErrorCode), none)
			check(e, "is the member epoch above 0", resp.MemberEpoch > 0, true)
			check(e, "heartbeat interval", resp.HeartbeatIntervalMillis > 0, true)
			check(e, "member id", fmt.Sprint(resp.MemberID != nil && *resp.MemberID == s.id), "true")
			s.epoch = resp.MemberEpoch
			s.waitPartitions(t, 3)
			check(e, "partitions", fmt.Sprint(s.partitions(t)), "[0 1 2]")
			req := s.request()
			req.SubscribedTopicNames = nil
			check(e, "is what has not changed told again", s.try(req).Assignment != nil, false)
		}},
		{id: "S02", title: "a ShareGroupHeartbeat in an older or newer epoch is fenced, but for the last epoch, whose answer may be lost", run: func(e *env) {
			t := e.topic()
			s := e.sharer(e.group(), t).waitPartitions(t, 1)
			check(e, "a newer epoch", s.in(s.epoch+1), fencedMemberEpoch)
			before := s.epoch
			other := e.sharer(s.group, e.topic())
			other.beat()
			e.wait("the next epoch", func() error {
				s.beat()
				return is("is the epoch a later one", s.epoch > before, true)
			})
			check(e, "epoch 0", s.in(0), none)
			check(e, "a newer epoch", s.in(s.epoch+1), fencedMemberEpoch)
			check(e, "epoch 1", s.in(1), fencedMemberEpoch)
		}},
		{id: "S03", title: "a ShareGroupHeartbeat of an unknown member, or to an unknown group", run: func(e *env) {
			s := e.sharer(e.group(), e.topic())
			check(e, "unknown group", s.in(1), groupIDNotFound)
			check(e, "leaving an unknown group", s.in(-1), groupIDNotFound)
			s.beat()
			other := e.sharer(s.group, e.topic())
			check(e, "unknown member", other.in(1), unknownMemberID)
			check(e, "leaving as an unknown member", other.in(-1), unknownMemberID)
		}},
		{id: "S04", title: "a member of a share group that leaves is unknown, and its partitions go to the others", run: func(e *env) {
			t := e.topic(sized(2, 1))
			first := e.sharer(e.group(), t).waitPartitions(t, 2)
			second := e.sharer(first.group, t).waitPartitions(t, 1, first)
			first.waitPartitions(t, 1, second)
			checkSet(e, "partitions of both", append(first.partitions(t), second.partitions(t)...), 0, 1)
			req := second.request()
			req.MemberEpoch = -1
			resp := second.try(req)
			check(e, "leaving", code(resp.ErrorCode), none)
			check(e, "epoch", resp.MemberEpoch, -1)
			check(e, "heartbeat after leaving", second.in(second.epoch), unknownMemberID)
			first.waitPartitions(t, 2)
		}},
		{id: "S05", title: "a partition has several members of a share group where there are more members than partitions", run: func(e *env) {
			t := e.topic(sized(2, 1))
			g := e.group()
			var members []*sharer
			for range 3 {
				members = append(members, e.sharer(g, t))
			}
			e.wait("both partitions to be shared", func() error {
				has := map[int32]int{}
				for _, m := range members {
					m.beat()
					for _, p := range m.partitions(t) {
						has[p]++
					}
				}
				return is("members by partition", fmt.Sprint(has), "map[0:2 1:2]")
			})
			for _, m := range members {
				check(e, "has every member a partition", len(m.partitions(t)) > 0, true)
			}
		}},
		{id: "S06", title: "members of a share group have partitions of the topics that they are subscribed to alone", run: func(e *env) {
			t, u := e.topic(sized(2, 1)), e.topic()
			first := e.sharer(e.group(), t, u).waitPartitions(t, 2)
			first.waitPartitions(u, 1)
			second := e.sharer(first.group, u).waitPartitions(u, 1, first)
			check(e, "partitions of the other topic", len(second.partitions(t)), 0)
			first.waitPartitions(t, 2, second)
			first.topics = []string{u.name}
			first.waitPartitions(t, 0, second)
			check(e, "partitions of the topic that is left", len(first.partitions(u)), 1)
		}},
		{id: "S07", title: "a topic that there is not yet is assigned when it is made, and not any more when it is deleted", run: func(e *env) {
			made := topic{name: e.freshName()}
			s := e.sharer(e.group(), made)
			s.beat()
			check(e, "partitions", len(s.given), 0)
			made = e.topicCalled(made.name, sized(2, 1))
			s.waitPartitions(made, 2)
			check(e, "deleting the topic", e.deleteTopic(made), none)
			s.waitPartitions(made, 0)
		}},
		{id: "S08", title: "groups of one type are none of another", apis: []kmsg.Key{kmsg.ShareGroupHeartbeat, kmsg.ConsumerGroupHeartbeat, kmsg.JoinGroup, kmsg.OffsetCommit}, run: func(e *env) {
			t := e.topic()
			s := e.sharer(e.group(), t)
			s.beat()
			check(e, "a consumer that joins a share group", e.consumer(s.group, t).in(0), groupIDNotFound)
			check(e, "a consumer's heartbeat", e.consumer(s.group, t).in(3), groupIDNotFound)
			m := e.member(s.group)
			check(e, "a classic member that joins a share group", m.tryJoin().code, inconsistentGroupProtocol)
			m.id = "someone"
			check(e, "its heartbeat", m.heartbeat(), unknownMemberID)
			check(e, "a commit", e.commitOffset(s.group, t, simple(3)), groupIDNotFound)
			c := e.consumer(e.group(), t)
			c.beat()
			check(e, "a member that joins a consumer group", e.sharer(c.group, t).in(0), groupIDNotFound)
			check(e, "its heartbeat in a consumer group", e.sharer(c.group, t).in(3), groupIDNotFound)
		}},
	}
}
