package conformance_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// held begins a transaction in a partition that is below its minimum as soon as C is dead, so that its marker cannot be written.
func (e *env) held() (*txnProducer, topic) {
	p, t := e.txnProducerAwayFrom(e.C), e.topic(on(e.A, e.C), with("min.insync.replicas", "2"))
	p.begin(t)
	return p, t
}

// markerRows are about markers that cannot be written.
func markerRows() []row {
	return []row{
		{id: "T03-held", title: "the first of two producers until its transaction is aborted: EndTxn v4 PRODUCER_FENCED, all else CONCURRENT_TRANSACTIONS", during: aBrokerIsKilled, run: func(e *env) {
			p, t := e.held()
			e.next("C is killed")
			e.next("C is fenced")
			e.waitISR(t, e.A)
			for range 2 {
				check(e, "InitProducerId", p.tryInit().code, concurrentTransactions)
				check(e, "EndTxn v4 of the first", p.tryEnd(plainEnd, true).code, producerFenced)
				check(e, "EndTxn v5 of the first", p.tryEnd(bumpingEnd, true).code, concurrentTransactions)
				check(e, "AddPartitionsToTxn of the first", p.add(t), concurrentTransactions)
			}
			e.next("C is back")
			check(e, "AddPartitionsToTxn of the first", p.settled("AddPartitionsToTxn", func() code { return p.add(t) }), producerFenced)
			check(e, "EndTxn v5 of the first", p.tryEnd(bumpingEnd, true).code, invalidTxnState)
			second := e.namedTxnProducer(p.name)
			second.init()
			check(e, "epoch", second.epoch, p.epoch+2)
			check(e, "EndTxn v5 of the first", p.tryEnd(bumpingEnd, true).code, producerFenced)
		}},
		{id: "T08", title: "AddPartitionsToTxn while markers are missing: CONCURRENT_TRANSACTIONS, whoever asks; Produce v12 to another partition too", during: aBrokerIsKilled, run: func(e *env) {
			p, t := e.held()
			other := e.topic(on(e.A))
			e.next("C is killed")
			e.next("C is fenced")
			e.waitISR(t, e.A)
			p.commit()
			check(e, "AddPartitionsToTxn", p.add(other), concurrentTransactions)
			check(e, "AddPartitionsToTxn in another epoch", p.inEpoch(9).add(other), concurrentTransactions)
			check(e, "AddPartitionsToTxn with another producer id", p.withID(p.id+1000).add(other), concurrentTransactions)
			e.refused(p.produce(12, other, "early"), concurrentTransactions)
			e.refused(p.produce(11, other, "early"), notEnoughReplicas)
			e.next("C is back")
			check(e, "AddPartitionsToTxn", p.settled("AddPartitionsToTxn", func() code { return p.add(other) }), none)
		}},
		{id: "T14", title: "EndTxn again while markers are missing: CONCURRENT_TRANSACTIONS, to commit or to abort", during: aBrokerIsKilled, run: func(e *env) {
			p, t := e.held()
			e.next("C is killed")
			e.next("C is fenced")
			e.waitISR(t, e.A)
			p.commit()
			check(e, "a commit", p.tryEnd(plainEnd, true).code, concurrentTransactions)
			check(e, "an abort", p.tryEnd(plainEnd, false).code, concurrentTransactions)
			check(e, "a commit, v5", p.tryEnd(bumpingEnd, true).code, concurrentTransactions)
			check(e, "an abort, v5", p.tryEnd(bumpingEnd, false).code, concurrentTransactions)
			e.next("C is back")
			check(e, "a commit", p.ended(true), none)
			check(e, "an abort", p.tryEnd(plainEnd, false).code, invalidTxnState)
		}},
		{id: "T22", title: "a partition has no leader when its transaction commits: the coordinator leaves it out, and its last stable offset never moves again", during: aBrokerIsKilled, run: func(e *env) {
			p, t, other := e.txnProducerAwayFrom(e.C), e.topic(on(e.C)), e.topic(on(e.A))
			p.begin(t, other)
			e.next("C is killed")
			e.next("C is fenced")
			e.waitLeader(t, -1)
			p.commit()
			e.waitCommitted(other, 2)
			e.waitFor("the transaction to be complete without the partition", e.target.Timing.Patience/5, func() error { return p.inState("CompleteCommit") })
			e.next("C is back")
			e.waitLeader(t, e.C)
			e.pause(500 * time.Millisecond)
			got := e.fetch(e.C, read{topic: t, committed: true})
			check(e, "last stable offset", got.stable, 0)
			check(e, "high watermark", got.highWatermark, 1)
		}},
		{id: "T23", title: "a partition is below its minimum when its transaction commits: its marker is written when the minimum is met; other partitions do not wait", during: aBrokerIsKilled, run: func(e *env) {
			p, t := e.held()
			other := e.topic(on(e.A))
			p.begin(other)
			e.next("C is killed")
			e.next("C is fenced")
			e.waitISR(t, e.A)
			p.commit()
			e.waitCommitted(other, 2)
			e.pause(200 * time.Millisecond)
			check(e, "last stable offset", e.readCommitted(t).stable, 0)
			check(e, "state", p.describe().State, "PrepareCommit")
			e.next("C is back")
			p.waitState("CompleteCommit")
			check(e, "records", fmt.Sprint(e.readCommitted(t).values()), "[in the transaction]")
		}},
		{id: "T29", title: "a marker of a coordinator that has been replaced: TRANSACTION_COORDINATOR_FENCED; of an epoch before: INVALID_PRODUCER_EPOCH", apis: []kmsg.Key{kmsg.WriteTxnMarkers}, run: func(e *env) {
			p, t := e.txnProducer(), e.topic(on(e.A, e.B))
			p.begin(t)
			check(e, "a marker of a later coordinator", e.writeMarker(e.A, marker{p: p, topic: t, coordinatorEpoch: 50}), none)
			e.waitCommitted(t, 2)
			check(e, "a marker of an earlier coordinator", e.writeMarker(e.A, marker{p: p, topic: t, coordinatorEpoch: 49}), coordinatorFenced)
			check(e, "a marker of the next epoch", e.writeMarker(e.A, marker{p: p.inEpoch(1), topic: t, coordinatorEpoch: 50}), none)
			check(e, "a marker of the epoch before", e.writeMarker(e.A, marker{p: p, topic: t, coordinatorEpoch: 50}), invalidProducerEpoch)
			check(e, "a marker at a follower", e.writeMarker(e.B, marker{p: p, topic: t, coordinatorEpoch: 50}), notLeaderOrFollower)
			check(e, "a marker at a broker without the partition", e.writeMarker(e.C, marker{p: p, topic: t, coordinatorEpoch: 50}), unknownTopicOrPartition)
			check(e, "a marker of an unknown topic", e.writeMarker(e.B, marker{p: p, topic: topic{name: "no-topic"}, coordinatorEpoch: 50}), unknownTopicOrPartition)
		}},
	}
}

// marker is a WriteTxnMarkers request that commits in partition 0.
type marker struct {
	p                *txnProducer
	topic            topic
	coordinatorEpoch int32
}

// writeMarker sends a broker a marker and returns the answer.
func (e *env) writeMarker(broker int32, m marker) code {
	req := request(kmsg.NewPtrWriteTxnMarkersRequest(), 1)
	req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{
		ProducerID: m.p.id, ProducerEpoch: m.p.epoch, Committed: true, CoordinatorEpoch: m.coordinatorEpoch,
		Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: m.topic.name, Partitions: []int32{0}}},
	}}
	resp := ask[*kmsg.WriteTxnMarkersResponse](e, broker, req)
	if len(resp.Markers) != 1 || len(resp.Markers[0].Topics) != 1 || len(resp.Markers[0].Topics[0].Partitions) != 1 {
		e.fatalf("the answer to WriteTxnMarkers names %d producers, want one with one partition", len(resp.Markers))
	}
	return code(resp.Markers[0].Topics[0].Partitions[0].ErrorCode)
}

// unready says whether a coordinator is not there yet.
func unready(c code) bool {
	return c == coordinatorLoadInProgress || c == coordinatorNotAvailable || c == notCoordinator
}

// taken waits until A coordinates the producer's transactions. Until then ask is answered that they have no coordinator.
func (p *txnProducer) taken(what string, ask func() code) (got code) {
	p.coordinator = p.e.A
	p.e.waitSession("A to coordinate", func() error {
		if got = ask(); unready(got) {
			return is(what, got, none)
		}
		return nil
	})
	return got
}

// transactionFailoverRows are about coordinators that die, and about transactions that cannot be replicated.
func transactionFailoverRows() []row {
	const unverified = "Unable to verify the partition has been added to the transaction. Underlying error: "
	return []row{
		{id: "T10", title: "records of a transaction whose coordinator cannot be asked: NOT_ENOUGH_REPLICAS, with a message", during: aTransactionCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			p, t := e.txnProducerOn(1), e.topic(on(e.A))
			check(e, "coordinator", e.name(p.coordinator), "C")
			check(e, "AddPartitionsToTxn", p.add(t), none)
			e.next("nobody copies from C")
			e.next("C is killed")
			e.next("C is fenced")
			for _, v := range []int16{9, 11, 12} {
				got := p.produce(v, t, "unverified")
				e.refused(got, notEnoughReplicas)
				check(e, "does the message tell", strings.HasPrefix(got.message, unverified), true)
			}
			e.next("C is back")
			p.coordinator = e.coordinator(p.name, 1)
			e.wait("the records to be taken", func() error { return is("answer", p.produce(9, t, "verified").code, none) })
		}},
		{id: "T18", title: "transactions below the minimum of their topic: COORDINATOR_NOT_AVAILABLE for all that changes one", during: transactionsAreShort, apis: []kmsg.Key{kmsg.AddOffsetsToTxn, kmsg.OffsetFetch}, run: func(e *env) {
			e.next("C is killed")
			p, idle, fresh, t, other := e.txnProducer(), e.txnProducer(), e.newTxnProducer(), e.topic(on(e.A, e.B)), e.topic(on(e.A, e.B))
			g := e.group()
			p.begin(t)
			e.next("the transactions topic is below its minimum")
			check(e, "InitProducerId of a new transactional id", fresh.tryInit().code, coordinatorNotAvailable)
			check(e, "InitProducerId", idle.tryInit().code, coordinatorNotAvailable)
			check(e, "AddPartitionsToTxn", p.add(other), coordinatorNotAvailable)
			check(e, "AddPartitionsToTxn of what is there", p.add(t), none)
			check(e, "AddOffsetsToTxn", p.addOffsets(g), coordinatorNotAvailable)
			check(e, "a commit", p.tryEnd(plainEnd, true).code, coordinatorNotAvailable)
			check(e, "an abort, v5", p.tryEnd(bumpingEnd, false).code, coordinatorNotAvailable)
			check(e, "InitProducerId with a transaction open", p.tryInit().code, coordinatorNotAvailable)
			e.refused(p.produce(12, other, "early"), notEnoughReplicas)
			e.next("the minimum is met")
			fresh.init()
			check(e, "epoch of the new one", fresh.epoch, 0)
			idle.init()
			check(e, "epoch of the idle one", idle.epoch, 1)
		}},
		{id: "T18-fenced", title: "a producer that such a topic kept from fencing another does not use up epochs; the transaction can be committed", during: transactionsAreShort, run: func(e *env) {
			e.next("C is killed")
			p, t := e.txnProducer(), e.topic(on(e.A, e.B))
			p.begin(t)
			q, u := e.txnProducer(), e.topic(on(e.A, e.B))
			q.begin(u)
			e.next("the transactions topic is below its minimum")
			check(e, "EndTxn", p.tryEnd(plainEnd, true).code, coordinatorNotAvailable)
			for range 2 {
				check(e, "InitProducerId", q.tryInit().code, coordinatorNotAvailable)
			}
			e.next("the minimum is met")
			p.commit()
			e.waitCommitted(t, 2)
			second := e.namedTxnProducer(q.name)
			second.init()
			check(e, "epoch", second.epoch, q.epoch+2)
			e.waitCommitted(u, 2)
		}},
		{id: "T19", title: "a coordinator dies with a commit decided and a marker missing: the next one writes it; EndTxn is CONCURRENT_TRANSACTIONS, then NONE", during: twoBrokersAreKilled, run: func(e *env) {
			e.coordinateTransactions([]int32{e.B, e.A, e.C})
			p, t := e.txnProducerOn(0), e.topic(on(e.A, e.C), with("min.insync.replicas", "2"))
			check(e, "coordinator", e.name(p.coordinator), "B")
			p.begin(t)
			e.next("C is killed")
			e.waitISR(t, e.A)
			p.commit()
			e.next("B is killed")
			again := func() code { return p.tryEnd(plainEnd, true).code }
			check(e, "EndTxn", p.taken("EndTxn", again), concurrentTransactions)
			check(e, "last stable offset", e.readCommitted(t).stable, 0)
			e.next("C is back")
			check(e, "EndTxn", p.ended(true), none)
			check(e, "records", fmt.Sprint(e.readCommitted(t).values()), "[in the transaction]")
			check(e, "state", p.describe().State, "CompleteCommit")
		}},
		{id: "T20", title: "a coordinator dies before a decision is replicated: no answer; the transaction is still open with the next one, and can be committed", during: aTransactionCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			p, t := e.txnProducerOn(0), e.topic(on(e.A))
			check(e, "coordinator", e.name(p.coordinator), "C")
			p.begin(t)
			e.next("nobody copies from C")
			ending := e.send(e.conn(e.C), p.endRequest(plainEnd, true))
			e.pause(200 * time.Millisecond)
			check(e, "is it answered", ending.open(), true)
			e.next("C is killed")
			<-ending.answered
			check(e, "did the coordinator answer", ending.err == nil, false)
			check(e, "DescribeTransactions", p.taken("DescribeTransactions", func() code { return code(p.describe().ErrorCode) }), none)
			check(e, "state", p.describe().State, "Ongoing")
			p.commit()
			e.waitCommitted(t, 2)
			check(e, "records", fmt.Sprint(e.readCommitted(t).values()), "[in the transaction]")
		}},
		{id: "T21", title: "until the next coordinator has loaded: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR or COORDINATOR_NOT_AVAILABLE; then the transaction is there", during: aTransactionCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			p, idle, t, other := e.txnProducerOn(0), e.txnProducerOn(0), e.topic(on(e.A)), e.topic(on(e.A))
			p.begin(t)
			e.next("nobody copies from C")
			e.next("C is killed")
			check(e, "AddPartitionsToTxn", p.taken("AddPartitionsToTxn", func() code { return p.add(other) }), none)
			got := initialized{}
			check(e, "InitProducerId", idle.taken("InitProducerId", func() code { got = idle.tryInit(); return got.code }), none)
			check(e, "is it the same producer id", got.id == idle.id, true)
			check(e, "epoch", got.epoch, 1)
			p.commit()
			e.waitCommitted(t, 2)
			e.next("C is fenced")
		}},
		{id: "T33", title: "a partition refuses a marker for its size: the coordinator gives up, and the transaction stays as it is; the next coordinator ends it", during: aTransactionCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			p, t := e.txnProducerOn(0), e.topic(on(e.A), on(e.A))
			small := writing(t, "small")
			small.partition = 1
			p.begin(t)
			e.refusesAll(small)
			p.commit()
			e.wait("the decision", func() error { return p.inState("PrepareCommit") })
			e.pause(200 * time.Millisecond)
			e.setConfig(t, "max.message.bytes", "1000000")
			e.wait("the larger size to be in force", func() error { return is("answer", e.produce(e.A, small).code, none) })
			e.pause(200 * time.Millisecond)
			check(e, "state", p.describe().State, "PrepareCommit")
			check(e, "last stable offset", e.readCommitted(t).stable, 0)
			e.next("nobody copies from C")
			e.next("C is killed")
			check(e, "EndTxn", p.taken("EndTxn", func() code {
				if got := p.tryEnd(plainEnd, true).code; got != concurrentTransactions {
					return got
				}
				return coordinatorLoadInProgress // The marker is on its way.
			}), none)
			e.waitCommitted(t, 2)
			check(e, "records", fmt.Sprint(e.readCommitted(t).values()), "[in the transaction]")
		}},
	}
}
