package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// DeleteOffsets is OffsetDelete, for partitions that exist
// (OffsetMetadataManager.deleteOffsets).
func (s *Shard) DeleteOffsets(q *kmsg.OffsetDeleteRequest) (*kmsg.OffsetDeleteResponse, coordinator.Outcome, error) {
	g, err := s.group(q.Group, timeline.Latest)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	if err := g.checkOffsetDelete(); err != nil {
		return nil, coordinator.Outcome{}, err
	}
	resp := kmsg.NewPtrOffsetDeleteResponse()
	var o coordinator.Outcome
	for i := range q.Topics {
		t := &q.Topics[i]
		a := kmsg.NewOffsetDeleteResponseTopic()
		a.Topic = t.Topic
		subscribed := g.subscribed(t.Topic)
		for _, p := range t.Partitions {
			b := kmsg.NewOffsetDeleteResponseTopicPartition()
			b.Partition = p.Partition
			at := place{t.Topic, p.Partition}
			_, there := s.offsets.get(timeline.Latest, q.Group, at)
			switch {
			case subscribed:
				b.ErrorCode = kerr.GroupSubscribedToTopic.Code
			case there || s.offsets.unstable(q.Group, at):
				o.Records = append(o.Records, offsetTombstone(q.Group, t.Topic, p.Partition))
			}
			a.Partitions = append(a.Partitions, b)
		}
		resp.Topics = append(resp.Topics, a)
	}
	return resp, o, nil
}

// DeleteGroups deletes groups and their offsets (GroupCoordinatorShard.deleteGroups).
func (s *Shard) DeleteGroups(ids []string) ([]kmsg.DeleteGroupsResponseGroup, coordinator.Outcome, error) {
	var answers []kmsg.DeleteGroupsResponseGroup
	var o coordinator.Outcome
	for _, id := range ids {
		a := kmsg.NewDeleteGroupsResponseGroup()
		a.Group = id
		g, err := s.group(id, timeline.Latest)
		if err == nil {
			err = g.checkDelete()
		}
		if err != nil {
			a.ErrorCode = clientError(err).Code
		} else {
			o.Records = g.tombstones(s.offsets.tombstones(id, o.Records))
			g.cancelTimers(s)
		}
		answers = append(answers, a)
	}
	return answers, o, nil
}
