package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// ReadShareGroupStateSummary (87), versions 0-1: the group coordinator asks the
// share coordinator for start offsets. v1 has the delivery complete count.

func readShareGroupStateSummary(r *request, q *kmsg.ReadShareGroupStateSummaryRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ReadShareGroupStateSummaryResponse)
	if q.GroupID == "" {
		return resp, nil // Kafka's answer, too, is empty.
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewReadShareGroupStateSummaryResponseTopic()
		out.TopicID, out.Partitions = t.TopicID, make([]kmsg.ReadShareGroupStateSummaryResponseTopicPartition, len(t.Partitions))
		r.broker.together(len(t.Partitions), func(j int) {
			id := sharePartitionOf(q.GroupID, t.TopicID, t.Partitions[j].Partition)
			var found sharecoordinator.State
			err := r.broker.shareState(r.ctx, id, func(s *sharecoordinator.Shard) (o coordinator.Outcome, err error) {
				found, err = s.Summary(id)
				return o, err
			})
			a := kmsg.NewReadShareGroupStateSummaryResponseTopicPartition()
			a.Partition, a.ErrorCode, a.ErrorMessage = id.Partition, errorCode(err), shareMessage(err)
			if err == nil {
				a.StateEpoch, a.LeaderEpoch = found.StateEpoch, found.LeaderEpoch
				a.StartOffset, a.DeliveryCompleteCount = found.Start, found.DeliveryComplete
			}
			out.Partitions[j] = a
		})
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
