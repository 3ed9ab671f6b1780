package groups

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// Types of the records of share groups (CoordinatorRecordType). Those of epochs
// and of target assignments look like consumer groups'.
const (
	shareMemberMetadata = 10
	shareGroupMetadata  = 11
	shareTargetMetadata = 12
	shareTargetMember   = 13
	shareCurrentMember  = 14
	shareStateMetadata  = 15
)

func shareEpochRecord(group string, epoch int32, hash int64) coordinator.Record {
	v := kbin.AppendInt64(kbin.AppendInt32(consumerValue(), epoch), hash)
	return coordinator.Record{Key: consumerKey(shareGroupMetadata, group), Value: kbin.AppendUvarint(v, 0)}
}

func readShareEpoch(value []byte) (epoch int32, hash int64, err error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return 0, 0, err
	}
	epoch, hash = b.Int32(), b.Int64()
	tags(b, nil)
	return epoch, hash, unreadable("an epoch of a share group", b.Complete())
}

func shareTargetRecord(group string, t targetMetadata) coordinator.Record {
	return coordinator.Record{Key: consumerKey(shareTargetMetadata, group), Value: consumerTargetRecord(group, t).Value}
}

func shareTargetMemberRecord(group, member string, a assignor.Assignment) coordinator.Record {
	return coordinator.Record{Key: consumerKey(shareTargetMember, group, member), Value: consumerTargetMemberRecord(group, member, a).Value}
}

func shareMemberRecord(group string, m *shareMember) coordinator.Record {
	v := kbin.AppendCompactNullableString(consumerValue(), m.rackID)
	v = kbin.AppendCompactString(v, m.clientID)
	v = kbin.AppendCompactString(v, m.clientHost)
	v = appendStrings(v, m.topics)
	return coordinator.Record{Key: consumerKey(shareMemberMetadata, group, m.id), Value: kbin.AppendUvarint(v, 0)}
}

// readShareMember decodes the value of type 10 into a copy of the member.
func readShareMember(m shareMember, value []byte) (*shareMember, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	m.rackID = b.CompactNullableString()
	m.clientID, m.clientHost = b.CompactString(), b.CompactString()
	m.topics = normalized(readStrings(b))
	tags(b, nil)
	return &m, unreadable("a share group's member", b.Complete())
}

func shareCurrentRecord(group string, m *shareMember) coordinator.Record {
	v := kbin.AppendInt32(consumerValue(), m.epoch)
	v = kbin.AppendInt32(v, m.previousEpoch)
	v = kbin.AppendInt8(v, 0) // stable: a member of a share group never waits
	v = kbin.AppendCompactArrayLen(v, len(m.assigned))
	for _, id := range m.assigned.Topics() {
		v = kbin.AppendUuid(v, id)
		v = appendInt32s(v, m.assigned[id])
		v = kbin.AppendUvarint(v, 0)
	}
	return coordinator.Record{Key: consumerKey(shareCurrentMember, group, m.id), Value: kbin.AppendUvarint(v, 0)}
}

// readShareCurrent decodes the value of type 14 into a copy of the member.
func readShareCurrent(m shareMember, value []byte) (*shareMember, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	m.epoch, m.previousEpoch = b.Int32(), b.Int32()
	b.Int8()
	m.assigned = assignor.Assignment{}
	for range count(b, 18) {
		id := log.TopicID(b.Uuid())
		m.assigned[id] = int32s(b)
		tags(b, nil)
	}
	tags(b, nil)
	return &m, unreadable("a share member's assignment", b.Complete())
}

func shareStatesRecord(group string, s *shareStates) coordinator.Record {
	v := consumerValue()
	for _, topics := range []map[log.TopicID]shareTopic{s.initializing, s.initialized} {
		v = kbin.AppendCompactArrayLen(v, len(topics))
		for _, id := range sortedTopics(topics) {
			v = kbin.AppendUuid(v, id)
			v = kbin.AppendCompactString(v, topics[id].name)
			v = appendInt32s(v, topics[id].partitions)
			v = kbin.AppendUvarint(v, 0)
		}
	}
	v = kbin.AppendCompactArrayLen(v, len(s.deleting))
	for _, id := range sortedTopics(s.deleting) {
		v = kbin.AppendUuid(v, id)
		v = kbin.AppendCompactString(v, s.deleting[id])
		v = kbin.AppendUvarint(v, 0)
	}
	return coordinator.Record{Key: consumerKey(shareStateMetadata, group), Value: kbin.AppendUvarint(v, 0)}
}

func readShareStates(value []byte) (*shareStates, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	s := (&shareStates{}).clone()
	for _, topics := range []map[log.TopicID]shareTopic{s.initializing, s.initialized} {
		for range count(b, 19) {
			id := log.TopicID(b.Uuid())
			t := shareTopic{name: b.CompactString(), partitions: int32s(b)}
			slices.Sort(t.partitions)
			topics[id] = t
			tags(b, nil)
		}
	}
	for range count(b, 18) {
		id := log.TopicID(b.Uuid())
		s.deleting[id] = b.CompactString()
		tags(b, nil)
	}
	tags(b, nil)
	return s, unreadable("the state of a share group's partitions", b.Complete())
}

// replayShare applies a record of types 10 to 15.
func (s *Shard) replayShare(kind int16, r coordinator.Record) error {
	id, name, err := readShareKey(kind, r.Key)
	if err != nil {
		return err
	}
	known, ok := s.groups.Get(id)
	g, is := known.(*shareGroup)
	switch {
	case ok && !is && r.Value != nil:
		return fmt.Errorf("%w: group %s is not a share group", ErrRecord, id)
	case !is && r.Value == nil:
		return nil
	case !is:
		g = newShareGroup(s.ctx.Timeline(), id)
		s.groups.Set(id, g)
	}
	if r.Value == nil {
		return s.replayShareTombstone(kind, g, name)
	}
	return g.replay(kind, name, r.Value)
}

func readShareKey(kind int16, key []byte) (group, name string, err error) {
	b := kbin.Reader{Src: key}
	b.Int16()
	group = b.String()
	switch kind {
	case shareMemberMetadata, shareTargetMember, shareCurrentMember:
		name = b.String()
	}
	return group, name, unreadable("a share group's key", b.Complete())
}

func (g *shareGroup) replay(kind int16, name string, value []byte) (err error) {
	m, ok := g.members.Get(name)
	if !ok {
		m = &shareMember{id: name, previousEpoch: -1, assigned: assignor.Assignment{}}
	}
	switch kind {
	case shareGroupMetadata:
		epoch, hash, err := readShareEpoch(value)
		if err != nil {
			return err
		}
		g.epoch.Set(epoch)
		g.hash.Set(hash)
		return nil
	case shareTargetMetadata:
		epoch, timestamp, err := readEpoch(value)
		if err != nil {
			return err
		}
		g.targetOf.Set(targetMetadata{epoch, timestamp})
		return nil
	case shareTargetMember:
		a, err := readTargetMember(value)
		if err != nil {
			return err
		}
		g.target.Set(name, a)
		return nil
	case shareStateMetadata:
		states, err := readShareStates(value)
		if err != nil {
			return err
		}
		g.states.Set(states)
		return nil
	case shareMemberMetadata:
		m, err = readShareMember(*m, value)
	case shareCurrentMember:
		m, err = readShareCurrent(*m, value)
	}
	if err != nil {
		return err
	}
	g.members.Set(name, m)
	return nil
}

func (s *Shard) replayShareTombstone(kind int16, g *shareGroup, name string) error {
	switch kind {
	case shareGroupMetadata:
		if g.members.Len() > 0 || g.target.Len() > 0 {
			return fmt.Errorf("%w: share group %s is removed and still has members", ErrRecord, g.groupID)
		}
		s.groups.Delete(g.groupID)
	case shareTargetMetadata:
		g.targetOf.Set(targetMetadata{epoch: -1})
	case shareTargetMember:
		g.target.Delete(name)
	case shareStateMetadata:
		g.states.Set(&shareStates{})
	case shareCurrentMember:
		if m, ok := g.members.Get(name); ok {
			c := *m
			c.epoch, c.previousEpoch, c.assigned = leaveEpoch, leaveEpoch, assignor.Assignment{}
			g.members.Set(name, &c)
		}
	case shareMemberMetadata:
		g.members.Delete(name)
	}
	return nil
}
