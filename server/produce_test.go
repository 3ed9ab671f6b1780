package server_test

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// changed returns a batch with some of its bytes changed, and its CRC left as it
// was.
func changed(b []byte, change func([]byte)) []byte {
	b = append([]byte(nil), b...)
	change(b)
	return b
}

// TestProduceOrderOfChecks has batches that are wrong in several ways: the first
// check in Kafka's order decides.
func TestProduceOrderOfChecks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, map[string]string{"auto.create.topics.enable": "false"})
	c.createTopic("t", 1, 1, map[string]string{"max.message.bytes": "200"})
	c.createTopic("compacted", 1, 1, map[string]string{"cleanup.policy": "compact"})
	c.createTopic("short", 1, 1, map[string]string{"min.insync.replicas": "2"})
	leader := c.leader("t", 0)
	conn, other := c.dial(leader), c.dial(3-leader)
	large := strings.Repeat("x", 300)
	nullKey, err := log.BuildBatch([]log.Record{{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}},
		log.BatchOptions{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1})
	if err != nil {
		t.Fatal(err)
	}
	baseOffset := func(b []byte) { binary.BigEndian.PutUint64(b, 7) }
	wrongCRC := func(b []byte) { b[17] ^= 1 }
	magic1 := func(b []byte) { b[16] = 1 }
	transactional := batchOf(log.BatchOptions{ProducerID: 1, Transactional: true}, "v")

	cases := []struct {
		name     string
		to       *wire
		topic    string
		acks     int16
		records  []byte
		code     int16
		logStart int64
	}{
		{"an unknown topic before bad acks", conn, "nope", 5, batch("v"), 3, -1},
		{"bad acks before the wrong broker", other, "t", 5, batch("v"), 21, -1},
		{"the wrong broker before the size", other, "t", 1, batch(large), 6, -1},
		{"null records", conn, "t", 1, nil, 87, -1},
		{"no records before bad acks", conn, "t", 5, []byte{}, 87, -1},
		{"two batches", conn, "t", 1, append(batch("v"), batch("w")...), 87, -1},
		{"magic 1", conn, "t", 1, changed(batch("v"), magic1), 87, -1},
		{"the base offset before the size", conn, "t", 1, changed(batch(large), baseOffset), 87, 0},
		{"the size before the checksum", conn, "t", 1, changed(batch(large), wrongCRC), 10, -1},
		{"the checksum", conn, "t", 1, changed(batch("v"), wrongCRC), 2, -1},
		{"a transaction without an id", conn, "nope", 5, transactional, 53, -1},
		{"an internal topic, which is not there", conn, "__consumer_offsets", 1, batch("v"), 3, -1},
		{"a sequence gap", conn, "t", 1, batchOf(log.BatchOptions{ProducerID: 9, BaseSequence: 5}, "v"), 0, 0},
		{"a sequence gap", conn, "t", 1, batchOf(log.BatchOptions{ProducerID: 9, BaseSequence: 9}, "v"), 45, 0},
	}
	for _, tc := range cases {
		p := tc.to.produce(produceRequest(tc.topic, 0, tc.acks, tc.records))
		if p.ErrorCode != tc.code || p.LogStartOffset != tc.logStart || (tc.code != 0) != (p.BaseOffset == -1) || p.LogAppendTime != -1 {
			t.Errorf("%s: %+v, want code %d, log start %d", tc.name, p, tc.code, tc.logStart)
		}
		if p.ErrorMessage != nil {
			t.Errorf("%s: message %q", tc.name, *p.ErrorMessage)
		}
	}

	compacted := c.dial(c.leader("compacted", 0))
	p := compacted.produce(produceRequest("compacted", 0, 1, nullKey))
	if p.ErrorCode != 87 || len(p.ErrorRecords) != 1 || p.ErrorMessage == nil || p.LogStartOffset != 0 {
		t.Errorf("a null key: %+v", p)
	}
	// One replica is all there is: the minimum of two does not hold.
	if p := c.dial(c.leader("short", 0)).produce(produceRequest("short", 0, -1, batch("v"))); p.ErrorCode != 0 {
		t.Errorf("one replica, min.insync.replicas 2: %+v", p)
	}
}

// A batch length below its least fails the request as a whole.
func TestProduceOfACorruptRequest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 2, 1, nil)
	q := produceRequest("t", 0, 1, batch("v"))
	bad := kmsg.NewProduceRequestTopicPartition()
	bad.Partition = 1
	bad.Records = changed(batch("v"), func(b []byte) { binary.BigEndian.PutUint32(b[8:], 13) })
	q.Topics[0].Partitions = append(q.Topics[0].Partitions, bad)
	resp := c.dial(1).ask(q).(*kmsg.ProduceResponse)
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != 2 || p.ErrorMessage == nil || strings.Contains(*p.ErrorMessage, "log:") {
			t.Errorf("%+v", p)
		}
	}
	if end := c.brokers[1].Manager().Replica(c.id("t", 0)).State().LogEndOffset; end != 0 {
		t.Errorf("something was appended: log end %d", end)
	}
}

func TestProduceAcks0(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	conn := c.dial(1)
	conn.send(produceRequest("t", 0, 0, batch("a")))
	conn.send(produceRequest("t", 0, 0, batch("b")))
	if p := conn.produce(produceRequest("t", 0, 1, batch("c"))); p.ErrorCode != 0 || p.BaseOffset != 2 {
		t.Errorf("after two without acks: %+v", p)
	}
	conn.send(produceRequest("nope", 0, 0, batch("d")))
	conn.closed()
}

func TestProduceLeaderHints(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("t", 2, 2, nil)
	for partition := range int32(2) {
		leader := c.leader("t", partition)
		for id := int32(1); id <= 3; id++ {
			if id == leader {
				continue
			}
			for _, version := range []int16{9, 10} {
				q := produceRequest("t", partition, 1, batch("v"))
				q.Version = version
				resp := c.dial(id).ask(q).(*kmsg.ProduceResponse)
				p := resp.Topics[0].Partitions[0]
				hinted := p.CurrentLeader.LeaderID == leader && p.CurrentLeader.LeaderEpoch == 0 &&
					len(resp.Brokers) == 1 && resp.Brokers[0].NodeID == leader && resp.Brokers[0].Port > 0
				if p.ErrorCode != 6 || hinted != (version >= 10) {
					t.Errorf("broker %d version %d: %+v, brokers %+v, want leader %d", id, version, p, resp.Brokers, leader)
				}
			}
		}
	}
}

// What timed out is stored all the same, and found as a duplicate.
func TestProduceTimesOut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("t", 1, 2, nil)
	c.inSync("t", 0, 2)
	release := c.holds.Hold(c.id("t", 0))
	conn := c.dial(c.leader("t", 0))
	records := batchOf(log.BatchOptions{ProducerID: 5}, "v")
	for _, timeoutMs := range []int32{0, 20} {
		q := produceRequest("t", 0, -1, records)
		q.TimeoutMillis = timeoutMs
		if p := conn.produce(q); p.ErrorCode != 7 || p.BaseOffset != 0 || p.LogStartOffset != 0 {
			t.Errorf("timeout %d: %+v", timeoutMs, p)
		}
	}
	release()
	if p := conn.produce(produceRequest("t", 0, -1, records)); p.ErrorCode != 0 || p.BaseOffset != 0 || p.LogAppendTime <= 0 {
		t.Errorf("the retry: %+v", p)
	}
}

// A fast partition waits for a slow one; a partition named twice is there once.
func TestProduceToSeveralPartitions(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 2, 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	q := produceRequest("t", 0, -1, batch("lost"))
	add := func(partition int32, records []byte) {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = partition, records
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	add(1, batch("b", "b"))
	add(0, batch("a", "a", "a"))
	add(7, batch("v"))
	resp := c.dial(1).ask(q).(*kmsg.ProduceResponse)
	if n := len(resp.Topics[0].Partitions); n != 3 {
		t.Fatalf("%d partitions in the answer: %+v", n, resp.Topics)
	}
	for _, p := range resp.Topics[0].Partitions {
		ok := p.ErrorCode == 0 && p.BaseOffset == 0 && time.Since(time.UnixMilli(p.LogAppendTime)) < waitLimit
		if p.Partition == 7 {
			ok = p.ErrorCode == 3
		}
		if !ok {
			t.Errorf("%+v", p)
		}
	}
	if end := c.brokers[1].Manager().Replica(c.id("t", 0)).State().LogEndOffset; end != 3 {
		t.Errorf("partition 0 ends at %d, want 3", end)
	}
}

func TestProduceByTopicID(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	q := produceRequest("", 0, 1, batch("v"))
	q.Version = 13
	q.Topics[0].TopicID = [16]byte{1}
	conn := c.dial(1)
	resp := conn.ask(q).(*kmsg.ProduceResponse)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 100 || resp.Topics[0].TopicID != q.Topics[0].TopicID {
		t.Errorf("an unknown id: %+v", resp.Topics[0])
	}
	q.Topics[0].TopicID = c.id("t", 0).Topic
	if p := conn.produce(q); p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Errorf("%+v", p)
	}
	q.Topics[0].Partitions[0].Partition = 3
	if p := conn.produce(q); p.ErrorCode != 3 {
		t.Errorf("an unknown partition: %+v", p)
	}
}

func TestInitProducerID(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	seen := map[int64]bool{}
	a, b := c.dial(1), c.dial(2)
	// More than two blocks.
	for i := range 2200 {
		conn := a
		if i%2 == 1 {
			conn = b
		}
		q := kmsg.NewPtrInitProducerIDRequest()
		q.Version = 5
		resp := conn.ask(q).(*kmsg.InitProducerIDResponse)
		if resp.ErrorCode != 0 || resp.ProducerEpoch != 0 || seen[resp.ProducerID] {
			t.Fatalf("%d: %+v", i, resp)
		}
		seen[resp.ProducerID] = true
	}
	empty, some := "", "tx" // tx is for its coordinator, which there is not yet
	for _, tc := range []struct {
		txn   *string
		id    int64
		epoch int16
		code  int16
	}{{&empty, -1, -1, 42}, {nil, 5, -1, 42}, {nil, -1, 5, 42}, {&some, -1, -1, 16}} {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.TransactionTimeoutMillis = 60_000
		q.Version, q.TransactionalID, q.ProducerID, q.ProducerEpoch = 4, tc.txn, tc.id, tc.epoch
		if resp := a.ask(q).(*kmsg.InitProducerIDResponse); resp.ErrorCode != tc.code || resp.ProducerID != -1 {
			t.Errorf("%+v: %+v", tc, resp)
		}
	}
}

// TestCompressionLevel stores as small as the topic's level says, or else the
// broker's.
func TestCompressionLevel(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, map[string]string{"compression.gzip.level": "9"})
	var list []string
	for i := range 2000 {
		list = append(list, strings.Repeat("words ", i%7)+strconv.Itoa(i*i%1000))
	}
	size := func(topic string, topicConfigs map[string]string) int {
		c.createTopic(topic, 1, 1, topicConfigs)
		conn := c.dial(1)
		if p := conn.produce(produceRequest(topic, 0, 1, batch(list...))); p.ErrorCode != 0 {
			t.Fatalf("%s: %+v", topic, p)
		}
		p := conn.fetch(fetchRequest(topic, 0, 1000))
		if got := values(t, p.RecordBatches); !slices.Equal(got, list) {
			t.Errorf("%s: %d records", topic, len(got))
		}
		return len(p.RecordBatches)
	}
	least := size("least", map[string]string{"compression.type": "gzip", "compression.gzip.level": "1"})
	most := size("most", map[string]string{"compression.type": "gzip", "compression.gzip.level": "9"})
	byBroker := size("broker", map[string]string{"compression.type": "gzip"})
	if most >= least || byBroker != most {
		t.Errorf("%d bytes at level 1, %d at 9, %d at the broker's 9", least, most, byBroker)
	}
}
