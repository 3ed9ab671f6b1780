package conformance_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// fetchRows is part F of the table: what Fetch, ListOffsets and OffsetForLeaderEpoch answer.
func fetchRows() []row {
	return append(append(fetchSizeRows(), fetchSessionRows()...), append(offsetRows(), []row{
		{id: "F01", title: "a fetch at the high watermark waits its full time and comes back empty", run: func(e *env) {
			t := e.topic()
			e.put(t, "a")
			got := e.fetch(e.partition(t).leader, read{topic: t, offset: 1, wait: 300 * time.Millisecond})
			check(e, "answer", got.code, none)
			check(e, "records", len(got.batches), 0)
			check(e, "did it wait", got.took >= 290*time.Millisecond, true)
		}},
		{id: "F02", title: "a fetch above the high watermark but within the log comes back empty at once", during: aBrokerIsKilled, run: func(e *env) {
			t := e.frozen()
			e.put(t, "a")
			e.next("C is killed")
			e.next("C is fenced")
			e.waitShort(e.A, t)
			end := e.putUnseen(t, "b", "c")
			got := e.fetch(e.A, read{topic: t, offset: end, wait: e.target.Timing.Patience})
			check(e, "answer", got.code, none)
			check(e, "records", len(got.batches), 0)
			check(e, "is the high watermark below the offset", got.highWatermark < end, true)
			check(e, "did it wait", got.took > e.target.Timing.Patience/2, false)
		}},
		{id: "F03", title: "a fetch beyond the log end or before the log start is out of range", run: func(e *env) {
			t := e.topic()
			e.put(t, "a", "b")
			leader := e.partition(t).leader
			check(e, "deleting a record", e.deleteRecords(leader, t, 1, 30*time.Second).code, none)
			for _, offset := range []int64{0, 3} {
				got := e.fetch(leader, read{topic: t, offset: offset})
				check(e, fmt.Sprintf("answer at %d", offset), got.code, offsetOutOfRange)
				check(e, "high watermark", got.highWatermark, -1)
			}
		}},
		{id: "F04", title: "a consumer's fetch at a follower succeeds from v11 on", run: func(e *env) {
			t, follower := e.followed()
			e.wait("the follower to serve the record", func() error {
				got := e.fetch(follower, read{topic: t, version: 11})
				if err := is("answer", got.code, none); err != nil {
					return err
				}
				return is("records", fmt.Sprint(got.values()), "[a]")
			})
		}},
		{id: "F05", title: "a consumer's fetch at a follower is refused up to v10", run: func(e *env) {
			t, follower := e.followed()
			got := e.fetch(follower, read{topic: t, version: 10})
			check(e, "answer", got.code, notLeaderOrFollower)
			check(e, "high watermark", got.highWatermark, -1)
		}},
		{id: "F06", title: "a fetch at a broker without a replica is refused in every version", run: func(e *env) {
			t := e.topic(on(e.A, e.B))
			for _, version := range []int16{10, 12} {
				check(e, fmt.Sprintf("answer in v%d", version), e.fetch(e.C, read{topic: t, version: version}).code, notLeaderOrFollower)
			}
		}},
		{id: "F07", title: "a leader epoch other than the broker's is refused before it is asked whether it leads", run: func(e *env) {
			t := e.topic(on(e.A, e.B))
			check(e, "moving the leadership, for a second epoch", e.reassign(t, []int32{e.B, e.C}), none)
			e.waitISR(t, e.B, e.C)
			p := e.waitLeader(t, e.B)
			e.wait("the follower to know", func() error {
				return is("its answer", e.fetch(e.C, read{topic: t, epoch: p.epoch + 1}).code, none)
			})
			for _, broker := range []int32{e.B, e.C} {
				check(e, "lower epoch at "+e.name(broker), e.fetch(broker, read{topic: t, version: 10, epoch: p.epoch}).code, fencedLeaderEpoch)
				check(e, "higher epoch at "+e.name(broker), e.fetch(broker, read{topic: t, version: 10, epoch: p.epoch + 2}).code, unknownLeaderEpoch)
			}
			check(e, "right epoch at the follower", e.fetch(e.C, read{topic: t, version: 10, epoch: p.epoch + 1}).code, notLeaderOrFollower)
		}},
		{id: "F12", title: "the leader loses its role while a fetch waits", run: func(e *env) {
			t := e.topic(on(e.A, e.B))
			e.prefer(t, e.B, e.A)
			p := e.partition(t)
			long := read{topic: t, wait: e.target.Timing.Patience}
			withEpoch, v10, v12 := long, long, long
			withEpoch.version, withEpoch.epoch = 16, p.epoch+1
			v10.version = 10
			knowing, old, patient := e.send(e.conn(e.A), withEpoch.request()), e.send(e.conn(e.A), v10.request()), e.send(e.conn(e.A), v12.request())
			check(e, "election of B", e.elect(t, preferred), none)
			got := e.fetched(answer[*kmsg.FetchResponse](e, knowing))
			check(e, "with the epoch: answer", got.code, fencedLeaderEpoch)
			check(e, "with the epoch: leader named", e.name(got.hintLeader), "B")
			check(e, "v10 without: answer", e.fetched(answer[*kmsg.FetchResponse](e, old)).code, notLeaderOrFollower)
			check(e, "v12 without: does it go on waiting at what is a follower now", patient.open(), true)
			e.waitLeader(t, e.B)
			e.put(t, "a")
			got = e.fetched(answer[*kmsg.FetchResponse](e, patient))
			check(e, "v12 without: answer", got.code, none)
			check(e, "v12 without: records", fmt.Sprint(got.values()), "[a]")
		}},
		{id: "F15", title: "an unknown topic id", run: func(e *env) {
			t := topic{id: [16]byte{0xff, 1}}
			check(e, "answer", e.fetch(e.A, read{topic: t, version: 13}).code, unknownTopicID)
		}},
		{id: "F16", title: "a topic that was deleted and created again has another id; the old one is unknown", run: func(e *env) {
			old := e.topic(on(e.A))
			check(e, "deleting it", e.deleteTopic(old), none)
			e.wait("the topic to be gone", func() error {
				return is("answer", e.fetch(e.A, read{topic: old, version: 13}).code, unknownTopicID)
			})
			again := e.topicCalled(old.name, on(e.A))
			check(e, "is the id the same", again.id == old.id, false)
			check(e, "answer for the old id", e.fetch(e.A, read{topic: old, version: 13}).code, unknownTopicID)
			check(e, "answer for the new id", e.fetch(e.A, read{topic: again, version: 13}).code, none)
		}},
		{id: "F17", title: "read_committed stops at the first open transaction, other producers' later records included", apis: transactionAPIs(), run: func(e *env) {
			tx := e.transaction()
			tx.write("open")
			e.put(tx.topic, "later")
			leader := e.partition(tx.topic).leader
			got := e.fetch(leader, read{topic: tx.topic, committed: true})
			check(e, "answer", got.code, none)
			check(e, "records", len(got.batches), 0)
			check(e, "last stable offset", got.stable, 0)
			check(e, "high watermark", got.highWatermark, 2)
			check(e, "records for read_uncommitted", fmt.Sprint(e.fetch(leader, read{topic: tx.topic}).values()), "[open later]")
			tx.end(true)
			e.wait("the transaction to be committed", func() error {
				return is("records", fmt.Sprint(e.fetch(leader, read{topic: tx.topic, committed: true}).values()), "[open later]")
			})
		}},
		{id: "F18", title: "an aborted transaction is delivered to read_committed with its marker and a list that names it", apis: transactionAPIs(), run: func(e *env) {
			tx := e.transaction()
			tx.write("aborted")
			tx.end(false)
			leader := e.partition(tx.topic).leader
			var got reading
			e.wait("the transaction to be aborted", func() error {
				got = e.fetch(leader, read{topic: tx.topic, committed: true})
				return is("last stable offset", got.stable, 2)
			})
			check(e, "batches", len(got.batches), 2)
			check(e, "is the second a control batch", got.batches[1].Attributes&wire.Control != 0, true)
			check(e, "aborted transactions", len(got.aborted), 1)
			check(e, "producer of the aborted transaction", got.aborted[0].ProducerID, tx.id)
			check(e, "its first offset", got.aborted[0].FirstOffset, 0)
			check(e, "aborted transactions for read_uncommitted", len(e.fetch(leader, read{topic: tx.topic}).aborted), 0)
		}},
		{id: "F19", title: "an offset out of range ends the wait of the whole request; a partition that is not in the metadata does not", run: func(e *env) {
			t := e.topic(on(e.A), on(e.A))
			patience := e.target.Timing.Patience
			e.put(t, "a")
			bad, good := read{topic: t, partition: 1, offset: 9}, read{topic: t}
			got, took := e.fetchBoth(e.A, patience, bad, good)
			check(e, "out of range", got[1].code, offsetOutOfRange)
			check(e, "records of the other partition", fmt.Sprint(got[0].values()), "[a]")
			check(e, "did it wait", took > patience/2, false)
			unknown, idle := read{topic: t, partition: 7}, read{topic: t, partition: 1}
			got, took = e.fetchBoth(e.A, 300*time.Millisecond, unknown, idle)
			check(e, "unknown partition", got[7].code, unknownTopicOrPartition)
			check(e, "idle partition", got[1].code, none)
			check(e, "did the idle partition wait", took >= 290*time.Millisecond, true)
			alone := e.fetch(e.A, read{topic: t, partition: 7, wait: patience})
			check(e, "unknown partition alone", alone.code, unknownTopicOrPartition)
			check(e, "did it wait", alone.took > patience/2, false)
		}},
	}...)...)
}

// frozen makes a topic whose high watermark stands still as soon as one replica is gone: it has three and needs three. A leads it.
func (e *env) frozen() topic {
	return e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "3"))
}

// putUnseen writes records with acks=1 to a topic that is below its minimum ISR, waits until B has them too, and returns the log
// end after them.
func (e *env) putUnseen(t topic, values ...string) int64 {
	w := writing(t, values...)
	w.acks = acksLeader
	got := e.produce(e.A, w)
	check(e, "producing with acks=1", got.code, none)
	end := got.base + int64(len(values))
	e.waitEnd(e.B, t, end)
	return end
}

// followed makes a topic of two replicas with one record and returns the broker that does not lead it.
func (e *env) followed() (topic, int32) {
	t := e.topic(on(e.A, e.B))
	e.put(t, "a")
	if e.partition(t).leader == e.A {
		return t, e.B
	}
	return t, e.A
}

// fetchBoth sends two reads of one topic in one request and returns the answers by partition.
func (e *env) fetchBoth(broker int32, wait time.Duration, first, second read) (map[int32]reading, time.Duration) {
	first.wait = wait
	req := first.request()
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, second.entry(req.MaxBytes))
	start := time.Now()
	resp := ask[*kmsg.FetchResponse](e, broker, req)
	took := time.Since(start)
	got := map[int32]reading{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			got[p.Partition] = e.fetchedPartition(p)
		}
	}
	return got, took
}

// fetchSizeRows are about how much a fetch returns.
func fetchSizeRows() []row {
	return []row{
		{id: "F08", title: "a record larger than every limit is returned whole, so that a consumer gets on", run: func(e *env) {
			t := e.topic()
			e.put(t, strings.Repeat("x", 5000))
			got := e.fetch(e.partition(t).leader, read{topic: t, maxBytes: 1})
			check(e, "batches", len(got.batches), 1)
			check(e, "bytes of an incomplete batch", got.partial, 0)
		}},
		{id: "F09", title: "a partition that no room is left for comes back empty; in a session the order rotates", run: func(e *env) {
			t := e.topic(on(e.A), on(e.A))
			leader := e.partition(t).leader
			for p := range int32(2) {
				w := writing(t, strings.Repeat("x", 1000))
				w.partition = p
				check(e, "producing", e.produce(leader, w).code, none)
			}
			req := read{topic: t, maxBytes: 1100}.request()
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, read{topic: t, partition: 1}.entry(1100))
			req.SessionEpoch = 0
			conn := e.conn(leader)
			var order []int32
			for epoch := range int32(5) {
				resp, err := conn.Request(req)
				if err != nil {
					e.fatalf("fetching: %v", err)
				}
				order = append(order, e.filled(resp.(*kmsg.FetchResponse))...)
				req.SessionID, req.SessionEpoch, req.Topics = resp.(*kmsg.FetchResponse).SessionID, epoch+1, nil
			}
			check(e, "partitions with records, request by request", fmt.Sprint(order), "[0 0 1 0 1]")
		}},
		{id: "F10", title: "the byte limit may cut a batch in two", run: func(e *env) {
			t := e.topic()
			e.put(t, strings.Repeat("x", 1000))
			e.put(t, strings.Repeat("y", 1000))
			got := e.fetch(e.partition(t).leader, read{topic: t, maxBytes: 1500})
			check(e, "whole batches", len(got.batches), 1)
			check(e, "bytes of the next one", got.partial, 1500-len(wire.NewBatch(strings.Repeat("x", 1000)).Bytes()))
		}},
		{id: "F11", title: "a fetch from the middle of a batch returns the whole batch", run: func(e *env) {
			t := e.topic()
			e.put(t, "a", "b", "c")
			got := e.fetch(e.partition(t).leader, read{topic: t, offset: 1})
			check(e, "records", fmt.Sprint(got.values()), "[a b c]")
		}},
	}
}

// filled returns the partitions that an answer has records for.
func (e *env) filled(resp *kmsg.FetchResponse) []int32 {
	check(e, "answer", code(resp.ErrorCode), none)
	var filled []int32
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if len(p.RecordBatches) > 0 {
				filled = append(filled, p.Partition)
			}
		}
	}
	return filled
}

// fetchSessionRows are about fetch sessions (KIP-227).
func fetchSessionRows() []row {
	return []row{
		{id: "F13", title: "an unknown fetch session, and a known one in the wrong epoch", run: func(e *env) {
			t := e.topic()
			conn := e.conn(e.partition(t).leader)
			id := e.session(conn, read{topic: t})
			for _, c := range []struct {
				what      string
				id, epoch int32
				want      code
			}{
				{"unknown session", id ^ 0x40000000, 1, fetchSessionIDNotFound},
				{"epoch too high", id, 5, invalidFetchSessionEpoch},
				{"the epoch to follow", id, 1, none},
			} {
				req := read{topic: t}.request()
				req.SessionID, req.SessionEpoch, req.Topics = c.id, c.epoch, nil
				resp, err := conn.Request(req)
				if err != nil {
					e.fatalf("fetching: %v", err)
				}
				got := resp.(*kmsg.FetchResponse)
				check(e, c.what, code(got.ErrorCode), c.want)
				check(e, "topics in the answer to "+c.what, len(got.Topics), 0)
			}
		}},
		{id: "F14", title: "an incremental fetch leaves out what has not changed", run: func(e *env) {
			t := e.topic(on(e.A), on(e.A))
			conn := e.conn(e.A)
			id := e.session(conn, read{topic: t}, read{topic: t, partition: 1})
			check(e, "partitions when nothing has changed", fmt.Sprint(e.changed(conn, id, 1)), "[]")
			w := writing(t, "a")
			w.partition = 1
			check(e, "producing", e.produce(e.A, w).code, none)
			check(e, "partitions after a write", fmt.Sprint(e.changed(conn, id, 2)), "[1]")
			check(e, "partitions after it was read", fmt.Sprint(e.changed(conn, id, 3, read{topic: t, partition: 1, offset: 1})), "[]")
		}},
	}
}

// session opens a fetch session on some partitions of a topic and returns its id.
func (e *env) session(conn *wire.Conn, reads ...read) int32 {
	req := reads[0].request()
	req.SessionEpoch = 0
	for _, r := range reads[1:] {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, r.entry(req.MaxBytes))
	}
	resp, err := conn.Request(req)
	if err != nil {
		e.fatalf("opening a session: %v", err)
	}
	id := resp.(*kmsg.FetchResponse).SessionID
	check(e, "is there a session", id > 0, true)
	return id
}

// changed fetches in a session and returns the partitions in the answer. Reads change the session's offsets first.
func (e *env) changed(conn *wire.Conn, id, epoch int32, reads ...read) []int32 {
	req := read{}.request()
	req.SessionID, req.SessionEpoch, req.Topics = id, epoch, nil
	for _, r := range reads {
		req.Topics = append(req.Topics, r.request().Topics...)
	}
	resp, err := conn.Request(req)
	if err != nil {
		e.fatalf("fetching in the session: %v", err)
	}
	check(e, "answer", code(resp.(*kmsg.FetchResponse).ErrorCode), none)
	var changed []int32
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			changed = append(changed, p.Partition)
		}
	}
	return changed
}

// offsetRows are about ListOffsets and OffsetForLeaderEpoch.
func offsetRows() []row {
	return []row{
		{id: "F20", title: "ListOffsets latest is the high watermark, without a time, with the leader's epoch", run: func(e *env) {
			t := e.topic()
			e.put(t, "a", "b")
			p := e.partition(t)
			got := e.listOffsets(p.leader, listed{topic: t, time: latest})
			check(e, "answer", got.code, none)
			check(e, "offset", got.offset, 2)
			check(e, "time", got.time, -1)
			check(e, "epoch", got.epoch, p.epoch)
		}},
		{id: "F21", title: "ListOffsets latest while the high watermark is below the start of the leader's epoch: OFFSET_NOT_AVAILABLE", during: aBrokerIsKilled, run: func(e *env) {
			t := e.frozen()
			e.put(t, "a")
			e.prefer(t, e.B, e.A, e.C)
			e.next("C is killed")
			e.next("C is fenced")
			e.waitShort(e.A, t)
			e.putUnseen(t, "b")
			check(e, "election of B", e.elect(t, preferred), none)
			e.waitLeader(t, e.B)
			check(e, "latest", e.listOffsets(e.B, listed{topic: t, time: latest}).code, offsetNotAvailable)
			check(e, "latest in v4", e.listOffsets(e.B, listed{topic: t, time: latest, version: 4}).code, leaderNotAvailable)
			check(e, "earliest", e.listOffsets(e.B, listed{topic: t, time: earliest}).code, none)
			e.next("C is back")
			e.waitISR(t, e.A, e.B, e.C)
			e.wait("latest to be known", func() error {
				return is("answer", e.listOffsets(e.B, listed{topic: t, time: latest}).code, none)
			})
		}},
		{id: "F22", title: "ListOffsets at a broker that does not lead", run: func(e *env) {
			t, follower := e.followed()
			check(e, "at a follower", e.listOffsets(follower, listed{topic: t, time: latest}).code, notLeaderOrFollower)
			check(e, "without a replica", e.listOffsets(e.C, listed{topic: t, time: latest}).code, notLeaderOrFollower)
		}},
		{id: "F23", title: "ListOffsets for a time after all records, or after all that can be read, finds nothing", during: aBrokerIsKilled, run: func(e *env) {
			t := e.frozen()
			now := time.Now().UnixMilli()
			w := writing(t)
			w.batch = wire.NewBatch("a").At(now).Bytes()
			check(e, "producing", e.produce(e.A, w).code, none)
			epoch := e.partition(t).epoch
			check(e, "answer for the record's time", e.listOffsets(e.A, listed{topic: t, time: now}), offset{none, 0, now, epoch})
			check(e, "answer for a later time", e.listOffsets(e.A, listed{topic: t, time: now + 1}), offset{none, -1, -1, -1})
			e.next("C is killed")
			e.next("C is fenced")
			e.waitShort(e.A, t)
			w.acks, w.batch = acksLeader, wire.NewBatch("b").At(now+time.Minute.Milliseconds()).Bytes()
			check(e, "producing with acks=1", e.produce(e.A, w).code, none)
			got := e.listOffsets(e.A, listed{topic: t, time: now + time.Minute.Milliseconds()})
			check(e, "answer for a record that cannot be read", got, offset{none, -1, -1, -1})
		}},
		{id: "F24", title: "ListOffsets with a partition listed twice", run: func(e *env) {
			t := e.topic()
			req := listed{topic: t, time: latest}.request()
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
			resp := ask[*kmsg.ListOffsetsResponse](e, e.partition(t).leader, req)
			check(e, "topics in the answer", len(resp.Topics), 1)
			check(e, "entries for the partition", len(resp.Topics[0].Partitions), 1)
			check(e, "answer", code(resp.Topics[0].Partitions[0].ErrorCode), invalidRequest)
		}},
		{id: "F25", title: "ListOffsets for the largest time needs v7", run: func(e *env) {
			t := e.topic()
			e.put(t, "a")
			leader := e.partition(t).leader
			check(e, "answer in v6", e.listOffsets(leader, listed{topic: t, time: maxTime, version: 6}).code, unsupportedVersion)
			got := e.listOffsets(leader, listed{topic: t, time: maxTime, version: 7})
			check(e, "answer in v7", got.code, none)
			check(e, "offset", got.offset, 0)
		}},
		{id: "F26", title: "OffsetForLeaderEpoch of an epoch that is yet to come knows nothing", run: func(e *env) {
			t := e.topic()
			e.put(t, "a")
			p := e.partition(t)
			ended := e.epochEnd(p.leader, t, p.epoch)
			check(e, "answer for the current epoch", code(ended.ErrorCode), none)
			check(e, "end of the current epoch", ended.EndOffset, 1)
			ended = e.epochEnd(p.leader, t, p.epoch+1)
			check(e, "answer for the next epoch", code(ended.ErrorCode), none)
			check(e, "epoch", ended.LeaderEpoch, -1)
			check(e, "end", ended.EndOffset, -1)
		}},
	}
}

// epochEnd asks a broker where an epoch of partition 0 ended.
func (e *env) epochEnd(broker int32, t topic, epoch int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	req := request(kmsg.NewPtrOffsetForLeaderEpochRequest(), 4)
	req.ReplicaID = -1
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.LeaderEpoch, p.CurrentLeaderEpoch = epoch, -1
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: t.name, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
	resp := ask[*kmsg.OffsetForLeaderEpochResponse](e, broker, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to OffsetForLeaderEpoch names %d topics, want one with one partition", len(resp.Topics))
	}
	return resp.Topics[0].Partitions[0]
}
