package groups

import (
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// States of consumer groups (ConsumerGroupState), which follow from what is
// persisted.
const (
	consumerEmpty       = "Empty"
	consumerAssigning   = "Assigning"
	consumerReconciling = "Reconciling"
	consumerStable      = "Stable"
)

// protocolTypeConsumer is the protocol type of consumers, with both protocols.
const protocolTypeConsumer = "consumer"

// consumerGroup is a group of KIP-848's protocol (ConsumerGroup). What is
// persisted is in the timeline, and all else is worked out from it: who owns a
// partition, who is subscribed to a topic, which state the group is in.
type consumerGroup struct {
	groupID string
	epoch   *timeline.Value[int32]
	// hash is of the subscribed topics as the group knows them.
	hash    *timeline.Value[int64]
	members *timeline.Map[string, *consumerMember]
	target  *timeline.Map[string, assignor.Assignment]
	// targetOf says for which group epoch target is.
	targetOf *timeline.Value[targetMetadata]
	regexes  *timeline.Map[string, *resolvedRegex]
	// oldMetadata is set while there is a record of type 4 to be removed.
	oldMetadata *timeline.Value[bool]

	// refresh is not persisted: when, and in which epoch, to look at the
	// subscribed topics again; the zero value means now
	// (ModernGroup.DeadlineAndEpoch).
	refresh struct {
		at    time.Time
		epoch int32
	}
}

// newConsumerGroup returns an empty group; its first epoch is 1 and has its
// (empty) assignment, so that the first change makes epoch 2.
func newConsumerGroup(r *timeline.Registry, id string) *consumerGroup {
	return &consumerGroup{
		groupID:     id,
		epoch:       timeline.NewValue[int32](r, 1),
		hash:        timeline.NewValue[int64](r, 0),
		members:     timeline.NewMap[string, *consumerMember](r),
		target:      timeline.NewMap[string, assignor.Assignment](r),
		targetOf:    timeline.NewValue(r, targetMetadata{epoch: 1}),
		regexes:     timeline.NewMap[string, *resolvedRegex](r),
		oldMetadata: timeline.NewValue(r, false),
	}
}

func (g *consumerGroup) id() string       { return g.groupID }
func (g *consumerGroup) kind() kind       { return consumer }
func (g *consumerGroup) protocol() string { return protocolTypeConsumer }
func (g *consumerGroup) empty() bool      { return g.members.Len() == 0 }
func (g *consumerGroup) unloaded()        {}

func (g *consumerGroup) state(epoch int64) string {
	target := g.targetOf.At(epoch).epoch
	switch {
	case g.members.LenAt(epoch) == 0:
		return consumerEmpty
	case g.epoch.At(epoch) > target:
		return consumerAssigning
	}
	for _, m := range g.members.AllAt(epoch) {
		if !m.reconciled(target) {
			return consumerReconciling
		}
	}
	return consumerStable
}

// member finds a member; UNKNOWN_MEMBER_ID.
func (g *consumerGroup) member(id string) (*consumerMember, error) {
	m, ok := g.members.Get(id)
	if !ok {
		return nil, refuse(kerr.UnknownMemberID, "Member %s is not in group %s.", id, g.groupID)
	}
	return m, nil
}

// static finds the static member of an instance id, or nil.
func (g *consumerGroup) static(instanceID *string) *consumerMember {
	if instanceID == nil {
		return nil
	}
	for _, m := range g.members.All() {
		if m.instanceID != nil && *m.instanceID == *instanceID {
			return m
		}
	}
	return nil
}

// taken tells whether a member has the partition or is still to revoke it.
func (g *consumerGroup) taken(id log.TopicID, p int32) bool {
	for _, m := range g.members.All() {
		if _, ok := m.assigned.has(id, p); ok {
			return true
		}
		if _, ok := m.revoking.has(id, p); ok {
			return true
		}
	}
	return false
}

// targetFor is a member's target assignment; a static member that takes another's
// place has that one's until it has its own.
func (g *consumerGroup) targetFor(m *consumerMember) assignor.Assignment {
	id := m.id
	if m.instanceID != nil {
		old := g.static(m.instanceID)
		if old == nil {
			return assignor.Assignment{}
		}
		id = old.id
	}
	a, _ := g.target.Get(id)
	return a
}

// stale tells whether the subscribed topics have to be looked at again.
func (g *consumerGroup) stale(now time.Time) bool {
	return !now.Before(g.refresh.at) || g.epoch.Get() < g.refresh.epoch
}

// looked notes that the topics have been looked at for an epoch.
func (g *consumerGroup) looked(now time.Time, epoch int32) {
	g.refresh.at, g.refresh.epoch = now.Add(math.MaxInt32*time.Millisecond), epoch
}

// lookAgain has the next heartbeat look at the subscribed topics.
func (g *consumerGroup) lookAgain() { g.refresh.at, g.refresh.epoch = time.Time{}, 0 }

func (g *consumerGroup) subscribed(topic string) bool {
	for _, m := range g.members.All() {
		if _, ok := slices.BinarySearch(m.topics, topic); ok {
			return true
		}
	}
	for _, r := range g.regexes.All() {
		if _, ok := slices.BinarySearch(r.topics, topic); ok {
			return true
		}
	}
	return false
}

func (g *consumerGroup) checkDelete() error {
	if !g.empty() {
		return kerr.NonEmptyGroup
	}
	return nil
}

func (g *consumerGroup) checkOffsetDelete() error { return nil }

func (g *consumerGroup) expiry() func(committed) int64 {
	return func(o committed) int64 { return o.timestamp }
}

// checkCommit is ConsumerGroup.validateOffsetCommit: a member may commit with an
// epoch it has left, for partitions that were assigned to it by then (KIP-1251).
func (g *consumerGroup) checkCommit(c commit) (partitionCheck, error) {
	nobodys := c.memberID == "" && c.instanceID == nil
	if c.generation < 0 && g.empty() || c.transactional && c.generation == -1 && nobodys {
		return nil, nil
	}
	m, err := g.member(c.memberID)
	if err != nil {
		return nil, err
	}
	if !c.transactional && !m.isClassic() && c.version < 9 {
		return nil, refuse(kerr.UnsupportedVersion, "Members of the consumer protocol commit with version 9 or later.")
	}
	switch {
	case c.generation == m.epoch:
		return nil, nil
	case c.generation > m.epoch:
		return nil, m.wrongEpoch(c.generation)
	}
	return m.checkPartition(c.generation), nil
}

// checkPartition refuses commits of an earlier epoch for partitions that were not
// the member's then.
func (m *consumerMember) checkPartition(epoch int32) partitionCheck {
	return func(_ string, id [16]byte, partition int32) error {
		at, ok := m.assigned.has(id, partition)
		if !ok {
			at, ok = m.revoking.has(id, partition)
		}
		if !ok || epoch < at {
			return m.wrongEpoch(epoch)
		}
		return nil
	}
}

func (g *consumerGroup) checkFetch(memberID *string, memberEpoch int32, epoch int64) error {
	if memberID == nil && memberEpoch < 0 {
		return nil
	}
	id := ""
	if memberID != nil {
		id = *memberID
	}
	m, ok := g.members.GetAt(epoch, id)
	if !ok {
		return refuse(kerr.UnknownMemberID, "Member %s is not in group %s.", id, g.groupID)
	}
	if memberEpoch != m.epoch {
		return m.wrongEpoch(memberEpoch)
	}
	return nil
}

// wrongEpoch is the error for a member's epoch that is not its own.
func (m *consumerMember) wrongEpoch(got int32) error {
	code := kerr.StaleMemberEpoch
	if m.isClassic() {
		code = kerr.IllegalGeneration
	}
	return refuse(code, "Epoch %d is not right for member %s, which is in epoch %d.", got, m.id, m.epoch)
}

// tombstones remove the group and all of its members.
func (g *consumerGroup) tombstones(to []coordinator.Record) []coordinator.Record {
	ids := sortedKeys(g.members)
	return g.removal(to, ids)
}

// removal are the tombstones of a group with these members, in the order in which
// replaying them is right.
func (g *consumerGroup) removal(to []coordinator.Record, ids []string) []coordinator.Record {
	for _, id := range ids {
		to = append(to, consumerTombstone(consumerCurrentMember, g.groupID, id))
	}
	for _, id := range ids {
		to = append(to, consumerTombstone(consumerTargetMember, g.groupID, id))
	}
	to = append(to, consumerTombstone(consumerTargetMetadata, g.groupID))
	for _, id := range ids {
		to = append(to, consumerTombstone(consumerMemberMetadata, g.groupID, id))
	}
	for _, regex := range sortedKeys(g.regexes) {
		to = append(to, consumerTombstone(consumerRegex, g.groupID, regex))
	}
	return append(to,
		consumerTombstone(consumerPartitionMetadata, g.groupID),
		consumerTombstone(consumerGroupMetadata, g.groupID))
}

func sortedKeys[V any](m *timeline.Map[string, V]) []string {
	keys := make([]string, 0, m.Len())
	for k := range m.All() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// contains tells whether a partition is among them, which are ascending.
func contains(ps []int32, p int32) bool {
	_, ok := slices.BinarySearch(ps, p)
	return ok
}
