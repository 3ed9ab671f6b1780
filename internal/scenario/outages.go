package scenario

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka"
)

// What happens to programs when brokers are silent, slow or cut off, with Kafka's
// own timings. All of these run in virtual time.

// session is broker.session.timeout.ms, lag replica.lag.time.max.ms.
const (
	session = 9 * time.Second
	lag     = 30 * time.Second
)

func (e *Env) startAsKafka() *minikafka.Cluster {
	e.Helper()
	return e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1, minikafka.TopicConfig("min.insync.replicas", "2")),
		minikafka.Timing(minikafka.KafkaTimings))
}

// leaderCollectsGarbage: a leader that stops for less than its session keeps its
// role. What was sent meanwhile is late, and that is all.
func leaderCollectsGarbage(e *Env) {
	c := e.startAsKafka()
	p := e.safe()
	e.send(p, "before")
	leader := c.Leader(Topic, 0)
	leader.Pause()
	begin := time.Now()
	done := p.Send("during")
	time.AfterFunc(session/2, leader.Resume)
	if err := e.result("during", done); err != nil {
		e.Errorf("the record was refused: %v", err)
	}
	if took := time.Since(begin); took < session/2 {
		e.Errorf("the record was acknowledged after %v by a broker that was paused for %v", took, session/2)
	}
	if s := e.partition(); s.Leader != leader.ID() || s.LeaderEpoch != 0 || len(s.ISR) != 3 {
		e.Errorf("a short pause has consequences: %s", e.state())
	}
	e.checkLogs("before", "during")
}

// leaderCollectsGarbageForLong: one that stops for longer is replaced, and does
// not know it at first. What lay in its socket with acks=1 it acknowledges when
// it goes on, and it is lost; what was sent with acks=all is kept.
func leaderCollectsGarbageForLong(e *Env) {
	c := e.startAsKafka()
	one, all := e.once(AcksOne), e.safe()
	e.send(one, "before")
	e.send(all, "kept")
	old := c.Leader(Topic, 0)
	old.Pause()
	lost := one.Send("lost")
	if next := c.WaitLeader(Topic, 0); next == old {
		e.Fatalf("the paused broker leads on: %s", e.state())
	}
	e.pending("lost", lost)
	old.Resume()
	if err := e.result("lost", lost); err != nil {
		e.Errorf("the deposed leader refused the record: %v", err)
	}
	c.WaitISR(Topic, 0)
	e.send(all, "after")
	e.checkLogs("before", "kept", "after")
}

// followerCollectsGarbage: a follower that stops holds acks=all up until it is
// fenced, and then copies what it has missed.
func followerCollectsGarbage(e *Env) {
	c := e.startAsKafka()
	p := e.safe()
	e.send(p, "before")
	follower := e.followers()[0]
	follower.Pause()
	begin := time.Now()
	e.send(p, "during")
	if took := time.Since(begin); took < session-2*time.Second || took > session+3*time.Second {
		e.Errorf("acks=all took %v, want to wait for the end of a session of %v", took, session)
	}
	if s := e.partition(); len(s.ISR) != 2 || s.LeaderEpoch != 0 {
		e.Errorf("without the follower: %s", e.state())
	}
	follower.Resume()
	c.WaitISR(Topic, 0)
	e.checkLogs("before", "during")
}

// flappingISR: while the way to the followers takes longer than the lag allows
// they leave the ISR, and acks=all is refused; when it is short again they
// return. Nothing that was acknowledged with acks=all is lost on the way.
func flappingISR(e *Env) {
	c := e.startAsKafka()
	seen := e.witness()
	all, one := e.once(AcksAll), e.once(AcksOne)
	e.send(all, "start")
	want := []string{"start"}
	for _, round := range []string{"first", "second", "third"} {
		leader := c.Leader(Topic, 0)
		for _, f := range e.followers() {
			c.Delay(leader, f, 2*lag, 0) // the lag is looked at every half of it
		}
		e.send(one, round) // without a record followers cannot be behind
		c.WaitISR(Topic, 0, leader.ID())
		e.refused(all, "refused", kerr.NotEnoughReplicas)
		c.Heal()
		c.WaitISR(Topic, 0)
		e.send(all, round+" again")
		want = append(want, round, round+" again")
	}
	seen.wait(want...)
	e.checkLogs(want...)
}

// leaderOnTheWrongSide: a leader that is cut off from the others goes on with
// acks=1 until the network is mended, and those records are lost; acks=all it
// never acknowledges.
func leaderOnTheWrongSide(e *Env) {
	c := e.startAsKafka()
	one, all := e.once(AcksOne), e.producer(ProducerConfig{Acks: AcksAll, Timeout: 10 * time.Minute})
	e.send(one, "before")
	e.send(all, "kept")
	old := c.Leader(Topic, 0)
	majority := []minikafka.Node{c.Controller()}
	for _, f := range e.followers() {
		majority = append(majority, f)
	}
	c.Split(minikafka.Group(old), majority)
	e.send(one, "lost")
	never := all.Send("never acknowledged")
	c.Wait("another leader", func() bool { return e.partition().Leader != old.ID() })
	<-time.After(10 * time.Second) // some clients wait for 30 s
	// Clients that ask others find the next leader by now.
	if _, err := old.Produce(Topic, 0, minikafka.Values("lost, too")...); err != nil {
		e.Errorf("the deposed leader refused a record: %v", err)
	}
	e.pending("never acknowledged", never)
	c.Produce(Topic, 0, minikafka.Values("by the next leader")...)
	c.Heal()
	if err := e.result("never acknowledged", never); err == nil {
		e.Errorf("the deposed leader acknowledged a record with acks=all")
	}
	c.WaitISR(Topic, 0)
	e.checkLogs("before", "kept", "by the next leader")
}

// diskOfLeaderFails: a leader whose disk fails ends, and another goes on; a
// client that sends again notices no more than a crash.
func diskOfLeaderFails(e *Env) {
	c := e.startAsKafka()
	p := e.safe()
	e.send(p, "before")
	old := c.Leader(Topic, 0)
	old.Disk(minikafka.Disk{FailWrite: 1})
	e.send(p, "during")
	if old.State() != minikafka.Halted {
		e.Errorf("the broker is %s", old.State())
	}
	old.Restart()
	c.WaitISR(Topic, 0)
	e.checkLogs("before", "during")
}

// lossyNetwork: a network that loses every fifth packet between brokers makes
// acks=all slow, and no more.
func lossyNetwork(e *Env) {
	c := e.startAsKafka()
	p := e.safe()
	for _, from := range c.Brokers() {
		for _, to := range c.Brokers() {
			if from != to {
				c.Lose(from, to, 0.2)
			}
		}
	}
	want := make([]string, 50)
	for i := range want {
		want[i] = string(rune('a'+i/26)) + string(rune('a'+i%26))
		e.send(p, want[i])
	}
	c.Heal()
	c.WaitISR(Topic, 0)
	e.checkLogs(want...)
}
