package scenario

import (
	"slices"
	"strconv"

	"github.com/minikafka/minikafka"
)

// stageInFlight sends a record that reaches the leader alone, and crashes the
// leader before it can answer.
func stageInFlight(e *Env, c ProducerConfig) <-chan error {
	e.Helper()
	cluster := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1), steady())
	p := e.producer(c)
	e.send(p, "before")
	e.waitCopied(1)

	release := cluster.HoldReplication(Topic, 0)
	old := cluster.Leader(Topic, 0)
	done := p.Send("in flight")
	e.waitLogEnd(old, 2)
	old.Crash()
	cluster.WaitLeader(Topic, 0)
	release()
	return done
}

// inFlightIsLost: a producer that does not retry loses what was in flight when
// the leader crashed, and is told.
func inFlightIsLost(e *Env) {
	done := stageInFlight(e, ProducerConfig{Acks: AcksAll})
	if err := e.result("in flight", done); err == nil {
		e.Errorf("the record was acknowledged, though no replica that is left has it")
	}
	e.checkLogs("before")
}

// inFlightIsKept: one that retries has it stored by the next leader, once.
func inFlightIsKept(e *Env) {
	done := stageInFlight(e, ProducerConfig{Acks: AcksAll, Retry: true, Idempotent: e.Client.Has(Idempotence)})
	if err := e.result("in flight", done); err != nil {
		e.Errorf("the record was refused: %v", err)
	}
	e.checkLogs("before", "in flight")
}

// stageLostAnswer sends a record that all replicas store, and whose answer does
// not arrive before the leader crashes.
func stageLostAnswer(e *Env, c ProducerConfig) <-chan error {
	e.Helper()
	cluster := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1), steady())
	line := NewLine(cluster.DialContext)
	c.Dial = line.DialContext
	p := e.producer(c)
	e.send(p, "before")

	old := cluster.Leader(Topic, 0)
	line.LoseAnswers(old.Addr())
	done := p.Send("unanswered")
	e.waitCopied(2)
	e.pending("unanswered", done)
	old.Crash()
	line.Restore(old.Addr())
	return done
}

// lostAnswerIsPerhaps: a producer that does not retry is told of a failure,
// though its record is stored: it cannot know.
func lostAnswerIsPerhaps(e *Env) {
	done := stageLostAnswer(e, ProducerConfig{Acks: AcksAll})
	if err := e.result("unanswered", done); err == nil {
		e.Errorf("the record was acknowledged, though the answer was lost")
	}
	e.Cluster.WaitLeader(Topic, 0)
	e.checkLogs("before", "unanswered")
}

// lostAnswerIsTwice: one that retries without idempotence has stored it twice.
func lostAnswerIsTwice(e *Env) {
	done := stageLostAnswer(e, ProducerConfig{Acks: AcksAll, Retry: true})
	if err := e.result("unanswered", done); err != nil {
		e.Errorf("the record was refused: %v", err)
	}
	e.checkLogs("before", "unanswered", "unanswered")
}

// lostAnswerIsOnce: with idempotence the next leader knows the sequence, though
// it was the old one that stored the record.
func lostAnswerIsOnce(e *Env) {
	done := stageLostAnswer(e, ProducerConfig{Acks: AcksAll, Retry: true, Idempotent: true})
	if err := e.result("unanswered", done); err != nil {
		e.Errorf("the record was refused: %v", err)
	}
	e.checkLogs("before", "unanswered")
	batches := e.batches(e.Cluster.Leader(Topic, 0))
	if slices.ContainsFunc(batches, func(b Batch) bool { return b.ProducerID < 0 }) {
		e.Errorf("a batch without a producer id: %+v", batches)
	}
}

// stream: a producer that never stops, while one leader after the other crashes
// and comes back. With idempotence every record is stored once and in order,
// without it at least once.
func stream(e *Env) {
	const rounds, records = 3, 60
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1, minikafka.TopicConfig("min.insync.replicas", "2")))
	p := e.safe()
	var want []string
	var results []<-chan error
	for round := range rounds {
		old := c.WaitLeader(Topic, 0)
		for i := range records {
			value := strconv.Itoa(round*records + i)
			want = append(want, value)
			results = append(results, p.Send(value))
			if i == records/3 {
				// What has been sent is anywhere between the client and the followers.
				old.Crash()
			}
		}
		old.Restart()
		c.WaitISR(Topic, 0)
	}
	for i, done := range results {
		if err := e.result(want[i], done); err != nil {
			e.Fatalf("record %s was refused: %v", want[i], err)
		}
	}
	got := e.values(c.WaitLeader(Topic, 0))
	if e.Client.Has(Idempotence) {
		if !slices.Equal(got, want) {
			e.Errorf("the log has %q, want 0 to %d once each, in order", got, rounds*records-1)
		}
		return
	}
	for _, value := range want {
		if !slices.Contains(got, value) {
			e.Errorf("record %s was acknowledged, and is not there", value)
		}
	}
}
