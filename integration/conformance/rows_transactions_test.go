package conformance_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

func transactionRows() []row {
	return slices.Concat(
		asking(beginningRows(), kmsg.FindCoordinator, kmsg.AddPartitionsToTxn),
		asking(endingRows(), kmsg.FindCoordinator, kmsg.AddPartitionsToTxn, kmsg.EndTxn, kmsg.DescribeTransactions),
		asking(offsetRowsOfTransactions(), kmsg.FindCoordinator, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.OffsetFetch),
		asking(markerRows(), kmsg.FindCoordinator, kmsg.AddPartitionsToTxn, kmsg.EndTxn, kmsg.DescribeTransactions),
		asking(transactionFailoverRows(), kmsg.FindCoordinator, kmsg.AddPartitionsToTxn, kmsg.EndTxn, kmsg.DescribeTransactions),
	)
}

// beginningRows are about producer ids, and about what may be written in a transaction.
func beginningRows() []row {
	return []row{
		{id: "T01", title: "InitProducerId of a new transactional id: a producer id, in epoch 0", run: func(e *env) {
			p := e.txnProducer()
			check(e, "is there a producer id", p.id >= 0, true)
			check(e, "epoch", p.epoch, 0)
		}},
		{id: "T02", title: "the same again: the same producer id, in the next epoch", run: func(e *env) {
			p := e.txnProducer()
			for want := int16(1); want < 4; want++ {
				got := p.tryInit()
				check(e, "InitProducerId", got.code, none)
				check(e, "is it the same producer id", got.id == p.id, true)
				check(e, "epoch", got.epoch, want)
			}
		}},
		{id: "T03", title: "a second producer fences the first, whose transaction is aborted: CONCURRENT_TRANSACTIONS first, then an epoch that is two higher; the first gets PRODUCER_FENCED and INVALID_PRODUCER_EPOCH", apis: []kmsg.Key{kmsg.EndTxn}, run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			p.begin(t)
			check(e, "InitProducerId", p.tryInit().code, concurrentTransactions)
			check(e, "EndTxn v4 of the first", p.tryEnd(plainEnd, true).code, producerFenced)
			check(e, "AddPartitionsToTxn of the first", p.settled("AddPartitionsToTxn", func() code { return p.add(t) }), producerFenced)
			e.waitCommitted(t, 2)
			e.refused(p.produce(9, t, "late"), invalidProducerEpoch)
			second := e.namedTxnProducer(p.name)
			second.init()
			check(e, "is it the same producer id", second.id == p.id, true)
			check(e, "epoch", second.epoch, p.epoch+2)
			check(e, "aborted transactions", len(e.readCommitted(t).aborted), 1)
		}},
		{id: "T04", title: "a timeout above transaction.max.timeout.ms, or of 0: INVALID_TRANSACTION_TIMEOUT", run: func(e *env) {
			p := e.newTxnProducer()
			for _, timeout := range []time.Duration{15*time.Minute + time.Millisecond, 0, -time.Millisecond} {
				p.timeout = timeout
				check(e, fmt.Sprintf("InitProducerId with %v", timeout), p.tryInit().code, invalidTransactionTimeout)
			}
			p.timeout = 15 * time.Minute
			p.init()
		}},
		{id: "T05", title: "an empty transactional id: INVALID_REQUEST", run: func(e *env) {
			p := e.namedTxnProducer("")
			got := p.tryInit()
			check(e, "InitProducerId", got.code, invalidRequest)
			check(e, "producer id", got.id, -1)
			check(e, "AddPartitionsToTxn", p.add(e.topic()), invalidRequest)
		}},
		{id: "T06", title: "AddPartitionsToTxn with an unknown topic: UNKNOWN_TOPIC_OR_PARTITION, and OPERATION_NOT_ATTEMPTED for the others", apis: []kmsg.Key{kmsg.EndTxn}, run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			for _, v := range []int16{0, 3} {
				got := p.tryAdd(v, t, topic{name: e.freshName()})
				check(e, "a topic that is there", got[0], operationNotAttempted)
				check(e, "an unknown topic", got[1], unknownTopicOrPartition)
			}
			check(e, "EndTxn", p.tryEnd(plainEnd, true).code, invalidTxnState)
		}},
		{id: "T07", title: "AddPartitionsToTxn of an unknown transactional id, or with a wrong producer id: INVALID_PRODUCER_ID_MAPPING; in another epoch: PRODUCER_FENCED, v0-1 INVALID_PRODUCER_EPOCH", run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			check(e, "an unknown transactional id", e.newTxnProducer().withID(p.id).inEpoch(0).add(t), invalidProducerIDMapping)
			check(e, "a wrong producer id", p.withID(p.id+1000).add(t), invalidProducerIDMapping)
			check(e, "an epoch to come", p.inEpoch(1).add(t), producerFenced)
			check(e, "an epoch to come, v1", p.inEpoch(1).tryAdd(1, t)[0], invalidProducerEpoch)
		}},
		{id: "T09", title: "records of a transaction in a partition that was not added: INVALID_TXN_STATE, from v11 on TRANSACTION_ABORTABLE; v12 adds the partition itself", apis: []kmsg.Key{kmsg.EndTxn}, run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			e.refused(p.produce(9, t, "v9"), invalidTxnState)
			e.refused(p.produce(10, t, "v10"), invalidTxnState)
			e.refused(p.produce(11, t, "v11"), transactionAbortable)
			check(e, "Produce v12", p.produce(12, t, "v12").code, none)
			check(e, "EndTxn", p.tryEnd(bumpingEnd, true).code, none)
			e.waitCommitted(t, 2)
			check(e, "records", fmt.Sprint(e.readCommitted(t).values()), "[v12]")
		}},
		{id: "T11", title: "plain records of a producer with an open transaction in the partition: INVALID_TXN_STATE", run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			p.begin(t)
			w := write{topic: t, acks: acksAll, batch: wire.NewBatch("plain").From(p.id, p.epoch, p.sequences[t.name]).Bytes()}
			e.refused(e.produce(e.partition(t).leader, w), invalidTxnState)
			p.put(t, "more")
		}},
		{id: "T31", title: "DescribeTransactions of an unknown transactional id: TRANSACTIONAL_ID_NOT_FOUND", apis: []kmsg.Key{kmsg.DescribeTransactions}, run: func(e *env) {
			got := e.newTxnProducer().describe()
			check(e, "DescribeTransactions", code(got.ErrorCode), transactionalIDNotFound)
			p, t := e.txnProducer(), e.topic()
			check(e, "state of one that is known", p.describe().State, "Empty")
			p.begin(t)
			open := p.describe()
			check(e, "state of an open one", open.State, "Ongoing")
			check(e, "its topics", len(open.Topics), 1)
			check(e, "its topic", open.Topics[0].Topic, t.name)
			check(e, "its timeout", open.TimeoutMillis, 60_000)
		}},
	}
}

// endingRows are about EndTxn.
func endingRows() []row {
	return []row{
		{id: "T12", title: "EndTxn commits: NONE; read_committed sees the records of each partition once its marker is there", run: func(e *env) {
			p, t, other := e.txnProducer(), e.topic(on(e.A, e.B)), e.topic(on(e.B, e.C))
			p.begin(t, other)
			check(e, "last stable offset of an open transaction", e.readCommitted(t).stable, 0)
			p.commit()
			for _, t := range []topic{t, other} {
				e.waitCommitted(t, 2)
				got := e.readCommitted(t)
				check(e, "records", fmt.Sprint(got.values()), "[in the transaction]")
				check(e, "is the second a control batch", got.batches[1].Attributes&wire.Control != 0, true)
				check(e, "epoch of the marker", got.batches[1].ProducerEpoch, p.epoch)
			}
		}},
		{id: "T13", title: "the same commit again when all is done: NONE", run: func(e *env) {
			p := e.txnProducer()
			p.begin(e.topic())
			p.commit()
			check(e, "a commit", p.ended(true), none)
			check(e, "one more", p.tryEnd(plainEnd, true).code, none)
		}},
		{id: "T15", title: "EndTxn aborts what is committed, or commits what is aborted: INVALID_TXN_STATE", run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			p.begin(t)
			p.commit()
			check(e, "an abort", p.ended(false), invalidTxnState)
			p.begin(t)
			p.abort()
			check(e, "a commit", p.ended(true), invalidTxnState)
			check(e, "an abort again", p.tryEnd(plainEnd, false).code, none)
		}},
		{id: "T16", title: "EndTxn without a transaction: INVALID_TXN_STATE; from v5 on an abort gives the next epoch", run: func(e *env) {
			p := e.txnProducer()
			check(e, "a commit", p.tryEnd(plainEnd, true).code, invalidTxnState)
			check(e, "an abort", p.tryEnd(plainEnd, false).code, invalidTxnState)
			check(e, "a commit, v5", p.tryEnd(bumpingEnd, true).code, invalidTxnState)
			check(e, "state", p.describe().State, "Empty")
			got := p.tryEnd(bumpingEnd, false)
			check(e, "an abort, v5", got.code, none)
			check(e, "epoch", got.epoch, p.epoch+1)
			p.waitState("CompleteAbort")
		}},
		{id: "T17", title: "EndTxn in another epoch: PRODUCER_FENCED, v0-1 INVALID_PRODUCER_EPOCH; with another producer id: INVALID_PRODUCER_ID_MAPPING", run: func(e *env) {
			p := e.txnProducer()
			p.begin(e.topic())
			check(e, "an epoch to come", p.inEpoch(1).tryEnd(plainEnd, true).code, producerFenced)
			check(e, "an epoch to come, v5", p.inEpoch(1).tryEnd(bumpingEnd, true).code, producerFenced)
			check(e, "an epoch to come, v1", p.inEpoch(1).tryEnd(1, true).code, invalidProducerEpoch)
			check(e, "another producer id", p.withID(p.id+1000).tryEnd(plainEnd, true).code, invalidProducerIDMapping)
			check(e, "another producer id, v5", p.withID(p.id+1000).tryEnd(bumpingEnd, true).code, invalidProducerIDMapping)
			check(e, "state", p.describe().State, "Ongoing")
		}},
		{id: "T24", title: "a transaction that takes longer than its timeout is aborted, and its producer fenced", run: func(e *env) {
			p, t := e.newTxnProducer(), e.topic()
			p.timeout = 300 * time.Millisecond
			p.init()
			p.begin(t)
			e.waitCommitted(t, 2)
			p.waitState("CompleteAbort")
			check(e, "aborted transactions", len(e.readCommitted(t).aborted), 1)
			e.refused(p.produce(9, t, "late"), invalidProducerEpoch)
			check(e, "AddPartitionsToTxn", p.add(t), producerFenced)
			check(e, "EndTxn v4", p.tryEnd(plainEnd, true).code, producerFenced)
			check(e, "a commit, v5", p.tryEnd(bumpingEnd, true).code, invalidTxnState)
			got := p.tryEnd(bumpingEnd, false)
			check(e, "an abort, v5", got.code, none)
			check(e, "epoch", got.epoch, p.epoch+1)
		}},
		{id: "T25", title: "a topic is deleted in the middle of a transaction: EndTxn is as ever, and the partition left out", run: func(e *env) {
			p, t, deleted := e.txnProducer(), e.topic(), e.topic()
			p.begin(t, deleted)
			check(e, "DeleteTopics", e.deleteTopic(deleted), none)
			for _, broker := range []int32{e.A, e.B, e.C} {
				e.wait("the topic to be gone", func() error {
					_, err := e.tryMetadata(broker, deleted.name)
					return is("is it there", err == nil, false)
				})
			}
			p.commit()
			e.waitCommitted(t, 2)
			check(e, "a commit", p.ended(true), none)
		}},
		{id: "T30", title: "EndTxn v5 gives the next epoch; records of the epoch before get INVALID_PRODUCER_EPOCH; the same again gives the same answer", run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			check(e, "Produce v12", p.produce(12, t, "a").code, none)
			got := p.tryEnd(bumpingEnd, true)
			check(e, "EndTxn", got.code, none)
			check(e, "is it the same producer id", got.id == p.id, true)
			check(e, "epoch", got.epoch, p.epoch+1)
			e.waitCommitted(t, 2)
			check(e, "epoch of the marker", e.readCommitted(t).batches[1].ProducerEpoch, got.epoch)
			e.refused(p.produce(9, t, "late"), invalidProducerEpoch)
			p.waitState("CompleteCommit")
			check(e, "the same again", p.tryEnd(bumpingEnd, true), got)
			check(e, "an abort after it", p.tryEnd(bumpingEnd, false).code, invalidTxnState)
			old := *p
			p.become(got)
			check(e, "the same in the next epoch", p.tryEnd(bumpingEnd, true).code, invalidTxnState)
			p.sequences[t.name] = 1
			e.refused(p.produce(12, t, "not the first"), outOfOrderSequenceNumber)
			p.sequences[t.name] = 0
			check(e, "Produce v12 in the next epoch", p.produce(12, t, "b").code, none)
			check(e, "EndTxn of the epoch before", old.tryEnd(bumpingEnd, true).code, producerFenced)
			check(e, "EndTxn", p.tryEnd(bumpingEnd, true).code, none)
			e.waitCommitted(t, 4)
		}},
		{id: "T32", title: "read_uncommitted sees the records of an aborted transaction, before and after its end", run: func(e *env) {
			p, t := e.txnProducer(), e.topic()
			p.begin(t)
			leader := e.partition(t).leader
			check(e, "records before the end", fmt.Sprint(e.fetch(leader, read{topic: t}).values()), "[in the transaction]")
			p.abort()
			e.waitCommitted(t, 2)
			got := e.fetch(leader, read{topic: t})
			check(e, "records after the end", fmt.Sprint(got.values()), "[in the transaction]")
			check(e, "aborted transactions", len(got.aborted), 0)
		}},
	}
}

// offsetRowsOfTransactions are about offsets that are committed in a transaction.
func offsetRowsOfTransactions() []row {
	// Offset 4 is committed, and 5 in a transaction.
	committing := func(e *env) (*txnProducer, group, topic) {
		p, g, t := e.txnProducer(), e.group(), e.topic()
		check(e, "OffsetCommit", e.commitOffset(g, t, simple(4)), none)
		check(e, "AddOffsetsToTxn", p.addOffsets(g), none)
		check(e, "TxnOffsetCommit", p.commitOffset(g, t, simple(5)), none)
		return p, g, t
	}
	return []row{
		{id: "T26", title: "offsets of a transaction count when it commits, and are dropped when it aborts", apis: []kmsg.Key{kmsg.OffsetCommit}, run: func(e *env) {
			p, g, t := committing(e)
			e.hasOffset(g, t, 4)
			p.abort()
			e.wait("the offset to be stable", func() error {
				return is("answer", e.fetchOffset(g, t, offsetQuery{stable: true}).code, none)
			})
			e.hasOffset(g, t, 4)
			check(e, "AddOffsetsToTxn", p.settled("AddOffsetsToTxn", func() code { return p.addOffsets(g) }), none)
			check(e, "TxnOffsetCommit", p.commitOffset(g, t, simple(6)), none)
			p.commit()
			e.wait("the offset to count", func() error { return is("offset", e.fetchOffset(g, t, offsetQuery{}).offset, 6) })
		}},
		{id: "T27", title: "OffsetFetch of stable offsets beside an open transaction: UNSTABLE_OFFSET_COMMIT, without an offset", apis: []kmsg.Key{kmsg.OffsetCommit}, run: func(e *env) {
			p, g, t := committing(e)
			got := e.fetchOffset(g, t, offsetQuery{stable: true})
			check(e, "OffsetFetch", got.code, unstableOffsetCommit)
			check(e, "offset", got.offset, -1)
			p.commit()
			e.wait("the offset to be stable", func() error {
				got = e.fetchOffset(g, t, offsetQuery{stable: true})
				return is("answer", got.code, none)
			})
			check(e, "offset", got.offset, 5)
		}},
		{
			id: "T28", title: "TxnOffsetCommit in another generation: ILLEGAL_GENERATION; of an unknown member: UNKNOWN_MEMBER_ID",
			apis: []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup},
			run: func(e *env) {
				p, m, t := e.txnProducer(), e.member(e.group()), e.topic()
				e.stable(m)
				check(e, "AddOffsetsToTxn", p.addOffsets(m.group), none)
				late, other := m.commit(), m.commit()
				late.generation, other.member = m.generation-1, "someone"
				check(e, "another generation", p.commitOffset(m.group, t, late), illegalGeneration)
				check(e, "an unknown member", p.commitOffset(m.group, t, other), unknownMemberID)
				check(e, "the member's", p.commitOffset(m.group, t, m.commit()), none)
				p.abort()
			},
		},
	}
}
