package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// OffsetForLeaderEpoch (23), versions 2-4. Only a leader answers, also where the
// replica id is that of a debugging client.

func offsetForLeaderEpoch(r *request, q *kmsg.OffsetForLeaderEpochRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	m := r.broker.image()
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewOffsetForLeaderEpochResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			a := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			a.Partition = p.Partition
			end := log.EpochStart{Epoch: -1, Offset: -1}
			_, replica, err := r.broker.partition(m, t.Topic, p.Partition)
			if err == nil {
				end, err = replica.EpochEnd(p.CurrentLeaderEpoch, p.LeaderEpoch)
			}
			a.ErrorCode, a.LeaderEpoch, a.EndOffset = errorCode(err), end.Epoch, end.Offset
			out.Partitions = append(out.Partitions, a)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
