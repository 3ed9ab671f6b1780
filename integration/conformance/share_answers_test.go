package conformance_test

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// The share groups of the script. Broker A coordinates them and their partitions.
const (
	shareGroupName   = "share"
	madeShareGroup   = "share-made" // made by AlterShareGroupOffsets
	storedShareGroup = "stored"     // share coordinators alone know of it
	shareMemberID    = "SSSSSSSSSSSSSSSSSSSSSS"
	shareStateTopic  = "__share_group_state"
)

// shareScript is what the calls about share groups go by.
type shareScript struct {
	*script
	e      *env
	topic  topic // has four records in two batches
	member *sharer
	conn   *wire.Conn // of the member's share session
}

// shares is the APIs about share groups. They come after those about groups and transactions, and make the topic of share coordinators.
func (s *script) shares(e *env) []call {
	x := &shareScript{script: s, e: e}
	calls := slices.Concat(
		x.heartbeat(), x.describe("", "of one with a member"),
		x.fetch(1), x.fetch(2), x.acknowledge(), x.describeOffsets(), x.alterOffsets("with a member"), x.deleteOffsets("with a member"),
		x.leave(), x.describe("at the end", "of one without members"), x.alterOffsets(""), x.describeOffsetsAgain(), x.deleteOffsets(""),
		x.states(), x.groups(),
	)
	calls[0].before = x.prepare
	return following(kmsg.ShareGroupHeartbeat, calls)
}

// prepare makes the topic, and A the coordinator of all.
func (x *shareScript) prepare() {
	e := x.e
	g := e.coordinated(shareGroupName)
	for _, c := range [][2]string{fromEarliest(), {"share.delivery.count.limit", "10"}} {
		check(e, "setting "+c[0], e.setGroupConfig(g, c[0], c[1]), none)
	}
	x.topic = e.topicCalled("shared", on(e.A, e.B, e.C), on(e.B, e.C, e.A), with("retention.ms", "-1"))
	for _, batch := range []wire.Batch{wire.NewBatch("a", "b", "c"), wire.NewBatch("d")} {
		w := writing(x.topic)
		w.batch = batch.At(scriptTime).Bytes()
		check(e, "preparing records", e.produce(e.A, w).code, none)
	}
	e.coordinated(madeShareGroup)
	e.wait("the topic of share coordinators", func() error {
		got, _ := e.findShareCoordinator((&sharePart{group: shareGroupName, topic: x.topic.id}).key())
		return is("answer", got, none)
	})
	meta, err := e.tryMetadata(e.A, shareStateTopic)
	if err != nil {
		e.fatalf("%s: %v", shareStateTopic, err)
	}
	for _, name := range []string{shareGroupName, madeShareGroup, storedShareGroup} {
		for _, p := range []*sharePart{
			{group: name, topic: x.topic.id},
			{group: name, topic: x.topic.id, partition: 1},
			{group: name, topic: x.topic.id, partition: 9},
			{group: name, topic: x.topic.id, partition: -1},
			{group: name, topic: unknown().id},
		} {
			e.leadPartition(topic{name: shareStateTopic}, offsetsPartition(p.key(), int32(len(meta.Partitions))), e.A, e.B, e.C)
			p.e, p.coordinator = e, e.A
			e.wait("the share coordinator to serve", func() error {
				got := p.summary().code
				return is("is it none of its errors", got == none || got == unknownTopicOrPartition || got == invalidRequest, true)
			})
		}
	}
	x.member = e.sharer(group{name: shareGroupName}, x.topic)
	x.conn = e.conn(e.A)
}

// calls makes one call for each version; change completes the request when it is sent.
func lateCalls[R kmsg.Request](label string, make func() R, change func(R), versions ...int16) (calls []call) {
	for _, v := range versions {
		calls = append(calls, call{label: label, req: request(make(), v), fill: func(r kmsg.Request) { change(r.(R)) }})
	}
	return calls
}

func (x *shareScript) heartbeat() (calls []call) {
	beat := func(label string, change func(*kmsg.ShareGroupHeartbeatRequest)) {
		calls = append(calls, lateCalls(label, kmsg.NewPtrShareGroupHeartbeatRequest, func(r *kmsg.ShareGroupHeartbeatRequest) {
			r.GroupID, r.MemberID, r.SubscribedTopicNames = shareGroupName, shareMemberID, []string{"shared", "not-there"}
			change(r)
		}, 1)...)
	}
	text := func(s string) *string { return &s }
	beat("of a group without a name", func(r *kmsg.ShareGroupHeartbeatRequest) { r.GroupID = "" })
	beat("of a member without an id", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberID = "" })
	beat("of a member with a long id", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberID = string(make([]byte, 37)) })
	beat("without topics", func(r *kmsg.ShareGroupHeartbeatRequest) { r.SubscribedTopicNames = nil })
	beat("with an empty list of topics", func(r *kmsg.ShareGroupHeartbeatRequest) { r.SubscribedTopicNames = []string{} })
	beat("with an empty rack", func(r *kmsg.ShareGroupHeartbeatRequest) { r.RackID = text("") })
	beat("with an epoch below all", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch = -2 })
	beat("of an unknown group", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch = 3 })
	beat("that leaves an unknown group", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch = -1 })
	beat("of a group of another type", func(r *kmsg.ShareGroupHeartbeatRequest) { r.GroupID = simpleGroup })
	beat("", func(*kmsg.ShareGroupHeartbeatRequest) {})
	calls[len(calls)-1].ready = func(r kmsg.Response) bool {
		a := r.(*kmsg.ShareGroupHeartbeatResponse).Assignment
		return a != nil && len(a.TopicPartitions) > 0
	}
	calls[len(calls)-1].then = func(r kmsg.Response) { x.member.epoch = r.(*kmsg.ShareGroupHeartbeatResponse).MemberEpoch }
	beat("with nothing new", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch, r.SubscribedTopicNames = x.member.epoch, nil })
	beat("with its topics again", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch = x.member.epoch })
	beat("in an epoch to come", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch = 99 })
	beat("in an epoch long ago", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberEpoch = 1 })
	beat("of an unknown member", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "someone", 2 })
	beat("that leaves, of an unknown member", func(r *kmsg.ShareGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "someone", -1 })
	return calls
}

func (x *shareScript) leave() []call {
	return lateCalls("that leaves", kmsg.NewPtrShareGroupHeartbeatRequest, func(r *kmsg.ShareGroupHeartbeatRequest) {
		r.GroupID, r.MemberID, r.MemberEpoch = shareGroupName, shareMemberID, -1
	}, 1)
}

func (x *shareScript) describe(when, label string) []call {
	describe := func(groups ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrShareGroupDescribeRequest()
			req.GroupIDs, req.IncludeAuthorizedOperations = groups, true
			return req
		}
	}
	list := func(int16) kmsg.Request {
		req := kmsg.NewPtrListGroupsRequest()
		req.TypesFilter = []string{"share"}
		return req
	}
	calls := versions(label, describe(shareGroupName), 1)
	if when == "" {
		calls = append(calls, versions("of others", describe(unknownGroup, simpleGroup, ""), 1)...)
		calls = append(calls, versions("of none", describe(), 1)...)
		return append(calls, versions("of share groups", list, 5)...)
	}
	return append(calls, versions("of share groups, "+when, list, 5)...)
}

// fetch is a share session from its beginning to its end, in one version.
func (x *shareScript) fetch(version int16) (calls []call) {
	fetch := func(label string, epoch int32, f shareFetch, change func(*kmsg.ShareFetchRequest)) {
		c := lateCalls(label, kmsg.NewPtrShareFetchRequest, func(r *kmsg.ShareFetchRequest) {
			g := f
			if g.version = version; g.topic.name == "" {
				g.topic = x.topic
			}
			x.member.id = shareMemberID
			*r = *g.request(x.member, epoch)
			if change != nil {
				change(r)
			}
		}, version)
		c[0].on = func() *wire.Conn { return x.conn }
		calls = append(calls, c...)
	}
	ack := func(acks ...acked) shareFetch { return shareFetch{acks: acks} }
	fetch("without a group", 0, shareFetch{}, func(r *kmsg.ShareFetchRequest) { r.GroupID = nil })
	fetch("without a member", 0, shareFetch{}, func(r *kmsg.ShareFetchRequest) { r.MemberID = nil })
	fetch("of a group without a name", 0, shareFetch{wait: pollFor * 10}, func(r *kmsg.ShareFetchRequest) {
		none := ""
		r.GroupID = &none
	})
	fetch("of a session that there is not", 1, shareFetch{}, nil)
	fetch("that ends a session that there is not", -1, shareFetch{none: true}, nil)
	fetch("that begins with an acknowledgement", 0, ack(acking(ackAccept, 0, 0)), nil)
	fetch("of an unknown topic", 0, shareFetch{topic: unknown()}, nil)
	fetch("of an unknown partition", 0, shareFetch{partition: 9}, nil)
	fetch("of a partition that B leads", 0, shareFetch{partition: 1}, nil)
	fetch("of no partition", 0, shareFetch{none: true}, nil)
	fetch("", 0, shareFetch{wait: pollFor * 10}, nil)
	calls[len(calls)-1].before = x.load
	fetch("with nothing new", 1, shareFetch{none: true}, nil)
	fetch("in an epoch to come", 5, shareFetch{none: true}, nil)
	fetch("that acknowledges", 2, ack(acking(ackRelease, 0, 2), acking(ackRelease, 3, 3)), func(r *kmsg.ShareFetchRequest) { r.MaxRecords = 0 })
	fetch("that acknowledges what it does not hold", 3, ack(acking(ackAccept, 0, 0)), func(r *kmsg.ShareFetchRequest) { r.MaxRecords = 0 })
	fetch("that acknowledges backwards", 4, ack(acking(ackAccept, 1, 0)), func(r *kmsg.ShareFetchRequest) { r.MaxRecords = 0 })
	if version >= 2 {
		fetch("that renews and fetches", 5, shareFetch{}, func(r *kmsg.ShareFetchRequest) { r.IsRenewAck = true })
		fetch("that renews", 5, shareFetch{renew: true, acks: []acked{acking(ackRenew, 0, 0)}}, nil)
	}
	fetch("that ends it", -1, shareFetch{none: true}, nil)
	return calls
}

// load has the leader know the partition: what is asked before that is answered with nothing. The member gives back what it gets.
func (x *shareScript) load() {
	if x.member.session != nil {
		return
	}
	x.member.session = &sharing{conn: x.conn}
	x.member.gets(x.e.A, shareFetch{topic: x.topic}, "0-3 x1")
	check(x.e, "giving records back", x.member.fetchAs(x.e.A, shareFetch{none: true}, -1).top, none)
}

// acknowledge is the acknowledgements of a session that ShareFetch begins.
func (x *shareScript) acknowledge() (calls []call) {
	epoch := int32(0)
	begin := func(kmsg.Request) {
		var got sharedRecords
		x.member.session = &sharing{conn: x.conn}
		x.e.wait("records", func() error {
			got = x.member.fetch(x.e.A, shareFetch{topic: x.topic, none: x.member.session.epoch > 0, wait: pollFor})
			return is("records", len(got.acquired) > 0, true)
		})
		epoch = x.member.session.epoch
	}
	add := func(label string, version int16, at func() int32, goesOn bool, acks ...acked) {
		c := lateCalls(label, kmsg.NewPtrShareAcknowledgeRequest, func(r *kmsg.ShareAcknowledgeRequest) {
			g := shareGroupName
			id := shareMemberID
			r.GroupID, r.MemberID, r.ShareSessionEpoch = &g, &id, at()
			p := kmsg.NewShareAcknowledgeRequestTopicPartition()
			for _, a := range acks {
				p.AcknowledgementBatches = append(p.AcknowledgementBatches, kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
					FirstOffset: a.first, LastOffset: a.last, AcknowledgeTypes: a.types,
				})
			}
			r.Topics = []kmsg.ShareAcknowledgeRequestTopic{{TopicID: x.topic.id, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{p}}}
			if goesOn {
				epoch++
			}
		}, version)
		c[0].on = func() *wire.Conn { return x.conn }
		calls = append(calls, c...)
	}
	at := func(n int32) func() int32 { return func() int32 { return n } }
	now := func() int32 { return epoch }
	for _, v := range []int16{1, 2} {
		add("of a session that there is not", v, at(1), false, acking(ackAccept, 0, 0))
		add("that begins a session", v, at(0), false, acking(ackAccept, 0, 0))
		first := len(calls)
		add("", v, now, true, acking(ackRelease, 0, 0))
		fill := calls[first].fill
		calls[first].fill = func(r kmsg.Request) { begin(r); fill(r) }
		add("again", v, now, true, acking(ackRelease, 0, 0))
		add("with a type too many", v, now, true, acked{1, 2, []int8{1, 1, 1}})
		add("of an unknown type", v, now, true, acking(9, 1, 1))
		add("that renews", v, now, true, acking(ackRenew, 1, 1))
		add("of nothing", v, now, true)
		add("in an epoch to come", v, at(99), false, acking(ackRelease, 1, 1))
		add("that ends it", v, at(-1), false, acking(ackRelease, 1, 1))
		if v == 2 {
			calls[len(calls)-1].then = func(kmsg.Response) { _ = x.conn.Close() } // The leader forgets the group by this.
		}
	}
	return calls
}

func (x *shareScript) describeOffsets() []call {
	of := func(groups ...kmsg.DescribeShareGroupOffsetsRequestGroup) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
			req.Groups = groups
			return req
		}
	}
	group := func(name string, topics ...kmsg.DescribeShareGroupOffsetsRequestGroupTopic) kmsg.DescribeShareGroupOffsetsRequestGroup {
		return kmsg.DescribeShareGroupOffsetsRequestGroup{GroupID: name, Topics: topics}
	}
	shared := kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: "shared", Partitions: []int32{0, 1}} // Of others Kafka asks for half a minute.
	other := kmsg.DescribeShareGroupOffsetsRequestGroupTopic{Topic: "unknown", Partitions: []int32{0}}
	return slices.Concat(
		versions("", of(group(shareGroupName, shared, other)), 0, 1),
		versions("of all topics", of(group(shareGroupName)), 0, 1),
		versions("of other groups", of(group(unknownGroup, shared), group(simpleGroup, shared)), 0, 1),
		versions("of all topics of other groups", of(group(unknownGroup), group(simpleGroup)), 0, 1),
		versions("of a group without a name", of(group("", shared)), 0, 1),
		versions("of no topics", of(kmsg.DescribeShareGroupOffsetsRequestGroup{GroupID: shareGroupName, Topics: []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{}}), 1),
		versions("of nothing", of(), 0, 1),
	)
}

// describeOffsetsAgain is after they were altered.
func (x *shareScript) describeOffsetsAgain() []call {
	return versions("of altered groups", func(int16) kmsg.Request {
		req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		shared := []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: "shared", Partitions: []int32{0, 1}}}
		for _, name := range []string{shareGroupName, madeShareGroup} {
			req.Groups = append(req.Groups, kmsg.DescribeShareGroupOffsetsRequestGroup{GroupID: name, Topics: shared})
		}
		return req
	}, 1)
}

func (x *shareScript) alterOffsets(label string) []call {
	alter := func(group string, topics ...kmsg.AlterShareGroupOffsetsRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
			req.GroupID, req.Topics = group, topics
			return req
		}
	}
	of := func(name string, partitions ...int32) kmsg.AlterShareGroupOffsetsRequestTopic {
		t := kmsg.AlterShareGroupOffsetsRequestTopic{Topic: name}
		for _, p := range partitions {
			t.Partitions = append(t.Partitions, kmsg.AlterShareGroupOffsetsRequestTopicPartition{Partition: p, StartOffset: 2})
		}
		return t
	}
	calls := versions(label, alter(shareGroupName, of("shared", 0, 9), of("unknown", 0)), 0)
	if label != "" {
		return slices.Concat(
			calls,
			versions("of a group of another type", alter(simpleGroup, of("shared", 0)), 0),
			versions("of a group without a name", alter("", of("shared", 0)), 0),
		)
	}
	return slices.Concat(
		calls,
		versions("of a group that there is not", alter(madeShareGroup, of("shared", 1)), 0),
		versions("of nothing", alter(shareGroupName), 0),
	)
}

func (x *shareScript) deleteOffsets(label string) []call {
	remove := func(group string, topics ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
			req.GroupID = group
			for _, t := range topics {
				req.Topics = append(req.Topics, kmsg.DeleteShareGroupOffsetsRequestTopic{Topic: t})
			}
			return req
		}
	}
	calls := versions(label, remove(shareGroupName, "shared", "one", "unknown"), 0)
	if label != "" {
		return slices.Concat(
			calls,
			versions("of an unknown group", remove(unknownGroup, "shared"), 0),
			versions("of a group of another type", remove(simpleGroup, "shared"), 0),
			versions("of a group without a name", remove("", "shared"), 0),
		)
	}
	return slices.Concat(calls, versions("again", remove(shareGroupName, "shared"), 0), versions("of nothing", remove(shareGroupName), 0))
}

// groups is the end of the groups.
func (x *shareScript) groups() []call {
	remove := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = names
			return req
		}
	}
	find := func(key string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKeys = 2, []string{key}
			return req
		}
	}
	return slices.Concat(
		versions("of share groups", remove(shareGroupName, madeShareGroup, "share-unknown"), 2),
		versions("of a share-partition with a bad id", find("g:x:0"), 6),
		versions("of a share-partition with a bad number", find(fmt.Sprintf("g:%s:x", "AAAAAAAAAAAAAAAAAAAAAQ")), 6),
		versions("of a share-partition without a group", find(fmt.Sprintf(":%s:0", "AAAAAAAAAAAAAAAAAAAAAQ")), 6),
	)
}
