package scenario

import (
	"slices"
	"time"

	"github.com/minikafka/minikafka"
)

// loseFirst loses the answer to the first Produce request of a producer that sends
// again, and returns what the log has then.
func loseFirst(e *Env, idempotent bool) []string {
	e.Helper()
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1))
	p := e.producer(ProducerConfig{Acks: AcksAll, Retry: true, Idempotent: idempotent})
	e.send(p, "before")
	h := c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Topic: Topic, Effect: minikafka.LoseAnswer})
	e.send(p, "unanswered")
	e.send(p, "after")
	if h.Hits() != 1 {
		e.Errorf("the fault met %d requests", h.Hits())
	}
	return e.values(c.Leader(Topic, 0))
}

// faultLosesAnswer: the connection ends in place of the answer, so the record is
// sent again, and is there twice.
func faultLosesAnswer(e *Env) {
	want := []string{"before", "unanswered", "unanswered", "after"}
	if got := loseFirst(e, false); !slices.Equal(got, want) {
		e.Errorf("the log has %q, want %q", got, want)
	}
}

// faultLosesAnswerOnce: with idempotence it is there once.
func faultLosesAnswerOnce(e *Env) {
	want := []string{"before", "unanswered", "after"}
	if got := loseFirst(e, true); !slices.Equal(got, want) {
		e.Errorf("the log has %q, want %q", got, want)
	}
}

// refuseFirst refuses the first of two Produce requests once the second had time
// to be sent, and returns what the log has in the end.
func refuseFirst(e *Env, c ProducerConfig) []string {
	e.Helper()
	cluster := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1))
	p := e.producer(c)
	e.send(p, "before") // some send one request only until that has worked
	h := cluster.Fault(minikafka.Fault{
		APIs: []string{"Produce"}, Topic: Topic, Error: "NOT_ENOUGH_REPLICAS", DelayRequest: 2 * time.Second,
	})
	first := p.Send("first")
	h.Wait(1)
	<-time.After(time.Second)
	second := p.Send("second")
	for value, done := range map[string]<-chan error{"first": first, "second": second} {
		if err := e.result(value, done); err != nil {
			e.Fatalf("record %q was refused: %v", value, err)
		}
	}
	return e.values(cluster.Leader(Topic, 0))
}

// refusedFirstIsReordered: with several requests in flight and no idempotence the
// second is stored first. A client may send it again as well.
func refusedFirstIsReordered(e *Env) {
	got := refuseFirst(e, ProducerConfig{Acks: AcksAll, Retry: true, InFlight: 5})
	if first, second := slices.Index(got, "first"), slices.Index(got, "second"); first < 0 || second < 0 || first < second {
		e.Errorf("the log has %q, want the second before the first", got)
	}
}

// refusedFirstIsFirst: with one request in flight, or with idempotence, the order is
// kept.
func refusedFirstIsFirst(e *Env) {
	want := []string{"before", "first", "second"}
	if got := refuseFirst(e, ProducerConfig{Acks: AcksAll, Retry: true, Idempotent: e.Client.Has(Idempotence)}); !slices.Equal(got, want) {
		e.Errorf("the log has %q, want %q", got, want)
	}
}
