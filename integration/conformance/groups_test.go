package conformance_test

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetsTopic is where coordinators keep groups and offsets.
const offsetsTopic = "__consumer_offsets"

// offsetsPartitions is how many partitions it has in clusters that were started with Properties.
const offsetsPartitions = 3

// group is a consumer group, and the broker that coordinates it.
type group struct {
	name        string
	coordinator int32
}

// group returns a group of a new name whose coordinator serves.
func (e *env) group() group { return e.coordinated(e.freshName()) }

// groupOn returns a group of a new name that is kept in this partition of the offsets topic.
func (e *env) groupOn(partition int32) group { return e.coordinated(e.nameOn(partition)) }

// nameOn returns a new name for a group that is kept in this partition of the offsets topic.
func (e *env) nameOn(partition int32) string {
	for {
		if name := e.freshName(); offsetsPartition(name, offsetsPartitions) == partition {
			return name
		}
	}
}

// offsetsPartition is the partition of the offsets topic that a group is kept in: Java's hash of its name.
func offsetsPartition(name string, partitions int32) int32 {
	var hash int32
	for _, c := range name { // Names are of ASCII here.
		hash = 31*hash + c
	}
	if hash < 0 {
		hash = -hash
	}
	return max(hash, 0) % partitions
}

// coordinated finds a group's coordinator and waits until it has loaded.
func (e *env) coordinated(name string) group {
	g := group{name: name}
	e.wait("the coordinator to serve", func() error {
		g.coordinator = e.coordinator(name, 0)
		got, err := e.tryFetchOffset(g, topic{name: "no-topic"}, offsetQuery{})
		if err != nil {
			return err
		}
		switch got.code {
		case coordinatorLoadInProgress, coordinatorNotAvailable, notCoordinator:
			return fmt.Errorf("its answer is %v", got.code)
		default:
			return nil
		}
	})
	return g
}

// findCoordinator asks a broker for a group's coordinator.
func (e *env) findCoordinator(broker int32, name string) (code, int32) {
	req := request(kmsg.NewPtrFindCoordinatorRequest(), 4)
	req.CoordinatorKeys = []string{name}
	resp := ask[*kmsg.FindCoordinatorResponse](e, broker, req)
	check(e, "coordinators in the answer", len(resp.Coordinators), 1)
	return code(resp.Coordinators[0].ErrorCode), resp.Coordinators[0].NodeID
}

// commit is an OffsetCommit request for partition 0.
type commit struct {
	member     string
	instance   string
	generation int32 // or member epoch; -1 and no member is a simple consumer
	offset     int64
	metadata   string
	version    int16 // 8 when 0
}

// simple is a commit from outside any generation.
func simple(offset int64) commit { return commit{generation: -1, offset: offset} }

func (c commit) request(g group, topics ...topic) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	if req.Version = c.version; c.version == 0 {
		req.Version = 8
	}
	req.Group, req.Generation, req.MemberID = g.name, c.generation, c.member
	if c.instance != "" {
		req.InstanceID = &c.instance
	}
	for _, t := range topics {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset, p.Metadata = c.offset, &c.metadata
		req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{
			Topic: t.name, TopicID: t.id, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p},
		})
	}
	return req
}

// commitOffset sends a commit to the group's coordinator and returns its answer.
func (e *env) commitOffset(g group, t topic, c commit) code {
	return e.committed(ask[*kmsg.OffsetCommitResponse](e, g.coordinator, c.request(g, t)))
}

func (e *env) committed(resp *kmsg.OffsetCommitResponse) code {
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to OffsetCommit names %d topics, want one with one partition", len(resp.Topics))
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

// offsetQuery says how to ask for an offset.
type offsetQuery struct {
	stable bool // RequireStable
}

func (q offsetQuery) request(g group, t topic) *kmsg.OffsetFetchRequest {
	req := request(kmsg.NewPtrOffsetFetchRequest(), 7)
	req.Group, req.RequireStable = g.name, q.stable
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: t.name, Partitions: []int32{0}}}
	return req
}

// stored is a committed offset: -1 when there is none.
type stored struct {
	code     code
	offset   int64
	epoch    int32
	metadata string
}

func (e *env) tryFetchOffset(g group, t topic, q offsetQuery) (s stored, err error) {
	resp, err := e.try(g.coordinator, q.request(g, t))
	if err != nil {
		return s, err
	}
	return e.storedOffset(resp.(*kmsg.OffsetFetchResponse)), nil
}

func (e *env) storedOffset(resp *kmsg.OffsetFetchResponse) stored {
	if resp.ErrorCode != 0 {
		return stored{code: code(resp.ErrorCode)}
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to OffsetFetch names %d topics, want one with one partition", len(resp.Topics))
	}
	p := resp.Topics[0].Partitions[0]
	s := stored{code: code(p.ErrorCode), offset: p.Offset, epoch: p.LeaderEpoch}
	if p.Metadata != nil {
		s.metadata = *p.Metadata
	}
	return s
}

// fetchOffset asks the group's coordinator for the offset of partition 0.
func (e *env) fetchOffset(g group, t topic, q offsetQuery) stored {
	s, err := e.tryFetchOffset(g, t, q)
	if err != nil {
		e.fatalf("broker %s: %v", e.name(g.coordinator), err)
	}
	return s
}

// hasOffset ends the row unless the group has this offset for partition 0; -1 is none.
func (e *env) hasOffset(g group, t topic, want int64) {
	got := e.fetchOffset(g, t, offsetQuery{})
	check(e, "OffsetFetch", got.code, none)
	check(e, "committed offset", got.offset, want)
}

// deleteGroup asks for the end of a group.
func (e *env) deleteGroup(g group) code {
	req := request(kmsg.NewPtrDeleteGroupsRequest(), 2)
	req.Groups = []string{g.name}
	resp := ask[*kmsg.DeleteGroupsResponse](e, g.coordinator, req)
	check(e, "groups in the answer", len(resp.Groups), 1)
	return code(resp.Groups[0].ErrorCode)
}

// state asks for the state of a group of the classic protocol, or of none.
func (e *env) state(g group) string {
	req := request(kmsg.NewPtrDescribeGroupsRequest(), 5)
	req.Groups = []string{g.name}
	resp := ask[*kmsg.DescribeGroupsResponse](e, g.coordinator, req)
	check(e, "groups in the answer", len(resp.Groups), 1)
	return resp.Groups[0].State
}

// coordinate puts the replicas of the offsets topic's partitions on these brokers, the first as the leader, and waits until it leads.
func (e *env) coordinate(replicas ...[]int32) {
	e.coordinator("any", 0) // Creates the topic.
	e.lead(topic{name: offsetsTopic}, replicas...)
}

// member is a member of a group of the classic protocol. It has not joined when it is made.
type member struct {
	e          *env
	group      group
	id         string // empty until a coordinator has given it one
	instance   string // of a static member
	generation int32
	kind       string // the protocol type
	protocols  []string
	topics     []string      // what it subscribes to
	session    time.Duration // group.min.session.timeout.ms at least
	rebalance  time.Duration
}

func (e *env) member(g group) *member {
	return &member{e: e, group: g, generation: -1, kind: "consumer", protocols: []string{"range"}, session: 30 * time.Second, rebalance: 30 * time.Second}
}

// static gives the member an instance id.
func (m *member) static(instance string) *member {
	m.instance = instance
	return m
}

func (m *member) instanceID() *string {
	if m.instance == "" {
		return nil
	}
	return &m.instance
}

func (m *member) joinRequest(version int16) *kmsg.JoinGroupRequest {
	req := request(kmsg.NewPtrJoinGroupRequest(), version)
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = m.group.name, m.id, m.instanceID(), m.kind
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(m.session.Milliseconds()), int32(m.rebalance.Milliseconds())
	subscription := kmsg.ConsumerMemberMetadata{Version: 1, Topics: m.topics}
	for _, p := range m.protocols {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: p, Metadata: subscription.AppendTo(nil)})
	}
	return req
}

// joining is the answer to JoinGroup.
type joining struct {
	code         code
	id, leader   string
	generation   int32
	protocol     string
	members      []string
	skipAssigned bool
}

func joiningOf(resp *kmsg.JoinGroupResponse) joining {
	j := joining{code: code(resp.ErrorCode), id: resp.MemberID, leader: resp.LeaderID, generation: resp.Generation, skipAssigned: resp.SkipAssignment}
	if resp.Protocol != nil {
		j.protocol = *resp.Protocol
	}
	for _, m := range resp.Members {
		j.members = append(j.members, m.MemberID)
	}
	return j
}

// tryJoin sends one JoinGroup and returns its answer; the member stays what it is.
func (m *member) tryJoin() joining {
	return joiningOf(answer[*kmsg.JoinGroupResponse](m.e, m.e.send(m.e.conn(m.group.coordinator), m.joinRequest(9))))
}

// introduce gets a member id, which a dynamic member needs before it can join.
func (m *member) introduce() {
	if m.id == "" && m.instance == "" {
		got := m.tryJoin()
		check(m.e, "JoinGroup without a member id", got.code, memberIDRequired)
		m.id = got.id
	}
}

// joinLater sends a JoinGroup whose answer joined takes.
func (m *member) joinLater() *later {
	m.introduce()
	return m.e.send(m.e.conn(m.group.coordinator), m.joinRequest(9))
}

// joined waits for the answer to a JoinGroup, which must be good, and makes the member one of its generation.
func (m *member) joined(l *later) joining {
	got := joiningOf(answer[*kmsg.JoinGroupResponse](m.e, l))
	check(m.e, "JoinGroup", got.code, none)
	m.id, m.generation = got.id, got.generation
	return got
}

// join joins the group, which must not have to wait for others.
func (m *member) join() joining { return m.joined(m.joinLater()) }

// syncLater sends a SyncGroup; a leader's has an assignment for each member, made of its id.
func (m *member) syncLater(members ...string) *later {
	return m.e.send(m.e.conn(m.group.coordinator), m.syncRequest(members...))
}

func (m *member) syncRequest(members ...string) *kmsg.SyncGroupRequest {
	req := request(kmsg.NewPtrSyncGroupRequest(), 5)
	req.Group, req.MemberID, req.InstanceID, req.Generation = m.group.name, m.id, m.instanceID(), m.generation
	req.ProtocolType, req.Protocol = &m.kind, &m.protocols[0]
	for _, id := range members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte("for " + id)})
	}
	return req
}

// synced waits for the answer to a SyncGroup and returns its code and the assignment.
func (m *member) synced(l *later) (code, string) {
	resp := answer[*kmsg.SyncGroupResponse](m.e, l)
	return code(resp.ErrorCode), string(resp.MemberAssignment)
}

// sync asks for the member's assignment, which must be there.
func (m *member) sync(members ...string) {
	got, assignment := m.synced(m.syncLater(members...))
	check(m.e, "SyncGroup", got, none)
	check(m.e, "assignment", assignment, "for "+m.id)
}

func (m *member) heartbeatRequest() *kmsg.HeartbeatRequest {
	req := request(kmsg.NewPtrHeartbeatRequest(), 4)
	req.Group, req.MemberID, req.InstanceID, req.Generation = m.group.name, m.id, m.instanceID(), m.generation
	return req
}

func (m *member) heartbeat() code {
	return code(ask[*kmsg.HeartbeatResponse](m.e, m.group.coordinator, m.heartbeatRequest()).ErrorCode)
}

// waitHeartbeat sends heartbeats until one is answered so.
func (m *member) waitHeartbeat(want code) {
	m.e.wait(fmt.Sprintf("a heartbeat to be answered %v", want), func() error { return is("answer", m.heartbeat(), want) })
}

// commit is a commit of the member's, of offset 5.
func (m *member) commit() commit {
	return commit{member: m.id, instance: m.instance, generation: m.generation, offset: 5}
}

// leave takes the member out of its group and returns the answer for it.
func (m *member) leave() code {
	req := request(kmsg.NewPtrLeaveGroupRequest(), 5)
	req.Group = m.group.name
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id, InstanceID: m.instanceID()}}
	resp := ask[*kmsg.LeaveGroupResponse](m.e, m.group.coordinator, req)
	check(m.e, "LeaveGroup", code(resp.ErrorCode), none)
	check(m.e, "members in the answer", len(resp.Members), 1)
	return code(resp.Members[0].ErrorCode)
}

// stable makes a stable group of new members, the first of which leads.
func (e *env) stable(members ...*member) {
	for i, m := range members {
		var again []*later
		l := m.joinLater()
		for _, before := range members[:i] {
			before.waitHeartbeat(rebalanceInProgress)
			again = append(again, before.joinLater())
		}
		m.joined(l)
		for k, l := range again {
			members[k].joined(l)
		}
		e.assign(members[:i+1]...)
	}
}

// assign ends a rebalance whose JoinGroups have been answered.
func (e *env) assign(members ...*member) {
	var ids []string
	for _, m := range members {
		ids = append(ids, m.id)
	}
	members[0].sync(ids...)
	for _, m := range members[1:] {
		m.sync()
	}
}
