package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// ShareGroupHeartbeat (76), version 1: a member of a share group joins, stays, or
// leaves.
//
// Partitions that are new to a group have to be begun at the share coordinator
// before anybody gets them. Kafka answers the first heartbeat before that, and the
// member waits for its next one; here the first answer waits shortly.

// beginWithin is how long the answer to the first heartbeat waits for partitions
// that are new to the group.
const beginWithin = 2 * time.Second

func shareGroupHeartbeat(r *request, q *kmsg.ShareGroupHeartbeatRequest) (kmsg.Response, error) {
	resp, err := r.shareHeartbeat(q)
	if err != nil {
		resp = q.ResponseKind().(*kmsg.ShareGroupHeartbeatResponse)
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorMessage(err)
	}
	return resp, ended(r.ctx)
}

func (r *request) shareHeartbeat(q *kmsg.ShareGroupHeartbeatRequest) (*kmsg.ShareGroupHeartbeatResponse, error) {
	if !r.broker.shareGroupsEnabled() {
		return nil, kerr.UnsupportedVersion
	}
	if q.MemberID == "" || len(q.MemberID) > maxMemberID {
		return nil, kerr.InvalidRequest
	}
	if err := groups.CheckShareHeartbeat(q); err != nil {
		return nil, err
	}
	resp, wanted, err := r.beatShare(q)
	if err != nil || wanted == nil {
		return resp, err
	}
	begun := r.broker.beginShares(wanted)
	if q.MemberEpoch != 0 {
		return resp, nil
	}
	timer := time.NewTimer(beginWithin)
	defer timer.Stop()
	select {
	case <-begun:
	case <-timer.C:
		return resp, nil
	case <-r.ctx.Done():
		return nil, r.ctx.Err()
	}
	next := *q
	next.MemberEpoch = resp.MemberEpoch
	if again, _, err := r.beatShare(&next); err == nil {
		return again, nil
	}
	return resp, nil
}

// beatShare has the group's coordinator take a heartbeat.
func (r *request) beatShare(q *kmsg.ShareGroupHeartbeatRequest) (*kmsg.ShareGroupHeartbeatResponse, *groups.ShareInitialization, error) {
	var wanted *groups.ShareInitialization
	resp, err := writeGroups(r, r.broker.groupPartition(q.GroupID), func(s *groups.Shard) (a *kmsg.ShareGroupHeartbeatResponse, o coordinator.Outcome, err error) {
		a, wanted, o, err = s.ShareGroupHeartbeat(r.client(), q)
		return a, o, err
	})
	return resp, wanted, err
}

// beginShares has share coordinators begin partitions of a group, and the group
// note it, in the background (GroupCoordinatorService.persisterInitialize). What is
// returned is closed when that is done.
func (b *broker) beginShares(wanted *groups.ShareInitialization) (done <-chan struct{}) {
	ended := make(chan struct{})
	b.spawn(func() {
		defer close(ended)
		_ = b.beginSharesNow(b.ctx, wanted)
	})
	return ended
}

// beginSharesNow returns what went wrong, by partition.
func (b *broker) beginSharesNow(ctx context.Context, wanted *groups.ShareInitialization) []error {
	errs := make([]error, len(wanted.Partitions))
	b.together(len(errs), func(i int) {
		p := wanted.Partitions[i]
		errs[i] = b.initializePersisted(ctx, sharePartitionOf(wanted.Group, p.Topic, p.Partition), wanted.StateEpoch, p.Start)
	})
	var begun, failed []groups.SharePartition
	for i, p := range wanted.Partitions {
		if errs[i] == nil {
			begun = append(begun, p)
			continue
		}
		failed = append(failed, p)
		b.logger.Warn("a share-partition was not initialized", "group", wanted.Group, "topic", p.Name, "partition", p.Partition, "error", errs[i])
	}
	err := b.groups.Write(ctx, b.groupPartition(wanted.Group), func(s *groups.Shard) (coordinator.Outcome, error) {
		return s.SharesInitialized(wanted.Group, begun, failed)
	})
	if err != nil {
		b.logger.Warn("a share group does not know that its partitions are initialized", "group", wanted.Group, "error", err)
	}
	return errs
}

// initializePersisted has the share coordinator begin a share-partition.
func (b *broker) initializePersisted(ctx context.Context, p sharecoordinator.Partition, stateEpoch int32, start int64) error {
	q := kmsg.NewPtrInitializeShareGroupStateRequest()
	q.GroupID = p.Group
	t := kmsg.NewInitializeShareGroupStateRequestTopic()
	t.TopicID = p.Topic
	part := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
	part.Partition, part.StateEpoch, part.StartOffset = p.Partition, stateEpoch, start
	t.Partitions = append(t.Partitions, part)
	q.Topics = append(q.Topics, t)
	_, err := b.persist(ctx, p, q, func(r kmsg.Response) (int16, *string) {
		a := r.(*kmsg.InitializeShareGroupStateResponse).Topics[0].Partitions[0]
		return a.ErrorCode, a.ErrorMessage
	})
	return err
}

// deletePersisted has the share coordinator forget a share-partition.
func (b *broker) deletePersisted(ctx context.Context, p sharecoordinator.Partition) error {
	q := kmsg.NewPtrDeleteShareGroupStateRequest()
	q.GroupID = p.Group
	t := kmsg.NewDeleteShareGroupStateRequestTopic()
	t.TopicID = p.Topic
	t.Partitions = append(t.Partitions, kmsg.DeleteShareGroupStateRequestTopicPartition{Partition: p.Partition})
	q.Topics = append(q.Topics, t)
	_, err := b.persist(ctx, p, q, func(r kmsg.Response) (int16, *string) {
		a := r.(*kmsg.DeleteShareGroupStateResponse).Topics[0].Partitions[0]
		return a.ErrorCode, a.ErrorMessage
	})
	return err
}

// deleteShares has the states of partitions deleted, and returns the error of each
// topic.
func (b *broker) deleteShares(ctx context.Context, group string, partitions []groups.SharePartition) map[log.TopicID]error {
	errs := make([]error, len(partitions))
	b.together(len(errs), func(i int) {
		errs[i] = b.deletePersisted(ctx, sharePartitionOf(group, partitions[i].Topic, partitions[i].Partition))
	})
	byTopic := map[log.TopicID]error{}
	for i, p := range partitions {
		if byTopic[p.Topic] == nil {
			byTopic[p.Topic] = errs[i]
		}
	}
	return byTopic
}
