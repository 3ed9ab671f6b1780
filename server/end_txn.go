package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// EndTxn (26), versions 0-5: commit or abort. The answer comes when the decision is
// replicated; the markers follow. From v5 on the producer gets a new epoch with each
// (KIP-890), and the answer tells it. v2 knows PRODUCER_FENCED.

// endsWithBump is the first version that bumps the epoch.
const endsWithBump = 5

func endTxn(r *request, q *kmsg.EndTxnRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.EndTxnResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	end := transactions.EndRequest{ID: q.TransactionalID, ProducerID: q.ProducerID, Epoch: q.ProducerEpoch, Commit: q.Commit}
	if q.Version >= endsWithBump {
		end.Version = 2
	}
	t, err := withProducerID(r, func(fresh int64) (*transactions.Transaction, error) {
		end := end
		end.Fresh = fresh
		return writeTransaction(r, end.ID, func(s *transactions.Shard) (*transactions.Transaction, coordinator.Outcome, error) {
			return s.EndTransaction(end)
		})
	})
	if err != nil {
		if errors.Is(err, kerr.ProducerFenced) && q.Version < 2 {
			err = kerr.InvalidProducerEpoch
		}
		resp.ErrorCode = transactionCode(err)
		return resp, ended(r.ctx)
	}
	resp.ProducerID, resp.ProducerEpoch = t.ProducerID, t.Epoch
	return resp, nil
}
