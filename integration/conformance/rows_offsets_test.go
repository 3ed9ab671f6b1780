package conformance_test

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupRows is part G of the table: groups and offsets.
func groupRows() []row {
	return slices.Concat(
		asking(offsetRowsOfGroups(), kmsg.FindCoordinator, kmsg.OffsetCommit, kmsg.OffsetFetch),
		asking(classicRows(), kmsg.FindCoordinator, kmsg.OffsetFetch, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup),
		asking(memberOffsetRows(), kmsg.FindCoordinator, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.DescribeGroups),
		asking(consumerRows(), kmsg.FindCoordinator, kmsg.OffsetFetch, kmsg.ConsumerGroupHeartbeat),
		asking(newClusterRows(), kmsg.FindCoordinator),
		asking(coordinatorRows(), kmsg.FindCoordinator, kmsg.OffsetCommit, kmsg.OffsetFetch),
		asking(failoverRows(), kmsg.FindCoordinator, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat),
	)
}

// asking notes which APIs rows ask, beside those that they name.
func asking(rows []row, apis ...kmsg.Key) []row {
	for i := range rows {
		rows[i].apis = append(rows[i].apis, apis...)
	}
	return rows
}

// offsetRowsOfGroups are about offsets that are committed from outside any generation.
func offsetRowsOfGroups() []row {
	return []row{
		{id: "G04", title: "a broker that does not coordinate the group", run: func(e *env) {
			g, t := e.group(), e.topic()
			if g.coordinator == e.A {
				g.coordinator = e.B
			} else {
				g.coordinator = e.A
			}
			check(e, "OffsetCommit", e.commitOffset(g, t, simple(1)), notCoordinator)
			check(e, "OffsetFetch", e.fetchOffset(g, t, offsetQuery{}).code, notCoordinator)
		}},
		{id: "G06", title: "a committed offset can be read, with its metadata and leader epoch", run: func(e *env) {
			g, t := e.group(), e.topic()
			c := simple(5)
			c.metadata = "note"
			check(e, "OffsetCommit", e.commitOffset(g, t, c), none)
			for _, stable := range []bool{false, true} {
				check(e, "OffsetFetch", e.fetchOffset(g, t, offsetQuery{stable: stable}), stored{offset: 5, epoch: -1, metadata: "note"})
			}
		}},
		{id: "G10", title: "a commit for an unknown topic and a known one: the known one's is stored", run: func(e *env) {
			g, t := e.group(), e.topic()
			other := topic{name: e.freshName()}
			resp := ask[*kmsg.OffsetCommitResponse](e, g.coordinator, simple(5).request(g, other, t))
			codes := map[string]code{}
			for _, answered := range resp.Topics {
				codes[answered.Topic] = code(answered.Partitions[0].ErrorCode)
			}
			check(e, "topics in the answer", len(codes), 2)
			check(e, "the unknown topic", codes[other.name], unknownTopicOrPartition)
			check(e, "the known topic", codes[t.name], none)
			e.hasOffset(g, t, 5)
			e.hasOffset(g, other, -1)
		}},
		{id: "G11", title: "a commit with more metadata than offset.metadata.max.bytes is refused, the request's other ones are not", run: func(e *env) {
			g, long, t := e.group(), e.topic(), e.topic()
			c := simple(5)
			req := c.request(g, long, t)
			for metadata, want := range map[string]code{strings.Repeat("x", 4096): none, strings.Repeat("x", 4097): offsetMetadataTooLarge} {
				req.Topics[0].Partitions[0].Metadata = &metadata
				resp := ask[*kmsg.OffsetCommitResponse](e, g.coordinator, req)
				check(e, "topics in the answer", len(resp.Topics), 2)
				for _, answered := range resp.Topics {
					if answered.Topic == t.name {
						check(e, "short metadata", code(answered.Partitions[0].ErrorCode), none)
					} else {
						check(e, "long metadata", code(answered.Partitions[0].ErrorCode), want)
					}
				}
			}
			e.hasOffset(g, t, 5)
		}},
		{id: "G17", title: "a commit from outside any generation makes a group, and goes into one that is empty", run: func(e *env) {
			g, t := e.group(), e.topic()
			check(e, "the group does not exist", e.commitOffset(g, t, simple(5)), none)
			check(e, "the group exists", e.commitOffset(g, t, simple(6)), none)
			e.hasOffset(g, t, 6)
		}},
		{id: "G18", title: "a commit with a generation to a group that does not exist: ILLEGAL_GENERATION, from v9 on GROUP_ID_NOT_FOUND", run: func(e *env) {
			g, t := e.group(), e.topic()
			c := commit{member: "someone", generation: 1, offset: 5}
			check(e, "v8", e.commitOffset(g, t, c), illegalGeneration)
			c.version = 9
			check(e, "v9", e.commitOffset(g, t, c), groupIDNotFound)
			e.hasOffset(g, t, -1)
		}},
		{id: "G19", title: "an offset beyond the log end may be committed, and a negative one", run: func(e *env) {
			g, t := e.group(), e.topic()
			for _, offset := range []int64{1 << 40, -7} {
				check(e, "OffsetCommit", e.commitOffset(g, t, simple(offset)), none)
				e.hasOffset(g, t, offset)
			}
		}},
		{id: "G20", title: "OffsetFetch of an unknown group knows no offset, which is no error", run: func(e *env) {
			g, t := e.group(), e.topic()
			check(e, "OffsetFetch", e.fetchOffset(g, t, offsetQuery{}), stored{offset: -1, epoch: -1})
			check(e, "OffsetFetch of an unknown topic", e.fetchOffset(g, topic{name: e.freshName()}, offsetQuery{}), stored{offset: -1, epoch: -1})
			req := offsetQuery{}.request(g, t)
			req.Topics = nil
			resp := ask[*kmsg.OffsetFetchResponse](e, g.coordinator, req)
			check(e, "OffsetFetch of all", code(resp.ErrorCode), none)
			check(e, "topics in the answer", len(resp.Topics), 0)
		}},
	}
}

// memberOffsetRows are about offsets that members of a classic group commit.
func memberOffsetRows() []row {
	return []row{
		{id: "G12", title: "a commit in another generation", run: func(e *env) {
			m, t := e.member(e.group()), e.topic()
			e.stable(m)
			for _, generation := range []int32{m.generation - 1, m.generation + 1} {
				c := m.commit()
				c.generation = generation
				check(e, "OffsetCommit", e.commitOffset(m.group, t, c), illegalGeneration)
			}
			e.hasOffset(m.group, t, -1)
			check(e, "OffsetCommit in this generation", e.commitOffset(m.group, t, m.commit()), none)
			e.hasOffset(m.group, t, 5)
		}},
		{id: "G13", title: "a commit of an unknown member", run: func(e *env) {
			m, t := e.member(e.group()), e.topic()
			e.stable(m)
			c := m.commit()
			c.member = "someone"
			check(e, "OffsetCommit", e.commitOffset(m.group, t, c), unknownMemberID)
			e.hasOffset(m.group, t, -1)
		}},
		{id: "G14", title: "a commit while the leader computes the assignment: REBALANCE_IN_PROGRESS", run: func(e *env) {
			m, t := e.member(e.group()), e.topic()
			m.join()
			check(e, "OffsetCommit in the first generation", e.commitOffset(m.group, t, m.commit()), rebalanceInProgress)
			e.assign(m)
			m.join()
			check(e, "state", e.state(m.group), "CompletingRebalance")
			check(e, "OffsetCommit", e.commitOffset(m.group, t, m.commit()), rebalanceInProgress)
			e.hasOffset(m.group, t, -1)
		}},
		{id: "G15", title: "a commit in the old generation while a rebalance waits for members is stored", run: func(e *env) {
			m, t := e.member(e.group()), e.topic()
			e.stable(m)
			joining := e.member(m.group).joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			check(e, "state", e.state(m.group), "PreparingRebalance")
			check(e, "OffsetCommit", e.commitOffset(m.group, t, m.commit()), none)
			check(e, "does the new member wait", joining.open(), true)
			e.hasOffset(m.group, t, 5)
		}},
		{id: "G16", title: "a commit from outside any generation to a group with members: UNKNOWN_MEMBER_ID", run: func(e *env) {
			m, t := e.member(e.group()), e.topic()
			e.stable(m)
			check(e, "OffsetCommit", e.commitOffset(m.group, t, simple(5)), unknownMemberID)
			e.hasOffset(m.group, t, -1)
		}},
		{id: "G36", title: "DeleteGroups of a group with members, and of one that does not exist", apis: []kmsg.Key{kmsg.DeleteGroups, kmsg.LeaveGroup}, run: func(e *env) {
			m, t := e.member(e.group()), e.topic()
			check(e, "unknown group", e.deleteGroup(m.group), groupIDNotFound)
			e.stable(m)
			check(e, "OffsetCommit", e.commitOffset(m.group, t, m.commit()), none)
			check(e, "group with a member", e.deleteGroup(m.group), nonEmptyGroup)
			e.hasOffset(m.group, t, 5)
			check(e, "LeaveGroup", m.leave(), none)
			check(e, "empty group", e.deleteGroup(m.group), none)
			e.hasOffset(m.group, t, -1)
			check(e, "state", e.state(m.group), "Dead")
		}},
		{id: "G37", title: "OffsetDelete for a topic that the group subscribes to", apis: []kmsg.Key{kmsg.OffsetDelete}, run: func(e *env) {
			m, subscribed, other := e.member(e.group()), e.topic(), e.topic()
			m.topics = []string{subscribed.name}
			e.stable(m)
			for _, t := range []topic{subscribed, other} {
				check(e, "OffsetCommit", e.commitOffset(m.group, t, m.commit()), none)
			}
			check(e, "subscribed topic", e.deleteOffset(m.group, subscribed), groupSubscribedToTopic)
			check(e, "other topic", e.deleteOffset(m.group, other), none)
			e.hasOffset(m.group, subscribed, 5)
			e.hasOffset(m.group, other, -1)
		}},
	}
}

// deleteOffset asks for the end of a group's offset for partition 0.
func (e *env) deleteOffset(g group, t topic) code {
	req := request(kmsg.NewPtrOffsetDeleteRequest(), 0)
	req.Group = g.name
	req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: t.name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
	resp := ask[*kmsg.OffsetDeleteResponse](e, g.coordinator, req)
	check(e, "OffsetDelete", code(resp.ErrorCode), none)
	check(e, "topics in the answer", len(resp.Topics), 1)
	check(e, "partitions in the answer", len(resp.Topics[0].Partitions), 1)
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}
