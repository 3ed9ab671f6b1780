package groups

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// ConsumerGroupDescribe describes consumer groups as of an epoch of the timeline
// (GroupMetadataManager.consumerGroupDescribe).
func (s *Shard) ConsumerGroupDescribe(ids []string, epoch int64) []kmsg.ConsumerGroupDescribeResponseGroup {
	var all []kmsg.ConsumerGroupDescribeResponseGroup
	for _, id := range ids {
		g, err := s.consumerGroup(id, epoch)
		if err != nil {
			all = append(all, ConsumerGroupDescribeError(id, kerr.GroupIDNotFound, err.Error()))
			continue
		}
		all = append(all, s.describeConsumer(g, epoch))
	}
	return all
}

// ConsumerGroupDescribeError is the description of a group that cannot be
// described; the message may be "".
func ConsumerGroupDescribeError(id string, code *kerr.Error, message string) kmsg.ConsumerGroupDescribeResponseGroup {
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group, d.ErrorCode = id, code.Code
	if message != "" {
		d.ErrorMessage = &message
	}
	return d
}

func (s *Shard) describeConsumer(g *consumerGroup, epoch int64) kmsg.ConsumerGroupDescribeResponseGroup {
	image := s.ctx.Image()
	members := map[string]*consumerMember{}
	maps.Insert(members, g.members.AllAt(epoch))
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group, d.State = g.groupID, g.state(epoch)
	d.Epoch, d.AssignmentEpoch = g.epoch.At(epoch), g.targetOf.At(epoch).epoch
	d.AssignorName = consumerView{members: slices.Collect(maps.Values(members))}.assignor(s.defaultAssignor())
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := members[id]
		a := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		a.MemberID, a.InstanceID, a.RackID, a.MemberEpoch = m.id, m.instanceID, m.rackID, m.epoch
		a.ClientID, a.ClientHost = m.clientID, m.clientHost
		a.SubscribedTopics, a.SubscribedTopicRegex = m.topics, m.regex
		a.MemberType = 1
		if m.isClassic() {
			a.MemberType = 0
		}
		a.Assignment = described(m.has(), image)
		target, _ := g.target.GetAt(epoch, id)
		a.TargetAssignment = described(target, image)
		d.Members = append(d.Members, a)
	}
	return d
}

// has are the partitions that are the member's or that it has to revoke.
func (m *consumerMember) has() assignor.Assignment {
	both := m.assigned.assignment()
	for id := range m.revoking {
		both[id] = append(slices.Clip(both[id]), m.revoking.partitions(id)...)
	}
	return both
}

// described shows the partitions of topics that exist.
func described(a assignor.Assignment, image *election.Image) kmsg.Assignment {
	d := kmsg.NewAssignment()
	name := func(id log.TopicID) string {
		if image == nil {
			return ""
		}
		return image.TopicName(id)
	}
	for _, id := range a.Topics() {
		if n := name(id); n != "" {
			t := kmsg.NewAssignmentTopicPartition()
			t.TopicID, t.Topic, t.Partitions = id, n, a[id]
			d.TopicPartitions = append(d.TopicPartitions, t)
		}
	}
	return d
}
