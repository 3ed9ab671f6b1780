package conformance_test

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The groups of the script. Broker A coordinates them all.
const (
	simpleGroup   = "simple"   // has offsets and never had members
	classicGroup  = "classic"  // has a member of JoinGroup v9
	oldGroup      = "old"      // has a member of JoinGroup v0
	consumerGroup = "consumer" // is of the consumer protocol
	unknownGroup  = "unknown"

	consumerMember = "AAAAAAAAAAAAAAAAAAAAAA" // the member of consumerGroup
)

// groupScript is what the calls about groups go by: ids that coordinators gave.
type groupScript struct {
	*script
	e *env
	// members has the ids of the members of classicGroup and oldGroup.
	members map[string]string
	// consumer is the id of the member of consumerGroup; the client makes it.
	consumer string
	listed   int // how often listGroups was called
}

// groups is the APIs about groups. They come last: they make the offsets topic, and move it to A.
func (s *script) groups(e *env) []call {
	g := &groupScript{script: s, e: e, members: map[string]string{}, consumer: consumerMember}
	return slices.Concat(
		g.findCoordinator(), g.offsetCommit(), g.offsetFetch(), g.joinGroup(), g.syncGroup(), g.heartbeat(), g.consumerHeartbeat(),
		following(kmsg.ConsumerGroupHeartbeat, slices.Concat(
			g.describeGroups(), g.listGroups(), g.offsetDelete(), g.leaveGroup(), g.deleteGroups(), g.listGroups(),
		)),
	)
}

// following notes that calls see what calls of another API did.
func following(api kmsg.Key, calls []call) []call {
	for i := range calls {
		calls[i].needs = append(calls[i].needs, api)
	}
	return calls
}

// coordinateAll makes A the coordinator of all groups, and waits for those of the script.
func (g *groupScript) coordinateAll() {
	e := g.e
	e.coordinator(simpleGroup, 0)
	meta, err := e.tryMetadata(e.A, offsetsTopic)
	if err != nil {
		e.fatalf("%s: %v", offsetsTopic, err)
	}
	replicas := make([][]int32, len(meta.Partitions))
	for i := range replicas {
		replicas[i] = []int32{e.A, e.B, e.C}
	}
	e.coordinate(replicas...)
	if !e.offered[int16(kmsg.OffsetFetch)] {
		return // Nothing else is asked either.
	}
	for _, name := range []string{simpleGroup, classicGroup, oldGroup, consumerGroup, unknownGroup, ""} {
		e.coordinated(name)
	}
}

func (g *groupScript) findCoordinator() []call {
	one := func(key string, kind int8) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorType = key, kind
			return req
		}
	}
	several := func(kind int8, keys ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKeys = kind, keys
			return req
		}
	}
	calls := slices.Concat(
		versions("", one(simpleGroup, 0), 0, 1, 3),
		versions("of an empty name", one("", 0), 0, 3),
		versions("of an unknown type", one(simpleGroup, 9), 1, 3),
		versions("of three", several(0, simpleGroup, unknownGroup, ""), 4, 6),
		versions("of none", several(0), 4, 6),
		versions("of an unknown type", several(9, simpleGroup), 4, 6),
		versions("of a share group before v6", several(2, simpleGroup), 4),
		versions("of a share group by a bad key", several(2, simpleGroup), 6),
	)
	calls[0].before = g.coordinateAll
	return calls
}

func (g *groupScript) offsetCommit() []call {
	metadata := func(s string) *string { return &s }
	commit := func(group, member string, generation int32, topics ...kmsg.OffsetCommitRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Group, req.MemberID, req.Generation, req.Topics = group, member, generation, topics
			return req
		}
	}
	of := func(t topic, offset int64, note *string, partitions ...int32) kmsg.OffsetCommitRequestTopic {
		out := kmsg.OffsetCommitRequestTopic{Topic: t.name, TopicID: t.id}
		for _, p := range partitions {
			c := kmsg.NewOffsetCommitRequestTopicPartition()
			c.Partition, c.Offset, c.LeaderEpoch, c.Metadata = p, offset, 0, note
			out.Partitions = append(out.Partitions, c)
		}
		return out
	}
	return slices.Concat(
		versions("", commit(simpleGroup, "", -1, of(g.one, 1, metadata("note"), 0), of(g.three, 2, nil, 0, 1, 9), of(unknown(), 3, nil, 0)), 2, 10),
		versions("of nothing", commit(simpleGroup, "", -1), 2, 10),
		versions("with much metadata", commit(simpleGroup, "", -1, of(g.one, 4, metadata(strings.Repeat("x", 5000)), 0), of(g.three, 5, nil, 2)), 2, 10),
		versions("of a negative offset", commit(simpleGroup, "", -1, of(g.three, -5, nil, 2)), 2, 10),
		versions("with a generation to an unknown group", commit(unknownGroup, "someone", 3, of(g.one, 1, nil, 0)), 2, 8, 9, 10),
		versions("of an unknown member", commit(simpleGroup, "someone", 3, of(g.one, 1, nil, 0)), 2, 10),
		versions("to a group without a name", commit("", "", -1, of(g.one, 7, nil, 0)), 2, 10),
	)
}

func (g *groupScript) offsetFetch() []call {
	old := func(group string, stable bool, topics []kmsg.OffsetFetchRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Group, req.RequireStable, req.Topics = group, stable, topics
			return req
		}
	}
	several := func(stable bool, groups ...kmsg.OffsetFetchRequestGroup) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.RequireStable, req.Groups = stable, groups
			return req
		}
	}
	of := func(name string, topics ...topic) kmsg.OffsetFetchRequestGroup {
		out := kmsg.NewOffsetFetchRequestGroup()
		out.Group = name
		for _, t := range topics {
			out.Topics = append(out.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.name, TopicID: t.id, Partitions: []int32{0, 9}})
		}
		return out
	}
	some := []kmsg.OffsetFetchRequestTopic{{Topic: "one", Partitions: []int32{0, 9}}, {Topic: "unknown", Partitions: []int32{0}}}
	stranger := of(simpleGroup, g.one)
	name := "someone"
	stranger.MemberID, stranger.MemberEpoch = &name, 3
	return slices.Concat(
		versions("", old(simpleGroup, false, some), 1, 5, 7),
		versions("of stable offsets", old(simpleGroup, true, some), 7),
		versions("of all", old(simpleGroup, false, nil), 2, 7),
		versions("of nothing", old(simpleGroup, false, []kmsg.OffsetFetchRequestTopic{}), 1, 7),
		versions("of an unknown group", old(unknownGroup, false, some), 1, 7),
		versions("of all of an unknown group", old(unknownGroup, false, nil), 2, 7),
		versions("of a group without a name", old("", false, some), 1, 7),
		versions("", several(false, of(simpleGroup, g.one, unknown()), of(unknownGroup, g.one), of("")), 8, 9, 10),
		versions("of stable offsets", several(true, of(simpleGroup, g.one)), 8, 10),
		versions("of an unknown member", several(false, stranger), 9, 10),
	)
}

// join makes a JoinGroup of the group's member, whose id it takes from the last answer.
func (g *groupScript) join(label, group string, version int16, change func(*kmsg.JoinGroupRequest)) call {
	return call{
		label: label,
		req:   request(kmsg.NewPtrJoinGroupRequest(), version),
		fill: func(r kmsg.Request) {
			req := r.(*kmsg.JoinGroupRequest)
			m := g.e.member(groupOf(group))
			m.id, m.topics = g.members[group], []string{"one"}
			*req = *m.joinRequest(version)
			if change != nil {
				change(req)
			}
		},
		then: func(r kmsg.Response) {
			if resp := r.(*kmsg.JoinGroupResponse); change == nil {
				g.members[group] = resp.MemberID
			}
		},
	}
}

// groupOf is a group of the script; who coordinates it does not matter.
func groupOf(name string) group { return group{name: name} }

func (g *groupScript) joinGroup() (calls []call) {
	for _, v := range []int16{0, 9} {
		calls = append(
			calls,
			g.join("with a short session", classicGroup, v, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 5999 }),
			g.join("with a long session", classicGroup, v, func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1_800_001 }),
			g.join("of a group without a name", "", v, func(*kmsg.JoinGroupRequest) {}),
			g.join("of an unknown member", classicGroup, v, func(r *kmsg.JoinGroupRequest) { r.MemberID = "someone" }),
			g.join("without protocols", classicGroup, v, func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }),
			g.join("without a type", classicGroup, v, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" }),
		)
	}
	return append(
		calls,
		g.join("", oldGroup, 0, nil),
		g.join("without an id", classicGroup, 9, nil),
		g.join("", classicGroup, 9, nil),
		g.join("again", classicGroup, 9, nil),
		g.join("of another type", classicGroup, 9, func(r *kmsg.JoinGroupRequest) { r.MemberID, r.ProtocolType = "", "connect" }),
		g.join("of another type", classicGroup, 0, func(r *kmsg.JoinGroupRequest) { r.MemberID, r.ProtocolType = "", "connect" }),
		g.join("with another protocol", classicGroup, 9, func(r *kmsg.JoinGroupRequest) { r.MemberID, r.Protocols[0].Name = "", "roundrobin" }),
		g.join("with an unknown instance and an id", classicGroup, 9, func(r *kmsg.JoinGroupRequest) {
			name := "nobody"
			r.MemberID, r.InstanceID = "someone", &name
		}),
	)
}

func (g *groupScript) syncGroup() (calls []call) {
	sync := func(label, group string, version int16, change func(*kmsg.SyncGroupRequest)) call {
		return call{
			label: label, req: request(kmsg.NewPtrSyncGroupRequest(), version),
			fill: func(r kmsg.Request) {
				req := r.(*kmsg.SyncGroupRequest)
				kind, protocol := "consumer", "range"
				req.Group, req.MemberID, req.Generation, req.ProtocolType, req.Protocol = group, g.members[group], 1, &kind, &protocol
				req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: req.MemberID, MemberAssignment: []byte("assignment")}}
				change(req)
			},
		}
	}
	other := "other"
	for _, v := range []int16{0, 5} {
		calls = append(
			calls,
			sync("of an unknown group", unknownGroup, v, func(*kmsg.SyncGroupRequest) {}),
			sync("of a group without a name", "", v, func(*kmsg.SyncGroupRequest) {}),
			sync("of a group without members", simpleGroup, v, func(*kmsg.SyncGroupRequest) {}),
			sync("of an unknown member", classicGroup, v, func(r *kmsg.SyncGroupRequest) { r.MemberID = "someone" }),
			sync("in another generation", classicGroup, v, func(r *kmsg.SyncGroupRequest) { r.Generation = 7 }),
		)
	}
	calls = append(
		calls,
		sync("of another type", classicGroup, 5, func(r *kmsg.SyncGroupRequest) { r.ProtocolType = &other }),
		sync("of another protocol", classicGroup, 5, func(r *kmsg.SyncGroupRequest) { r.Protocol = &other }),
		sync("with an instance that has none", classicGroup, 5, func(r *kmsg.SyncGroupRequest) { r.InstanceID = &other }),
	)
	for _, again := range []string{"", "again"} {
		calls = append(
			calls,
			sync(again, oldGroup, 0, func(*kmsg.SyncGroupRequest) {}),
			sync(again, classicGroup, 5, func(*kmsg.SyncGroupRequest) {}),
		)
	}
	return calls
}

func (g *groupScript) heartbeat() (calls []call) {
	beat := func(label, group string, version int16, change func(*kmsg.HeartbeatRequest)) call {
		return call{
			label: label, req: request(kmsg.NewPtrHeartbeatRequest(), version),
			fill: func(r kmsg.Request) {
				req := r.(*kmsg.HeartbeatRequest)
				req.Group, req.MemberID, req.Generation = group, g.members[group], 1
				change(req)
			},
		}
	}
	for _, v := range []int16{0, 4} {
		calls = append(
			calls,
			beat("", classicGroup, v, func(*kmsg.HeartbeatRequest) {}),
			beat("in another generation", classicGroup, v, func(r *kmsg.HeartbeatRequest) { r.Generation = 0 }),
			beat("of an unknown member", classicGroup, v, func(r *kmsg.HeartbeatRequest) { r.MemberID = "someone" }),
			beat("of an unknown group", unknownGroup, v, func(*kmsg.HeartbeatRequest) {}),
			beat("of a group without members", simpleGroup, v, func(*kmsg.HeartbeatRequest) {}),
			beat("of a group without a name", "", v, func(*kmsg.HeartbeatRequest) {}),
		)
	}
	return append(calls, beat("of an unknown instance", classicGroup, 4, func(r *kmsg.HeartbeatRequest) {
		name := "nobody"
		r.InstanceID = &name
	}))
}
