package groups

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// initializeAgain is after how long the share coordinator is asked once more.
const initializeAgain = 30 * time.Second

// ShareInitialization is what a share coordinator is to begin.
type ShareInitialization struct {
	Group      string
	StateEpoch int32
	Partitions []SharePartition
}

// SharePartition is a partition of a share group. Start is where it begins, -1 if
// that is left to share.auto.offset.reset.
type SharePartition struct {
	Topic     log.TopicID
	Name      string
	Partition int32
	Start     int64
}

// initialize notes which partitions of subscribed topics nobody has begun yet, and
// returns them (maybeCreateInitializeShareGroupStateRequest).
func (b *shareBeat) initialize() *ShareInitialization {
	g, image := b.group, b.shard.ctx.Image()
	if image == nil {
		return nil
	}
	states := g.states.Get()
	again := b.now.Sub(b.shard.asked[g.groupID]) >= initializeAgain
	next := states.clone()
	want := &ShareInitialization{Group: g.groupID, StateEpoch: b.epoch}
	for _, name := range sortedNames(topicsOf(g.with(b.updated, ""))) {
		t := image.Topics[name]
		if t == nil {
			continue
		}
		for p := range int32(len(t.Partitions)) {
			_, asked := slices.BinarySearch(states.initializing[t.ID].partitions, p)
			_, done := slices.BinarySearch(states.initialized[t.ID].partitions, p)
			if done || asked && !again {
				continue
			}
			want.Partitions = append(want.Partitions, SharePartition{t.ID, name, p, -1})
			addShares(next.initializing, t.ID, name, []int32{p})
			delete(next.deleting, t.ID)
		}
	}
	if len(want.Partitions) == 0 {
		return nil
	}
	b.shard.askShares(g.groupID)
	if !next.equal(states) {
		b.add(shareStatesRecord(g.groupID, next))
	}
	return want
}

// askShares notes that the share coordinator is asked to initialize partitions of
// a group.
func (s *Shard) askShares(group string) {
	if s.asked == nil {
		s.asked = map[string]time.Time{}
	}
	s.asked[group] = s.ctx.Now()
}

func sortedNames(m map[string]subscriptionCount) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// SharesInitialized says which partitions the share coordinator has begun, and
// which it has not (initializeShareGroupState, uninitializeShareGroupState).
func (s *Shard) SharesInitialized(group string, begun, failed []SharePartition) (coordinator.Outcome, error) {
	known, _ := s.groups.Get(group)
	g, ok := known.(*shareGroup)
	if !ok {
		return coordinator.Outcome{}, nil // It was deleted meanwhile.
	}
	next := g.states.Get().clone()
	for _, p := range begun {
		addShares(next.initialized, p.Topic, p.Name, []int32{p.Partition})
		removeShares(next.initializing, p.Topic, []int32{p.Partition})
	}
	for _, p := range failed {
		removeShares(next.initializing, p.Topic, []int32{p.Partition})
	}
	if s.ctx.Image() != nil {
		next = next.without(s.ctx.Image())
	}
	if next.equal(g.states.Get()) {
		return coordinator.Outcome{}, nil
	}
	return coordinator.Outcome{Records: []coordinator.Record{shareStatesRecord(group, next)}}, nil
}

// SharePartitions are the partitions that the share coordinator keeps for a group
// as of an epoch. Errors are GROUP_ID_NOT_FOUND.
func (s *Shard) SharePartitions(group string, epoch int64) ([]SharePartition, error) {
	g, err := s.shareGroup(group, epoch)
	if err != nil {
		return nil, err
	}
	var list []SharePartition
	states := g.states.At(epoch)
	for _, topics := range []map[log.TopicID]shareTopic{states.initialized, states.initializing} {
		for _, id := range sortedTopics(topics) {
			for _, p := range topics[id].partitions {
				list = append(list, SharePartition{id, topics[id].name, p, -1})
			}
		}
	}
	return list, nil
}

// InitializedShares are the SharePartitions that are initialized; none of what is
// no share group (initializedShareGroupPartitions).
func (s *Shard) InitializedShares(group string, epoch int64) []SharePartition {
	g, err := s.shareGroup(group, epoch)
	if err != nil {
		return nil
	}
	var list []SharePartition
	initialized := g.states.At(epoch).initialized
	for _, id := range sortedTopics(initialized) {
		for _, p := range initialized[id].partitions {
			list = append(list, SharePartition{id, initialized[id].name, p, -1})
		}
	}
	return list
}

// EmptySharePartitions are the SharePartitions of a group without members; none of
// any other.
func (s *Shard) EmptySharePartitions(group string, epoch int64) ([]SharePartition, error) {
	g, err := s.shareGroup(group, epoch)
	if err != nil || g.members.LenAt(epoch) > 0 {
		return nil, err
	}
	return s.SharePartitions(group, epoch)
}

// emptyShare finds a share group without members; GROUP_ID_NOT_FOUND and
// NON_EMPTY_GROUP.
func (s *Shard) emptyShare(group string) (*shareGroup, error) {
	g, err := s.shareGroup(group, timeline.Latest)
	if err != nil {
		return nil, err
	}
	if !g.empty() {
		return nil, refuse(kerr.NonEmptyGroup, "The group %s is not empty.", group)
	}
	return g, nil
}

// AlterShareOffsets has partitions of a group without members begin elsewhere; a
// group that there is not is made (GroupMetadataManager.alterShareGroupOffsets).
// What is returned is to be asked of the share coordinator. Errors are
// GROUP_ID_NOT_FOUND for a group of another type, and NON_EMPTY_GROUP.
func (s *Shard) AlterShareOffsets(group string, partitions []SharePartition) (*ShareInitialization, coordinator.Outcome, error) {
	g := newShareGroup(s.ctx.Timeline(), group)
	if _, ok := s.groups.Get(group); ok {
		known, err := s.emptyShare(group)
		if err != nil {
			return nil, coordinator.Outcome{}, err
		}
		g = known
	}
	wanted := &ShareInitialization{group, g.epoch.Get(), partitions}
	if len(partitions) == 0 {
		return wanted, coordinator.Outcome{}, nil
	}
	next := g.states.Get().clone()
	for _, p := range partitions {
		addShares(next.initializing, p.Topic, p.Name, []int32{p.Partition})
		delete(next.deleting, p.Topic)
	}
	s.askShares(group)
	return wanted, coordinator.Outcome{Records: []coordinator.Record{shareStatesRecord(group, next)}}, nil
}

// DeleteShareOffsets begins the deletion of the states of topics of a group
// without members; [Shard.ShareOffsetsDeleted] ends it. It returns the topics'
// partitions. Errors are AlterShareOffsets'.
func (s *Shard) DeleteShareOffsets(group string, topics []log.TopicID) (map[log.TopicID][]int32, coordinator.Outcome, error) {
	g, err := s.emptyShare(group)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	found := map[log.TopicID][]int32{}
	next := g.states.Get().clone()
	image := s.ctx.Image()
	for _, id := range topics {
		t, ok := next.initialized[id]
		switch _, deleting := next.deleting[id]; {
		case ok:
			found[id] = t.partitions
			next.deleting[id] = t.name
			delete(next.initialized, id)
		case deleting && image != nil && image.TopicsByID[id] != nil: // Once more.
			for p := range image.TopicsByID[id].Partitions {
				found[id] = append(found[id], int32(p))
			}
		}
	}
	if len(found) == 0 {
		return nil, coordinator.Outcome{}, nil
	}
	return found, coordinator.Outcome{Records: []coordinator.Record{shareStatesRecord(group, next)}}, nil
}

// ShareOffsetsDeleted says that the states of topics are deleted.
func (s *Shard) ShareOffsetsDeleted(group string, topics []log.TopicID) (coordinator.Outcome, error) {
	known, _ := s.groups.Get(group)
	g, ok := known.(*shareGroup)
	if !ok {
		return coordinator.Outcome{}, nil // It was deleted meanwhile.
	}
	next := g.states.Get().clone()
	for _, id := range topics {
		delete(next.deleting, id)
	}
	return coordinator.Outcome{Records: []coordinator.Record{shareStatesRecord(group, next)}}, nil
}

// ShareGroupDescribe describes share groups as of an epoch of the timeline
// (GroupMetadataManager.shareGroupDescribe).
func (s *Shard) ShareGroupDescribe(id string, epoch int64) kmsg.ShareGroupDescribeResponseGroup {
	d := kmsg.NewShareGroupDescribeResponseGroup()
	d.GroupID = id
	g, err := s.shareGroup(id, epoch)
	if err != nil {
		message := err.Error()
		d.ErrorCode, d.ErrorMessage = kerr.GroupIDNotFound.Code, &message
		return d
	}
	d.GroupState, d.GroupEpoch, d.AssignmentEpoch = g.state(epoch), g.epoch.At(epoch), g.targetOf.At(epoch).epoch
	d.Assignor = "simple"
	for _, m := range g.members.AllAt(epoch) {
		a := kmsg.NewShareGroupDescribeResponseGroupMember()
		a.MemberID, a.RackID, a.MemberEpoch = m.id, m.rackID, m.epoch
		a.ClientID, a.ClientHost, a.SubscribedTopicNames = m.clientID, m.clientHost, m.topics
		for _, t := range described(m.assigned, s.ctx.Image()).TopicPartitions {
			a.Assignment.TopicPartitions = append(a.Assignment.TopicPartitions, kmsg.ShareGroupDescribeResponseGroupMemberAssignmentTopicPartition{
				TopicID: t.TopicID, Topic: t.Topic, Partitions: t.Partitions,
			})
		}
		d.Members = append(d.Members, a)
	}
	slices.SortFunc(d.Members, func(a, b kmsg.ShareGroupDescribeResponseGroupMember) int {
		return slices.Compare([]byte(a.MemberID), []byte(b.MemberID))
	})
	return d
}
