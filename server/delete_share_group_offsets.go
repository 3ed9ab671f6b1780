package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// DeleteShareGroupOffsets (92), version 0: a share group without members forgets
// topics.

func deleteShareGroupOffsets(r *request, q *kmsg.DeleteShareGroupOffsetsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DeleteShareGroupOffsetsResponse)
	m := r.broker.image()
	var ids []log.TopicID
	for _, t := range q.Topics {
		if topic := m.Topics[t.Topic]; topic != nil {
			ids = append(ids, topic.ID)
		}
	}
	errs, err := r.deleteShareTopics(q.GroupID, ids)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
		return resp, ended(r.ctx)
	}
	for _, t := range q.Topics {
		out := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
		out.Topic = t.Topic
		err := error(kerr.UnknownTopicOrPartition)
		if topic := m.Topics[t.Topic]; topic != nil {
			if found, ok := errs[topic.ID]; ok {
				out.TopicID, err = topic.ID, found
			}
		}
		out.ErrorCode, out.ErrorMessage = errorCode(err), errorText(err)
		resp.Topics = append(resp.Topics, out)
	}
	return resp, ended(r.ctx)
}

// deleteShareTopics has the states of topics deleted that the group has, and
// returns what went wrong with which.
func (r *request) deleteShareTopics(group string, ids []log.TopicID) (map[log.TopicID]error, error) {
	b := r.broker
	if err := b.checkShareGroup(group); err != nil {
		return nil, err
	}
	partition := b.groupPartition(group)
	found, err := writeGroups(r, partition, func(s *groups.Shard) (map[log.TopicID][]int32, coordinator.Outcome, error) {
		return s.DeleteShareOffsets(group, ids)
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var list []groups.SharePartition
	for id, ps := range found {
		for _, p := range ps {
			list = append(list, groups.SharePartition{Topic: id, Partition: p})
		}
	}
	errs := b.deleteShares(r.ctx, group, list)
	done := slices.DeleteFunc(slices.Clone(ids), func(id log.TopicID) bool { return found[id] == nil || errs[id] != nil })
	err = b.groups.Write(r.ctx, partition, func(s *groups.Shard) (coordinator.Outcome, error) {
		return s.ShareOffsetsDeleted(group, done)
	})
	return errs, err
}

// deleteSharesOf has the states of share groups deleted that are about to be
// deleted themselves (GroupCoordinatorService.deleteGroups). Groups that may not
// be are left alone.
func (r *request) deleteSharesOf(ids []string) {
	b := r.broker
	for _, id := range ids {
		found, err := readGroups(r, b.groupPartition(id), func(s *groups.Shard, committed int64) ([]groups.SharePartition, error) {
			return s.EmptySharePartitions(id, committed)
		})
		if err == nil && len(found) > 0 {
			b.deleteShares(r.ctx, id, found)
		}
	}
}
