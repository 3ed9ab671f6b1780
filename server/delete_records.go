package server

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// DeleteRecords (21), versions 0-2. The answer waits until every live replica has
// moved its log start, or the time is over; the leader's has moved even then.

func deleteRecords(r *request, q *kmsg.DeleteRecordsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DeleteRecordsResponse)
	ctx, cancel := context.WithTimeout(r.ctx, time.Duration(max(q.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	m := r.broker.image()
	var all sync.WaitGroup
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		out.Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		for j, p := range t.Partitions {
			a := &out.Partitions[j]
			a.Partition = p.Partition
			all.Go(func() {
				low, err := r.broker.deleteRecords(ctx, m, t.Topic, p)
				a.LowWatermark, a.ErrorCode = low, errorCode(err)
			})
		}
		resp.Topics = append(resp.Topics, out)
	}
	all.Wait()
	return resp, nil
}

// deleteRecords returns the low watermark (Partition.deleteRecordsOnLeader).
func (b *broker) deleteRecords(
	ctx context.Context, m *election.Image, topic string, p kmsg.DeleteRecordsRequestTopicPartition,
) (int64, error) {
	t, r, err := b.partition(m, topic, p.Partition)
	switch {
	case t == nil:
		return -1, err
	case internalTopic(topic):
		return -1, kerr.InvalidTopicException
	case err != nil:
		return -1, err
	}
	if err := r.CheckAppend(1); err != nil {
		return -1, err
	}
	if !b.topicSettings(m, t).deletes {
		return -1, kerr.PolicyViolation
	}
	return r.DeleteRecords(ctx, p.Offset)
}
