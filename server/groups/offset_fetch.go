package groups

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// FetchOffsets tells a group's offsets as of an epoch of the timeline
// (OffsetMetadataManager.fetchOffsets, fetchAllOffsets); timeline.Latest is for
// who requires stable offsets. Null topics mean all.
func (s *Shard) FetchOffsets(q *kmsg.OffsetFetchRequestGroup, epoch int64) (kmsg.OffsetFetchResponseGroup, error) {
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = q.Group
	known := true
	g, err := s.group(q.Group, epoch)
	if err == nil {
		err = g.checkFetch(q.MemberID, q.MemberEpoch, epoch)
	}
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		known = false
	case err != nil:
		return resp, err
	}
	if q.Topics == nil {
		if known {
			resp.Topics = s.allOffsets(q.Group, epoch)
		}
		return resp, nil
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		a := kmsg.NewOffsetFetchResponseGroupTopic()
		a.Topic, a.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			c, ok := s.offsets.get(epoch, q.Group, place{t.Topic, p})
			if !known || !ok || otherTopic(c.topicID, t.TopicID) {
				a.Partitions = append(a.Partitions, s.noOffset(q.Group, place{t.Topic, p}, epoch))
				continue
			}
			a.Partitions = append(a.Partitions, s.offset(q.Group, place{t.Topic, p}, c, epoch))
		}
		resp.Topics = append(resp.Topics, a)
	}
	return resp, nil
}

// otherTopic tells whether an offset was committed for another topic of the name.
func otherTopic(committed, asked [16]byte) bool {
	return committed != [16]byte{} && asked != [16]byte{} && committed != asked
}

// allOffsets are in the order of topics and partitions.
func (s *Shard) allOffsets(group string, epoch int64) []kmsg.OffsetFetchResponseGroupTopic {
	offsets, ok := s.offsets.groups.GetAt(epoch, group)
	if !ok {
		return nil
	}
	all := maps.Collect(offsets.AllAt(epoch))
	places := slices.SortedFunc(maps.Keys(all), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	var topics []kmsg.OffsetFetchResponseGroupTopic
	for _, p := range places {
		if n := len(topics); n == 0 || topics[n-1].Topic != p.topic {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = p.topic
			topics = append(topics, t)
		}
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, s.offset(group, p, all[p], epoch))
	}
	return topics
}

// offset is a partition's answer.
func (s *Shard) offset(group string, p place, c committed, epoch int64) kmsg.OffsetFetchResponseGroupTopicPartition {
	a := s.noOffset(group, p, epoch)
	if a.ErrorCode == 0 {
		a.Offset, a.LeaderEpoch, a.Metadata = c.offset, max(c.leaderEpoch, -1), &c.metadata
	}
	return a
}

// noOffset is the answer for a partition without an offset. Who requires stable
// offsets is told of open transactions.
func (s *Shard) noOffset(group string, p place, epoch int64) kmsg.OffsetFetchResponseGroupTopicPartition {
	a := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	none := ""
	a.Partition, a.Offset, a.LeaderEpoch, a.Metadata = p.partition, -1, -1, &none
	if epoch == timeline.Latest && s.offsets.unstable(group, p) {
		a.ErrorCode = kerr.UnstableOffsetCommit.Code
	}
	return a
}
