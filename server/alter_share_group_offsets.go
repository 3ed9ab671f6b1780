package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// AlterShareGroupOffsets (91), version 0: a share group without members begins
// elsewhere. What was in flight is forgotten.

func alterShareGroupOffsets(r *request, q *kmsg.AlterShareGroupOffsetsRequest) (kmsg.Response, error) {
	b := r.broker
	resp := q.ResponseKind().(*kmsg.AlterShareGroupOffsetsResponse)
	m := b.image()
	var known []groups.SharePartition
	for _, t := range q.Topics {
		topic := m.Topics[t.Topic]
		for _, p := range t.Partitions {
			if topic != nil && p.Partition >= 0 && int(p.Partition) < len(topic.Partitions) {
				known = append(known, groups.SharePartition{Topic: topic.ID, Name: t.Topic, Partition: p.Partition, Start: p.StartOffset})
			}
		}
	}
	errs, err := r.alterShares(q.GroupID, known)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
		return resp, ended(r.ctx)
	}
	for _, t := range q.Topics {
		out := kmsg.NewAlterShareGroupOffsetsResponseTopic()
		out.Topic = t.Topic
		if topic := m.Topics[t.Topic]; topic != nil {
			out.TopicID = topic.ID
		}
		for _, p := range t.Partitions {
			a := kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
			err, ok := errs[log.PartitionID{Topic: out.TopicID, Partition: p.Partition}]
			if !ok {
				err = kerr.UnknownTopicOrPartition
			}
			a.Partition, a.ErrorCode, a.ErrorMessage = p.Partition, errorCode(err), errorText(err)
			out.Partitions = append(out.Partitions, a)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, ended(r.ctx)
}

// alterShares has partitions of a group begin elsewhere, and returns what went
// wrong with which.
func (r *request) alterShares(group string, partitions []groups.SharePartition) (map[log.PartitionID]error, error) {
	b := r.broker
	if err := b.checkShareGroup(group); err != nil {
		return nil, err
	}
	wanted, err := writeGroups(r, b.groupPartition(group), func(s *groups.Shard) (*groups.ShareInitialization, coordinator.Outcome, error) {
		return s.AlterShareOffsets(group, partitions)
	})
	if err != nil {
		return nil, err
	}
	result := map[log.PartitionID]error{}
	for i, err := range b.beginSharesNow(r.ctx, wanted) {
		result[log.PartitionID{Topic: partitions[i].Topic, Partition: partitions[i].Partition}] = err
	}
	return result, nil
}

// checkShareGroup makes the checks that precede a look at the group.
func (b *broker) checkShareGroup(group string) error {
	switch {
	case !b.shareGroupsEnabled():
		return kerr.UnsupportedVersion
	case group == "":
		return kerr.InvalidGroupID
	}
	return nil
}
