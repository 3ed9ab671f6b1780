package conformance_test

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// producer is an idempotent producer: an id, and the topic that it writes to.
type producer struct {
	e     *env
	topic topic
	id    int64
	at    int64 // the time of its records, in milliseconds since 1970
}

// producer gets a producer id and a topic.
func (e *env) producer(opts ...topicOption) producer {
	return e.producerFor(e.topic(opts...))
}

func (e *env) producerFor(t topic) producer {
	id, _ := e.initProducerID(e.A)
	return producer{e, t, id, time.Now().UnixMilli()}
}

// initProducerID asks a broker for a producer id, until it has some to give.
func (e *env) initProducerID(broker int32) (id int64, epoch int16) {
	e.wait("a producer id", func() error {
		resp := ask[*kmsg.InitProducerIDResponse](e, broker, request(kmsg.NewPtrInitProducerIDRequest(), 4))
		id, epoch = resp.ProducerID, resp.ProducerEpoch
		return is("answer", code(resp.ErrorCode), none)
	})
	return id, epoch
}

// batch is a batch of the producer, whose records' values are their sequence numbers.
func (p producer) batch(epoch int16, sequence int32, records int) write {
	var values []string
	for i := range records {
		values = append(values, fmt.Sprint(int(sequence)+i))
	}
	w := writing(p.topic)
	w.batch = wire.NewBatch(values...).At(p.at).From(p.id, epoch, sequence).Bytes()
	return w
}

// send writes a batch to the leader.
func (p producer) send(epoch int16, sequence int32, records int) written {
	return p.e.produce(p.e.partition(p.topic).leader, p.batch(epoch, sequence, records))
}

// stored ends the row unless the batch is answered with success and this base offset.
func (p producer) stored(base int64, epoch int16, sequence int32, records int) {
	got := p.send(epoch, sequence, records)
	what := fmt.Sprintf("epoch %d sequence %d: ", epoch, sequence)
	check(p.e, what+"answer", got.code, none)
	check(p.e, what+"base offset", got.base, base)
}

// refused ends the row unless a batch of one record is refused with this code.
func (p producer) refused(want code, epoch int16, sequence int32) {
	got := p.send(epoch, sequence, 1)
	what := fmt.Sprintf("epoch %d sequence %d: ", epoch, sequence)
	check(p.e, what+"answer", got.code, want)
	p.e.detail("base offset of a refused batch", got.base, -1)
}

// idempotenceRows is part I of the table: what a partition's leader does with producer ids, epochs and sequence numbers.
func idempotenceRows() []row {
	return append(idempotenceFailureRows(), []row{
		{id: "I01", title: "a batch that is one of the producer's last five is a duplicate: the original offset, nothing stored", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, 0, 2)
			for i := range int32(4) {
				p.stored(int64(2+i), 0, 2+i, 1)
			}
			got := p.send(0, 0, 2)
			check(e, "answer", got.code, none)
			check(e, "base offset", got.base, 0)
			check(e, "is the log append time the batch's, even with CreateTime", got.appendTime == p.at, true)
			for i := range int32(4) {
				p.stored(int64(2+i), 0, 2+i, 1)
			}
			e.holds(p.topic, "0", "1", "2", "3", "4", "5")
		}},
		{id: "I02", title: "a batch before the last five is out of order", run: func(e *env) {
			p := e.producer()
			for i := range int32(6) {
				p.stored(int64(i), 0, i, 1)
			}
			p.stored(1, 0, 1, 1)
			p.refused(outOfOrderSequenceNumber, 0, 0)
		}},
		{id: "I03", title: "a gap in the sequence is out of order", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, 0, 1)
			p.refused(outOfOrderSequenceNumber, 0, 2)
			e.holds(p.topic, "0")
		}},
		{id: "I04", title: "the first batch of an unknown producer may have any sequence", run: func(e *env) {
			e.producer().stored(0, 0, 10, 1)
		}},
		{id: "I05", title: "a new epoch starts at sequence 0", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, 0, 1)
			p.stored(1, 1, 0, 1)
		}},
		{id: "I06", title: "a new epoch that starts elsewhere is out of order", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, 0, 1)
			p.refused(outOfOrderSequenceNumber, 1, 3)
		}},
		{id: "I07", title: "a lower epoch is fenced", run: func(e *env) {
			p := e.producer()
			p.stored(0, 1, 0, 1)
			p.refused(invalidProducerEpoch, 0, 1)
		}},
		{id: "I08", title: "a lower epoch is fenced even where the batch was stored in it", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, 0, 1)
			p.stored(1, 1, 0, 1)
			p.refused(invalidProducerEpoch, 0, 0)
		}},
		{id: "I09", title: "after sequence 2147483647 comes 0", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, math.MaxInt32, 1)
			p.stored(1, 0, 0, 1)
			p.stored(0, 0, math.MaxInt32, 1)
		}},
		{id: "I16", tuned: true, title: "a producer whose records are older than producer.id.expiration.ms is forgotten: its retry is stored again", run: func(e *env) {
			p := e.producer()
			p.at -= (48 * time.Hour).Milliseconds()
			p.stored(0, 0, 5, 1)
			e.wait("the producer to be forgotten", func() error { return is("base offset of the same batch", p.send(0, 5, 1).base, 1) })
			e.holds(p.topic, "5", "5")
		}},
		{id: "I17", title: "DeleteRecords does not forget the producer", run: func(e *env) {
			p := e.producer()
			p.stored(0, 0, 0, 3)
			got := e.deleteRecords(e.partition(p.topic).leader, p.topic, -1, 30*time.Second)
			check(e, "deleting all records", got.code, none)
			p.refused(outOfOrderSequenceNumber, 0, 4)
			p.stored(3, 0, 3, 1)
		}},
		{id: "I18", title: "InitProducerId without a transactional id gives a new id each time, with epoch 0", run: func(e *env) {
			first, epoch := e.initProducerID(e.A)
			check(e, "epoch", epoch, 0)
			second, epoch := e.initProducerID(e.A)
			check(e, "epoch", epoch, 0)
			check(e, "are the ids the same", first == second, false)
		}},
	}...)
}

// idempotenceFailureRows are retries around failures, which is what sequence numbers are for.
func idempotenceFailureRows() []row {
	return []row{
		{id: "I10", title: "a duplicate below the minimum ISR is refused like any acks=all, though it is stored", during: twoBrokersAreKilled, run: func(e *env) {
			p := e.producer(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			p.stored(0, 0, 0, 1)
			e.next("C is killed")
			e.next("B is killed")
			e.waitSession("the duplicate to be refused", func() error { return is("answer", p.send(0, 0, 1).code, notEnoughReplicas) })
			e.next("C is back")
			e.waitSession("the duplicate to be accepted again", func() error { return is("answer", p.send(0, 0, 1).code, none) })
			p.stored(0, 0, 0, 1)
			e.holds(p.topic, "0")
		}},
		{id: "I11", title: "a retry of a batch that timed out waits again and gets the original offset", during: aBrokerIsPaused, run: func(e *env) {
			p := e.producer(on(e.A, e.C))
			conn := e.conn(e.A)
			e.next("C is paused")
			w := p.batch(0, 0, 1)
			w.timeout = 100 * time.Millisecond
			got := e.produce(e.A, w)
			check(e, "answer", got.code, requestTimedOut)
			check(e, "base offset", got.base, 0)
			w.timeout = 3 * e.target.Timing.Session
			retry := e.send(conn, w.request())
			e.next("C is fenced")
			got = e.produced(answer[*kmsg.ProduceResponse](e, retry))
			check(e, "answer to the retry", got.code, none)
			check(e, "base offset of the retry", got.base, 0)
			check(e, "log end", e.end(e.A, p.topic), 1)
			e.next("C goes on")
		}},
		{id: "I12", title: "a batch that was replicated before its leader died is a duplicate for the next leader", during: aBrokerIsKilled, run: func(e *env) {
			p := e.producer(on(e.C, e.A, e.B))
			p.stored(0, 0, 0, 2)
			e.next("C is killed")
			e.next("C is fenced")
			e.waitLeader(p.topic, e.A)
			p.stored(0, 0, 0, 2)
			p.stored(2, 0, 2, 1)
			e.holds(p.topic, "0", "1", "2")
		}},
		{id: "I13", title: "a batch that only the old leader stored is new for the next one", during: aBrokerIsPaused, run: func(e *env) {
			p := e.producer(on(e.C, e.A, e.B))
			conn := e.conn(e.C)
			e.next("C is paused")
			w := p.batch(0, 0, 1)
			w.acks = acksLeader
			stale := e.send(conn, w.request())
			e.next("C is fenced")
			e.waitLeader(p.topic, e.A)
			e.put(p.topic, "of the next leader")
			e.next("C goes on")
			got := e.produced(answer[*kmsg.ProduceResponse](e, stale))
			check(e, "answer of the old leader", got.code, none)
			check(e, "base offset at the old leader", got.base, 0)
			p.stored(1, 0, 0, 1)
			e.waitISR(p.topic, e.A, e.B, e.C)
			e.holds(p.topic, "of the next leader", "0")
		}},
		{id: "I14", title: "after a clean restart the producer's last batch is still a duplicate", during: twoBrokersStop, run: func(e *env) {
			p := e.producer(on(e.C))
			p.stored(0, 0, 0, 1)
			p.stored(1, 0, 1, 1)
			e.next("C is shut down")
			e.next("B is shut down")
			e.next("C is back")
			e.waitLeader(p.topic, e.C)
			p.stored(1, 0, 1, 1)
			e.holds(p.topic, "0", "1")
		}},
		{id: "I15", title: "after a clean restart the last batch but one is out of order: snapshots keep one batch a producer", during: twoBrokersStop, run: func(e *env) {
			p := e.producer(on(e.C))
			p.stored(0, 0, 0, 1)
			p.stored(1, 0, 1, 1)
			e.next("C is shut down")
			e.next("B is shut down")
			e.next("C is back")
			e.waitLeader(p.topic, e.C)
			p.refused(outOfOrderSequenceNumber, 0, 0)
			p.stored(2, 0, 2, 1)
		}},
		{id: "I19", title: "no controller, and the broker's block of producer ids is used up: COORDINATOR_LOAD_IN_PROGRESS", during: noController, run: func(e *env) {
			const blocks = 2 // The one in use, and one that was fetched ahead.
			e.initProducerID(e.A)
			e.next("the controller is killed")
			conn := e.conn(e.A)
			got := none
			for range blocks*1000 + 1 {
				resp, err := conn.Request(request(kmsg.NewPtrInitProducerIDRequest(), 4))
				if err != nil {
					e.fatalf("asking for a producer id: %v", err)
				}
				if got = code(resp.(*kmsg.InitProducerIDResponse).ErrorCode); got != none {
					break
				}
			}
			check(e, "answer when all are used up", got, coordinatorLoadInProgress)
			e.next("C is killed")
			e.next("the controller is back")
			e.initProducerID(e.A)
		}},
	}
}

// deleted is the answer to DeleteRecords.
type deleted struct {
	code         code
	lowWatermark int64
}

// deleteRecords asks a broker to raise the log start of partition 0; -1 is the high watermark.
func (e *env) deleteRecords(broker int32, t topic, offset int64, timeout time.Duration) deleted {
	req := request(kmsg.NewPtrDeleteRecordsRequest(), 2)
	req.TimeoutMillis = int32(timeout.Milliseconds())
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{
		Topic:      t.name,
		Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: offset}},
	}}
	resp := ask[*kmsg.DeleteRecordsResponse](e, broker, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to DeleteRecords names %d topics, want one with one partition", len(resp.Topics))
	}
	p := resp.Topics[0].Partitions[0]
	return deleted{code(p.ErrorCode), p.LowWatermark}
}
