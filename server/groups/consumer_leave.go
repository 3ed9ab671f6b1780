package groups

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// consumerLeave has a member leave, for good or, when it is static, for a while
// (GroupMetadataManager.consumerGroupLeave).
func (s *Shard) consumerLeave(
	q *kmsg.ConsumerGroupHeartbeatRequest,
) (*kmsg.ConsumerGroupHeartbeatResponse, coordinator.Outcome, error) {
	g, err := s.consumerGroup(q.Group, timeline.Latest)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	var m *consumerMember
	if q.InstanceID == nil {
		m, err = g.member(q.MemberID)
	} else {
		m = g.static(q.InstanceID)
		err = checkStatic(m, q.MemberID, *q.InstanceID)
	}
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	resp := q.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.MemberID, resp.MemberEpoch = &q.MemberID, q.MemberEpoch
	if q.InstanceID != nil && q.MemberEpoch == leaveStaticEpoch {
		return resp, coordinator.Outcome{Records: []coordinator.Record{consumerCurrentRecord(g.groupID, m.away())}}, nil
	}
	return resp, s.fence(g, m), nil
}

// away is a static member that has left for a while: it keeps its partitions,
// whose commits are refused from now on.
func (m *consumerMember) away() *consumerMember {
	a := *m
	a.epoch, a.revoking, a.assigned = leaveStaticEpoch, owned{}, allAt(m.assigned.assignment(), 0)
	return &a
}

// fence removes members and gives the group a new epoch; the other members learn
// of it with their next heartbeats. When only classic members are left, the group
// becomes a classic one (consumerGroupFenceMembers).
func (s *Shard) fence(g *consumerGroup, members ...*consumerMember) coordinator.Outcome {
	if len(members) == 0 {
		return coordinator.Outcome{}
	}
	if s.downgrades(g, members) {
		return s.downgrade(g, members, nil, "members left")
	}
	b := &beat{shard: s, group: g}
	gone := map[string]int{}
	for _, m := range members {
		b.remove(m.id)
		if r := m.subscribedRegex(); r != "" {
			gone[r]++
		}
	}
	subscribers := g.regexSubscribers()
	for _, r := range sortedKeys(g.regexes) {
		if n := gone[r]; n > 0 && n == subscribers[r] {
			b.add(consumerTombstone(consumerRegex, g.groupID, r))
		}
	}
	epoch := g.epoch.Get() + 1
	b.add(consumerEpochRecord(g.groupID, epoch, metadataHash(g.view(nil, members...).topics(), s.ctx.Image())))
	if g.members.Len() == len(members) {
		// An empty group needs no assignment, and the next one may come at once.
		b.add(consumerTargetRecord(g.groupID, targetMetadata{epoch: epoch}))
	}
	for _, m := range members {
		s.cancelMember(g.groupID, m.id)
	}
	return coordinator.Outcome{Records: b.records}
}

// remove are the tombstones of one member.
func (b *beat) remove(member string) {
	id := b.group.groupID
	b.add(consumerTombstone(consumerCurrentMember, id, member),
		consumerTombstone(consumerTargetMember, id, member),
		consumerTombstone(consumerMemberMetadata, id, member))
}

// replace puts a static member in another's place (replaceMember).
func (b *beat) replace(old, m *consumerMember) {
	id := b.group.groupID
	b.shard.cancelMember(id, old.id)
	b.remove(old.id)
	target, _ := b.group.target.Get(old.id)
	b.add(consumerMemberRecord(id, m), consumerTargetMemberRecord(id, m.id, target), consumerCurrentRecord(id, m))
}

// Timers of members, by group and member.
func timerKey(what string, names ...string) string { return fmt.Sprintf("consumer-%s-%q", what, names) }

func sessionKey(group, member string) string      { return timerKey("session", group, member) }
func rebalanceKey(group, member string) string    { return timerKey("rebalance", group, member) }
func consumerJoinKey(group, member string) string { return timerKey("join", group, member) }
func consumerSyncKey(group, member string) string { return timerKey("sync", group, member) }

// cancelMember ends a member's timers.
func (s *Shard) cancelMember(group, member string) {
	for _, key := range []string{
		sessionKey(group, member), rebalanceKey(group, member),
		consumerJoinKey(group, member), consumerSyncKey(group, member),
	} {
		s.ctx.Cancel(key)
	}
}

func (g *consumerGroup) cancelTimers(s *Shard) {
	for id := range g.members.All() {
		s.cancelMember(g.groupID, id)
	}
	s.ctx.Cancel(regexKey(g.groupID))
}

// loaded gives every member a whole session, and those that have partitions to
// revoke their whole time for it.
func (g *consumerGroup) loaded(s *Shard) {
	session := s.consumerTimers(g.groupID).session
	for id, m := range g.members.All() {
		s.scheduleSession(g.groupID, id, session)
		if m.state == memberUnrevoked {
			s.scheduleRebalance(g.groupID, m)
		}
	}
}

// scheduleSession has a member fenced unless it is heard of again in time.
func (s *Shard) scheduleSession(group, member string, d time.Duration) {
	s.fenceAfter(sessionKey(group, member), d, group, member, "its session has ended", nil)
}

// scheduleRebalance has a member fenced unless it leaves its epoch in time.
func (s *Shard) scheduleRebalance(group string, m *consumerMember) {
	s.fenceAfter(rebalanceKey(group, m.id), time.Duration(m.rebalanceMs)*time.Millisecond, group, m.id,
		"it did not revoke its partitions in time", func(now *consumerMember) bool { return now.epoch == m.epoch })
}

// fenceAfter has a member fenced after a while, if it is still there and still
// fits, when that is given.
func (s *Shard) fenceAfter(key string, d time.Duration, group, member, why string, fits func(*consumerMember) bool) {
	s.ctx.ScheduleRetried(key, d, func() (coordinator.Outcome, error) {
		known, _ := s.groups.Get(group)
		g, ok := known.(*consumerGroup)
		if !ok {
			return coordinator.Outcome{}, nil
		}
		m, ok := g.members.Get(member)
		if !ok || (fits != nil && !fits(m)) {
			return coordinator.Outcome{}, nil
		}
		s.ctx.Logger().Info("a member of a consumer group is fenced", "group", group, "member", member, "because", why)
		return s.fence(g, m), nil
	})
}
