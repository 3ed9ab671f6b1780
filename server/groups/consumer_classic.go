package groups

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// Members of a consumer group that use the classic protocol: they join, sync and
// send heartbeats as they do in a classic group, but the coordinator assigns.

// joinConsumer is JoinGroup for a consumer group with members
// (classicGroupJoinToConsumerGroup).
func (s *Shard) joinConsumer(g *consumerGroup, j *join) (coordinator.Outcome, error) {
	o, err := s.tryJoinConsumer(g, j)
	if err != nil {
		j.fail(nobody, clientError(err))
		return coordinator.Outcome{}, nil
	}
	return o, nil
}

func (s *Shard) tryJoinConsumer(g *consumerGroup, j *join) (coordinator.Outcome, error) {
	q := j.q
	b := &beat{shard: s, group: g, now: s.ctx.Now()}
	id := q.MemberID
	if id == nobody {
		id = newConsumerMemberID()
	}
	if err := b.admit(id, q); err != nil {
		return coordinator.Outcome{}, err
	}
	if q.MemberID == nobody && q.InstanceID == nil && j.client.Version >= joinRequiresMemberID {
		j.fail(id, kerr.MemberIDRequired)
		return coordinator.Outcome{}, nil
	}
	wants, err := readSubscription(q.Protocols[0].Metadata)
	if err != nil {
		return coordinator.Outcome{}, kerr.InconsistentGroupProtocol
	}
	if err := b.enterClassic(id, q); err != nil {
		return coordinator.Outcome{}, err
	}
	b.updated = b.member.withClassic(j.client, q, wants)
	change, err := b.subscribe()
	if err != nil {
		return coordinator.Outcome{}, err
	}
	changed := change.names || change.changed
	b.lookAtTopics(changed)
	has := topicIDs(wants.OwnedPartitions, s.ctx.Image())
	if old := g.static(q.InstanceID); old != nil && s.downgradesFor(g, old) {
		return s.joinDowngraded(b, j, changed, has)
	}
	if err := b.assign(changed, has); err != nil {
		return coordinator.Outcome{}, err
	}
	return b.joined(j, true), nil
}

// admit refuses classic members that may not be in the group.
func (b *beat) admit(id string, q *kmsg.JoinGroupRequest) error {
	if !b.shard.upgradeEnabled() && !b.shard.downgradeEnabled() {
		return refuse(kerr.InconsistentGroupProtocol, "The protocols of groups may not be mixed.")
	}
	if err := b.full(id, q.InstanceID); err != nil {
		return err
	}
	if !b.group.supports(q.ProtocolType, q.Protocols) {
		return kerr.InconsistentGroupProtocol
	}
	return nil
}

// enterClassic finds the member, or makes it.
func (b *beat) enterClassic(id string, q *kmsg.JoinGroupRequest) error {
	all := func(*consumerMember) error { return nil }
	if q.InstanceID == nil {
		return b.enterDynamic(id, true, all)
	}
	return b.enterStatic(id, *q.InstanceID, q.MemberID == nobody, true, all)
}

// joined answers when the records are committed. The member has to sync in time
// then, unless its group is a classic one now.
func (b *beat) joined(j *join, consumer bool) coordinator.Outcome {
	s, m, q := b.shard, b.updated, j.q
	resp := kmsg.NewPtrJoinGroupResponse()
	protocolType, protocol := protocolTypeConsumer, m.classic.protocols[0].name
	resp.MemberID, resp.Generation, resp.ProtocolType, resp.Protocol = m.id, m.epoch, &protocolType, &protocol
	return coordinator.Outcome{Records: b.records, Done: func(err error) {
		if err != nil {
			j.fail(nobody, clientError(err))
			return
		}
		s.ctx.Cancel(consumerJoinKey(q.Group, m.id))
		if consumer {
			s.scheduleSession(q.Group, m.id, millis(q.SessionTimeoutMillis))
			s.fenceAfter(consumerSyncKey(q.Group, m.id), millis(q.RebalanceTimeoutMillis), q.Group, m.id, "it did not sync in time", nil)
		}
		j.answer.complete(resp)
	}}
}

// joinDowngraded has a classic member take the place of the last one of the
// consumer protocol, which makes the group a classic one. When its assignment was
// not up to date, it rebalances.
func (s *Shard) joinDowngraded(b *beat, j *join, changed bool, has assignor.Assignment) (coordinator.Outcome, error) {
	g := b.group
	target := g.targetOf.Get()
	rebalance := ""
	if target.epoch < b.epoch {
		rebalance = "the assignment of the consumer group was not up to date"
	} else if err := b.reconcile(target.epoch, g.targetFor(b.updated), changed, has); err != nil {
		return coordinator.Outcome{}, err
	}
	o := b.joined(j, false)
	down := s.downgrade(g, nil, b.updated, rebalance)
	o.Records, o.Applied = append(o.Records, down.Records...), true
	return o, nil
}

// supports tells whether a classic member with these protocols may be in the
// group: the classic members have to have one in common.
func (g *consumerGroup) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if protocolType != protocolTypeConsumer {
		return false
	}
	members, supported := 0, map[string]int{}
	for _, m := range g.members.All() {
		if m.isClassic() {
			members++
			for _, p := range m.classic.protocols {
				supported[p.name]++
			}
		}
	}
	for _, p := range protocols {
		if supported[p.Name] == members {
			return true
		}
	}
	return false
}

// withClassic is a copy of the member with what a JoinGroup says of it.
func (m *consumerMember) withClassic(c Client, q *kmsg.JoinGroupRequest, wants *kmsg.ConsumerMemberMetadata) *consumerMember {
	u := *m
	none := ""
	if q.InstanceID != nil {
		u.instanceID = q.InstanceID
	}
	if wants.Rack != nil && *wants.Rack != "" {
		u.rackID = wants.Rack
	}
	if q.RebalanceTimeoutMillis != -1 {
		u.rebalanceMs = q.RebalanceTimeoutMillis
	}
	u.topics, u.regex = normalized(wants.Topics), &none
	u.clientID, u.clientHost = c.ID, c.Host
	u.classic = &classicSide{sessionMs: q.SessionTimeoutMillis}
	for _, p := range q.Protocols {
		u.classic.protocols = append(u.classic.protocols, classicProtocol{p.Name, p.Metadata})
	}
	return &u
}

// classicMember finds a member of the classic protocol.
func (g *consumerGroup) classicMember(id string, instanceID *string, generation int32) (*consumerMember, error) {
	m, err := g.member(id)
	if instanceID != nil {
		m = g.static(instanceID)
		err = checkStatic(m, id, *instanceID)
	}
	switch {
	case err != nil:
		return nil, err
	case !m.isClassic():
		return nil, kerr.UnknownMemberID
	case generation != m.epoch:
		return nil, kerr.IllegalGeneration
	}
	return m, nil
}

// syncConsumer is SyncGroup for a consumer group (classicGroupSyncToConsumerGroup).
func (s *Shard) syncConsumer(g *consumerGroup, q *kmsg.SyncGroupRequest, answer *Promise[*kmsg.SyncGroupResponse]) coordinator.Outcome {
	m, err := g.classicMember(q.MemberID, q.InstanceID, q.Generation)
	if err == nil {
		err = s.checkSyncConsumer(g, m, q)
	}
	if err != nil {
		answer.complete(syncError(clientError(err)))
		return coordinator.Outcome{}
	}
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ProtocolType, resp.Protocol = q.ProtocolType, q.Protocol
	resp.MemberAssignment = serializedAssignment(m.assigned.assignment(), m.classic.protocols[0].metadata, s.ctx.Image())
	return coordinator.Outcome{Done: func(err error) {
		if err != nil {
			answer.complete(syncError(clientError(err)))
			return
		}
		s.ctx.Cancel(consumerSyncKey(q.Group, m.id))
		s.scheduleSession(q.Group, m.id, millis(m.classic.sessionMs))
		answer.complete(resp)
	}}
}

func (s *Shard) checkSyncConsumer(g *consumerGroup, m *consumerMember, q *kmsg.SyncGroupRequest) error {
	if q.ProtocolType != nil && *q.ProtocolType != protocolTypeConsumer ||
		q.Protocol != nil && *q.Protocol != m.classic.protocols[0].name {
		return kerr.InconsistentGroupProtocol
	}
	if g.targetOf.Get().epoch > m.epoch && m.state != memberUnrevoked {
		s.expectJoin(g, m)
		return kerr.RebalanceInProgress
	}
	return nil
}

// expectJoin has a member fenced that is told of a rebalance and does not join
// again in time.
func (s *Shard) expectJoin(g *consumerGroup, m *consumerMember) {
	if key := consumerJoinKey(g.groupID, m.id); !s.ctx.Scheduled(key) {
		s.fenceAfter(key, millis(m.rebalanceMs), g.groupID, m.id, "it did not join again in time", nil)
	}
}

// heartbeatConsumer is Heartbeat for a consumer group
// (classicGroupHeartbeatToConsumerGroup).
func (s *Shard) heartbeatConsumer(g *consumerGroup, q *kmsg.HeartbeatRequest) (*kmsg.HeartbeatResponse, error) {
	m, err := g.classicMember(q.MemberID, q.InstanceID, q.Generation)
	if err != nil {
		return nil, err
	}
	s.scheduleSession(q.Group, m.id, millis(m.classic.sessionMs))
	resp := kmsg.NewPtrHeartbeatResponse()
	if m.epoch < g.targetOf.Get().epoch || m.state == memberUnrevoked || m.state == memberUnreleased && !g.waits(m) {
		resp.ErrorCode = kerr.RebalanceInProgress.Code
		s.expectJoin(g, m)
	}
	return resp, nil
}

// waits tells whether a partition of the member's target is still somebody else's
// (waitingOnUnreleasedPartition).
func (g *consumerGroup) waits(m *consumerMember) bool {
	target, _ := g.target.Get(m.id)
	for id, ps := range target {
		for _, p := range ps {
			if _, has := m.assigned.has(id, p); !has && g.taken(id, p) {
				return true
			}
		}
	}
	return false
}

// leaveConsumer is LeaveGroup for a consumer group
// (classicGroupLeaveToConsumerGroup). Members of both protocols may be named.
func (s *Shard) leaveConsumer(g *consumerGroup, q *kmsg.LeaveGroupRequest) (*kmsg.LeaveGroupResponse, coordinator.Outcome) {
	resp := kmsg.NewPtrLeaveGroupResponse()
	var left []*consumerMember
	named := map[string]bool{}
	for i := range q.Members {
		l := &q.Members[i]
		a := kmsg.NewLeaveGroupResponseMember()
		a.MemberID, a.InstanceID = l.MemberID, l.InstanceID
		m, err := g.leaving(l)
		if err != nil {
			a.ErrorCode = clientError(err).Code
		} else if !named[m.id] {
			named[m.id] = true
			left = append(left, m)
		}
		resp.Members = append(resp.Members, a)
	}
	return resp, s.fence(g, left...)
}

func (g *consumerGroup) leaving(l *kmsg.LeaveGroupRequestMember) (*consumerMember, error) {
	if l.InstanceID == nil {
		return g.member(l.MemberID)
	}
	m := g.static(l.InstanceID)
	if m == nil {
		return nil, kerr.UnknownMemberID
	}
	if l.MemberID != nobody {
		return m, checkStatic(m, l.MemberID, *l.InstanceID)
	}
	return m, nil
}

// serializedAssignment is an assignment as clients of the classic protocol read
// it, in the version of their subscription. Topics that are gone are left out.
func serializedAssignment(a assignor.Assignment, metadata []byte, image *election.Image) []byte {
	v, _ := protocolVersion(metadata)
	out := kmsg.NewConsumerMemberAssignment()
	out.Version = v
	for _, id := range a.Topics() {
		name := ""
		if image != nil {
			name = image.TopicName(id)
		}
		if name == "" {
			continue
		}
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic, t.Partitions = name, a[id]
		out.Topics = append(out.Topics, t)
	}
	return out.AppendTo(nil)
}

// topicIDs are partitions that a classic member says it has, by the ids of their
// topics.
func topicIDs(has []kmsg.ConsumerMemberMetadataOwnedPartition, image *election.Image) assignor.Assignment {
	a := assignor.Assignment{}
	for _, p := range has {
		if image != nil && image.Topics[p.Topic] != nil {
			id := image.Topics[p.Topic].ID
			a[id] = append(a[id], p.Partitions...)
		}
	}
	return a
}

func (s *Shard) migration(policies ...string) bool {
	for _, p := range policies {
		if strings.EqualFold(s.config.Settings.GroupConsumerMigrationPolicy, p) {
			return true
		}
	}
	return false
}

func (s *Shard) upgradeEnabled() bool   { return s.migration("bidirectional", "upgrade") }
func (s *Shard) downgradeEnabled() bool { return s.migration("bidirectional", "downgrade") }
