package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// DescribeTransactions (65), version 0: the state of transactional ids that this
// broker coordinates.

func describeTransactions(r *request, q *kmsg.DescribeTransactionsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	for _, id := range q.TransactionalIDs {
		a := kmsg.NewDescribeTransactionsResponseTransactionState()
		a.TransactionalID = id
		var found kmsg.DescribeTransactionsResponseTransactionState
		if id == "" {
			a.ErrorCode = kerr.InvalidRequest.Code
			resp.TransactionStates = append(resp.TransactionStates, a)
			continue
		}
		err := r.broker.transactions.Run(r.ctx, r.broker.transactionPartition(id), func(s *transactions.Shard) (coordinator.Outcome, error) {
			t, partitions, err := s.Describe(id)
			if err == nil {
				found = describeTransaction(t, partitions)
			}
			return coordinator.Outcome{}, err
		})
		if err == nil {
			a = found
		}
		a.ErrorCode = transactionCode(err)
		resp.TransactionStates = append(resp.TransactionStates, a)
	}
	return resp, ended(r.ctx)
}

func describeTransaction(t *transactions.Transaction, partitions []transactions.Partition) kmsg.DescribeTransactionsResponseTransactionState {
	a := kmsg.NewDescribeTransactionsResponseTransactionState()
	a.TransactionalID, a.State, a.TimeoutMillis, a.StartTimestamp = t.ID, t.State.String(), t.TimeoutMs, t.Started
	a.ProducerID, a.ProducerEpoch = t.ProducerID, t.Epoch
	for _, p := range partitions {
		if n := len(a.Topics); n == 0 || a.Topics[n-1].Topic != p.Topic {
			topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			topic.Topic = p.Topic
			a.Topics = append(a.Topics, topic)
		}
		last := &a.Topics[len(a.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return a
}
