package groups

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// CheckShareHeartbeat refuses heartbeats that no share group would take
// (throwIfShareGroupHeartbeatRequestIsInvalid): INVALID_REQUEST.
func CheckShareHeartbeat(q *kmsg.ShareGroupHeartbeatRequest) error {
	switch {
	case blank(&q.MemberID):
		return invalid("MemberId can't be empty.")
	case blank(&q.GroupID):
		return invalid("GroupId can't be empty.")
	case blank(q.RackID):
		return invalid("RackId can't be empty.")
	case q.MemberEpoch == joinEpoch && len(q.SubscribedTopicNames) == 0:
		return invalid("SubscribedTopicNames must be set in first request.")
	case q.MemberEpoch < leaveEpoch:
		return invalid("MemberEpoch is invalid.")
	}
	return nil
}

// shareBeat is a heartbeat of a share group's member under way.
type shareBeat struct {
	shard   *Shard
	group   *shareGroup
	now     time.Time
	records []coordinator.Record
	// member is the member as it was, updated as it will be.
	member, updated *shareMember
	epoch           int32
}

// ShareGroupHeartbeat has a member join, stay, or leave
// (GroupMetadataManager.shareGroupHeartbeat). The initialization, if there is one,
// is what the share coordinator is to be asked for; [Shard.SharesInitialized] tells
// how that went.
func (s *Shard) ShareGroupHeartbeat(
	c Client, q *kmsg.ShareGroupHeartbeatRequest,
) (*kmsg.ShareGroupHeartbeatResponse, *ShareInitialization, coordinator.Outcome, error) {
	if q.MemberEpoch == leaveEpoch {
		resp, o, err := s.shareLeave(q)
		return resp, nil, o, err
	}
	b := &shareBeat{shard: s, now: s.ctx.Now()}
	if err := b.enter(q); err != nil {
		return nil, nil, coordinator.Outcome{}, err
	}
	b.update(c, q)
	b.assign()
	timers := s.shareTimers(q.GroupID)
	s.scheduleShareSession(q.GroupID, q.MemberID, timers.session)
	resp := q.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
	resp.MemberID, resp.MemberEpoch = &b.updated.id, b.updated.epoch
	resp.HeartbeatIntervalMillis = int32(timers.heartbeat.Milliseconds())
	if q.MemberEpoch == joinEpoch || q.SubscribedTopicNames != nil || !b.member.assigned.Equal(b.updated.assigned) {
		resp.Assignment = sharesOf(b.updated.assigned)
	}
	wanted := b.initialize()
	return resp, wanted, coordinator.Outcome{Records: b.records}, nil
}

// enter finds the group and the member, or makes them.
func (b *shareBeat) enter(q *kmsg.ShareGroupHeartbeatRequest) error {
	s, joins := b.shard, q.MemberEpoch == joinEpoch
	if _, ok := s.groups.Get(q.GroupID); !ok && joins {
		b.group = newShareGroup(s.ctx.Timeline(), q.GroupID)
	} else {
		g, err := s.shareGroup(q.GroupID, timeline.Latest)
		if err != nil {
			return err
		}
		b.group = g
	}
	m, known := b.group.members.Get(q.MemberID)
	limit := int(s.config.Settings.GroupShareMaxSize)
	switch {
	case !known && b.group.members.Len() >= limit:
		return refuse(kerr.GroupMaxSizeReached, "The group has %d members, which is as many as it may have.", limit)
	case !known && !joins:
		_, err := b.group.member(q.MemberID)
		return err
	case !known:
		m = &shareMember{id: q.MemberID, previousEpoch: -1, assigned: assignor.Assignment{}}
	case q.MemberEpoch > m.epoch, q.MemberEpoch < m.epoch && q.MemberEpoch != m.previousEpoch && !joins:
		return refuse(kerr.FencedMemberEpoch,
			"The member has epoch %d, the coordinator knows %d: it has to join again.", q.MemberEpoch, m.epoch)
	}
	b.member = m
	return nil
}

// update persists what the heartbeat says of the member, and gives the group a new
// epoch where subscriptions, topics, or the partitions that may be assigned have
// changed.
func (b *shareBeat) update(c Client, q *kmsg.ShareGroupHeartbeatRequest) {
	g, u := b.group, *b.member
	if q.RackID != nil {
		u.rackID = q.RackID
	}
	if q.SubscribedTopicNames != nil {
		u.topics = normalized(q.SubscribedTopicNames)
	}
	u.clientID, u.clientHost = c.ID, c.Host
	b.updated = &u
	_, known := g.members.Get(u.id)
	if !known || !u.equal(b.member) {
		b.add(shareMemberRecord(g.groupID, &u))
	}
	b.epoch = g.epoch.Get()
	bump := !slices.Equal(u.topics, b.member.topics) || b.epoch <= g.targetOf.Get().epoch && b.pending()
	if !bump && !g.stale {
		return
	}
	hash := metadataHash(topicsOf(g.with(&u, "")), b.shard.ctx.Image())
	if bump || hash != g.hash.Get() {
		b.epoch++
		b.add(shareEpochRecord(g.groupID, b.epoch, hash))
	}
	g.stale = false
}

func (b *shareBeat) add(r ...coordinator.Record) { b.records = append(b.records, r...) }

// pending tells whether partitions have been initialized that nobody has yet
// (initializedAssignmentPending).
func (b *shareBeat) pending() bool {
	g := b.group
	assigned := map[log.TopicID]map[int32]bool{}
	for _, a := range g.target.All() {
		for id, ps := range a {
			if assigned[id] == nil {
				assigned[id] = map[int32]bool{}
			}
			for _, p := range ps {
				assigned[id][p] = true
			}
		}
	}
	for id, ps := range b.assignable() {
		for _, p := range ps {
			if !assigned[id][p] {
				return true
			}
		}
	}
	return false
}

// assignable are the initialized partitions of subscribed topics.
func (b *shareBeat) assignable() map[log.TopicID][]int32 {
	image := b.shard.ctx.Image()
	found := map[log.TopicID][]int32{}
	if image == nil {
		return found
	}
	initialized := b.group.states.Get().initialized
	for name := range topicsOf(b.group.with(b.updated, "")) {
		if t := image.Topics[name]; t != nil && len(initialized[t.ID].partitions) > 0 {
			found[t.ID] = initialized[t.ID].partitions
		}
	}
	return found
}

// assign brings the target assignment up to date, if it is time to, and gives the
// member its part of it.
func (b *shareBeat) assign() {
	g, s := b.group, b.shard
	last := g.targetOf.Get()
	target, _ := g.target.Get(b.updated.id)
	epoch := last.epoch
	interval := s.shareTimers(g.groupID).assignment
	// Partitions that nobody had before, as at a group's beginning, are not waited
	// for.
	due := last.timestamp == 0 || interval == 0 || !b.now.Before(time.UnixMilli(last.timestamp).Add(interval)) || b.pending()
	if last.epoch < b.epoch && due {
		epoch = b.epoch
		target = b.computeTarget(epoch)
	}
	if b.updated.epoch == epoch && b.updated.assigned.Equal(target) {
		return
	}
	next := *b.updated
	next.epoch, next.previousEpoch, next.assigned = epoch, b.member.epoch, assignor.Assignment{}
	image := s.ctx.Image()
	for id, ps := range target {
		if image != nil && slices.Contains(next.topics, image.TopicName(id)) {
			next.assigned[id] = ps
		}
	}
	if next.epoch != b.updated.epoch || !next.assigned.Equal(b.updated.assigned) {
		b.add(shareCurrentRecord(g.groupID, &next))
		b.updated = &next
	}
}

// computeTarget makes a new target assignment, and returns the member's part.
func (b *shareBeat) computeTarget(epoch int32) assignor.Assignment {
	g, image := b.group, b.shard.ctx.Image()
	members := g.with(b.updated, "")
	spec := assignor.ShareGroup{Homogeneous: true, Partitions: b.assignable()}
	for _, m := range members {
		spec.Homogeneous = spec.Homogeneous && slices.Equal(m.topics, members[0].topics)
		a, _ := g.target.Get(m.id)
		member := assignor.Member{ID: m.id, Topics: map[log.TopicID]struct{}{}, Assigned: a}
		for _, name := range m.topics {
			if image != nil && image.Topics[name] != nil {
				member.Topics[image.Topics[name].ID] = struct{}{}
			}
		}
		spec.Members = append(spec.Members, member)
	}
	target := assignor.Simple{}.Assign(spec)
	for _, m := range members {
		if old, ok := g.target.Get(m.id); !ok || !old.Equal(target[m.id]) {
			b.add(shareTargetMemberRecord(g.groupID, m.id, target[m.id]))
		}
	}
	b.add(shareTargetRecord(g.groupID, targetMetadata{epoch, b.now.UnixMilli()}))
	return target[b.updated.id]
}

// sharesOf is an assignment as an answer has it.
func sharesOf(a assignor.Assignment) *kmsg.ShareGroupHeartbeatResponseAssignment {
	out := kmsg.NewShareGroupHeartbeatResponseAssignment()
	for _, id := range a.Topics() {
		t := kmsg.NewShareGroupHeartbeatResponseAssignmentTopicPartition()
		t.TopicID, t.Partitions = id, a[id]
		out.TopicPartitions = append(out.TopicPartitions, t)
	}
	return &out
}

// shareLeave has a member leave (GroupMetadataManager.shareGroupLeave).
func (s *Shard) shareLeave(q *kmsg.ShareGroupHeartbeatRequest) (*kmsg.ShareGroupHeartbeatResponse, coordinator.Outcome, error) {
	g, err := s.shareGroup(q.GroupID, timeline.Latest)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	m, err := g.member(q.MemberID)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	resp := q.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
	resp.MemberID, resp.MemberEpoch = &q.MemberID, leaveEpoch
	return resp, s.fenceShare(g, m.id), nil
}

// fenceShare removes a member and gives the group a new epoch.
func (s *Shard) fenceShare(g *shareGroup, id string) coordinator.Outcome {
	left := g.with(nil, id)
	epoch := g.epoch.Get() + 1
	o := coordinator.Outcome{Records: []coordinator.Record{
		consumerTombstone(shareCurrentMember, g.groupID, id),
		consumerTombstone(shareTargetMember, g.groupID, id),
		consumerTombstone(shareMemberMetadata, g.groupID, id),
		shareEpochRecord(g.groupID, epoch, metadataHash(topicsOf(left), s.ctx.Image())),
	}}
	if len(left) == 0 {
		// An empty group needs no assignment, and the next one may come at once.
		o.Records = append(o.Records, shareTargetRecord(g.groupID, targetMetadata{epoch: epoch}))
	}
	s.ctx.Cancel(shareSessionKey(g.groupID, id))
	return o
}

func shareSessionKey(group, member string) string { return timerKey("share-session", group, member) }

func (g *shareGroup) cancelTimers(s *Shard) {
	delete(s.asked, g.groupID)
	for id := range g.members.All() {
		s.ctx.Cancel(shareSessionKey(g.groupID, id))
	}
}

// loaded gives every member a whole session.
func (g *shareGroup) loaded(s *Shard) {
	session := s.shareTimers(g.groupID).session
	for id := range g.members.All() {
		s.scheduleShareSession(g.groupID, id, session)
	}
}

// scheduleShareSession has a member removed unless it is heard of again in time.
func (s *Shard) scheduleShareSession(group, member string, d time.Duration) {
	s.ctx.ScheduleRetried(shareSessionKey(group, member), d, func() (coordinator.Outcome, error) {
		known, _ := s.groups.Get(group)
		g, ok := known.(*shareGroup)
		if !ok {
			return coordinator.Outcome{}, nil
		}
		if _, ok := g.members.Get(member); !ok {
			return coordinator.Outcome{}, nil
		}
		s.ctx.Logger().Info("a member of a share group is fenced: its session has ended", "group", group, "member", member)
		return s.fenceShare(g, member), nil
	})
}

func (s *Shard) shareTimers(group string) consumerTimers {
	v := s.config.Group(group)
	return consumerTimers{
		session:    v.Ms("share.session.timeout.ms"),
		heartbeat:  v.Ms("share.heartbeat.interval.ms"),
		assignment: v.Ms("share.assignment.interval.ms"),
	}
}
