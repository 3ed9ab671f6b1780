package conformance_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareOffsetRows are about the administration of share groups.
func shareOffsetRows() []row {
	return []row{
		{id: "S40", title: "DescribeShareGroupOffsets tells the start offset, and the lag behind it", run: func(e *env) {
			s, t := e.shared()
			check(e, "before anything is stored", fmt.Sprint(e.describeShare(s.group, t, 1)), "{0 0 -1 -1}")
			e.put(t, "a", "b", "c", "d")
			s.gets(e.A, shareFetch{topic: t}, "0-3 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 0, 0), acking(ackAccept, 2, 2))
			check(e, "with a record in flight", fmt.Sprint(e.describeShare(s.group, t, 1)), "{0 0 0 2}")
			check(e, "v0", fmt.Sprint(e.describeShare(s.group, t, 0)), "{0 0 0 -1}")
			check(e, "of a topic of no member", fmt.Sprint(e.describeShare(s.group, e.topic(), 1)), "{0 0 -1 -1}")
			check(e, "of an unknown topic", fmt.Sprint(e.describeShare(s.group, unknown(), 1)), "{0 0 -1 -1}")
			check(e, "of an unknown group", fmt.Sprint(e.describeShare(e.group(), t, 1)), "{0 0 -1 -1}")
			check(e, "of an unknown group, all topics", fmt.Sprint(e.describeShare(e.group(), topic{}, 1)), "{0 -1 -99 -99}")
		}},
		{id: "S41", title: "AlterShareGroupOffsets moves the start of a group without members, and makes one that is not there", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b", "c")
			s.gets(e.A, shareFetch{topic: t}, "0-2 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 0, 1))
			check(e, "with a member", fmt.Sprint(e.alterShare(s.group, t)), "[NON_EMPTY_GROUP(68) UNKNOWN_SERVER_ERROR(-1)]")
			made := e.group()
			check(e, "unknown group", fmt.Sprint(e.alterShare(made, t)), "[NONE NONE]")
			check(e, "its state", e.describeSharers(made).GroupState, "Empty")
			check(e, "its start offset", fmt.Sprint(e.describeShare(made, t, 1)), "{0 0 1 2}")
			s.leave()
			check(e, "end of the session", s.fetchAs(e.A, shareFetch{none: true}, -1).top, none)
			s.disconnect() // The leader forgets the group by this.
			check(e, "unknown topic", fmt.Sprint(e.alterShare(s.group, unknown())), "[NONE UNKNOWN_TOPIC_OR_PARTITION(3)]")
			check(e, "without members", fmt.Sprint(e.alterShare(s.group, t)), "[NONE NONE]")
			check(e, "start offset", e.shareStart(s, t), "1")
			again := e.sharer(s.group, t).waitPartitions(t, 1)
			again.gets(e.A, shareFetch{topic: t}, "1-2 x1")
		}},
		{id: "S42", title: "DeleteShareGroupOffsets has a group without members forget a topic", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b", "c")
			s.gets(e.A, shareFetch{topic: t}, "0-2 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 0, 1))
			check(e, "with a member", fmt.Sprint(e.deleteShare(s.group, t)), "[NON_EMPTY_GROUP(68) UNKNOWN_SERVER_ERROR(-1)]")
			check(e, "unknown group", fmt.Sprint(e.deleteShare(e.group(), t)), "[GROUP_ID_NOT_FOUND(69) UNKNOWN_SERVER_ERROR(-1)]")
			s.leave()
			check(e, "end of the session", s.fetchAs(e.A, shareFetch{none: true}, -1).top, none)
			s.disconnect() // The leader forgets the group by this.
			check(e, "unknown topic", fmt.Sprint(e.deleteShare(s.group, unknown())), "[NONE UNKNOWN_TOPIC_OR_PARTITION(3)]")
			check(e, "without members", fmt.Sprint(e.deleteShare(s.group, t)), "[NONE NONE]")
			check(e, "start offset", e.shareStart(s, t), "-1")
			again := e.sharer(s.group, t).waitPartitions(t, 1)
			again.gets(e.A, shareFetch{topic: t}, "0-2 x1")
		}},
		{id: "S43", title: "ShareGroupDescribe and ListGroups know share groups, and DescribeGroups does not", apis: append(shareAPIs(), kmsg.ListGroups, kmsg.DescribeGroups), run: func(e *env) {
			s, t := e.shared()
			got := e.describeSharers(s.group)
			check(e, "state", got.GroupState, "Stable")
			check(e, "assignor", got.Assignor, "simple")
			check(e, "members", len(got.Members), 1)
			check(e, "is the member's epoch the group's", got.Members[0].MemberEpoch, got.GroupEpoch)
			check(e, "topics of its assignment", len(got.Members[0].Assignment.TopicPartitions), 1)
			check(e, "listed", fmt.Sprint(e.listedGroup(s.group, nil, []string{"share"})), "[share share Stable]")
			check(e, "listed as another type", fmt.Sprint(e.listedGroup(s.group, nil, []string{"consumer", "classic"})), "[]")
			check(e, "listed by state", fmt.Sprint(e.listedGroup(s.group, []string{"Empty"}, nil)), "[]")
			check(e, "classic state", e.state(s.group), "Dead")
			s.leave()
			check(e, "state without members", e.describeSharers(s.group).GroupState, "Empty")
			check(e, "listed by state without members", fmt.Sprint(e.listedGroup(s.group, []string{"Empty"}, nil)), "[share share Empty]")
			check(e, "unknown group", code(e.describeSharers(e.group()).ErrorCode), groupIDNotFound)
			c := e.consumer(e.group(), t)
			c.beat()
			check(e, "consumer group", code(e.describeSharers(c.group).ErrorCode), groupIDNotFound)
		}},
		{id: "S44", title: "DeleteGroups deletes a share group without members, and what is stored of it", apis: append(shareAPIs(), kmsg.DeleteGroups, kmsg.ReadShareGroupState), run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a")
			s.gets(e.A, shareFetch{topic: t}, "0-0 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 0, 0))
			check(e, "with a member", e.deleteGroup(s.group), nonEmptyGroup)
			s.leave()
			check(e, "without members", e.deleteGroup(s.group), none)
			check(e, "again", e.deleteGroup(s.group), groupIDNotFound)
			check(e, "heartbeat", s.in(s.epoch), groupIDNotFound)
			p := e.sharePart(s.group, t)
			check(e, "its state", p.read(100).code, invalidRequest)
		}},
	}
}
