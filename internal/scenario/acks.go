package scenario

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka"
)

// acksOneIsLost: a record that only the leader has is acknowledged with acks=1,
// and gone with the leader. No consumer was ever shown it.
func acksOneIsLost(e *Env) {
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1), steady())
	seen := e.witness()
	e.send(e.safe(), "kept")
	e.waitCopied(1)

	release := c.HoldReplication(Topic, 0)
	e.send(e.once(AcksOne), "lost")
	old := c.Leader(Topic, 0)
	if got := e.partition(); got.Log(old.ID()).LogEnd != 2 || got.HighWatermark != 1 {
		e.Fatalf("the record is not on the leader alone: %s", e.state())
	}
	old.Crash()
	c.WaitLeader(Topic, 0)
	release()
	e.checkLogs("kept")

	e.send(e.safe(), "next")
	old.Restart()
	c.WaitISR(Topic, 0)
	e.checkLogs("kept", "next")
	seen.wait("kept", "next")
}

// acksAllIsKept: with acks=all the same record is not acknowledged while the
// leader alone has it, and kept once it is.
func acksAllIsKept(e *Env) {
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1), steady())
	seen := e.witness()
	p := e.safe()
	e.send(p, "first")
	e.waitCopied(1)

	release := c.HoldReplication(Topic, 0)
	old := c.Leader(Topic, 0)
	done := p.Send("second")
	e.waitLogEnd(old, 2)
	e.pending("second", done)
	release()
	if err := e.result("second", done); err != nil {
		e.Fatalf("record %q was refused: %v", "second", err)
	}
	old.Crash()
	c.WaitLeader(Topic, 0)
	e.checkLogs("first", "second")

	e.send(p, "third")
	old.Restart()
	c.WaitISR(Topic, 0)
	e.checkLogs("first", "second", "third")
	seen.wait("first", "second", "third")
}

// acksNoneLosesWithoutNotice: a record that the broker refuses is reported as an
// error, unless nothing was to be acknowledged.
func acksNoneLosesWithoutNotice(e *Env) {
	c := e.start(minikafka.Brokers(2), minikafka.Topic(Topic, 1, minikafka.TopicConfig("max.message.bytes", "2000")))
	large := strings.Repeat("x", 4000)
	if err := e.result("large", e.once(AcksNone).Send(large)); err != nil {
		e.Errorf("acks=0: the producer noticed that its record was lost: %v", err)
	}
	e.refused(e.once(AcksOne), large, kerr.MessageTooLarge)
	e.refused(e.once(AcksAll), large, kerr.MessageTooLarge)
	e.checkLogs()

	// A record that is stored is reported as such by all of them.
	e.send(e.once(AcksNone), "none")
	e.waitLogEnd(c.Leader(Topic, 0), 1)
	e.send(e.once(AcksOne), "one")
	e.send(e.once(AcksAll), "all")
	e.checkLogs("none", "one", "all")
}

// minInSyncReplicas: with three replicas and min.insync.replicas=2, acks=all
// goes on with one broker gone, and is refused with two, with nothing appended.
// acks=1 goes on, but consumers see nothing of it before there are two again.
func minInSyncReplicas(e *Env) {
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1, minikafka.TopicConfig("min.insync.replicas", "2")))
	seen := e.witness()
	all, one := e.once(AcksAll), e.once(AcksOne)
	e.send(all, "three")

	leader, gone := c.Leader(Topic, 0), e.followers()
	gone[0].Crash()
	c.WaitISR(Topic, 0, leader.ID(), gone[1].ID())
	e.send(all, "two")

	gone[1].Crash()
	c.WaitISR(Topic, 0, leader.ID())
	e.refused(all, "refused", kerr.NotEnoughReplicas)
	if end := e.partition().Log(leader.ID()).LogEnd; end != 2 {
		e.Errorf("the leader's log ends at %d after a refused record, want 2", end)
	}
	e.send(one, "unseen")
	if got := e.partition(); got.HighWatermark != 2 || got.Log(leader.ID()).LogEnd != 3 {
		e.Errorf("below min.insync.replicas the high watermark must stand still at 2, and the log go on to 3: %s", e.state())
	}
	if got := e.values(leader); len(got) != 2 {
		e.Errorf("a consumer is shown %q below min.insync.replicas", got)
	}

	gone[0].Restart()
	c.WaitISR(Topic, 0, leader.ID(), gone[0].ID())
	e.send(all, "again")
	seen.wait("three", "two", "unseen", "again")
	e.checkLogs("three", "two", "unseen", "again")
}

// twoReplicasSurviveOne: with two replicas either may be gone.
func twoReplicasSurviveOne(e *Env) {
	c := e.start(minikafka.Brokers(2), minikafka.Topic(Topic, 1))
	seen := e.witness()
	p := e.safe()
	e.send(p, "both")

	old := c.Leader(Topic, 0)
	other := e.followers()[0]
	old.Crash()
	c.WaitISR(Topic, 0, other.ID())
	e.send(p, "other")
	old.Restart()
	c.WaitISR(Topic, 0)
	other.Crash()
	c.WaitISR(Topic, 0, old.ID())
	e.send(p, "old")
	other.Restart()
	c.WaitISR(Topic, 0)
	e.checkLogs("both", "other", "old")
	seen.wait("both", "other", "old")
}
