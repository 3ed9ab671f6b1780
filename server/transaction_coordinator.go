package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// newTransactions makes the runtime of the transactions' state
// (TransactionCoordinator). It has a shard for each partition of
// __transaction_state that this broker leads. A step waits until it is committed,
// however long: who asked for it gives up earlier.
func (b *broker) newTransactions() *coordinator.Runtime[*transactions.Shard] {
	v := configs.BrokerValues{Static: b.config.Static}
	s := b.static
	ms := func(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
	c := transactions.Config{
		Settings: transactions.Settings{
			AbortInterval:  ms(s.TransactionAbortTimedOutTransactionCleanupIntervalMs),
			ExpireInterval: ms(s.TransactionRemoveExpiredTransactionCleanupIntervalMs),
			Expiration:     ms(s.TransactionalIDExpirationMs),
		},
		Decided: func(ctx context.Context, partition int32, d transactions.Decision) {
			b.spawn(func() { b.finishTransaction(ctx, partition, d) })
		},
	}
	return coordinator.New(coordinator.Config[*transactions.Shard]{
		Topic:      transactionState,
		NewShard:   func(ctx coordinator.Context) *transactions.Shard { return transactions.New(ctx, c) },
		Logger:     b.logger,
		Linger:     -1,
		LoadBuffer: int(v.Int("transaction.state.log.load.buffer.size")),
		Pass:       b.pauses.gate.pass,
	})
}

// transactionPartition is the partition of __transaction_state that holds a
// transactional id (TransactionStateManager.partitionFor).
func (b *broker) transactionPartition(id string) int32 {
	n := b.static.TransactionStateLogNumPartitions
	if m := b.image(); m != nil {
		if t := m.Topics[transactionState]; t != nil {
			n = int32(len(t.Partitions))
		}
	}
	return CoordinatorPartition(id, n)
}

// stepWithin bounds how long a client waits for a step of its transaction to be
// replicated. Kafka waits for the transaction's own timeout, which no client does.
const stepWithin = 30 * time.Second

// writeTransaction has an operation run on the shard of a transactional id, and
// returns what it gave when that is replicated. An error of the operation is returned
// when what it wrote all the same is.
func writeTransaction[T any](r *request, id string, op func(*transactions.Shard) (T, coordinator.Outcome, error)) (T, error) {
	var answer, none T
	if id == "" {
		return none, kerr.InvalidRequest
	}
	var refused error
	ctx, cancel := context.WithTimeout(r.ctx, stepWithin)
	defer cancel()
	err := r.broker.transactions.Write(ctx, r.broker.transactionPartition(id), func(s *transactions.Shard) (coordinator.Outcome, error) {
		a, o, err := op(s)
		if len(o.Records) == 0 {
			answer = a
			return o, err
		}
		answer, refused = a, err
		return o, nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return none, err
	}
	return answer, nil
}
