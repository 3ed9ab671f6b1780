package conformance_test

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerHeartbeat is the consumer protocol (KIP-848), with one member.
func (g *groupScript) consumerHeartbeat() (calls []call) {
	beat := func(label string, version int16, change func(*kmsg.ConsumerGroupHeartbeatRequest)) call {
		req := request(kmsg.NewPtrConsumerGroupHeartbeatRequest(), version)
		req.Group, req.MemberID, req.RebalanceTimeoutMillis = consumerGroup, g.consumer, 30_000
		req.SubscribedTopicNames, req.Topics = []string{"three"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		change(req)
		return call{label: label, req: req}
	}
	text := func(s string) *string { return &s }
	owned := []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: g.three.id, Partitions: []int32{0}}}
	for _, v := range []int16{0, 1} {
		calls = append(
			calls,
			beat("of a group without a name", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" }),
			beat("without a rebalance timeout", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }),
			beat("without topics", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil }),
			beat("that has partitions already", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = owned }),
			beat("without a list of its partitions", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil }),
			beat("with an empty instance id", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = text("") }),
			beat("with an empty rack", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = text("") }),
			beat("with an unknown assignor", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = text("other") }),
			beat("of an unknown group", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = 3 }),
			beat("that leaves an unknown group", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -1 }),
			beat("with an epoch below all", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 }),
			beat("of a classic group", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group, r.MemberEpoch = classicGroup, 1 }),
			beat("that leaves for a while without an instance", v, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -2 }),
		)
	}
	made := beat("without an id", 0, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group, r.MemberID = "made", "" })
	return append(
		calls,
		made,
		beat("without an id", 1, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group, r.MemberID = "made", "" }),
		beat("with a bad pattern", 1, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.Group, r.SubscribedTopicNames, r.SubscribedTopicRegex = "made", nil, text("[")
		}),
		beat("", 1, func(*kmsg.ConsumerGroupHeartbeatRequest) {}),
		beat("in epoch 2", 1, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.MemberEpoch, r.Topics = 2, []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: g.three.id, Partitions: []int32{0, 1, 2}}}
		}),
		beat("in epoch 2 with nothing new", 0, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.MemberEpoch, r.RebalanceTimeoutMillis, r.SubscribedTopicNames, r.Topics = 2, -1, nil, nil
		}),
		beat("in an epoch to come", 1, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = 9 }),
		beat("of an unknown member", 1, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "BBBBBBBBBBBBBBBBBBBBBB", 2 }),
		beat("that leaves, of an unknown member", 1, func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.MemberID, r.MemberEpoch = "BBBBBBBBBBBBBBBBBBBBBB", -1
		}),
	)
}

func (g *groupScript) describeGroups() []call {
	classic := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups, req.IncludeAuthorizedOperations = names, true
			return req
		}
	}
	consumer := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrConsumerGroupDescribeRequest()
			req.Groups, req.IncludeAuthorizedOperations = names, true
			return req
		}
	}
	return slices.Concat(
		versions("of two with members", classic(classicGroup, oldGroup), 0, 6),
		versions("of one without members", classic(simpleGroup), 0, 6),
		versions("of one of the consumer protocol", classic(consumerGroup), 0, 6),
		versions("of unknown ones", classic(unknownGroup, ""), 0, 5, 6),
		versions("of none", classic(), 0, 6),
		versions("", consumer(consumerGroup), 0, 1),
		versions("of others", consumer(classicGroup, simpleGroup, unknownGroup, ""), 0, 1),
	)
}

func (g *groupScript) listGroups() []call {
	list := func(states, types []string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter, req.TypesFilter = states, types
			return req
		}
	}
	calls := slices.Concat(
		versions("", list(nil, nil), 0, 3, 4, 5),
		versions("that are stable", list([]string{"Stable"}, nil), 4, 5),
		versions("in lower case", list([]string{"stable"}, nil), 4, 5),
		versions("that are empty", list([]string{"Empty"}, nil), 4, 5),
		versions("in an unknown state", list([]string{"Odd"}, nil), 4, 5),
		versions("of the consumer protocol", list(nil, []string{"consumer"}), 5),
		versions("of the classic protocol", list(nil, []string{"classic"}), 5),
		versions("of an unknown type", list(nil, []string{"odd"}), 5),
	)
	g.listed++
	if g.listed > 1 {
		for i := range calls {
			calls[i].label = strings.TrimPrefix(calls[i].label+", at the end", ", ")
		}
	}
	return calls
}

func (g *groupScript) offsetDelete() []call {
	remove := func(group string, topics ...kmsg.OffsetDeleteRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group, req.Topics = group, topics
			return req
		}
	}
	of := func(name string, partitions ...int32) kmsg.OffsetDeleteRequestTopic {
		out := kmsg.OffsetDeleteRequestTopic{Topic: name}
		for _, p := range partitions {
			out.Partitions = append(out.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
		}
		return out
	}
	return slices.Concat(
		versions("", remove(simpleGroup, of("one", 0, 9), of("unknown", 0)), 0),
		versions("of nothing", remove(simpleGroup), 0),
		versions("of an unknown group", remove(unknownGroup, of("one", 0)), 0),
		versions("of a group without a name", remove("", of("one", 0)), 0),
		versions("of a classic group", remove(classicGroup, of("one", 0), of("three", 0)), 0),
		versions("of a group of the consumer protocol", remove(consumerGroup, of("one", 0), of("three", 0)), 0),
	)
}

func (g *groupScript) leaveGroup() []call {
	old := func(label, group, member string) call {
		return call{label: label, req: request(kmsg.NewPtrLeaveGroupRequest(), 0), fill: func(r kmsg.Request) {
			req := r.(*kmsg.LeaveGroupRequest)
			req.Group, req.MemberID = group, member
			if member == "" {
				req.MemberID = g.members[group]
			}
		}}
	}
	several := func(label, group string, members ...string) call {
		return call{label: label, req: request(kmsg.NewPtrLeaveGroupRequest(), 5), fill: func(r kmsg.Request) {
			req := r.(*kmsg.LeaveGroupRequest)
			req.Group = group
			for _, id := range members {
				if id == "" {
					id = g.members[group]
				}
				req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: id})
			}
		}}
	}
	return []call{
		old("of an unknown group", unknownGroup, "someone"),
		old("of a group without a name", "", "someone"),
		old("of an unknown member", oldGroup, "someone"),
		old("", oldGroup, ""),
		old("again", oldGroup, ""),
		several("of an unknown group", unknownGroup, "someone"),
		several("of a group without a name", "", "someone"),
		several("of nobody", classicGroup),
		several("of an unknown member and a known one", classicGroup, "someone", ""),
		several("again", classicGroup, ""),
		several("of the consumer protocol", consumerGroup, "someone"),
	}
}

func (g *groupScript) deleteGroups() []call {
	remove := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = names
			return req
		}
	}
	return slices.Concat(
		versions("", remove(simpleGroup, unknownGroup, consumerGroup), 0),
		versions("", remove(oldGroup, unknownGroup, consumerGroup), 2),
		versions("twice", remove(classicGroup, classicGroup), 2),
		versions("without a name", remove(""), 0, 2),
		versions("of none", remove(), 0, 2),
	)
}
