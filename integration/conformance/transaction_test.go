package conformance_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// transactionAPIs are what a transaction needs beside InitProducerID.
func transactionAPIs() []kmsg.Key {
	return []kmsg.Key{kmsg.FindCoordinator, kmsg.AddPartitionsToTxn, kmsg.EndTxn}
}

// transaction is an open transaction on partition 0 of a topic of its own, as a client of before KIP-890 makes it.
type transaction struct {
	e           *env
	topic       topic
	name        string
	coordinator int32
	id          int64
	epoch       int16
	sequence    int32
}

// transaction begins a transaction.
func (e *env) transaction() *transaction {
	tx := &transaction{e: e, topic: e.topic(), name: e.freshName()}
	tx.coordinator = e.coordinator(tx.name, 1)
	e.wait("a producer id for the transaction", func() error {
		req := request(kmsg.NewPtrInitProducerIDRequest(), 4)
		req.TransactionalID, req.TransactionTimeoutMillis = &tx.name, 60_000
		resp := ask[*kmsg.InitProducerIDResponse](e, tx.coordinator, req)
		tx.id, tx.epoch = resp.ProducerID, resp.ProducerEpoch
		return is("answer", code(resp.ErrorCode), none)
	})
	req := request(kmsg.NewPtrAddPartitionsToTxnRequest(), 3)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = tx.name, tx.id, tx.epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: tx.topic.name, Partitions: []int32{0}}}
	resp := ask[*kmsg.AddPartitionsToTxnResponse](e, tx.coordinator, req)
	check(e, "adding the partition", code(resp.Topics[0].Partitions[0].ErrorCode), none)
	return tx
}

// write writes one record in the transaction.
func (tx *transaction) write(value string) {
	batch := wire.NewBatch(value).From(tx.id, tx.epoch, tx.sequence)
	batch.Attributes = wire.Transactional
	tx.sequence++
	w := write{topic: tx.topic, acks: acksAll, batch: batch.Bytes(), txnID: &tx.name}
	check(tx.e, "producing in the transaction", tx.e.produce(tx.e.partition(tx.topic).leader, w).code, none)
}

// end commits or aborts. Its markers may be written a little later.
func (tx *transaction) end(commit bool) {
	req := request(kmsg.NewPtrEndTxnRequest(), 3)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = tx.name, tx.id, tx.epoch, commit
	resp := ask[*kmsg.EndTxnResponse](tx.e, tx.coordinator, req)
	check(tx.e, "ending the transaction", code(resp.ErrorCode), none)
}
