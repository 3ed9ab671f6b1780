package clients_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/minikafka/minikafka"
)

// topic is the topic of all tests; what is sent goes to its partition 0.
const topic = "orders"

// record is one record as a client prints it: one that was acknowledged, or refused with an error, or consumed.
type record struct {
	Offset int64  `json:"offset"`
	Key    string `json:"key"`
	Value  string `json:"value"`
	Error  string `json:"error"`
}

// producer is a program that sends a record for each line it gets, with all records in flight that it has been given, and
// prints what became of each.
type producer struct {
	*process
	sent  []record // With the offset -1 until answered.
	acked int
}

// produce starts a producer with these acks, idempotent when they are "idempotent".
func (c client) produce(t *testing.T, cluster *minikafka.Cluster, acks string) *producer {
	t.Helper()
	return &producer{process: c.start(t, "produce", cluster.Bootstrap(), topic, acks)}
}

// send gives the producer more records. It does not wait.
func (p *producer) send(count int) {
	p.t.Helper()
	for range count {
		i := len(p.sent)
		r := record{Offset: -1, Key: "key-" + strconv.Itoa(i%5), Value: strconv.Itoa(i)}
		p.sent = append(p.sent, r)
		p.write(r.Key + "\t" + r.Value)
	}
}

// await waits until so many records in all are acknowledged.
func (p *producer) await(count int) {
	p.t.Helper()
	for p.acked < count {
		var r record
		if !p.next(fmt.Sprintf("acknowledgement %d of %d", p.acked+1, count), &r) {
			p.t.Fatalf("the producer ended after %d acknowledgements", p.acked)
		}
		i, err := strconv.Atoi(r.Value)
		switch {
		case r.Error != "":
			p.t.Fatalf("record %s: %s", r.Value, r.Error)
		case err != nil || i < 0 || i >= len(p.sent):
			p.t.Fatalf("an answer for a record that was not sent: %+v", r)
		case p.sent[i].Offset != -1:
			p.t.Fatalf("a second answer for a record: %+v and %+v", p.sent[i], r)
		}
		p.sent[i].Offset = r.Offset
		p.acked++
	}
}

func (p *producer) awaitAll() {
	p.t.Helper()
	p.await(len(p.sent))
}

// finish ends the producer once all is acknowledged.
func (p *producer) finish() {
	p.t.Helper()
	p.awaitAll()
	p.process.finish()
}

// consume reads the partition from its start to its present end with a client.
func (c client) consume(t *testing.T, cluster *minikafka.Cluster) []record {
	t.Helper()
	p := c.start(t, "consume", cluster.Bootstrap(), topic)
	var all []record
	var r record
	for p.next("the next record", &r) {
		all, r = append(all, r), record{}
	}
	p.finish()
	return all
}
