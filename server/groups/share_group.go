package groups

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// States of share groups (ShareGroupState).
const (
	shareEmpty  = "Empty"
	shareStable = "Stable"
)

// protocolTypeShare is the protocol type of share consumers.
const protocolTypeShare = "share"

// shareGroup is a share group (KIP-932, ShareGroup). What is persisted is in the
// timeline.
type shareGroup struct {
	groupID string
	epoch   *timeline.Value[int32]
	hash    *timeline.Value[int64]
	members *timeline.Map[string, *shareMember]
	target  *timeline.Map[string, assignor.Assignment]
	// targetOf says for which group epoch target is.
	targetOf *timeline.Value[targetMetadata]
	// states says which partitions the share coordinator knows.
	states *timeline.Value[*shareStates]

	// stale, which is not persisted, is set when the subscribed topics have to be
	// looked at again.
	stale bool
}

// shareMember is a member of a share group (ShareGroupMember). Those in a group
// are shared: nobody changes them.
type shareMember struct {
	id                   string
	epoch, previousEpoch int32
	rackID               *string
	clientID, clientHost string
	topics               []string // normalized
	assigned             assignor.Assignment
}

func (m *shareMember) equal(o *shareMember) bool {
	return m.id == o.id && same(m.rackID, o.rackID) && m.clientID == o.clientID && m.clientHost == o.clientHost &&
		slices.Equal(m.topics, o.topics)
}

// newShareGroup returns an empty group, as newConsumerGroup does.
func newShareGroup(r *timeline.Registry, id string) *shareGroup {
	return &shareGroup{
		groupID:  id,
		epoch:    timeline.NewValue[int32](r, 1),
		hash:     timeline.NewValue[int64](r, 0),
		members:  timeline.NewMap[string, *shareMember](r),
		target:   timeline.NewMap[string, assignor.Assignment](r),
		targetOf: timeline.NewValue(r, targetMetadata{epoch: 1}),
		states:   timeline.NewValue(r, &shareStates{}),
		stale:    true,
	}
}

func (g *shareGroup) id() string       { return g.groupID }
func (g *shareGroup) kind() kind       { return share }
func (g *shareGroup) protocol() string { return protocolTypeShare }
func (g *shareGroup) empty() bool      { return g.members.Len() == 0 }
func (g *shareGroup) unloaded()        {}

func (g *shareGroup) state(epoch int64) string {
	if g.members.LenAt(epoch) == 0 {
		return shareEmpty
	}
	return shareStable
}

// member finds a member; UNKNOWN_MEMBER_ID.
func (g *shareGroup) member(id string) (*shareMember, error) {
	m, ok := g.members.Get(id)
	if !ok {
		return nil, refuse(kerr.UnknownMemberID, "Member %s is not in group %s.", id, g.groupID)
	}
	return m, nil
}

// with are the members with one as it will be, unless that is nil, and without
// another, by id.
func (g *shareGroup) with(updated *shareMember, without string) []*shareMember {
	var list []*shareMember
	for id, m := range g.members.All() {
		if id != without && (updated == nil || id != updated.id) {
			list = append(list, m)
		}
	}
	if updated != nil {
		list = append(list, updated)
	}
	slices.SortFunc(list, func(a, b *shareMember) int { return cmp.Compare(a.id, b.id) })
	return list
}

// topicsOf counts who is subscribed to which topic.
func topicsOf(members []*shareMember) map[string]subscriptionCount {
	counts := map[string]subscriptionCount{}
	for _, m := range members {
		for _, t := range m.topics {
			counts[t] = subscriptionCount{byName: counts[t].byName + 1}
		}
	}
	return counts
}

func (g *shareGroup) subscribed(topic string) bool {
	_, ok := topicsOf(g.with(nil, ""))[topic]
	return ok
}

// A share group commits no offsets (ShareGroup.validateOffsetCommit and others).
func (g *shareGroup) checkCommit(commit) (partitionCheck, error) { return nil, kerr.GroupIDNotFound }
func (g *shareGroup) checkFetch(*string, int32, int64) error     { return kerr.GroupIDNotFound }
func (g *shareGroup) checkOffsetDelete() error                   { return kerr.GroupIDNotFound }
func (g *shareGroup) expiry() func(committed) int64              { return nil }

func (g *shareGroup) checkDelete() error {
	if !g.empty() {
		return kerr.NonEmptyGroup
	}
	return nil
}

// tombstones remove the group and all of its members.
func (g *shareGroup) tombstones(to []coordinator.Record) []coordinator.Record {
	ids := sortedKeys(g.members)
	for _, id := range ids {
		to = append(to, consumerTombstone(shareCurrentMember, g.groupID, id))
	}
	for _, id := range ids {
		to = append(to, consumerTombstone(shareTargetMember, g.groupID, id))
	}
	to = append(to, consumerTombstone(shareTargetMetadata, g.groupID))
	for _, id := range ids {
		to = append(to, consumerTombstone(shareMemberMetadata, g.groupID, id))
	}
	return append(to, consumerTombstone(shareStateMetadata, g.groupID), consumerTombstone(shareGroupMetadata, g.groupID))
}

// shareTopic is partitions of a topic, ascending.
type shareTopic struct {
	name       string
	partitions []int32
}

// shareStates are the partitions whose state the share coordinator keeps
// (ShareGroupStatePartitionMetadataInfo). They are shared: nobody changes them.
type shareStates struct {
	initializing, initialized map[log.TopicID]shareTopic
	// deleting are topics whose states are being deleted, by their names.
	deleting map[log.TopicID]string
}

func (s *shareStates) clone() *shareStates {
	c := &shareStates{map[log.TopicID]shareTopic{}, map[log.TopicID]shareTopic{}, map[log.TopicID]string{}}
	maps.Copy(c.initializing, s.initializing)
	maps.Copy(c.initialized, s.initialized)
	maps.Copy(c.deleting, s.deleting)
	return c
}

func (s *shareStates) equal(o *shareStates) bool {
	same := func(a, b shareTopic) bool { return a.name == b.name && slices.Equal(a.partitions, b.partitions) }
	return maps.EqualFunc(s.initializing, o.initializing, same) && maps.EqualFunc(s.initialized, o.initialized, same) &&
		maps.Equal(s.deleting, o.deleting)
}

// addShares adds partitions of a topic to a map.
func addShares(to map[log.TopicID]shareTopic, id log.TopicID, name string, partitions []int32) {
	t := to[id]
	all := slices.Concat(t.partitions, partitions)
	slices.Sort(all)
	to[id] = shareTopic{name, slices.Compact(all)}
}

// removeShares takes partitions of a topic out of a map.
func removeShares(from map[log.TopicID]shareTopic, id log.TopicID, partitions []int32) {
	t, ok := from[id]
	if !ok {
		return
	}
	left := slices.DeleteFunc(slices.Clone(t.partitions), func(p int32) bool { return slices.Contains(partitions, p) })
	if len(left) == 0 {
		delete(from, id)
		return
	}
	from[id] = shareTopic{t.name, left}
}

func sortedTopics[V any](m map[log.TopicID]V) []log.TopicID {
	return slices.SortedFunc(maps.Keys(m), func(a, b log.TopicID) int { return bytes.Compare(a[:], b[:]) })
}

// shareGroup finds a share group as of an epoch; GROUP_ID_NOT_FOUND.
func (s *Shard) shareGroup(id string, epoch int64) (*shareGroup, error) {
	known, ok := s.groups.GetAt(epoch, id)
	if !ok {
		return nil, refuse(kerr.GroupIDNotFound, "Share group %s not found.", id)
	}
	g, ok := known.(*shareGroup)
	if !ok {
		return nil, refuse(kerr.GroupIDNotFound, "Group %s is not a share group.", id)
	}
	return g, nil
}

// forgetShares has share groups look at their topics again, and forget deleted
// ones (maybeCleanupShareGroupState).
func (s *Shard) forgetShares(m *election.Image) {
	if m == nil {
		return
	}
	gone := false
	for _, known := range s.groups.All() {
		g, ok := known.(*shareGroup)
		if !ok {
			continue
		}
		g.stale = true
		gone = gone || !g.states.Get().without(m).equal(g.states.Get())
	}
	if gone && !s.ctx.Scheduled(forgetSharesKey) {
		s.ctx.ScheduleRetried(forgetSharesKey, 0, s.forgetDeleted)
	}
}

const forgetSharesKey = "share-topics-deleted"

func (s *Shard) forgetDeleted() (coordinator.Outcome, error) {
	var records []coordinator.Record
	for _, known := range s.groups.All() {
		if g, ok := known.(*shareGroup); ok {
			if left := g.states.Get().without(s.ctx.Image()); !left.equal(g.states.Get()) {
				records = append(records, shareStatesRecord(g.groupID, left))
			}
		}
	}
	return coordinator.Outcome{Records: records, Splits: true}, nil
}

// without leaves topics out that there are not any more.
func (s *shareStates) without(m *election.Image) *shareStates {
	c := s.clone()
	is := func(id log.TopicID) bool { return m.TopicsByID[id] == nil }
	maps.DeleteFunc(c.initializing, func(id log.TopicID, _ shareTopic) bool { return is(id) })
	maps.DeleteFunc(c.initialized, func(id log.TopicID, _ shareTopic) bool { return is(id) })
	maps.DeleteFunc(c.deleting, func(id log.TopicID, _ string) bool { return is(id) })
	return c
}
