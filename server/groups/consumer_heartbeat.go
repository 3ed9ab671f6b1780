package groups

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// refuse is an error with the message that goes to the client.
func refuse(code *kerr.Error, format string, args ...any) error {
	return &election.Error{Err: code, Message: fmt.Sprintf(format, args...)}
}

// beat is a heartbeat, or a classic member's JoinGroup, under way: the group as it
// is, and the records that will change it.
type beat struct {
	shard   *Shard
	group   *consumerGroup
	now     time.Time
	records []coordinator.Record
	// member is the member as it was, updated as it will be.
	member, updated *consumerMember
	// epoch is the group's, with the changes of this heartbeat.
	epoch int32
}

// ConsumerGroupHeartbeat has a member join, tell what it has, or leave
// (GroupMetadataManager.consumerGroupHeartbeat). The request has passed
// [Shard.CheckConsumerHeartbeat].
func (s *Shard) ConsumerGroupHeartbeat(
	c Client, q *kmsg.ConsumerGroupHeartbeatRequest,
) (*kmsg.ConsumerGroupHeartbeatResponse, coordinator.Outcome, error) {
	if q.MemberEpoch == leaveEpoch || q.MemberEpoch == leaveStaticEpoch {
		return s.consumerLeave(q)
	}
	b := &beat{shard: s, now: s.ctx.Now()}
	if err := b.enter(q); err != nil {
		return nil, coordinator.Outcome{}, err
	}
	b.updated = b.member.with(c, q)
	regex, err := b.subscribe()
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	changed := regex.names || regex.changed
	b.lookAtTopics(regex.names || regex.resolved || b.assignorChanged())
	if err := b.assign(changed, ownedBy(q)); err != nil {
		return nil, coordinator.Outcome{}, err
	}
	timers := s.consumerTimers(q.Group)
	s.scheduleSession(q.Group, b.updated.id, timers.session)
	resp := q.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.MemberID, resp.MemberEpoch = &b.updated.id, b.updated.epoch
	resp.HeartbeatIntervalMillis = int32(timers.heartbeat.Milliseconds())
	full := q.RebalanceTimeoutMillis != -1 && (q.SubscribedTopicNames != nil || q.SubscribedTopicRegex != nil) && q.Topics != nil
	if q.MemberEpoch == joinEpoch || full || !b.member.assigned.equal(b.updated.assigned) {
		resp.Assignment = assignmentOf(b.updated.assigned)
	}
	return resp, coordinator.Outcome{Records: b.records}, nil
}

// enter finds the group and the member, or makes them.
func (b *beat) enter(q *kmsg.ConsumerGroupHeartbeatRequest) error {
	joins := q.MemberEpoch == joinEpoch
	if err := b.enterGroup(q.Group, joins); err != nil {
		return err
	}
	if err := b.full(q.MemberID, q.InstanceID); err != nil {
		return err
	}
	id := q.MemberID
	if id == "" {
		id = newConsumerMemberID()
	}
	check := func(m *consumerMember) error { return m.checkEpoch(q.MemberEpoch, ownedBy(q)) }
	if q.InstanceID == nil {
		return b.enterDynamic(id, joins, check)
	}
	return b.enterStatic(id, *q.InstanceID, joins, false, check)
}

// full refuses new members of a group that has as many as it may
// (throwIfConsumerGroupIsFull).
func (b *beat) full(memberID string, instanceID *string) error {
	limit := int(b.shard.config.Settings.GroupConsumerMaxSize)
	if b.group.static(instanceID) != nil || b.group.members.Len() < limit {
		return nil
	}
	if _, ok := b.group.members.Get(memberID); ok && memberID != "" {
		return nil
	}
	return refuse(kerr.GroupMaxSizeReached, "The group has %d members, which is as many as it may have.", limit)
}

func (b *beat) enterDynamic(id string, create bool, check func(*consumerMember) error) error {
	m, err := b.group.member(id)
	if err != nil && !create {
		return err
	}
	if err != nil {
		m = newConsumerMember(id)
	}
	b.member = m
	return check(m)
}

// enterStatic finds a static member. Who joins under another member id takes its
// place, if it has left for a while, or one of both is a classic member.
func (b *beat) enterStatic(id, instance string, create, classic bool, check func(*consumerMember) error) error {
	old := b.group.static(&instance)
	if !create {
		if err := checkStatic(old, id, instance); err != nil {
			return err
		}
		b.member = old
		return check(old)
	}
	if old == nil {
		return b.enterDynamic(id, true, func(*consumerMember) error { return nil })
	}
	if !classic && !old.isClassic() && old.epoch != leaveStaticEpoch {
		return refuse(kerr.UnreleasedInstanceID, "Member %s cannot join: member %s has the instance id %s.", id, old.id, instance)
	}
	m := *old
	m.id, m.epoch, m.previousEpoch = id, 0, 0
	b.member = &m
	b.replace(old, b.member)
	return nil
}

// checkStatic refuses members that are not the one of an instance id; it is nil
// where nobody has it.
func checkStatic(m *consumerMember, id, instance string) error {
	if m == nil {
		return refuse(kerr.UnknownMemberID, "The instance id %s is unknown.", instance)
	}
	if m.id != id {
		return refuse(kerr.FencedInstanceID, "Member %s was fenced: member %s has the instance id %s.", id, m.id, instance)
	}
	return nil
}

// checkEpoch fences members with another epoch than the group knows. An epoch
// behind is right for a member that did not hear of its new one
// (throwIfConsumerGroupMemberEpochIsInvalid).
func (m *consumerMember) checkEpoch(epoch int32, has assignor.Assignment) error {
	if epoch == joinEpoch || epoch == m.epoch || (epoch < m.epoch && epoch == m.previousEpoch && m.mayHave(has)) {
		return nil
	}
	relation := "greater"
	if epoch < m.epoch {
		relation = "smaller"
	}
	return refuse(kerr.FencedMemberEpoch,
		"The member has a %s epoch (%d) than the coordinator knows (%d): it has to give up its partitions and join again.",
		relation, epoch, m.epoch)
}

// mayHave tells whether all that a member says it has is assigned to it.
func (m *consumerMember) mayHave(has assignor.Assignment) bool {
	if has == nil {
		return false
	}
	for id, ps := range has {
		if m.assigned[id] == nil {
			return false
		}
		for _, p := range ps {
			if _, ok := m.assigned.has(id, p); !ok {
				return false
			}
		}
	}
	return true
}

// with is a copy of the member with what a heartbeat says of it; what is null in
// it has not changed.
func (m *consumerMember) with(c Client, q *kmsg.ConsumerGroupHeartbeatRequest) *consumerMember {
	u := *m
	for _, field := range []struct {
		to   **string
		from *string
	}{{&u.instanceID, q.InstanceID}, {&u.rackID, q.RackID}, {&u.assignor, q.ServerAssignor}, {&u.regex, q.SubscribedTopicRegex}} {
		if field.from != nil {
			*field.to = field.from
		}
	}
	if q.RebalanceTimeoutMillis != -1 {
		u.rebalanceMs = q.RebalanceTimeoutMillis
	}
	if q.SubscribedTopicNames != nil {
		u.topics = normalized(q.SubscribedTopicNames)
	}
	u.clientID, u.clientHost, u.classic = c.ID, c.Host, nil
	return &u
}

// subscribe persists the member if it is another, and looks at its subscriptions.
func (b *beat) subscribe() (subscription, error) {
	var change subscription
	if !b.updated.equal(b.member) {
		b.add(consumerMemberRecord(b.group.groupID, b.updated))
		change.names = !slices.Equal(b.updated.topics, b.member.topics)
	}
	return change, b.updateRegex(&change)
}

func (b *beat) add(r ...coordinator.Record) { b.records = append(b.records, r...) }

// assignorChanged tells whether the members would now like another server
// assignor.
func (b *beat) assignorChanged() bool {
	def := b.shard.defaultAssignor()
	return b.group.view(nil).assignor(def) != b.group.view(b.updated).assignor(def)
}

// lookAtTopics gives the group a new epoch when its subscriptions have changed, or
// the topics have (updateSubscriptionMetadata).
func (b *beat) lookAtTopics(bump bool) {
	g := b.group
	b.epoch = g.epoch.Get()
	if !bump && !g.stale(b.now) {
		return
	}
	hash := metadataHash(g.view(b.updated).topics(), b.shard.ctx.Image())
	if bump || hash != g.hash.Get() {
		b.epoch++
		b.add(consumerEpochRecord(g.groupID, b.epoch, hash))
		b.shard.ctx.Logger().Debug("a consumer group has a new epoch", "group", g.groupID, "epoch", b.epoch)
	}
	g.looked(b.now, b.epoch)
	if g.oldMetadata.Get() {
		b.add(consumerTombstone(consumerPartitionMetadata, g.groupID))
	}
}

// assign brings the target assignment up to date, if it is time to, and moves the
// member towards it.
func (b *beat) assign(subscriptionChanged bool, has assignor.Assignment) error {
	epoch, target, err := b.updateTarget()
	if err != nil {
		return err
	}
	return b.reconcile(epoch, target, subscriptionChanged, has)
}

// updateTarget is maybeUpdateTargetAssignment: it gives the epoch of the target
// assignment and the member's part of it.
func (b *beat) updateTarget() (int32, assignor.Assignment, error) {
	g, s := b.group, b.shard
	last := g.targetOf.Get()
	interval := s.consumerTimers(g.groupID).assignment
	due := last.timestamp == 0 || interval == 0 || !b.now.Before(time.UnixMilli(last.timestamp).Add(interval))
	if last.epoch >= b.epoch || !due {
		return last.epoch, g.targetFor(b.updated), nil
	}
	target, records, err := s.computeTarget(g, b.updated, b.epoch, b.now)
	if err != nil {
		return 0, nil, err
	}
	b.add(records...)
	return b.epoch, target[b.updated.id], nil
}

// reconcile is maybeReconcile.
func (b *beat) reconcile(epoch int32, target assignor.Assignment, subscriptionChanged bool, has assignor.Assignment) error {
	g, s := b.group, b.shard
	if !subscriptionChanged && b.updated.reconciled(epoch) {
		return nil
	}
	r := &reconciliation{
		member: b.updated, epoch: epoch, target: target,
		subscribed:          g.view(b.updated).topicIDs(b.updated, s.ctx.Image()),
		subscriptionChanged: subscriptionChanged,
		taken:               g.taken, owned: has,
	}
	next, err := r.next()
	if err != nil {
		return err
	}
	if next.equal(b.updated) {
		return nil
	}
	b.updated = next
	b.add(consumerCurrentRecord(g.groupID, next))
	switch {
	case next.isClassic():
	case next.state == memberUnrevoked:
		s.scheduleRebalance(g.groupID, next)
	default:
		s.ctx.Cancel(rebalanceKey(g.groupID, next.id))
	}
	return nil
}

// ownedBy are the partitions that a heartbeat says the member has, nil when it
// says nothing.
func ownedBy(q *kmsg.ConsumerGroupHeartbeatRequest) assignor.Assignment {
	if q.Topics == nil {
		return nil
	}
	has := assignor.Assignment{}
	for _, t := range q.Topics {
		has[t.TopicID] = append(has[t.TopicID], t.Partitions...)
	}
	return has
}

func assignmentOf(o owned) *kmsg.ConsumerGroupHeartbeatResponseAssignment {
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	for _, id := range o.topics() {
		t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		t.TopicID, t.Partitions = id, o.partitions(id)
		a.Topics = append(a.Topics, t)
	}
	return &a
}

// newConsumerMemberID makes an id as Kafka's Uuid looks.
func newConsumerMemberID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // It never fails.
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return base64.RawURLEncoding.EncodeToString(id[:])
}
