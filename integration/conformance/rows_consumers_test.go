package conformance_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerRows are about the members of groups of the consumer protocol (KIP-848).
func consumerRows() []row {
	return []row{
		{id: "G38", title: "the first ConsumerGroupHeartbeat of a group has a member epoch, and all partitions", run: func(e *env) {
			t := e.topic(sized(3, 1))
			c := e.consumer(e.group(), t)
			resp := c.try(c.request())
			check(e, "answer", code(resp.ErrorCode), none)
			check(e, "is the member epoch above 0", resp.MemberEpoch > 0, true)
			check(e, "is there a heartbeat interval", resp.HeartbeatIntervalMillis > 0, true)
			check(e, "member id", fmt.Sprint(resp.MemberID != nil && *resp.MemberID == c.id), "true")
			c.epoch = resp.MemberEpoch
			c.waitPartitions(t, 3)
			check(e, "partitions", fmt.Sprint(c.partitions(t)), "[0 1 2]")
		}},
		{id: "G39", title: "a ConsumerGroupHeartbeat in an older or newer epoch is fenced, but for the last epoch, whose answer may be lost", run: func(e *env) {
			c := e.consumer(e.group(), e.topic())
			c.beat()
			check(e, "a newer epoch", c.in(c.epoch+1), fencedMemberEpoch)
			before := c.epoch
			other := e.consumer(c.group, e.topic())
			other.beat()
			e.wait("the next epoch", func() error {
				c.beat()
				return is("is the epoch a later one", c.epoch > before, true)
			})
			check(e, "the last epoch", c.in(before), none)
			check(e, "an older epoch", c.in(before-1), fencedMemberEpoch)
		}},
		{id: "G40", title: "a ConsumerGroupHeartbeat of an unknown member, or to an unknown group", run: func(e *env) {
			c := e.consumer(e.group(), e.topic())
			check(e, "unknown group", c.in(1), groupIDNotFound)
			c.beat()
			check(e, "unknown member", e.consumer(c.group, e.topic()).in(1), unknownMemberID)
		}},
		{id: "G41", title: "a commit in an older member epoch", apis: []kmsg.Key{kmsg.OffsetCommit}, run: func(e *env) {
			t := e.topic()
			c := e.consumer(e.group(), t)
			c.beat()
			made := commit{member: c.id, generation: c.epoch, offset: 5, version: 9}
			check(e, "this epoch", e.commitOffset(c.group, t, made), none)
			made.generation, made.offset = c.epoch-1, 6
			check(e, "an older epoch", e.commitOffset(c.group, t, made), staleMemberEpoch)
			made.generation = c.epoch + 1
			check(e, "a newer epoch", e.commitOffset(c.group, t, made), staleMemberEpoch)
			made.generation, made.version = c.epoch, 8
			check(e, "v8", e.commitOffset(c.group, t, made), unsupportedVersion)
			made.version, made.member = 9, "someone"
			check(e, "unknown member", e.commitOffset(c.group, t, made), unknownMemberID)
			e.hasOffset(c.group, t, 5)
			made.generation, made.member, made.offset = c.epoch, c.id, 7
			e.consumer(c.group, e.topic()).beat()
			e.wait("the next epoch", func() error {
				c.beat()
				return is("is the epoch a later one", c.epoch > made.generation, true)
			})
			check(e, "the last epoch, in which it had the partition too", e.commitOffset(c.group, t, made), none)
			e.hasOffset(c.group, t, 7)
		}},
		{id: "G42", title: "an unknown assignor", run: func(e *env) {
			c := e.consumer(e.group(), e.topic())
			req := c.request()
			name := "no-such-assignor"
			req.ServerAssignor = &name
			check(e, "answer", code(c.try(req).ErrorCode), unsupportedAssignor)
		}},
		{id: "G43", title: "a classic member may join a group of the consumer protocol, of that protocol type alone", apis: []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat}, run: func(e *env) {
			t := e.topic(sized(2, 1))
			c := e.consumer(e.group(), t)
			c.beat()
			other := e.member(c.group)
			other.kind = "connect"
			check(e, "other type", other.tryJoin().code, inconsistentGroupProtocol)
			m := e.member(c.group)
			m.topics = []string{t.name}
			got := m.join()
			check(e, "protocol", got.protocol, "range")
			check(e, "does it lead", got.leader == m.id, false)
			check(e, "members", len(got.members), 0)
			c.waitPartitions(t, 1)
		}},
		{id: "G50", title: "a second member is given partitions when the first has given them up", run: func(e *env) {
			t := e.topic(sized(4, 1))
			first := e.consumer(e.group(), t)
			first.waitPartitions(t, 4)
			second := e.consumer(first.group, t)
			second.beat()
			check(e, "partitions of the second", len(second.partitions(t)), 0)
			var told *kmsg.ConsumerGroupHeartbeatResponse
			e.wait("the first to be told to give up partitions", func() error {
				told = first.try(first.request())
				check(e, "ConsumerGroupHeartbeat", code(told.ErrorCode), none)
				return is("partitions left to it", told.Assignment != nil && len(told.Assignment.Topics) == 1 && len(told.Assignment.Topics[0].Partitions) == 2, true)
			})
			check(e, "epoch of the first, which has not given them up", told.MemberEpoch, first.epoch)
			second.beat()
			check(e, "partitions of the second meanwhile", len(second.partitions(t)), 0)
			second.waitPartitions(t, 2, first)
			checkSet(e, "partitions of both", append(first.partitions(t), second.partitions(t)...), 0, 1, 2, 3)
		}},
		{id: "G51", title: "a member that leaves is unknown, and its partitions go to the others", run: func(e *env) {
			t := e.topic(sized(2, 1))
			first, second := e.consumer(e.group(), t), (*consumer)(nil)
			first.waitPartitions(t, 2)
			second = e.consumer(first.group, t)
			second.waitPartitions(t, 1, first)
			resp := second.try(func() *kmsg.ConsumerGroupHeartbeatRequest {
				req := second.request()
				req.MemberEpoch = -1
				return req
			}())
			check(e, "leaving", code(resp.ErrorCode), none)
			check(e, "epoch", resp.MemberEpoch, -1)
			check(e, "heartbeat after leaving", second.in(second.epoch), unknownMemberID)
			first.waitPartitions(t, 2)
		}},
		{id: "G52", title: "a static member's instance id is taken until it has left for a while; then another member id takes its place", run: func(e *env) {
			t := e.topic(sized(2, 1))
			c := e.consumer(e.group(), t)
			c.instance = "one"
			c.waitPartitions(t, 2)
			again := e.consumer(c.group, t)
			again.instance = "one"
			check(e, "while it is there", again.in(0), unreleasedInstanceID)
			check(e, "leaving for a while", c.in(-2), none)
			again.beat()
			check(e, "partitions", fmt.Sprint(again.partitions(t)), "[0 1]")
			check(e, "heartbeat of the old id", c.in(c.epoch), fencedInstanceID)
		}},
	}
}
