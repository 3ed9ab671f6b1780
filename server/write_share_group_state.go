package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/share"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// WriteShareGroupState (85), versions 0-1: the leader of a partition tells the
// share coordinator what has become of records. v1 has the delivery complete
// count.

func writeShareGroupState(r *request, q *kmsg.WriteShareGroupStateRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.WriteShareGroupStateResponse)
	if q.GroupID == "" {
		return resp, nil // Kafka's answer, too, is empty.
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewWriteShareGroupStateResponseTopic()
		out.TopicID, out.Partitions = t.TopicID, make([]kmsg.WriteShareGroupStateResponseTopicPartition, len(t.Partitions))
		r.broker.together(len(t.Partitions), func(j int) {
			err := r.writeShareState(q, t.TopicID, &t.Partitions[j])
			a := kmsg.NewWriteShareGroupStateResponseTopicPartition()
			a.Partition, a.ErrorCode, a.ErrorMessage = t.Partitions[j].Partition, errorCode(err), shareMessage(err)
			out.Partitions[j] = a
		})
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func (r *request) writeShareState(
	q *kmsg.WriteShareGroupStateRequest, topic [16]byte, p *kmsg.WriteShareGroupStateRequestTopicPartition,
) error {
	w := sharecoordinator.State{
		StateEpoch: p.StateEpoch, LeaderEpoch: p.LeaderEpoch, Start: p.StartOffset, DeliveryComplete: -1,
	}
	if q.Version >= 1 {
		w.DeliveryComplete = p.DeliveryCompleteCount
	}
	for _, b := range p.StateBatches {
		w.Batches = append(w.Batches, share.StateBatch{
			First: b.FirstOffset, Last: b.LastOffset,
			DeliveryState: share.RecordState(b.DeliveryState), DeliveryCount: b.DeliveryCount,
		})
	}
	id := sharePartitionOf(q.GroupID, topic, p.Partition)
	return r.broker.shareState(r.ctx, id, func(s *sharecoordinator.Shard) (coordinator.Outcome, error) { return s.Write(id, w) })
}
