package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// AddPartitionsToTxn (24), versions 0-5: partitions that a transaction is to have.
//
// Up to v3 producers send it, one transaction at a time: a partition that does not
// exist refuses them all. From v4 on brokers do, several transactions at a time, to
// add partitions or to ask whether they are there (KIP-890). v2 knows
// PRODUCER_FENCED, v5 TRANSACTION_ABORTABLE.

// addsForBrokers is the first version that brokers send.
const addsForBrokers = 4

func addPartitionsToTxn(r *request, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if q.Version < addsForBrokers {
		addForClient(r, q, resp)
		return resp, ended(r.ctx)
	}
	for i := range q.Transactions {
		t := &q.Transactions[i]
		topics := make([]kmsg.AddPartitionsToTxnRequestTopic, len(t.Topics))
		for j, topic := range t.Topics {
			topics[j].Topic, topics[j].Partitions = topic.Topic, topic.Partitions
		}
		a := kmsg.NewAddPartitionsToTxnResponseTransaction()
		a.TransactionalID = t.TransactionalID
		for _, topic := range addTransaction(r, t, topics) {
			out := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
			out.Topic = topic.Topic
			for _, p := range topic.Partitions {
				part := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, p.ErrorCode
				out.Partitions = append(out.Partitions, part)
			}
			a.Topics = append(a.Topics, out)
		}
		resp.Transactions = append(resp.Transactions, a)
	}
	return resp, ended(r.ctx)
}

// addForClient is the request of a producer.
func addForClient(r *request, q *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) {
	m := r.broker.image()
	missing := false
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			missing = missing || !exists(m, t.Topic, p)
		}
	}
	var err error
	if !missing {
		_, err = addPartitions(r, transactions.AddRequest{
			ID: q.TransactionalID, ProducerID: q.ProducerID, Epoch: q.ProducerEpoch, Partitions: partitionsOf(q.Topics),
		})
		if errors.Is(err, kerr.ProducerFenced) && q.Version < 2 {
			err = kerr.InvalidProducerEpoch
		}
	}
	resp.Topics = addAnswer(q.Topics, func(topic string, p int32) int16 {
		switch {
		case !missing:
			return transactionCode(err)
		case exists(m, topic, p):
			return kerr.OperationNotAttempted.Code
		}
		return kerr.UnknownTopicOrPartition.Code
	})
}

// addTransaction is one transaction of the request of a broker.
func addTransaction(
	r *request, t *kmsg.AddPartitionsToTxnRequestTransaction, topics []kmsg.AddPartitionsToTxnRequestTopic,
) []kmsg.AddPartitionsToTxnResponseTopic {
	q := transactions.AddRequest{
		ID: t.TransactionalID, ProducerID: t.ProducerID, Epoch: t.ProducerEpoch, Version: 2, Partitions: partitionsOf(topics),
	}
	m := r.broker.image()
	for _, p := range q.Partitions {
		if !exists(m, p.Topic, p.Partition) {
			return addAnswer(topics, func(topic string, p int32) int16 {
				if exists(m, topic, p) {
					return kerr.OperationNotAttempted.Code
				}
				return kerr.UnknownTopicOrPartition.Code
			})
		}
	}
	if !t.VerifyOnly {
		_, err := addPartitions(r, q)
		return addAnswer(topics, func(string, int32) int16 { return transactionCode(err) })
	}
	errs, err := verifyPartitions(r.ctx, r.broker, q)
	next := 0
	return addAnswer(topics, func(string, int32) int16 {
		next++
		if err != nil {
			return transactionCode(err)
		}
		return errorCode(errs[next-1])
	})
}

func addPartitions(r *request, q transactions.AddRequest) (struct{}, error) {
	return writeTransaction(r, q.ID, func(s *transactions.Shard) (struct{}, coordinator.Outcome, error) {
		o, err := s.AddPartitions(q)
		return struct{}{}, o, err
	})
}

func verifyPartitions(ctx context.Context, b *broker, q transactions.AddRequest) (errs []error, err error) {
	if q.ID == "" {
		return nil, kerr.InvalidRequest
	}
	var found []error
	err = b.transactions.Run(ctx, b.transactionPartition(q.ID), func(s *transactions.Shard) (_ coordinator.Outcome, err error) {
		found, err = s.Verify(q)
		return coordinator.Outcome{}, err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func exists(m *election.Image, topic string, partition int32) bool {
	t := m.Topics[topic]
	return t != nil && partition >= 0 && int(partition) < len(t.Partitions)
}

func partitionsOf(topics []kmsg.AddPartitionsToTxnRequestTopic) []transactions.Partition {
	var list []transactions.Partition
	for _, t := range topics {
		for _, p := range t.Partitions {
			list = append(list, transactions.Partition{Topic: t.Topic, Partition: p})
		}
	}
	return list
}

func addAnswer(topics []kmsg.AddPartitionsToTxnRequestTopic, code func(topic string, p int32) int16) []kmsg.AddPartitionsToTxnResponseTopic {
	var out []kmsg.AddPartitionsToTxnResponseTopic
	for _, t := range topics {
		a := kmsg.NewAddPartitionsToTxnResponseTopic()
		a.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			part.Partition, part.ErrorCode = p, code(t.Topic, p)
			a.Partitions = append(a.Partitions, part)
		}
		out = append(out, a)
	}
	return out
}
