package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerId (22), versions 0-5. Without a transactional id any broker gives
// out a new producer id with epoch 0, whatever id the client has had. There is no
// transaction coordinator yet.

func initProducerID(r *request, q *kmsg.InitProducerIDRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	id, err := r.broker.initProducerID(r, q)
	if err != nil {
		resp.ErrorCode = errorCode(err)
		return resp, nil
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp, nil
}

func (b *broker) initProducerID(r *request, q *kmsg.InitProducerIDRequest) (int64, error) {
	switch {
	case q.Version >= 3 && (q.ProducerID == -1) != (q.ProducerEpoch == -1):
		return -1, kerr.InvalidRequest
	case q.TransactionalID != nil && *q.TransactionalID == "":
		return -1, kerr.InvalidRequest
	case q.TransactionalID != nil:
		return -1, kerr.CoordinatorNotAvailable
	}
	return b.ids.next(r.ctx, b)
}
