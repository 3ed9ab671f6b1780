package conformance_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// produceRows is part P of the table: what becomes of a Produce request.
func produceRows() []row {
	return append(produceFailureRows(), []row{
		{id: "P01", title: "acks=all on a healthy partition is answered when every in-sync replica has the batch", run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			leader := e.partition(t).leader
			got := e.produce(leader, writing(t, "a", "b"))
			check(e, "answer", got.code, none)
			check(e, "base offset", got.base, 0)
			check(e, "log append time of a CreateTime topic", got.appendTime, -1)
			check(e, "log start offset", got.logStart, 0)
			for _, broker := range []int32{e.A, e.B, e.C} {
				check(e, "log end of replica "+e.name(broker), e.end(broker, t), 2)
			}
			check(e, "base offset of the next batch", e.produce(leader, writing(t, "c")).base, 2)
		}},
		{id: "P09", title: "min.insync.replicas above the number of replicas counts as that number", run: func(e *env) {
			t := e.topic(with("min.insync.replicas", "2"))
			check(e, "answer", e.produce(e.partition(t).leader, writing(t, "a")).code, none)
		}},
		{id: "P10", title: "acks=5 is refused with INVALID_REQUIRED_ACKS", run: func(e *env) {
			t := e.topic()
			w := writing(t, "a")
			w.acks = 5
			got := e.produce(e.partition(t).leader, w)
			e.refused(got, invalidRequiredAcks)
			check(e, "log start offset", got.logStart, -1)
			e.holds(t)
		}},
		{id: "P11", title: "acks=5 to an unknown topic: the topic is looked at first", run: func(e *env) {
			w := writing(topic{name: e.freshName()}, "a")
			w.acks = 5
			e.refused(e.produce(e.A, w), unknownTopicOrPartition)
		}},
		{id: "P12", title: "Produce never creates a topic", run: func(e *env) {
			t := topic{name: e.freshName()}
			e.refused(e.produce(e.A, writing(t, "a")), unknownTopicOrPartition)
			e.topic() // Made after it, and there before it would be.
			_, err := e.tryMetadata(e.A, t.name)
			check(e, "metadata of the topic", fmt.Sprint(err), fmt.Sprintf("metadata of the topic is %v", unknownTopicOrPartition))
		}},
		{id: "P13", title: "a partition beyond the last is unknown", run: func(e *env) {
			t := e.topic()
			w := writing(t, "a")
			w.partition = 1
			e.refused(e.produce(e.partition(t).leader, w), unknownTopicOrPartition)
		}},
		{id: "P14", title: "a broker that does not lead the partition names the one that does, from v10 on", run: func(e *env) {
			t := e.topic(on(e.A, e.B))
			p := e.partition(t)
			for _, broker := range []int32{e.A, e.B, e.C} {
				if broker == p.leader {
					continue
				}
				w := writing(t, "a")
				e.refused(e.produce(broker, w), notLeaderOrFollower)
				w.version = 10
				got := e.produce(broker, w)
				e.refused(got, notLeaderOrFollower)
				check(e, "leader named by "+e.name(broker), e.name(got.hintLeader), e.name(p.leader))
				check(e, "epoch named by "+e.name(broker), got.hintLeaderEpoch, p.epoch)
				checkSet(e, "endpoints told by "+e.name(broker), got.hintEndpoints, p.leader)
			}
		}},
		{id: "P24", title: "a LogAppendTime topic gives batches the broker's time", run: func(e *env) {
			t := e.topic(with("message.timestamp.type", "LogAppendTime"))
			leader := e.partition(t).leader
			w := writing(t)
			w.batch = wire.NewBatch("a").At(1000).Bytes()
			got := e.produce(leader, w)
			check(e, "answer", got.code, none)
			if age := time.Since(time.UnixMilli(got.appendTime)).Abs(); age > time.Hour {
				e.fatalf("log append time: got %d, want the broker's time", got.appendTime)
			}
			read := e.fetch(leader, read{topic: t})
			check(e, "batches", len(read.batches), 1)
			check(e, "attribute LogAppendTime of the stored batch", read.batches[0].Attributes&wire.LogAppendTime != 0, true)
			check(e, "time of the stored batch", read.batches[0].MaxTimestamp, got.appendTime)
		}},
		{id: "P30", title: "one request, three outcomes: each partition has its own code, and the slowest is waited for", during: aBrokerIsPaused, run: func(e *env) {
			quick, slow, unknown := e.topic(on(e.A)), e.topic(on(e.A, e.C)), topic{name: e.freshName()}
			req := writing(quick, "a").request()
			for _, t := range []topic{slow, unknown} {
				req.Topics = append(req.Topics, writing(t, "a").request().Topics...)
			}
			conn := e.conn(e.A)
			e.next("C is paused")
			answered := e.send(conn, req)
			e.wait("the slow partition to store the batch", func() error { return is("its log end", e.end(e.A, slow), 1) })
			check(e, "is the request unanswered while C holds up one partition", answered.open(), true)
			e.next("C is fenced")
			codes := map[string]code{}
			for _, t := range answer[*kmsg.ProduceResponse](e, answered).Topics {
				codes[t.Topic] = code(t.Partitions[0].ErrorCode)
			}
			check(e, "quick partition", codes[quick.name], none)
			check(e, "slow partition", codes[slow.name], none)
			check(e, "unknown partition", codes[unknown.name], unknownTopicOrPartition)
			e.next("C goes on")
		}},
		{id: "P32", title: "a connection is answered in order: a waiting Produce holds up what comes after it", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			conn, other := e.conn(e.A), e.conn(e.A)
			e.next("C is paused")
			waiting := writing(t, "a").request()
			metadata := request(kmsg.NewPtrMetadataRequest(), 9)
			if err := conn.SendBytes(append(conn.Frame(waiting), conn.Frame(metadata)...)); err != nil {
				e.fatalf("sending: %v", err)
			}
			first := e.receive(conn, waiting)
			if _, err := other.Request(metadata); err != nil {
				e.fatalf("metadata on another connection: %v", err)
			}
			check(e, "is the first connection silent while C holds up the Produce", first.open(), true)
			e.next("C is fenced")
			check(e, "answer to the Produce", e.produced(answer[*kmsg.ProduceResponse](e, first)).code, none)
			if _, err := conn.Receive(metadata); err != nil {
				e.fatalf("metadata after the Produce: %v", err)
			}
			e.next("C goes on")
		}},
		{id: "P33", title: "a request of more than socket.request.max.bytes ends the connection", run: func(e *env) {
			conn := e.conn(e.A)
			if err := conn.SendBytes(binary.BigEndian.AppendUint32(nil, 100<<20+1)); err != nil {
				e.fatalf("sending: %v", err)
			}
			e.closed("connection", conn)
		}},
		{id: "P34", title: "a transactional batch without a transactional id is denied for every partition", run: func(e *env) {
			t, unknown := e.topic(), topic{name: e.freshName()}
			batch := wire.NewBatch("a").From(1, 0, 0)
			batch.Attributes = wire.Transactional
			w := writing(t)
			w.batch = batch.Bytes()
			req := w.request()
			req.Topics = append(req.Topics, writing(unknown, "a").request().Topics...)
			resp := ask[*kmsg.ProduceResponse](e, e.partition(t).leader, req)
			codes := map[string]code{}
			for _, t := range resp.Topics {
				codes[t.Topic] = code(t.Partitions[0].ErrorCode)
			}
			check(e, "answer for the transactional batch", codes[t.name], transactionalIDDenied)
			check(e, "answer for the unknown topic", codes[unknown.name], transactionalIDDenied)
			e.holds(t)
		}},
		{id: "P36", title: "a disk that fails in the append: KAFKA_STORAGE_ERROR, if there is an answer; the broker ends with its only disk, and the leader moves", during: aDiskFails, run: func(e *env) {
			t := e.topic(on(e.C, e.A), with("segment.ms", "1"))
			e.put(t, "a")
			e.next("C's disk fails")
			w := writing(t, "b")
			w.acks = acksLeader
			switch resp, err := e.try(e.C, w.request()); {
			case errors.Is(err, wire.ErrClosed):
			case err != nil:
				e.fatalf("producing: %v", err)
			default:
				check(e, "answer", e.produced(resp.(*kmsg.ProduceResponse)).code, kafkaStorageError)
			}
			e.next("C is fenced")
			checkSet(e, "in-sync replicas", e.waitLeader(t, e.A).isr, e.A)
			e.holds(t, "a")
			e.put(t, "c")
			e.next("C is back")
			e.waitISR(t, e.A, e.C)
			check(e, "records from the second on", fmt.Sprint(e.fetch(e.A, read{topic: t, offset: 1}).values()), "[c]") // Kafka reads one segment.
		}},
	}...)
}

// badBatchRows are the batches that a healthy leader refuses, whole.
func badBatchRows() []row {
	return []row{
		{id: "P17", title: "a batch larger than max.message.bytes is refused", run: func(e *env) {
			w, t := e.sizedTopic(-1)
			w.topic = t
			e.refused(e.produce(e.partition(t).leader, w), messageTooLarge)
			e.holds(t)
		}},
		{id: "P18", title: "a batch of exactly max.message.bytes is stored", run: func(e *env) {
			w, t := e.sizedTopic(0)
			w.topic = t
			check(e, "answer", e.produce(e.partition(t).leader, w).code, none)
		}},
		{id: "P19", title: "a batch with a wrong checksum is refused", run: func(e *env) {
			t := e.topic()
			w := writing(t, "a")
			w.batch[len(w.batch)-2]++
			e.refused(e.produce(e.partition(t).leader, w), corruptMessage)
			e.holds(t)
		}},
		{id: "P20", title: "too large and corrupt: the size is looked at first", run: func(e *env) {
			w, t := e.sizedTopic(-1)
			w.topic = t
			w.batch[len(w.batch)-2]++
			e.refused(e.produce(e.partition(t).leader, w), messageTooLarge)
		}},
		{id: "P21", title: "a partition's records are exactly one batch of format 2", run: func(e *env) {
			t := e.topic()
			leader := e.partition(t).leader
			one := wire.NewBatch("a")
			old := one
			old.Magic = 1
			for _, c := range []struct {
				what    string
				records []byte
			}{
				{"two batches", append(one.Bytes(), one.Bytes()...)},
				{"no batch", []byte{}},
				{"magic 1", old.Bytes()},
			} {
				w := writing(t)
				w.batch = c.records
				got := e.produce(leader, w)
				check(e, c.what, got.code, invalidRecord)
				check(e, "log start offset of "+c.what, got.logStart, -1)
			}
			e.holds(t)
		}},
		{id: "P22", title: "a record without a key is refused by a compacted topic, with its whole batch", run: func(e *env) {
			t := e.topic(with("cleanup.policy", "compact"))
			batch := wire.NewBatch("a", "b")
			batch.Records[0].Key = []byte("k")
			w := writing(t)
			w.batch = batch.Bytes()
			got := e.produce(e.partition(t).leader, w)
			e.refused(got, invalidRecord)
			check(e, "bad records", fmt.Sprint(got.badRecords), "[1]")
			check(e, "log start offset", got.logStart, 0)
			check(e, "is there a message", got.message != "", true)
			e.holds(t)
		}},
		{id: "P23", title: "a record from more than message.timestamp.after.max.ms in the future is refused", run: func(e *env) {
			t := e.topic()
			batch := wire.NewBatch("a", "b")
			batch.Records[1].Timestamp += (2 * time.Hour).Milliseconds()
			w := writing(t)
			w.batch = batch.Bytes()
			got := e.produce(e.partition(t).leader, w)
			e.refused(got, invalidTimestamp)
			check(e, "bad records", fmt.Sprint(got.badRecords), "[1]")
			e.holds(t)
		}},
		{id: "P25", title: "a batch whose base offset is not 0 is refused", run: func(e *env) {
			t := e.topic()
			batch := wire.NewBatch("a")
			batch.BaseOffset = 1
			w := writing(t)
			w.batch = batch.Bytes()
			got := e.produce(e.partition(t).leader, w)
			e.refused(got, invalidRecord)
			check(e, "log start offset", got.logStart, 0)
			e.holds(t)
		}},
		{id: "P26", title: "a control batch from a client is refused", run: func(e *env) {
			t := e.topic()
			batch := wire.NewBatch("a").From(1, 0, 0)
			batch.Attributes = wire.Control
			w := writing(t)
			w.batch = batch.Bytes()
			e.refused(e.produce(e.partition(t).leader, w), invalidRecord)
			e.holds(t)
		}},
		{id: "P27", title: "clients cannot write to __consumer_offsets", apis: []kmsg.Key{kmsg.FindCoordinator}, run: func(e *env) {
			e.coordinator("some-group", 0)
			t := topic{name: "__consumer_offsets"}
			e.refused(e.produce(e.partition(t).leader, writing(t, "a")), invalidTopic)
		}},
		{id: "P28", title: "zstd needs Produce v7", run: func(e *env) {
			t := e.topic()
			batch := wire.NewBatch("a")
			batch.Attributes = wire.Zstd
			w := writing(t)
			w.batch, w.version = batch.Bytes(), 6
			e.refused(e.produce(e.partition(t).leader, w), unsupportedCompressionType)
		}},
		{id: "P29", title: "any error with acks=0 ends the connection, which is all that a producer learns", run: func(e *env) {
			t := e.topic(on(e.A, e.B), with("max.message.bytes", "1000"))
			leader := e.partition(t).leader
			for _, c := range []struct {
				what   string
				broker int32
				write  write
			}{
				{"unknown topic", e.A, writing(topic{name: e.freshName()}, "a")},
				{"batch too large", leader, writing(t, strings.Repeat("x", 2000))},
				{"not the leader", e.C, writing(t, "a")},
			} {
				c.write.acks = acksNone
				conn := e.conn(c.broker)
				if err := conn.Send(c.write.request()); err != nil {
					e.fatalf("sending: %v", err)
				}
				e.closed(c.what, conn)
			}
			e.holds(t)
		}},
	}
}

// sizedTopic returns a write and a topic whose max.message.bytes is more bytes larger than the write's batch.
func (e *env) sizedTopic(more int) (write, topic) {
	w := writing(topic{}, strings.Repeat("x", 1000))
	return w, e.topic(with("max.message.bytes", strconv.Itoa(len(w.batch)+more)))
}

// produceFailureRows are writes to partitions that are short of replicas or of a leader.
func produceFailureRows() []row {
	return append(badBatchRows(), []row{
		{id: "P02", title: "acks=all with one replica gone from the ISR is answered when the others have the batch", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			e.next("C is killed")
			e.next("C is fenced")
			e.waitISR(t, e.A, e.B)
			check(e, "answer", e.produce(e.A, writing(t, "a")).code, none)
			check(e, "log end of replica B", e.end(e.B, t), 1)
		}},
		{id: "P03", title: "acks=all waits for a silent in-sync replica until it leaves the ISR, or times out", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			patient, hasty := e.conn(e.A), e.conn(e.A)
			e.next("C is paused")
			w := writing(t, "a")
			w.timeout = 3 * e.target.Timing.Session
			waiting := e.send(patient, w.request())
			w.timeout = 100 * time.Millisecond
			got := e.produced(answer[*kmsg.ProduceResponse](e, e.send(hasty, w.request())))
			check(e, "answer at the timeout", got.code, requestTimedOut)
			check(e, "is the batch stored all the same", got.base >= 0, true)
			check(e, "is the patient request unanswered while C is in the ISR", waiting.open(), true)
			e.next("C is fenced")
			check(e, "answer to the patient request", e.produced(answer[*kmsg.ProduceResponse](e, waiting)).code, none)
			e.next("C goes on")
		}},
		{id: "P04", title: "acks=all with fewer in-sync replicas than the minimum: NOT_ENOUGH_REPLICAS, nothing is stored", during: twoBrokersAreKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			e.next("C is killed")
			e.next("B is killed")
			e.waitShort(e.A, t)
			end := e.end(e.A, t)
			e.refused(e.produce(e.A, writing(t, "a")), notEnoughReplicas)
			check(e, "log end after it", e.end(e.A, t), end)
		}},
		{id: "P05", title: "acks=1 below the minimum ISR is stored and acknowledged, but cannot be read until the ISR is large enough", during: twoBrokersAreKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			e.next("C is killed")
			e.next("B is killed")
			e.waitShort(e.A, t)
			w := writing(t, "unseen")
			w.acks = acksLeader
			got := e.produce(e.A, w)
			check(e, "answer", got.code, none)
			hidden := e.fetch(e.A, read{topic: t, offset: got.base})
			check(e, "reading it", hidden.code, none)
			check(e, "records read", len(hidden.batches), 0)
			check(e, "is the high watermark at or below it", hidden.highWatermark <= got.base, true)
			e.next("C is back")
			e.wait("the record to be readable", func() error {
				return is("records", fmt.Sprint(e.fetch(e.A, read{topic: t, offset: got.base}).values()), "[unseen]")
			})
		}},
		{id: "P06", title: "acks=0 below the minimum ISR is stored, and the connection stays open", during: twoBrokersAreKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			e.next("C is killed")
			e.next("B is killed")
			e.waitShort(e.A, t)
			end := e.end(e.A, t)
			w := writing(t, "a")
			w.acks = acksNone
			conn := e.conn(e.A)
			if err := conn.Send(w.request()); err != nil {
				e.fatalf("sending: %v", err)
			}
			if _, err := conn.Request(request(kmsg.NewPtrMetadataRequest(), 9)); err != nil {
				e.fatalf("the next request on the connection: %v", err)
			}
			check(e, "log end", e.end(e.A, t), end+1)
		}},
		{id: "P07", title: "acks=all is stored, then the ISR falls below the minimum: REQUEST_TIMED_OUT, and the batch is committed later", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.C), with("min.insync.replicas", "2"))
			conn := e.conn(e.A)
			e.next("C is paused")
			w := writing(t, "late")
			w.timeout = 3 * e.target.Timing.Session / 2
			waiting := e.send(conn, w.request())
			e.next("C is fenced")
			e.waitISR(t, e.A)
			got := e.produced(answer[*kmsg.ProduceResponse](e, waiting))
			check(e, "answer", got.code, requestTimedOut)
			check(e, "base offset", got.base, 0)
			check(e, "records that can be read", len(e.fetch(e.A, read{topic: t}).batches), 0)
			e.next("C goes on")
			e.wait("the record to be committed", func() error {
				return is("records", fmt.Sprint(e.fetch(e.A, read{topic: t}).values()), "[late]")
			})
		}},
		{id: "P08", title: "the ISR falls below the minimum between the commit and the answer: NOT_ENOUGH_REPLICAS_AFTER_APPEND", unstaged: "a race that nothing outside the broker can bring about"},
		{id: "P15", title: "a former leader of a leaderless partition says that nobody leads, and the epoch", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A))
			check(e, "moving the partition to C", e.reassign(t, []int32{e.C}), none)
			e.waitLeader(t, e.C)
			e.next("C is killed")
			e.next("C is fenced")
			p := e.waitLeader(t, -1)
			w := writing(t, "a")
			w.version = 10
			got := e.produce(e.A, w)
			e.refused(got, notLeaderOrFollower)
			check(e, "leader named", e.name(got.hintLeader), "nobody")
			check(e, "epoch named", got.hintLeaderEpoch, p.epoch)
			check(e, "endpoints told", len(got.hintEndpoints), 0)
		}},
		{id: "P16", title: "the leader changes while acks=all waits: NOT_LEADER_OR_FOLLOWER, with the offset of the stored batch", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C))
			e.prefer(t, e.B, e.A, e.C)
			conn := e.conn(e.A)
			e.next("C is paused")
			w := writing(t, "kept")
			w.version = 10
			waiting := e.send(conn, w.request())
			e.waitEnd(e.B, t, 1)
			check(e, "election of B", e.elect(t, preferred), none)
			got := e.produced(answer[*kmsg.ProduceResponse](e, waiting))
			check(e, "answer", got.code, notLeaderOrFollower)
			check(e, "base offset", got.base, 0)
			check(e, "leader named", e.name(got.hintLeader), "B")
			e.next("C is fenced")
			e.wait("the record that B had copied to be committed", func() error {
				return is("records", fmt.Sprint(e.fetch(e.B, read{topic: t}).values()), "[kept]")
			})
			e.next("C goes on")
		}},
		{id: "P31", title: "acks=all with a timeout of 0 that cannot be answered at once: REQUEST_TIMED_OUT, stored", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.next("C is paused")
			w := writing(t, "a")
			w.timeout = -1
			got := e.produce(e.A, w)
			check(e, "answer", got.code, requestTimedOut)
			check(e, "base offset", got.base, 0)
			check(e, "log end", e.end(e.A, t), 1)
			e.next("C is fenced")
			e.next("C goes on")
		}},
		{id: "P35", title: "the topic is deleted while acks=all waits: UNKNOWN_TOPIC_OR_PARTITION, with the offset", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			conn := e.conn(e.A)
			e.next("C is paused")
			waiting := e.send(conn, writing(t, "a").request())
			e.wait("the batch to be stored", func() error { return is("log end", e.end(e.A, t), 1) })
			check(e, "deleting the topic", e.deleteTopic(t), none)
			got := e.produced(answer[*kmsg.ProduceResponse](e, waiting))
			check(e, "answer", got.code, unknownTopicOrPartition)
			check(e, "base offset", got.base, 0)
			e.next("C is fenced")
			e.next("C goes on")
		}},
	}...)
}

// waitShort waits until the leader itself knows that the ISR is below the minimum. Metadata is a little ahead of it, and an
// acks=all that it still accepts times out.
func (e *env) waitShort(leader int32, t topic) {
	e.waitSession("the leader to refuse acks=all", func() error {
		w := writing(t, "probe")
		w.timeout = 100 * time.Millisecond
		return is("answer", e.produce(leader, w).code, notEnoughReplicas)
	})
}
