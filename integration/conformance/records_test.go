package conformance_test

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// acks of a Produce request.
const (
	acksNone   int16 = 0
	acksLeader int16 = 1
	acksAll    int16 = -1
)

// write is a Produce request of one batch to one partition.
type write struct {
	topic     topic
	partition int32
	acks      int16
	batch     []byte
	version   int16         // 9 when 0
	timeout   time.Duration // 30 s when 0, none when negative
	txnID     *string
}

// writing returns a write of records with these values to partition 0, with acks=all.
func writing(t topic, values ...string) write {
	return write{topic: t, acks: acksAll, batch: wire.NewBatch(values...).Bytes()}
}

func (w write) request() *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	if req.Version = w.version; w.version == 0 {
		req.Version = 9
	}
	req.Acks, req.TransactionID = w.acks, w.txnID
	switch {
	case w.timeout == 0:
		req.TimeoutMillis = 30_000
	case w.timeout > 0:
		req.TimeoutMillis = int32(w.timeout.Milliseconds())
	default:
		req.TimeoutMillis = 0
	}
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = w.topic.name, w.topic.id
	t.Partitions = []kmsg.ProduceRequestTopicPartition{{Partition: w.partition, Records: w.batch}}
	req.Topics = []kmsg.ProduceRequestTopic{t}
	return req
}

// written is the answer for one partition of a Produce request.
type written struct {
	code                        code
	base, appendTime, logStart  int64
	message                     string
	badRecords                  []int32 // by their index in the batch
	hintLeader, hintLeaderEpoch int32   // -1 where the answer has no hint
	hintEndpoints               []int32 // brokers whose address the answer tells
}

// produce sends w to a broker and returns its answer.
func (e *env) produce(broker int32, w write) written {
	return e.produced(ask[*kmsg.ProduceResponse](e, broker, w.request()))
}

// produced reads the answer to a write.
func (e *env) produced(resp *kmsg.ProduceResponse) written {
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to Produce names %d topics, want one with one partition", len(resp.Topics))
	}
	p := resp.Topics[0].Partitions[0]
	w := written{
		code: code(p.ErrorCode), base: p.BaseOffset, appendTime: p.LogAppendTime, logStart: p.LogStartOffset,
		hintLeader: p.CurrentLeader.LeaderID, hintLeaderEpoch: p.CurrentLeader.LeaderEpoch,
	}
	if p.ErrorMessage != nil {
		w.message = *p.ErrorMessage
	}
	for _, r := range p.ErrorRecords {
		w.badRecords = append(w.badRecords, r.RelativeOffset)
	}
	for _, b := range resp.Brokers {
		w.hintEndpoints = append(w.hintEndpoints, b.NodeID)
	}
	return w
}

// put writes records to partition 0 at its leader with acks=all, which must succeed, and returns the first one's offset.
func (e *env) put(t topic, values ...string) int64 {
	got := e.produce(e.partition(t).leader, writing(t, values...))
	check(e, "producing with acks=all", got.code, none)
	return got.base
}

// refused ends the row unless the answer is this code. Its base offset should say that nothing was stored.
func (e *env) refused(got written, want code) {
	check(e, "answer", got.code, want)
	e.detail("base offset of a refused batch", got.base, -1)
}

// read is a Fetch request for one partition.
type read struct {
	topic     topic
	partition int32
	offset    int64
	version   int16         // 12 when 0
	wait      time.Duration // how long the broker may wait for data
	maxBytes  int32         // 1 MiB when 0; for the request and for the partition
	epoch     int32         // the leader epoch that the client knows, plus one; 0 is unknown
	lastEpoch int32         // the epoch of the last record that the client read, plus one; 0 is unknown
	committed bool          // read_committed
}

func (r read) request() *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	if req.Version = r.version; r.version == 0 {
		req.Version = 12
	}
	req.MaxWaitMillis, req.MinBytes = int32(r.wait.Milliseconds()), 1
	if req.MaxBytes = r.maxBytes; r.maxBytes == 0 {
		req.MaxBytes = 1 << 20
	}
	if r.committed {
		req.IsolationLevel = 1
	}
	req.SessionEpoch = -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: r.topic.name, TopicID: r.topic.id, Partitions: []kmsg.FetchRequestTopicPartition{r.entry(req.MaxBytes)}}}
	return req
}

func (r read) entry(maxBytes int32) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = r.partition, r.offset, maxBytes
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = r.epoch-1, r.lastEpoch-1
	return p
}

// reading is the answer for one partition of a Fetch request.
type reading struct {
	code                  code
	highWatermark, stable int64
	logStart              int64
	batches               []wire.Batch
	partial               int // bytes of an incomplete batch at the end
	aborted               []kmsg.FetchResponseTopicPartitionAbortedTransaction
	divergingEpoch        int32 // -1 unless the broker says that the logs have diverged
	divergingEnd          int64
	hintLeader            int32
	took                  time.Duration
}

// fetch sends r to a broker and returns its answer.
func (e *env) fetch(broker int32, r read) reading {
	start := time.Now()
	got := e.fetched(ask[*kmsg.FetchResponse](e, broker, r.request()))
	got.took = time.Since(start)
	return got
}

// fetched reads the answer to a read.
func (e *env) fetched(resp *kmsg.FetchResponse) reading {
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to Fetch is %v with %d topics, want one with one partition", code(resp.ErrorCode), len(resp.Topics))
	}
	return e.fetchedPartition(resp.Topics[0].Partitions[0])
}

func (e *env) fetchedPartition(p kmsg.FetchResponseTopicPartition) reading {
	r := reading{
		code: code(p.ErrorCode), highWatermark: p.HighWatermark, stable: p.LastStableOffset, logStart: p.LogStartOffset,
		aborted: p.AbortedTransactions, divergingEpoch: p.DivergingEpoch.Epoch, divergingEnd: p.DivergingEpoch.EndOffset,
		hintLeader: p.CurrentLeader.LeaderID,
	}
	var err error
	if r.batches, r.partial, err = wire.ParseBatches(p.RecordBatches); err != nil {
		e.fatalf("fetched records: %v", err)
	}
	return r
}

// values returns what the fetched records hold, control batches left out.
func (r reading) values() []string {
	values := []string{}
	for _, b := range r.batches {
		if b.Attributes&wire.Control != 0 {
			continue
		}
		for _, record := range b.Records {
			values = append(values, string(record.Value))
		}
	}
	return values
}

// holds ends the row unless partition 0 holds exactly these records and consumers see all of them. After a change of leader they
// do so a little later, when the high watermark has reached the log end.
func (e *env) holds(t topic, values ...string) {
	leader := e.partition(t).leader
	end := e.end(leader, t)
	var got reading
	e.wait("all records to be readable", func() error {
		got = e.fetch(leader, read{topic: t})
		if err := is("answer", got.code, none); err != nil {
			return err
		}
		return is("high watermark", got.highWatermark, end)
	})
	check(e, "records in the partition", fmt.Sprint(got.values()), fmt.Sprint(values))
}

// Special times of ListOffsets.
const (
	latest   int64 = -1
	earliest int64 = -2
	maxTime  int64 = -3
)

// listed is a ListOffsets request for one partition.
type listed struct {
	topic     topic
	partition int32
	time      int64
	version   int16 // 7 when 0
	replica   int32 // -1 is a consumer, -2 reads the log end of whatever replica is asked; 0 means -1
	epoch     int32 // as in read
}

// logEnd asks a replica for its log end, whether it leads or not.
const logEnd int32 = -2

func (l listed) request() *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	if req.Version = l.version; l.version == 0 {
		req.Version = 7
	}
	if req.ReplicaID = l.replica; l.replica == 0 {
		req.ReplicaID = -1
	}
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch = l.partition, l.time, l.epoch-1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: l.topic.name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	return req
}

// offset is the answer to a ListOffsets request.
type offset struct {
	code         code
	offset, time int64
	epoch        int32
}

// listOffsets sends l to a broker and returns its answer.
func (e *env) listOffsets(broker int32, l listed) offset {
	resp := ask[*kmsg.ListOffsetsResponse](e, broker, l.request())
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to ListOffsets names %d topics, want one with one partition", len(resp.Topics))
	}
	p := resp.Topics[0].Partitions[0]
	return offset{code(p.ErrorCode), p.Offset, p.Timestamp, p.LeaderEpoch}
}

// end returns the log end of the broker's replica of partition 0.
func (e *env) end(broker int32, t topic) int64 {
	got := e.listOffsets(broker, listed{topic: t, time: latest, replica: logEnd})
	check(e, "log end of the replica on "+e.name(broker), got.code, none)
	return got.offset
}

// waitEnd waits until the broker's replica of partition 0 has this log end.
func (e *env) waitEnd(broker int32, t topic, want int64) {
	e.wait("replica "+e.name(broker)+" to copy", func() error {
		got := e.listOffsets(broker, listed{topic: t, time: latest, replica: logEnd})
		if got.code != none {
			return fmt.Errorf("it answers %v", got.code)
		}
		return is("its log end", got.offset, want)
	})
}
