package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// InitializeShareGroupState (83), version 0: the group coordinator has the share
// coordinator begin share-partitions.

func initializeShareGroupState(r *request, q *kmsg.InitializeShareGroupStateRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.InitializeShareGroupStateResponse)
	if q.GroupID == "" {
		return resp, nil // Kafka's answer, too, is empty.
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewInitializeShareGroupStateResponseTopic()
		out.TopicID, out.Partitions = t.TopicID, make([]kmsg.InitializeShareGroupStateResponseTopicPartition, len(t.Partitions))
		r.broker.together(len(t.Partitions), func(j int) {
			p := &t.Partitions[j]
			err := r.broker.shareState(r.ctx, sharePartitionOf(q.GroupID, t.TopicID, p.Partition), func(s *sharecoordinator.Shard) (coordinator.Outcome, error) {
				return s.Initialize(sharePartitionOf(q.GroupID, t.TopicID, p.Partition), p.StateEpoch, p.StartOffset)
			})
			a := kmsg.NewInitializeShareGroupStateResponseTopicPartition()
			a.Partition, a.ErrorCode, a.ErrorMessage = p.Partition, errorCode(err), shareMessage(err)
			out.Partitions[j] = a
		})
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func sharePartitionOf(group string, topic [16]byte, partition int32) sharecoordinator.Partition {
	return sharecoordinator.Partition{Group: group, Topic: topic, Partition: partition}
}
