package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// DeleteShareGroupState (86), version 0: the group coordinator has the share
// coordinator forget share-partitions.

func deleteShareGroupState(r *request, q *kmsg.DeleteShareGroupStateRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DeleteShareGroupStateResponse)
	if q.GroupID == "" {
		return resp, nil // Kafka's answer, too, is empty.
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewDeleteShareGroupStateResponseTopic()
		out.TopicID, out.Partitions = t.TopicID, make([]kmsg.DeleteShareGroupStateResponseTopicPartition, len(t.Partitions))
		r.broker.together(len(t.Partitions), func(j int) {
			id := sharePartitionOf(q.GroupID, t.TopicID, t.Partitions[j].Partition)
			err := r.broker.shareState(r.ctx, id, func(s *sharecoordinator.Shard) (coordinator.Outcome, error) { return s.Delete(id) })
			a := kmsg.NewDeleteShareGroupStateResponseTopicPartition()
			a.Partition, a.ErrorCode, a.ErrorMessage = id.Partition, errorCode(err), shareMessage(err)
			out.Partitions[j] = a
		})
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
