package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// ReadShareGroupState (84), version 0: the leader of a partition asks the share
// coordinator for the state of a share-partition, and fences its predecessors.

func readShareGroupState(r *request, q *kmsg.ReadShareGroupStateRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ReadShareGroupStateResponse)
	if q.GroupID == "" {
		return resp, nil // Kafka's answer, too, is empty.
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewReadShareGroupStateResponseTopic()
		out.TopicID, out.Partitions = t.TopicID, make([]kmsg.ReadShareGroupStateResponseTopicPartition, len(t.Partitions))
		r.broker.together(len(t.Partitions), func(j int) {
			out.Partitions[j] = r.readShareState(q.GroupID, t.TopicID, t.Partitions[j])
		})
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func (r *request) readShareState(
	group string, topic [16]byte, p kmsg.ReadShareGroupStateRequestTopicPartition,
) kmsg.ReadShareGroupStateResponseTopicPartition {
	id := sharePartitionOf(group, topic, p.Partition)
	var found sharecoordinator.State
	err := r.broker.shareState(r.ctx, id, func(s *sharecoordinator.Shard) (o coordinator.Outcome, err error) {
		found, o, err = s.Read(id, p.LeaderEpoch)
		return o, err
	})
	a := kmsg.NewReadShareGroupStateResponseTopicPartition()
	a.Partition, a.ErrorCode, a.ErrorMessage = p.Partition, errorCode(err), shareMessage(err)
	if err != nil {
		return a
	}
	a.StateEpoch, a.StartOffset = found.StateEpoch, found.Start
	for _, b := range found.Batches {
		s := kmsg.NewReadShareGroupStateResponseTopicPartitionStateBatch()
		s.FirstOffset, s.LastOffset, s.DeliveryState, s.DeliveryCount = b.First, b.Last, int8(b.DeliveryState), b.DeliveryCount
		a.StateBatches = append(a.StateBatches, s)
	}
	return a
}
