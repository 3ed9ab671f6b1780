package conformance_test

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// transactionsTopic is where coordinators keep transactions.
const transactionsTopic = "__transaction_state"

// transactionAPIs are what a transaction needs beside InitProducerID.
func transactionAPIs() []kmsg.Key {
	return []kmsg.Key{kmsg.FindCoordinator, kmsg.AddPartitionsToTxn, kmsg.EndTxn}
}

// plainEnd and bumpingEnd are versions of EndTxn: the last one after which a producer keeps its epoch, and the first one that
// gives it the next (KIP-890).
const (
	plainEnd   int16 = 4
	bumpingEnd int16 = 5
)

// txnProducer is a transactional producer, and the broker that coordinates its transactions.
type txnProducer struct {
	e           *env
	name        string // the transactional id
	coordinator int32
	id          int64
	epoch       int16
	timeout     time.Duration
	sequences   map[string]int32 // the next one of partition 0, by topic
}

// namedTxnProducer is a producer that has no id yet.
func (e *env) namedTxnProducer(name string) *txnProducer {
	p := &txnProducer{e: e, name: name, id: -1, epoch: -1, timeout: time.Minute, sequences: map[string]int32{}}
	p.coordinator = e.coordinator(name, 1)
	return p
}

// newTxnProducer is a producer of a new transactional id that has no id yet.
func (e *env) newTxnProducer() *txnProducer { return e.namedTxnProducer(e.freshName()) }

// txnProducer returns a producer of a new transactional id.
func (e *env) txnProducer() *txnProducer {
	p := e.newTxnProducer()
	p.init()
	return p
}

// txnProducerOn returns a producer whose transactions are kept in this partition of their topic.
func (e *env) txnProducerOn(partition int32) *txnProducer {
	p := e.namedTxnProducer(e.nameOn(partition)) // Both topics have as many partitions.
	p.init()
	return p
}

// txnProducerAwayFrom returns a producer that another broker coordinates.
func (e *env) txnProducerAwayFrom(broker int32) *txnProducer {
	for {
		if p := e.newTxnProducer(); p.coordinator != broker {
			p.init()
			return p
		}
	}
}

// initialized is the answer to InitProducerId, or to EndTxn.
type initialized struct {
	code  code
	id    int64
	epoch int16
}

func (p *txnProducer) initRequest() *kmsg.InitProducerIDRequest {
	req := request(kmsg.NewPtrInitProducerIDRequest(), 4)
	req.TransactionalID, req.TransactionTimeoutMillis = &p.name, int32(p.timeout.Milliseconds())
	return req
}

// tryInit sends one InitProducerId, as a producer that has just started does. The producer stays what it is.
func (p *txnProducer) tryInit() initialized {
	resp := ask[*kmsg.InitProducerIDResponse](p.e, p.coordinator, p.initRequest())
	return initialized{code(resp.ErrorCode), resp.ProducerID, resp.ProducerEpoch}
}

// init asks for a producer id until there is one.
func (p *txnProducer) init() {
	p.e.wait("a producer id", func() error {
		p.coordinator = p.e.coordinator(p.name, 1)
		got := p.tryInit()
		if got.code == none {
			p.become(got)
		}
		return is("answer", got.code, none)
	})
}

// become makes the producer what an answer says; its sequences begin anew.
func (p *txnProducer) become(got initialized) {
	p.id, p.epoch = got.id, got.epoch
	clear(p.sequences)
}

// inEpoch is the producer as it would be in another epoch.
func (p *txnProducer) inEpoch(epoch int16) *txnProducer {
	other := *p
	other.epoch, other.sequences = epoch, map[string]int32{}
	return &other
}

// withID is the producer as it would be with another producer id.
func (p *txnProducer) withID(id int64) *txnProducer {
	other := *p
	other.id, other.sequences = id, map[string]int32{}
	return &other
}

// tryAdd adds partition 0 of topics to the transaction, and returns the answer for each.
func (p *txnProducer) tryAdd(version int16, topics ...topic) (codes []code) {
	req := request(kmsg.NewPtrAddPartitionsToTxnRequest(), version)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.name, p.id, p.epoch
	for _, t := range topics {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: t.name, Partitions: []int32{0}})
	}
	resp := ask[*kmsg.AddPartitionsToTxnResponse](p.e, p.coordinator, req)
	check(p.e, "topics in the answer", len(resp.Topics), len(topics))
	answers := map[string]code{}
	for _, t := range resp.Topics {
		check(p.e, "partitions in the answer", len(t.Partitions), 1)
		answers[t.Topic] = code(t.Partitions[0].ErrorCode)
	}
	for _, t := range topics {
		codes = append(codes, answers[t.name])
	}
	return codes
}

// add is tryAdd of one topic.
func (p *txnProducer) add(t topic) code { return p.tryAdd(3, t)[0] }

// addOffsets adds a group's offsets to the transaction.
func (p *txnProducer) addOffsets(g group) code {
	req := request(kmsg.NewPtrAddOffsetsToTxnRequest(), 3)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.name, p.id, p.epoch, g.name
	return code(ask[*kmsg.AddOffsetsToTxnResponse](p.e, p.coordinator, req).ErrorCode)
}

// commitOffset sends a commit that counts when the transaction commits.
func (p *txnProducer) commitOffset(g group, t topic, c commit) code {
	req := request(kmsg.NewPtrTxnOffsetCommitRequest(), 3)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.name, p.id, p.epoch
	req.Group, req.Generation, req.MemberID = g.name, c.generation, c.member
	part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	part.Offset, part.Metadata = c.offset, &c.metadata
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: t.name, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{part}}}
	resp := ask[*kmsg.TxnOffsetCommitResponse](p.e, g.coordinator, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		p.e.fatalf("the answer to TxnOffsetCommit names %d topics, want one with one partition", len(resp.Topics))
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

// produce writes records in the transaction, to partition 0.
func (p *txnProducer) produce(version int16, t topic, values ...string) written {
	batch := wire.NewBatch(values...).From(p.id, p.epoch, p.sequences[t.name])
	batch.Attributes = wire.Transactional
	w := write{topic: t, acks: acksAll, version: version, batch: batch.Bytes(), txnID: &p.name}
	got := p.e.produce(p.e.partition(t).leader, w)
	if got.code == none {
		p.sequences[t.name] += int32(len(values))
	}
	return got
}

// put is produce that must succeed, as clients of before KIP-890 send it.
func (p *txnProducer) put(t topic, values ...string) {
	check(p.e, "producing in the transaction", p.produce(9, t, values...).code, none)
}

// begin begins a transaction with a record in partition 0 of each topic.
func (p *txnProducer) begin(topics ...topic) {
	for i, answer := range p.tryAdd(3, topics...) {
		check(p.e, "adding a partition", answer, none)
		p.put(topics[i], "in the transaction")
	}
}

func (p *txnProducer) endRequest(version int16, commit bool) *kmsg.EndTxnRequest {
	req := request(kmsg.NewPtrEndTxnRequest(), version)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.name, p.id, p.epoch, commit
	return req
}

// tryEnd commits or aborts, and returns the answer. Markers may be written a little later.
func (p *txnProducer) tryEnd(version int16, commit bool) initialized {
	resp := ask[*kmsg.EndTxnResponse](p.e, p.coordinator, p.endRequest(version, commit))
	return initialized{code(resp.ErrorCode), resp.ProducerID, resp.ProducerEpoch}
}

// commit and abort end the transaction; they must succeed.
func (p *txnProducer) commit() { check(p.e, "committing", p.tryEnd(plainEnd, true).code, none) }
func (p *txnProducer) abort()  { check(p.e, "aborting", p.tryEnd(plainEnd, false).code, none) }

// describe asks for the state of the transactional id.
func (p *txnProducer) describe() kmsg.DescribeTransactionsResponseTransactionState {
	req := request(kmsg.NewPtrDescribeTransactionsRequest(), 0)
	req.TransactionalIDs = []string{p.name}
	resp := ask[*kmsg.DescribeTransactionsResponse](p.e, p.coordinator, req)
	check(p.e, "transactions in the answer", len(resp.TransactionStates), 1)
	return resp.TransactionStates[0]
}

// inState says whether the coordinator has the transaction in this state.
func (p *txnProducer) inState(want string) error {
	got := p.describe()
	if got.ErrorCode != 0 {
		return is("answer", code(got.ErrorCode), none)
	}
	return is("state", got.State, want)
}

// waitState waits until the coordinator has the transaction in this state.
func (p *txnProducer) waitState(want string) {
	p.e.wait("the transaction to be "+want, func() error { return p.inState(want) })
}

// settled waits until the coordinator does not answer that a transaction is being ended.
func (p *txnProducer) settled(what string, ask func() code) code {
	var got code
	p.e.wait("the markers to be written", func() error {
		if got = ask(); got == concurrentTransactions {
			return is(what, got, none)
		}
		return nil
	})
	return got
}

// ended sends EndTxn v4 until its answer is not that markers are missing.
func (p *txnProducer) ended(commit bool) code {
	return p.settled("EndTxn", func() code { return p.tryEnd(plainEnd, commit).code })
}

// readCommitted reads partition 0 as a consumer with read_committed does.
func (e *env) readCommitted(t topic) reading {
	return e.fetch(e.partition(t).leader, read{topic: t, committed: true})
}

// waitCommitted waits until read_committed has seen this many records and markers of partition 0.
func (e *env) waitCommitted(t topic, want int64) {
	e.wait("the transaction's marker", func() error { return is("last stable offset", e.readCommitted(t).stable, want) })
}

// transaction is an open transaction on partition 0 of a topic of its own, as a client of before KIP-890 makes it.
type transaction struct {
	*txnProducer
	topic topic
}

// transaction begins a transaction.
func (e *env) transaction() transaction {
	tx := transaction{e.txnProducer(), e.topic()}
	check(e, "adding the partition", tx.add(tx.topic), none)
	return tx
}

// write writes one record in the transaction.
func (tx transaction) write(value string) { tx.put(tx.topic, value) }

// end commits or aborts. Its markers may be written a little later.
func (tx transaction) end(commit bool) {
	check(tx.e, "ending the transaction", tx.tryEnd(plainEnd, commit).code, none)
}
