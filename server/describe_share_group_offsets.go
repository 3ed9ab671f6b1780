package server

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/groups"
)

// DescribeShareGroupOffsets (90), versions 0-1: where share groups begin. v1 tells
// the lag (KIP-1226).

func describeShareGroupOffsets(r *request, q *kmsg.DescribeShareGroupOffsetsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DescribeShareGroupOffsetsResponse)
	resp.Groups = make([]kmsg.DescribeShareGroupOffsetsResponseGroup, len(q.Groups))
	r.broker.together(len(q.Groups), func(i int) {
		g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
		g.GroupID = q.Groups[i].GroupID
		topics, err := r.shareOffsetsOf(q, &q.Groups[i])
		g.Topics, g.ErrorCode, g.ErrorMessage = topics, errorCode(err), errorText(err)
		resp.Groups[i] = g
	})
	return resp, ended(r.ctx)
}

// shareOffset is a partition to be described.
type shareOffset struct {
	groups.SharePartition
	answer kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition
}

func (r *request) shareOffsetsOf(
	q *kmsg.DescribeShareGroupOffsetsRequest, g *kmsg.DescribeShareGroupOffsetsRequestGroup,
) ([]kmsg.DescribeShareGroupOffsetsResponseGroupTopic, error) {
	b := r.broker
	if !b.shareGroupsEnabled() {
		return nil, kerr.UnsupportedVersion
	}
	list, err := r.sharesToDescribe(g)
	if err != nil {
		return nil, err
	}
	if g.GroupID == "" && slices.ContainsFunc(list, func(p *shareOffset) bool { return p.Topic != log.TopicID{} }) {
		return nil, kerr.UnknownServerError // The persister takes no such group.
	}
	b.together(len(list), func(i int) { list[i].answer = r.shareOffsetOf(g.GroupID, list[i].SharePartition, q.Version >= 1) })
	var topics []kmsg.DescribeShareGroupOffsetsResponseGroupTopic
	for _, p := range list {
		i := slices.IndexFunc(topics, func(t kmsg.DescribeShareGroupOffsetsResponseGroupTopic) bool { return t.Topic == p.Name })
		if i < 0 {
			i = len(topics)
			topics = append(topics, kmsg.DescribeShareGroupOffsetsResponseGroupTopic{Topic: p.Name, TopicID: p.Topic})
		}
		topics[i].Partitions = append(topics[i].Partitions, p.answer)
	}
	return topics, nil
}

// sharesToDescribe are the partitions that the request names, known or not; those
// that are initialized, where it names none. That there is no such group is no error.
func (r *request) sharesToDescribe(g *kmsg.DescribeShareGroupOffsetsRequestGroup) (list []*shareOffset, err error) {
	b := r.broker
	if g.Topics == nil {
		known, err := readGroups(r, b.groupPartition(g.GroupID), func(s *groups.Shard, committed int64) ([]groups.SharePartition, error) {
			return s.InitializedShares(g.GroupID, committed), nil
		})
		for _, p := range known {
			list = append(list, &shareOffset{SharePartition: p})
		}
		return list, err
	}
	m := b.image()
	for _, t := range g.Topics {
		for _, n := range t.Partitions {
			p := groups.SharePartition{Name: t.Topic, Partition: n}
			if topic := m.Topics[t.Topic]; topic != nil {
				p.Topic = topic.ID
			}
			list = append(list, &shareOffset{SharePartition: p})
		}
	}
	return list, nil
}

// shareOffsetOf describes a partition. Where it begins is not known, -1, if the
// share coordinator does not know it either, whatever the reason.
func (r *request) shareOffsetOf(group string, p groups.SharePartition, lag bool) kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition {
	b := r.broker
	a := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
	a.Partition, a.StartOffset, a.Lag = p.Partition, -1, -1
	if b.image().TopicsByID[p.Topic] == nil {
		return a
	}
	found, err := b.summaryPersisted(r.ctx, group, p)
	if err != nil {
		return a
	}
	a.StartOffset, a.LeaderEpoch = found.StartOffset, found.LeaderEpoch
	if !lag || found.StartOffset < 0 || found.DeliveryCompleteCount < 0 {
		return a
	}
	end, err := b.latestOffset(r.ctx, p.Name, p.Partition)
	if err != nil {
		a.StartOffset, a.LeaderEpoch = 0, 0
		a.ErrorCode, a.ErrorMessage = errorCode(err), errorText(err)
		return a
	}
	a.Lag = end - found.StartOffset - int64(found.DeliveryCompleteCount)
	return a
}

// summaryPersisted asks the share coordinator where a share-partition begins.
func (b *broker) summaryPersisted(
	ctx context.Context, group string, p groups.SharePartition,
) (kmsg.ReadShareGroupStateSummaryResponseTopicPartition, error) {
	q := kmsg.NewPtrReadShareGroupStateSummaryRequest()
	q.Version, q.GroupID = 1, group
	t := kmsg.NewReadShareGroupStateSummaryRequestTopic()
	t.TopicID = p.Topic
	part := kmsg.NewReadShareGroupStateSummaryRequestTopicPartition()
	part.Partition, part.LeaderEpoch = p.Partition, -1
	t.Partitions = append(t.Partitions, part)
	q.Topics = append(q.Topics, t)
	of := func(r kmsg.Response) kmsg.ReadShareGroupStateSummaryResponseTopicPartition {
		return r.(*kmsg.ReadShareGroupStateSummaryResponse).Topics[0].Partitions[0]
	}
	resp, err := b.persist(ctx, sharePartitionOf(group, p.Topic, p.Partition), q, func(r kmsg.Response) (int16, *string) {
		return of(r).ErrorCode, of(r).ErrorMessage
	})
	if err != nil {
		return kmsg.ReadShareGroupStateSummaryResponseTopicPartition{}, err
	}
	return of(resp), nil
}

// endOffsetWithin is how long a leader is asked for the end of its log.
const endOffsetWithin = 2 * time.Second

// latestOffset asks the leader of a partition for its end.
func (b *broker) latestOffset(ctx context.Context, topic string, partition int32) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, endOffsetWithin)
	defer cancel()
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = 7, consumerReplica
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = partition, -1, replication.TimeLatest
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	m := b.image()
	found := m.Topics[topic]
	if found == nil || int(partition) >= len(found.Partitions) || found.Partitions[partition].Leader < 0 {
		return -1, kerr.LeaderNotAvailable
	}
	answer, err := b.ask(ctx, found.Partitions[partition].Leader, q)
	if err != nil {
		return -1, err
	}
	a := answer.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
	return a.Offset, kerr.ErrorForCode(a.ErrorCode)
}
