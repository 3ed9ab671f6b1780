package oracle_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/internal/scenario"
)

// produceRequest makes a request of one batch.
func produceRequest(topic string, partition int32, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks, req.TimeoutMillis = acks, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// put sends a batch to partition 0 and notes the answer.
func (s *session) put(what, topic string, acks int16, records []byte) {
	s.Helper()
	resp := s.askAt(s.leader(topic, 0), produceRequest(topic, 0, acks, records)).(*kmsg.ProduceResponse)
	p := resp.Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		s.code(what, p.ErrorCode)
		return
	}
	s.saw(what, fmt.Sprintf("NONE, base offset %d, log start %d", p.BaseOffset, p.LogStartOffset))
}

// fill stores one batch for each value.
func (s *session) fill(topic string, values ...string) {
	s.Helper()
	for i, v := range values {
		s.put(fmt.Sprintf("fill %s %d", topic, i), topic, -1, scenario.NewBatch(v).Bytes())
	}
}

// patch changes bytes of a batch; with seal its checksum is made right again.
func patch(batch []byte, at int, seal bool, b ...byte) []byte {
	copy(batch[at:], b)
	if seal {
		return scenario.Seal(batch)
	}
	return batch
}

// produce stores records, well and badly.
func produce(s *session) {
	s.create("in", 1)
	s.create("small", 1, "max.message.bytes=200")
	s.create("compacted", 1, "cleanup.policy=compact")
	batch := func() []byte { return scenario.NewBatch("a", "b").Bytes() }
	s.put("acks=all", "in", -1, batch())
	s.put("acks=1", "in", 1, batch())
	s.put("acks=5", "in", 5, batch())
	s.put("wrong checksum", "in", -1, patch(batch(), 17, false, 1, 2, 3, 4))
	s.put("no records", "in", -1, nil)
	s.put("two batches", "in", -1, append(batch(), batch()...))
	s.put("truncated", "in", -1, batch()[:70])
	s.put("magic 1", "in", -1, patch(batch(), 16, false, 1))
	s.put("base offset 7", "in", -1, patch(batch(), 7, false, 7))
	s.put("control batch", "in", -1, patch(batch(), 22, true, 0x20))
	s.put("record count too high", "in", -1, patch(batch(), 57, true, 0, 0, 0, 9))
	s.put("last offset delta wrong", "in", -1, patch(batch(), 23, true, 0, 0, 0, 9))
	s.put("codec 5", "in", -1, patch(batch(), 22, true, 5))
	s.put("too large", "small", -1, scenario.NewBatch(strings.Repeat("x", 300)).Bytes())
	s.put("no key where compacted", "compacted", -1, batch())
	for _, c := range []struct {
		what, topic string
		partition   int32
	}{{"unknown topic", "no-such-topic", 0}, {"unknown partition", "in", 9}} {
		resp := s.ask(produceRequest(c.topic, c.partition, -1, batch())).(*kmsg.ProduceResponse)
		s.code(c.what, resp.Topics[0].Partitions[0].ErrorCode)
	}
	bad := s.askAt(s.leader("in", 0), produceRequest("in", 0, -1, patch(batch(), 17, false, 1, 2, 3, 4))).(*kmsg.ProduceResponse)
	p := bad.Topics[0].Partitions[0]
	s.saw("a refused batch", fmt.Sprintf("base offset %d, log start %d, with a message %v", p.BaseOffset, p.LogStartOffset, p.ErrorMessage != nil))
	follower := s.other("in")
	resp := s.askAt(follower, produceRequest("in", 0, -1, batch())).(*kmsg.ProduceResponse)
	s.code("at a follower", resp.Topics[0].Partitions[0].ErrorCode)
	s.put("afterwards", "in", -1, batch())
}

// other is the address of a broker that does not lead partition 0.
func (s *session) other(topic string) string {
	s.Helper()
	leader := s.leader(topic, 0)
	for _, a := range s.server.addrs {
		if a != leader {
			return a
		}
	}
	s.Fatal("there is one broker only")
	return ""
}

// codecs stores records in every codec, and reads them back.
func codecs(s *session) {
	s.create("packed", 1)
	values := []string{strings.Repeat("a", 1000), strings.Repeat("b", 1000), ""}
	var total int64
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		c := s.client(kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("packed"), kgo.ProducerLinger(10*time.Millisecond))
		var records []*kgo.Record
		for _, v := range values {
			records = append(records, &kgo.Record{Key: []byte(name), Value: []byte(v), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}}})
		}
		err := c.ProduceSync(s.ctx, records...).FirstErr()
		s.saw(name, err)
		total += int64(len(values))
	}
	c := s.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"packed": {0: kgo.NewOffset().AtStart()}}))
	got := map[string]int{}
	var last int64
	for last < total-1 && s.ctx.Err() == nil {
		c.PollFetches(s.ctx).EachRecord(func(r *kgo.Record) {
			got[fmt.Sprintf("%s: %d bytes, %d headers, codec %d", r.Key, len(r.Value), len(r.Headers), r.Attrs.CompressionType())]++
			last = r.Offset
		})
	}
	s.saw("read back", got)
}

// timestamps stores records with times that are old, far away, or the broker's.
func timestamps(s *session) {
	s.create("broker-time", 1, "message.timestamp.type=LogAppendTime")
	s.create("window", 1, "message.timestamp.before.max.ms=1000", "message.timestamp.after.max.ms=1000")
	s.create("client-time", 1)
	at := func(t int64) []byte {
		b := scenario.NewBatch("a").Bytes()
		binary.BigEndian.PutUint64(b[27:], uint64(t))
		binary.BigEndian.PutUint64(b[35:], uint64(t))
		return scenario.Seal(b)
	}
	now := time.Now().UnixMilli()
	s.put("long ago", "window", -1, at(now-3_600_000))
	s.put("in an hour", "window", -1, at(now+3_600_000))
	s.put("now", "window", -1, at(now))
	s.put("long ago, client's time", "client-time", -1, at(1))
	resp := s.askAt(s.leader("broker-time", 0), produceRequest("broker-time", 0, -1, at(1))).(*kmsg.ProduceResponse)
	p := resp.Topics[0].Partitions[0]
	s.saw("broker's time", fmt.Sprintf("%s, told %v", codeName(p.ErrorCode), p.LogAppendTime >= now))
	resp = s.askAt(s.leader("client-time", 0), produceRequest("client-time", 0, -1, at(1))).(*kmsg.ProduceResponse)
	s.saw("client's time is not told", resp.Topics[0].Partitions[0].LogAppendTime)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	c := s.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"broker-time": {0: kgo.NewOffset().AtStart()}}))
	c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		s.saw("read back", fmt.Sprintf("type %d, broker's time %v", r.Attrs.TimestampType(), r.Timestamp.UnixMilli() >= now))
	})
}

// fetchRequest asks for one partition from an offset, without waiting.
func fetchRequest(topic string, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(12)
	req.MaxBytes, req.SessionEpoch = 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = offset, 1<<20, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// got notes the answer to a fetch of one partition.
func (s *session) got(what string, resp kmsg.Response) {
	s.Helper()
	r := resp.(*kmsg.FetchResponse)
	if r.ErrorCode != 0 || len(r.Topics) == 0 {
		s.saw(what, fmt.Sprintf("%s, %d topics", codeName(r.ErrorCode), len(r.Topics)))
		return
	}
	p := r.Topics[0].Partitions[0]
	batches, err := scenario.ParseBatches(p.RecordBatches)
	if err != nil {
		s.Fatalf("%s: %v", s.server.name, err)
	}
	var values []string
	for _, b := range batches {
		values = append(values, b.Values...)
	}
	if p.ErrorCode != 0 {
		s.code(what, p.ErrorCode)
		return
	}
	s.saw(what, fmt.Sprintf("%s, %q, high watermark %d, last stable %d, log start %d", codeName(p.ErrorCode), values, p.HighWatermark, p.LastStableOffset, p.LogStartOffset))
}

// fetch reads from all sorts of places.
func fetch(s *session) {
	s.create("out", 1)
	s.fill("out", "a", "b", "c")
	leader := s.leader("out", 0)
	for _, offset := range []int64{0, 2, 3, 4, -1, -5} {
		s.got(fmt.Sprintf("from %d", offset), s.askAt(leader, fetchRequest("out", offset)))
	}
	small := fetchRequest("out", 0)
	small.Topics[0].Partitions[0].PartitionMaxBytes = 1
	s.got("one byte", s.askAt(leader, small))
	small.MaxBytes, small.Topics[0].Partitions[0].PartitionMaxBytes = 1, 1<<20
	s.got("one byte in all", s.askAt(leader, small))
	for _, epoch := range []int32{0, 7} {
		req := fetchRequest("out", 0)
		req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
		s.got(fmt.Sprintf("in leader epoch %d", epoch), s.askAt(leader, req))
	}
	unknown := fetchRequest("no-such-topic", 0)
	s.got("unknown topic", s.askAt(leader, unknown))
	partition := fetchRequest("out", 0)
	partition.Topics[0].Partitions[0].Partition = 8
	s.got("unknown partition", s.askAt(leader, partition))
	session := fetchRequest("out", 0)
	session.SessionID, session.SessionEpoch = 12345, 3
	s.got("unknown session", s.askAt(leader, session))
	first := fetchRequest("out", 0)
	first.SessionEpoch = 0
	resp := s.askAt(leader, first).(*kmsg.FetchResponse)
	s.saw("a new session", fmt.Sprintf("%s, id %v", codeName(resp.ErrorCode), resp.SessionID > 0))
	next := fetchRequest("out", 3)
	next.SessionID, next.SessionEpoch = resp.SessionID, 1
	s.got("the session goes on", s.askAt(leader, next))
	next.SessionEpoch = 7
	s.got("a wrong session epoch", s.askAt(leader, next))
	wait := fetchRequest("out", 3)
	wait.MaxWaitMillis, wait.MinBytes = 100, 1
	start := time.Now()
	s.got("waiting in vain", s.askAt(leader, wait))
	s.saw("waiting in vain takes", time.Since(start) >= 100*time.Millisecond)
}

func listRequest(topic string, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(7)
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// listOffsets asks for offsets by time.
func listOffsets(s *session) {
	s.create("dated", 1)
	leader := s.leader("dated", 0)
	note := func(what string, req *kmsg.ListOffsetsRequest) {
		s.Helper()
		p := s.askAt(leader, req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		s.saw(what, fmt.Sprintf("%s, offset %d, time %d, epoch %d", codeName(p.ErrorCode), p.Offset, p.Timestamp, p.LeaderEpoch))
	}
	for _, ts := range []int64{-1, -2, -3, 0} {
		note(fmt.Sprintf("of nothing, %d", ts), listRequest("dated", ts))
	}
	for i, t := range []int64{1000, 3000, 2000} {
		b := scenario.NewBatch("x").Bytes()
		binary.BigEndian.PutUint64(b[27:], uint64(t))
		binary.BigEndian.PutUint64(b[35:], uint64(t))
		s.put(fmt.Sprintf("put %d", i), "dated", -1, scenario.Seal(b))
	}
	for _, ts := range []int64{-1, -2, -3, -4, -5, -9, 0, 1000, 1001, 2500, 3000, 3001} {
		note(fmt.Sprint(ts), listRequest("dated", ts))
	}
	note("unknown topic", listRequest("no-such-topic", -1))
	epoch := listRequest("dated", -1)
	epoch.Topics[0].Partitions[0].CurrentLeaderEpoch = 9
	note("in leader epoch 9", epoch)
}

// deleteRecords deletes from the start of a log.
func deleteRecords(s *session) {
	s.create("trimmed", 1)
	s.fill("trimmed", "a", "b", "c", "d")
	leader := s.leader("trimmed", 0)
	for i, offset := range []int64{2, 1, 9, -2} {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.SetVersion(2)
		req.TimeoutMillis = 10_000
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = "trimmed"
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Offset = offset
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		r := s.askAt(leader, req).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
		s.saw(fmt.Sprintf("%d: before %d", i, offset), fmt.Sprintf("%s, low watermark %d", codeName(r.ErrorCode), r.LowWatermark))
	}
	s.got("fetch below the log start", s.askAt(leader, fetchRequest("trimmed", 1)))
	s.got("fetch from the log start", s.askAt(leader, fetchRequest("trimmed", 2)))
	p := s.askAt(leader, listRequest("trimmed", -2)).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
	s.saw("earliest", p.Offset)
	all := kmsg.NewPtrDeleteRecordsRequest()
	all.SetVersion(2)
	all.TimeoutMillis = 10_000
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = "trimmed"
	q := kmsg.NewDeleteRecordsRequestTopicPartition()
	q.Offset = -1
	t.Partitions = append(t.Partitions, q)
	all.Topics = append(all.Topics, t)
	r := s.askAt(leader, all).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
	s.saw("all of them", fmt.Sprintf("%s, low watermark %d", codeName(r.ErrorCode), r.LowWatermark))
	s.put("append afterwards", "trimmed", -1, scenario.NewBatch("e").Bytes())
}

// idempotence sends sequences, right and wrong.
func idempotence(s *session) {
	s.create("sequences", 1)
	init := kmsg.NewPtrInitProducerIDRequest()
	init.SetVersion(4)
	init.ProducerID, init.ProducerEpoch = -1, -1
	first := s.ask(init).(*kmsg.InitProducerIDResponse)
	s.saw("a producer id", fmt.Sprintf("%s, epoch %d", codeName(first.ErrorCode), first.ProducerEpoch))
	second := s.ask(init).(*kmsg.InitProducerIDResponse)
	s.saw("another one", second.ProducerID != first.ProducerID)
	pid := first.ProducerID
	from := func(epoch int16, sequence int32, values ...string) []byte {
		return scenario.NewBatch(values...).From(pid, epoch, sequence).Bytes()
	}
	a := from(0, 0, "a", "b")
	s.put("first", "sequences", -1, a)
	s.put("again", "sequences", -1, a)
	s.put("next", "sequences", -1, from(0, 2, "c"))
	s.put("first once more", "sequences", -1, a)
	s.put("a gap", "sequences", -1, from(0, 5, "x"))
	s.put("overlapping", "sequences", -1, from(0, 1, "x", "y"))
	s.put("a new epoch, not from 0", "sequences", -1, from(1, 3, "x"))
	s.put("a new epoch", "sequences", -1, from(1, 0, "d"))
	s.put("the old epoch", "sequences", -1, from(0, 3, "x"))
	s.put("negative sequence", "sequences", -1, from(1, -3, "x"))
	for i := range int32(5) {
		s.put(fmt.Sprintf("fill %d", i), "sequences", -1, from(1, 1+i, "e"))
	}
	s.put("the sixth last again", "sequences", -1, from(1, 0, "d"))
	s.put("the fifth last again", "sequences", -1, from(1, 1, "e"))
	pid = 987654
	s.put("an unknown producer id, not from 0", "sequences", -1, from(0, 10, "f"))
}

// leaderEpochs asks where epochs end.
func leaderEpochs(s *session) {
	s.create("epochs", 1)
	s.fill("epochs", "a", "b")
	for _, epoch := range []int32{0, 1, -1} {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.SetVersion(4)
		req.ReplicaID = -1
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic = "epochs"
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.LeaderEpoch, p.CurrentLeaderEpoch = epoch, -1
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		r := s.askAt(s.leader("epochs", 0), req).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]
		s.saw(fmt.Sprintf("end of %d", epoch), fmt.Sprintf("%s, epoch %d, offset %d", codeName(r.ErrorCode), r.LeaderEpoch, r.EndOffset))
	}
}
