package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// InitProducerId (22), versions 0-5. Without a transactional id any broker gives
// out a new producer id with epoch 0, whatever id the client has had. With one its
// coordinator does: the same id with the next epoch, once an open transaction of the
// former producer is aborted. v3 tells what the producer has (KIP-360), v4 knows
// PRODUCER_FENCED.

func initProducerID(r *request, q *kmsg.InitProducerIDRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	id, epoch, err := initProducer(r, q)
	if err != nil {
		if errors.Is(err, kerr.ProducerFenced) && q.Version < 4 {
			err = kerr.InvalidProducerEpoch
		}
		resp.ErrorCode = transactionCode(err)
		return resp, ended(r.ctx)
	}
	resp.ProducerID, resp.ProducerEpoch = id, epoch
	return resp, nil
}

func initProducer(r *request, q *kmsg.InitProducerIDRequest) (id int64, epoch int16, err error) {
	b := r.broker
	if q.Version >= 3 && (q.ProducerID == -1) != (q.ProducerEpoch == -1) {
		return -1, -1, kerr.InvalidRequest
	}
	if q.TransactionalID == nil {
		id, err := b.ids.next(r.ctx, b)
		return id, 0, err
	}
	init := transactions.InitRequest{
		ID: *q.TransactionalID, TimeoutMs: q.TransactionTimeoutMillis, ProducerID: q.ProducerID, Epoch: q.ProducerEpoch,
	}
	if err := init.Validate(b.static.TransactionMaxTimeoutMs); err != nil {
		return -1, -1, err
	}
	t, err := withProducerID(r, func(fresh int64) (*transactions.Transaction, error) {
		return writeTransaction(r, init.ID, func(s *transactions.Shard) (*transactions.Transaction, coordinator.Outcome, error) {
			init := init
			init.Fresh = fresh
			return s.InitProducerID(init)
		})
	})
	if err != nil {
		return -1, -1, err
	}
	return t.ProducerID, t.Epoch, nil
}

// withProducerID calls f, and again with a fresh producer id if it needs one.
func withProducerID[T any](r *request, f func(fresh int64) (T, error)) (T, error) {
	answer, err := f(-1)
	if !errors.Is(err, transactions.ErrNeedsProducerID) {
		return answer, err
	}
	fresh, err := r.broker.ids.next(r.ctx, r.broker)
	if err != nil {
		return answer, err
	}
	return f(fresh)
}
