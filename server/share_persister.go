package server

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/share"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

const (
	// persistWithin is how long the share coordinator is looked for, and
	// persistRetry how long until it is asked again (PersisterStateManager).
	persistWithin = 15 * time.Second
	persistRetry  = 50 * time.Millisecond
)

// persist sends a request for one share-partition to its share coordinator
// (DefaultStatePersister). code tells the error of the partition; while that says
// that the coordinator is another one, or not there yet, the request is sent
// again. Errors are those of Kafka's SharePartition.fetchPersisterError.
func (b *broker) persist(ctx context.Context, p sharecoordinator.Partition, q kmsg.Request, code func(kmsg.Response) (int16, *string)) (kmsg.Response, error) {
	if p.Group == "" { // The share coordinator's answer would be empty.
		return nil, kerr.UnknownServerError
	}
	ctx, cancel := context.WithTimeout(ctx, persistWithin)
	defer cancel()
	for {
		changed := b.images.next()
		resp, err := b.askShareCoordinator(ctx, p, q)
		if err == nil {
			number, message := code(resp)
			if err = persistError(number, message); err == nil || !errors.Is(err, kerr.CoordinatorNotAvailable) {
				return resp, err
			}
		}
		again := time.NewTimer(persistRetry)
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, &sharecoordinator.Error{Code: kerr.CoordinatorNotAvailable, Message: "The share coordinator is not available."}
		}
		again.Stop()
	}
}

// persistError is what clients are told of the share coordinator's error.
func persistError(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	text := ""
	if message != nil {
		text = *message
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.NotCoordinator), errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.CoordinatorLoadInProgress):
		return &sharecoordinator.Error{Code: kerr.CoordinatorNotAvailable, Message: text}
	case errors.Is(err, kerr.GroupIDNotFound):
		return &sharecoordinator.Error{Code: kerr.GroupIDNotFound, Message: text}
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return &sharecoordinator.Error{Code: kerr.UnknownTopicOrPartition, Message: text}
	case errors.Is(err, kerr.FencedLeaderEpoch), errors.Is(err, kerr.FencedStateEpoch):
		return &sharecoordinator.Error{Code: kerr.NotLeaderForPartition, Message: text}
	}
	return &sharecoordinator.Error{Code: kerr.UnknownServerError, Message: text}
}

// askShareCoordinator sends a request to the broker that coordinates a
// share-partition, this one maybe, and gives up when another one does.
func (b *broker) askShareCoordinator(ctx context.Context, p sharecoordinator.Partition, q kmsg.Request) (kmsg.Response, error) {
	m := b.awaitTopic(ctx, shareGroupState)
	if m.Topics[shareGroupState] == nil {
		return nil, kerr.CoordinatorNotAvailable
	}
	partition := b.shareStatePartition(p)
	leader := b.shareCoordinator(partition)
	if leader < 0 {
		return nil, kerr.CoordinatorNotAvailable
	}
	return b.askWhile(ctx, leader, q, func(*election.Image) bool { return b.shareCoordinator(partition) == leader })
}

// shareCoordinator is who leads a partition of __share_group_state, -1 if nobody
// does.
func (b *broker) shareCoordinator(partition int32) int32 {
	m := b.image()
	t := m.Topics[shareGroupState]
	if t == nil || int(partition) >= len(t.Partitions) {
		return -1
	}
	leader := t.Partitions[partition].Leader
	if n := m.Brokers[leader]; n == nil || n.Fenced {
		return -1
	}
	return leader
}

// readPersisted reads the state of a share-partition for the leader of an epoch.
func (b *broker) readPersisted(ctx context.Context, p sharecoordinator.Partition, leaderEpoch int32) (sharecoordinator.State, error) {
	q := kmsg.NewPtrReadShareGroupStateRequest()
	q.GroupID = p.Group
	t := kmsg.NewReadShareGroupStateRequestTopic()
	t.TopicID = p.Topic
	part := kmsg.NewReadShareGroupStateRequestTopicPartition()
	part.Partition, part.LeaderEpoch = p.Partition, leaderEpoch
	t.Partitions = append(t.Partitions, part)
	q.Topics = append(q.Topics, t)
	resp, err := b.persist(ctx, p, q, func(r kmsg.Response) (int16, *string) {
		a := r.(*kmsg.ReadShareGroupStateResponse).Topics[0].Partitions[0]
		return a.ErrorCode, a.ErrorMessage
	})
	if err != nil {
		return sharecoordinator.State{}, err
	}
	a := resp.(*kmsg.ReadShareGroupStateResponse).Topics[0].Partitions[0]
	s := sharecoordinator.State{StateEpoch: a.StateEpoch, LeaderEpoch: leaderEpoch, Start: a.StartOffset}
	for _, x := range a.StateBatches {
		s.Batches = append(s.Batches, share.StateBatch{
			First: x.FirstOffset, Last: x.LastOffset, DeliveryState: share.RecordState(x.DeliveryState), DeliveryCount: x.DeliveryCount,
		})
	}
	return s, nil
}

// writePersisted stores what has changed of a share-partition.
func (b *broker) writePersisted(ctx context.Context, p sharecoordinator.Partition, w sharecoordinator.State) error {
	q := kmsg.NewPtrWriteShareGroupStateRequest()
	q.Version, q.GroupID = 1, p.Group
	t := kmsg.NewWriteShareGroupStateRequestTopic()
	t.TopicID = p.Topic
	part := kmsg.NewWriteShareGroupStateRequestTopicPartition()
	part.Partition, part.StateEpoch, part.LeaderEpoch = p.Partition, w.StateEpoch, w.LeaderEpoch
	part.StartOffset, part.DeliveryCompleteCount = w.Start, w.DeliveryComplete
	for _, x := range w.Batches {
		s := kmsg.NewWriteShareGroupStateRequestTopicPartitionStateBatch()
		s.FirstOffset, s.LastOffset, s.DeliveryState, s.DeliveryCount = x.First, x.Last, int8(x.DeliveryState), x.DeliveryCount
		part.StateBatches = append(part.StateBatches, s)
	}
	t.Partitions = append(t.Partitions, part)
	q.Topics = append(q.Topics, t)
	_, err := b.persist(ctx, p, q, func(r kmsg.Response) (int16, *string) {
		a := r.(*kmsg.WriteShareGroupStateResponse).Topics[0].Partitions[0]
		return a.ErrorCode, a.ErrorMessage
	})
	return err
}
