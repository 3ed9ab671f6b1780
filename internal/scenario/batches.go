package scenario

import (
	"strconv"
	"strings"
	"time"

	"github.com/minikafka/minikafka"
)

// sendAll sends records without waiting in between, then waits for all of them.
func (e *Env) sendAll(p Producer, n int, pad string) {
	e.Helper()
	results := make([]<-chan error, n)
	for i := range results {
		results[i] = p.Send(strconv.Itoa(i) + pad)
	}
	for i, done := range results {
		if err := e.result(strconv.Itoa(i), done); err != nil {
			e.Fatalf("record %d was refused: %v", i, err)
		}
	}
}

// lingerMakesBatches: linger.ms is seen in the log: what is sent within it is
// one batch, and what is sent one by one is as many.
func lingerMakesBatches(e *Env) {
	const n = 10
	c := e.start(minikafka.Brokers(1), minikafka.Topic(Topic, 1))
	leader := c.Leader(Topic, 0)
	linger := e.producer(ProducerConfig{Acks: AcksAll, Linger: 500 * time.Millisecond})
	e.send(linger, "first") // Records may pile up while a client connects.
	e.sendAll(linger, n, "")
	if got := len(e.batches(leader)); got != 2 {
		e.Errorf("%d records sent within linger.ms are in %d batches, want 1", n, got-1)
	}
	one := e.producer(ProducerConfig{Acks: AcksAll})
	for i := range n {
		e.send(one, strconv.Itoa(i))
	}
	if got := len(e.batches(leader)) - 2; got != n {
		e.Errorf("%d records sent one by one are in %d batches", n, got)
	}
}

// batchBytesSplit: batch.size is seen in the log, too: it bounds a batch.
func batchBytesSplit(e *Env) {
	const n, size = 10, 1000
	c := e.start(minikafka.Brokers(1), minikafka.Topic(Topic, 1))
	p := e.producer(ProducerConfig{Acks: AcksAll, Linger: 500 * time.Millisecond, BatchBytes: 3 * size})
	e.sendAll(p, n, strings.Repeat("x", size))
	batches := e.batches(c.Leader(Topic, 0))
	if len(batches) < n/3 {
		e.Errorf("%d records of %d bytes are in %d batches of at most %d bytes", n, size, len(batches), 3*size)
	}
	for _, b := range batches {
		if len(b.Bytes()) > 3*size {
			e.Errorf("a batch of %d bytes, with batch.size %d", len(b.Bytes()), 3*size)
		}
	}
}
