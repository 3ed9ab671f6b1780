package groups

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

// replayConsumer applies a record of types 3 to 8 or 16. What removes something
// of a group that is not there, or has become a classic one, has nothing to do.
func (s *Shard) replayConsumer(kind int16, r coordinator.Record) error {
	group, name, err := readConsumerKey(kind, r.Key)
	if err != nil {
		return err
	}
	g, err := s.persistedConsumer(group, r.Value != nil)
	if g == nil || err != nil {
		return err
	}
	if r.Value == nil {
		return s.replayTombstone(kind, g, name)
	}
	switch kind {
	case consumerGroupMetadata:
		epoch, hash, err := readEpoch(r.Value)
		if err != nil {
			return err
		}
		g.epoch.Set(epoch)
		g.hash.Set(hash)
	case consumerPartitionMetadata:
		g.oldMetadata.Set(true)
	case consumerTargetMetadata:
		epoch, timestamp, err := readEpoch(r.Value)
		if err != nil {
			return err
		}
		g.targetOf.Set(targetMetadata{epoch, timestamp})
	case consumerTargetMember:
		a, err := readTargetMember(r.Value)
		if err != nil {
			return err
		}
		g.target.Set(name, a)
	case consumerMemberMetadata, consumerCurrentMember:
		return g.replayMember(kind, name, r.Value)
	case consumerRegex:
		resolved, err := readRegex(r.Value)
		if err != nil {
			return err
		}
		g.regexes.Set(name, resolved)
	}
	return nil
}

func (g *consumerGroup) replayMember(kind int16, id string, value []byte) error {
	m, ok := g.members.Get(id)
	if !ok {
		m = newConsumerMember(id)
	}
	read := readMember
	if kind == consumerCurrentMember {
		read = readCurrent
	}
	m, err := read(*m, value)
	if err != nil {
		return err
	}
	g.members.Set(id, m)
	return nil
}

// replayTombstone takes something out of a group. The order is checked as Kafka
// does: what refers to a member goes before it.
func (s *Shard) replayTombstone(kind int16, g *consumerGroup, name string) error {
	switch kind {
	case consumerGroupMetadata:
		if g.members.Len() > 0 || g.target.Len() > 0 || g.targetOf.Get().epoch != -1 {
			return fmt.Errorf("%w: group %s is removed and still has members or a target assignment", ErrRecord, g.groupID)
		}
		s.groups.Delete(g.groupID)
	case consumerPartitionMetadata:
		g.oldMetadata.Set(false)
	case consumerTargetMetadata:
		if g.target.Len() > 0 {
			return fmt.Errorf("%w: the target assignment of group %s is removed and still has members", ErrRecord, g.groupID)
		}
		g.targetOf.Set(targetMetadata{epoch: -1})
	case consumerTargetMember:
		g.target.Delete(name)
	case consumerCurrentMember:
		if m, ok := g.members.Get(name); ok {
			c := *m
			c.epoch, c.previousEpoch, c.assigned, c.revoking = leaveEpoch, leaveEpoch, owned{}, owned{}
			g.members.Set(name, &c)
		}
	case consumerMemberMetadata:
		return g.replayGone(name)
	case consumerRegex:
		g.regexes.Delete(name)
	}
	return nil
}

// replayGone removes a member, whose assignments are gone already.
func (g *consumerGroup) replayGone(member string) error {
	m, ok := g.members.Get(member)
	if !ok {
		return nil
	}
	if _, target := g.target.Get(member); m.epoch != leaveEpoch || target {
		return fmt.Errorf("%w: member %s of group %s is removed and still has an assignment", ErrRecord, member, g.groupID)
	}
	g.members.Delete(member)
	return nil
}

// persistedConsumer finds the group of a record, or makes it
// (getOrMaybeCreatePersistedConsumerGroup). It is nil when there is none to take
// something from.
func (s *Shard) persistedConsumer(id string, create bool) (*consumerGroup, error) {
	known, ok := s.groups.Get(id)
	if g, is := known.(*consumerGroup); is {
		return g, nil
	}
	if !create {
		return nil, nil
	}
	if c, is := known.(*classicGroup); ok && (!is || !c.simple()) {
		return nil, fmt.Errorf("%w: group %s is not a consumer group", ErrRecord, id)
	}
	g := newConsumerGroup(s.ctx.Timeline(), id)
	s.groups.Set(id, g)
	return g, nil
}

// simple tells whether the group only commits offsets (isSimpleGroup).
func (g *classicGroup) simple() bool {
	return g.protocolType == "" && g.empty() && len(g.pending) == 0
}

// consumerGroup finds a consumer group as of an epoch; GROUP_ID_NOT_FOUND.
func (s *Shard) consumerGroup(id string, epoch int64) (*consumerGroup, error) {
	known, ok := s.groups.GetAt(epoch, id)
	if !ok {
		return nil, refuse(kerr.GroupIDNotFound, "Group %s not found.", id)
	}
	g, ok := known.(*consumerGroup)
	if !ok {
		return nil, refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group.", id)
	}
	return g, nil
}
