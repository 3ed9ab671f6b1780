package server_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// wire is a connection that speaks requests.
type wire struct {
	net.Conn
	t    *testing.T
	next int32
}

// dial connects to a broker.
func (c *cluster) dial(id int32) *wire {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.brokers[id].Addr())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(waitLimit))
	return &wire{conn, c.t, 0}
}

func (w *wire) send(q kmsg.Request) {
	w.t.Helper()
	w.next++
	if _, err := w.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, q, w.next)); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

// receive reads one answer to a request like q.
func (w *wire) receive(q kmsg.Request) kmsg.Response {
	w.t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(w, head[:]); err != nil {
		w.t.Fatalf("no answer: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(w, body); err != nil {
		w.t.Fatal(err)
	}
	resp := q.ResponseKind()
	if resp.IsFlexible() && resp.Key() != 18 {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		w.t.Fatalf("answer to key %d version %d: %v", q.Key(), q.GetVersion(), err)
	}
	return resp
}

func (w *wire) ask(q kmsg.Request) kmsg.Response {
	w.t.Helper()
	w.send(q)
	return w.receive(q)
}

// closed expects the connection to end without another byte.
func (w *wire) closed() {
	w.t.Helper()
	rest, err := io.ReadAll(w)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		w.t.Errorf("the connection is open: %v", err)
	}
	if len(rest) > 0 {
		w.t.Errorf("%d bytes instead of the end", len(rest))
	}
}

// batch encodes values as one batch.
func batch(values ...string) []byte {
	return batchOf(log.BatchOptions{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}, values...)
}

func batchOf(o log.BatchOptions, values ...string) []byte {
	var records []log.Record
	now := time.Now().UnixMilli()
	for i, v := range values {
		records = append(records, log.Record{Offset: int64(i), Timestamp: now, Key: []byte("k"), Value: []byte(v)})
	}
	b, err := log.BuildBatch(records, o)
	if err != nil {
		panic(err)
	}
	return b
}

// produceRequest is a Produce request of version 9 for one partition.
func produceRequest(topic string, partition int32, acks int16, records []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 9, acks, 10_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{p}})
	return q
}

// produce sends one, and returns its partition's answer.
func (w *wire) produce(q *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	w.t.Helper()
	return w.ask(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
}
