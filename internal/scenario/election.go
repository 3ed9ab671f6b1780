package scenario

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// stageStale leaves a cluster of two brokers with only the one running that has
// missed the record "missed", and a producer that knows both.
func stageStale(e *Env, opts ...minikafka.TopicOption) (p Producer, inSync, stale *minikafka.Broker) {
	e.Helper()
	c := e.start(minikafka.Brokers(2), minikafka.Topic(Topic, 1, opts...))
	p = e.safe()
	e.send(p, "both")
	inSync, stale = c.Leader(Topic, 0), e.followers()[0]
	stale.Crash()
	c.WaitISR(Topic, 0, inSync.ID())
	e.send(p, "missed")
	inSync.Crash()
	stale.Restart()
	return p, inSync, stale
}

// noLeaderUntilInSync: a replica that is not in sync does not lead, even when it
// is the only one left.
func noLeaderUntilInSync(e *Env) {
	p, inSync, stale := stageStale(e)
	c := e.Cluster
	c.Wait("the partition to lose its leader", func() bool { return e.partition().Leader == -1 })
	m := e.metadata(stale)
	if m.Leader != -1 || m.ErrorCode != kerr.LeaderNotAvailable.Code {
		e.Errorf("Metadata says leader %d, error %v; want -1, LEADER_NOT_AVAILABLE", m.Leader, kerr.ErrorForCode(m.ErrorCode))
	}
	done := p.Send("waiting")
	waits := e.Client.Has(PatienceWithoutLeader)
	if waits {
		e.pending("waiting", done)
	} else if err := e.result("waiting", done); err == nil {
		e.Errorf("the record was acknowledged by nobody")
	}

	inSync.Restart()
	if got := c.WaitLeader(Topic, 0); got.ID() != inSync.ID() {
		e.Errorf("%v leads, want %v, which was in sync", got, inSync)
	}
	c.WaitISR(Topic, 0)
	if !waits {
		done = e.sendAgain(p, "waiting")
	}
	if err := e.result("waiting", done); err != nil {
		e.Errorf("the record was refused: %v", err)
	}
	e.checkLogs("both", "missed", "waiting")
}

// sendAgain does what a program must whose library gives up a record as long as
// it believes that there is no leader: it sends the record until it is stored.
func (e *Env) sendAgain(p Producer, value string) <-chan error {
	e.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := e.result(value, p.Send(value))
		if err == nil || time.Now().After(deadline) {
			done := make(chan error, 1)
			done <- err
			return done
		}
	}
}

// uncleanElectionLoses: with unclean.leader.election.enable it does lead, and
// what it had missed is gone, though it was acknowledged with acks=all.
func uncleanElectionLoses(e *Env) {
	_, inSync, stale := stageStale(e, minikafka.TopicConfig("unclean.leader.election.enable", "true"))
	c := e.Cluster
	if got := c.WaitLeader(Topic, 0); got.ID() != stale.ID() {
		e.Errorf("%v leads, want %v, the only one left", got, stale)
	}
	// The old producer's sequence may have gone with the record.
	p := e.safe()
	e.send(p, "instead")
	e.checkLogs("both", "instead")

	inSync.Restart()
	c.WaitISR(Topic, 0)
	e.send(p, "next")
	e.checkLogs("both", "instead", "next")
}

// metadata asks a broker for the topic's only partition.
func (e *Env) metadata(b *minikafka.Broker) kmsg.MetadataResponseTopicPartition {
	e.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(8)
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(Topic)
	req.Topics = append(req.Topics, t)
	resp := e.request(b, req).(*kmsg.MetadataResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.Fatalf("Metadata has not one topic with one partition: %+v", resp.Topics)
	}
	return resp.Topics[0].Partitions[0]
}

// slowFollower: followers that do not copy leave the ISR, acks=all goes on
// without them, and they return once they have caught up.
func slowFollower(e *Env) {
	c := e.start(minikafka.Brokers(3), minikafka.Topic(Topic, 1), minikafka.Config("replica.lag.time.max.ms", "100"))
	seen := e.witness()
	p := e.safe()
	e.send(p, "all")

	leader := c.Leader(Topic, 0)
	epoch := e.partition().LeaderEpoch
	release := c.HoldReplication(Topic, 0)
	// The leader alone has it until the others are out of the ISR.
	e.send(p, "alone")
	c.WaitISR(Topic, 0, leader.ID())
	for _, f := range e.followers() {
		if end := e.partition().Log(f.ID()).LogEnd; end != 1 {
			e.Errorf("%v's log ends at %d while its replication is held, want 1", f, end)
		}
	}
	seen.wait("all", "alone")

	release()
	c.WaitISR(Topic, 0)
	e.checkLogs("all", "alone")
	e.send(p, "again")
	if got := e.partition(); got.Leader != leader.ID() || got.LeaderEpoch != epoch {
		e.Errorf("the leader moved from %v in epoch %d: %s", leader, epoch, e.state())
	}
	e.checkLogs("all", "alone", "again")
}

// controllerCrash: with three controllers one may be gone: producing goes on,
// and topics and leaders are made by the next one.
func controllerCrash(e *Env) {
	c := e.start(minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Topic(Topic, 1))
	p := e.safe()
	e.send(p, "before")
	old := c.Controller()
	old.Crash()
	e.send(p, "meanwhile")
	if got := c.Controller(); got.ID() == old.ID() {
		e.Errorf("controller %d is active, though it crashed", got.ID())
	}
	e.createTopic(c.Brokers()[0], "new")
	c.WaitLeader("new", 0)

	leader := c.Leader(Topic, 0)
	leader.Crash()
	if got := c.WaitLeader(Topic, 0); got.ID() == leader.ID() {
		e.Errorf("%v leads, though it crashed", got)
	}
	e.send(p, "after")
	old.Restart()
	leader.Restart()
	c.WaitISR(Topic, 0)
	e.checkLogs("before", "meanwhile", "after")
}

func (e *Env) createTopic(b *minikafka.Broker, name string) {
	e.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(5)
	req.TimeoutMillis = int32(patience.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1, 3
	req.Topics = append(req.Topics, t)
	resp := e.request(b, req).(*kmsg.CreateTopicsResponse)
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		e.Fatalf("creating topic %s: %v", name, err)
	}
}
