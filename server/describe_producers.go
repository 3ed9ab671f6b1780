package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// DescribeProducers (61), version 0: the producer state of the replica that was
// asked, leader or not.

func describeProducers(r *request, q *kmsg.DescribeProducersRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DescribeProducersResponse)
	m := r.broker.image()
	for _, t := range q.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		err := election.ValidateTopicName(t.Topic)
		message := errorMessage(err)
		if err == nil && m.Topics[t.Topic] == nil {
			err, message = kerr.UnknownTopicOrPartition, &kerr.UnknownTopicOrPartition.Description
		}
		for _, p := range t.Partitions {
			a := kmsg.NewDescribeProducersResponseTopicPartition()
			a.Partition = p
			a.ActiveProducers = []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
			if err != nil {
				a.ErrorCode, a.ErrorMessage = errorCode(err), message
			} else {
				r.broker.describeProducers(m, t.Topic, &a)
			}
			out.Partitions = append(out.Partitions, a)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func (b *broker) describeProducers(m *election.Image, topic string, a *kmsg.DescribeProducersResponseTopicPartition) {
	_, r, err := b.partition(m, topic, a.Partition)
	if err != nil {
		a.ErrorCode = errorCode(err)
		return
	}
	for _, p := range r.Log().Producers() {
		o := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		o.ProducerID, o.ProducerEpoch, o.LastSequence = p.ID, int32(p.Epoch), p.LastSequence
		o.LastTimestamp, o.CoordinatorEpoch, o.CurrentTxnStartOffset = p.LastTimestamp, p.CoordinatorEpoch, p.TxnStart
		a.ActiveProducers = append(a.ActiveProducers, o)
	}
}
