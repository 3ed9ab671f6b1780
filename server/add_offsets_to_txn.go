package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/transactions"
)

// AddOffsetsToTxn (25), versions 0-4: the offsets of a group that a transaction is to
// commit. It adds the group's partition of __consumer_offsets to the transaction; the
// group need not exist. v2 knows PRODUCER_FENCED.

func addOffsetsToTxn(r *request, q *kmsg.AddOffsetsToTxnRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
	_, err := addPartitions(r, transactions.AddRequest{
		ID: q.TransactionalID, ProducerID: q.ProducerID, Epoch: q.ProducerEpoch,
		Partitions: []transactions.Partition{{Topic: consumerOffsets, Partition: r.broker.groupPartition(q.Group)}},
	})
	if errors.Is(err, kerr.ProducerFenced) && q.Version < 2 {
		err = kerr.InvalidProducerEpoch
	}
	resp.ErrorCode = transactionCode(err)
	return resp, ended(r.ctx)
}
