package scenario

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// Sequences is a scenario without a client library: an idempotent producer at
// the wire, whose batches come again, out of order and in order, before and
// after leader changes. The next leader knows what the last one did.
func Sequences(e *Env) {
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1), steady())
	w := e.wire(c.Leader(Topic, 0))
	pid := e.producerID(w)
	put := func(what string, sequence int32, value string, code *kerr.Error, offset int64) {
		e.Helper()
		e.put(w, what, NewBatch(value).From(pid, 0, sequence), code, offset)
	}
	put("the first", 0, "a", nil, 0)
	put("the second", 1, "b", nil, 1)
	put("the third", 2, "c", nil, 2)
	put("the second again", 1, "b", nil, 1)
	put("one too far", 4, "x", kerr.OutOfOrderSequenceNumber, -1)
	e.waitCopied(3)

	first := c.Leader(Topic, 0)
	first.Crash()
	w = e.wire(c.WaitLeader(Topic, 0))
	put("the first again, at the second leader", 0, "a", nil, 0)
	put("the third again, at the second leader", 2, "c", nil, 2)
	put("one too far, at the second leader", 4, "x", kerr.OutOfOrderSequenceNumber, -1)
	put("the fourth", 3, "d", nil, 3)
	first.Restart()
	c.WaitISR(Topic, 0)
	e.waitCopied(4)

	// The fifth is stored by the second leader alone, so the third does not know it.
	release := c.HoldReplication(Topic, 0)
	second := c.Leader(Topic, 0)
	e.sendUnanswered(w, NewBatch("e").From(pid, 0, 4))
	e.waitLogEnd(second, 5)
	second.Crash()
	w = e.wire(c.WaitLeader(Topic, 0))
	release()
	put("the sixth before the fifth, at the third leader", 5, "f", kerr.OutOfOrderSequenceNumber, -1)
	put("the fourth again, at the third leader", 3, "d", nil, 3)
	put("the fifth, at the third leader", 4, "e", nil, 4)
	put("the sixth", 5, "f", nil, 5)
	second.Restart()
	c.WaitISR(Topic, 0)
	e.checkLogs("a", "b", "c", "d", "e", "f")
}

// producerID asks for a producer id, which comes in epoch 0.
func (e *Env) producerID(w *Wire) int64 {
	e.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.SetVersion(4)
	req.ProducerID, req.ProducerEpoch = -1, -1
	resp, err := w.Request(req)
	if err != nil {
		e.Fatalf("InitProducerId: %v", err)
	}
	r := resp.(*kmsg.InitProducerIDResponse)
	if r.ErrorCode != 0 || r.ProducerEpoch != 0 {
		e.Fatalf("InitProducerId: %v, epoch %d", kerr.ErrorForCode(r.ErrorCode), r.ProducerEpoch)
	}
	return r.ProducerID
}

// put sends a batch with acks=all and checks the answer: a Kafka error, or nil
// and the base offset.
func (e *Env) put(w *Wire, what string, b Batch, want *kerr.Error, offset int64) {
	e.Helper()
	resp, err := w.Request(produceRequest(b))
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
	p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	code := int16(0)
	if want != nil {
		code = want.Code
	}
	if p.ErrorCode != code || p.BaseOffset != offset {
		e.Errorf("%s: %v, base offset %d; want code %d, base offset %d", what, kerr.ErrorForCode(p.ErrorCode), p.BaseOffset, code, offset)
	}
}

// sendUnanswered sends a batch with acks=all and reads no answer.
func (e *Env) sendUnanswered(w *Wire, b Batch) {
	e.Helper()
	if err := w.Write(w.Frame(produceRequest(b))); err != nil {
		e.Fatalf("sending a batch: %v", err)
	}
}

func produceRequest(b Batch) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks, req.TimeoutMillis = AcksAll, int32(patience.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = Topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = b.Bytes()
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}
