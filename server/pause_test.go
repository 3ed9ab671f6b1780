package server_test

import (
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A paused leader is replaced. When it resumes it answers what clients have sent
// meanwhile from the role it still believes to have (semantics E31).
func TestPausedLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("t", 1, 3, nil)
	leader := c.leader("t", 0)
	old := c.brokers[leader]
	conn := c.dial(leader)
	conn.ask(produceRequest("t", 0, -1, batch("first")))

	old.Pause()
	conn.send(produceRequest("t", 0, 1, batch("lost")))
	delete(c.brokers, leader)
	if next := c.leader("t", 0); next == leader {
		t.Fatal("the paused broker leads on")
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() { //nolint:errorlint // As net returns it.
		t.Fatalf("a paused broker answers: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(waitLimit))
	c.brokers[leader] = old
	old.Resume()
	resp := conn.receive(produceRequest("t", 0, 1, nil)).(*kmsg.ProduceResponse)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != 1 {
		t.Errorf("after the pause: %+v", p)
	}
	replica := old.Manager().Replica(c.id("t", 0))
	c.eventually("the stale leader follows, without its record", func() bool {
		s := replica.State()
		return !s.Leading && s.LogEndOffset == 1 && s.LeaderEpoch > 0
	})
}

func TestCrashOfAPausedBroker(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	conn := c.dial(1)
	conn.ask(produceRequest("t", 0, 1, batch("kept")))
	c.brokers[1].Pause()
	conn.send(produceRequest("t", 0, 1, batch("never taken up")))
	c.crash(1)
	c.start(1)
	c.ready(1)
	c.leader("t", 0)
	if end := c.brokers[1].Manager().Replica(c.id("t", 0)).State().LogEndOffset; end != 1 {
		t.Errorf("log end %d, want 1", end)
	}
}
