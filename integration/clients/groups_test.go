package clients_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minikafka/minikafka"
)

// readers is the group of these tests.
const readers = "readers"

// member is a program that is a member of the group.
type member struct {
	*process
	mu     sync.Mutex
	events []event // guarded by mu
	told   chan<- struct{}
	ended  chan struct{} // closed when the program prints no more
}

// event is what a member tells: assigned, revoked, lost, read or failed.
type event struct{ Event, What string }

// reading is a cluster with the topic, and members that read it.
type reading struct {
	t       *testing.T
	c       *minikafka.Cluster
	client  client
	members []*member
	told    chan struct{}
	values  int
}

func newReading(t *testing.T, client client) *reading {
	t.Helper()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic(topic, 4))
	return &reading{t: t, c: c, client: client, told: make(chan struct{}, 1)}
}

// join starts a member.
func (r *reading) join(protocol, subscription string, instance ...string) *member {
	r.t.Helper()
	args := append([]string{"member", strings.Join(r.c.Addrs(), ","), readers, protocol, subscription}, instance...)
	m := &member{process: r.client.start(r.t, args...), told: r.told, ended: make(chan struct{})}
	r.members = append(r.members, m)
	go m.collect()
	return m
}

// collect keeps what the program tells. Whoever waits for it is woken.
func (m *member) collect() {
	defer close(m.ended)
	for line := range m.lines {
		var e event
		if json.Unmarshal(line, &e) != nil {
			e = event{"failed", string(line)}
		}
		m.mu.Lock()
		m.events = append(m.events, e)
		m.mu.Unlock()
		select {
		case m.told <- struct{}{}:
		default:
		}
	}
}

// all are the events of a kind, in their order.
func (m *member) all(kind string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, e := range m.events {
		if e.Event == kind {
			out = append(out, e.What)
		}
	}
	return out
}

// leave has the program end well.
func (m *member) leave() {
	m.t.Helper()
	_ = m.in.Close() // What is wrong with the program its end tells.
	select {
	case <-m.ended:
	case <-time.After(patience):
		m.t.Fatalf("%s: after %s still waiting for its end", m.name, patience)
	}
	if err := <-m.process.ended; err != nil {
		m.t.Fatalf("%s: %v", m.name, err)
	}
}

// produce writes values to every partition of a topic.
func (r *reading) produce(topic string, partitions int) {
	for p := range partitions {
		for range 5 {
			r.values++
			r.c.Produce(topic, int32(p), minikafka.Values(fmt.Sprint(r.values))...)
		}
	}
}

// awaitRead waits until every value has been read by somebody. Some may be read twice: their commits were lost with a
// coordinator.
func (r *reading) awaitRead() {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		seen := map[string]bool{}
		for _, m := range r.members {
			for _, v := range m.all("read") {
				seen[v] = true
			}
		}
		if len(seen) == r.values {
			return
		}
		select {
		case <-r.told:
		case <-deadline:
			r.t.Fatalf("%d of %d values have been read; the group: %v", len(seen), r.values, r.c.Group(readers))
		}
	}
}

// awaitStable waits until the group is stable and its members have so many partitions of a topic.
func (r *reading) awaitStable(kind, topic string, want ...int) minikafka.GroupState {
	r.t.Helper()
	var g minikafka.GroupState
	r.c.Wait(fmt.Sprintf("a stable %s group whose members have %v partitions of %s", kind, want, topic), func() bool {
		g = r.c.Group(readers)
		var sizes []int
		for _, m := range g.Members {
			sizes = append(sizes, len(m.Assigned[topic]))
		}
		slices.Sort(sizes)
		return g.State == "Stable" && g.Type == kind && slices.Equal(sizes, want)
	})
	return g
}

// handOver has members of the new protocol join, outlive their coordinator, and leave.
func handOver(t *testing.T, client client) {
	t.Parallel()
	r := newReading(t, client)
	r.produce(topic, 4)
	first := r.join("consumer", topic)
	r.awaitStable("consumer", topic, 4)
	r.awaitRead()
	second := r.join("consumer", topic)
	g := r.awaitStable("consumer", topic, 2, 2)
	r.produce(topic, 4)
	r.awaitRead()
	if revoked := first.all("revoked"); len(revoked) != 1 || len(strings.Fields(revoked[0])) != 2 {
		t.Errorf("the first was to give up %q", revoked)
	}

	old := r.c.Coordinator(readers)
	old.Crash()
	r.produce(topic, 4)
	r.awaitRead()
	if after := r.awaitStable("consumer", topic, 2, 2); after.Epoch != g.Epoch {
		t.Errorf("the failover took the group from epoch %d to %d", g.Epoch, after.Epoch)
	}
	old.Restart()
	r.c.WaitHealthy()
	second.leave()
	r.awaitStable("consumer", topic, 4)
	r.produce(topic, 4)
	r.awaitRead()
	first.leave()
	r.c.Wait("an empty group", func() bool { return r.c.Group(readers).State == "Empty" })
	for _, m := range r.members {
		if lost := m.all("lost"); len(lost) > 0 {
			t.Errorf("partitions were lost: %q", lost)
		}
	}
}

// staticMember comes back under its instance id: nobody else notices.
func staticMember(t *testing.T, client client) {
	t.Parallel()
	r := newReading(t, client)
	first := r.join("consumer", topic, "one")
	r.join("consumer", topic, "two")
	before := r.awaitStable("consumer", topic, 2, 2)
	first.leave()
	r.c.Wait("the member to be away", func() bool { return r.c.Group(readers).State == "Reconciling" })
	r.produce(topic, 4)
	r.join("consumer", topic, "one")
	after := r.awaitStable("consumer", topic, 2, 2)
	if before.Epoch != after.Epoch {
		t.Errorf("the restart took the group from epoch %d to %d", before.Epoch, after.Epoch)
	}
	r.awaitRead()
}

// pattern subscribes to what a regular expression matches, now and later.
func pattern(t *testing.T, client client) {
	t.Parallel()
	r := newReading(t, client)
	r.c.CreateTopic("other", 1)
	r.join("consumer", "^"+topic+".*")
	r.awaitStable("consumer", topic, 4)
	r.c.CreateTopic(topic+"-2", 3)
	g := r.awaitStable("consumer", topic+"-2", 3)
	if n := len(g.Members[0].Assigned); n != 2 {
		t.Errorf("it has partitions of %d topics", n)
	}
	r.produce(topic, 4)
	r.produce(topic+"-2", 3)
	r.awaitRead()
}

// migrate takes a group from classic to consumer members and back while it reads.
func migrate(t *testing.T, client client) {
	t.Parallel()
	r := newReading(t, client)
	r.produce(topic, 4)
	r.join("classic", topic)
	r.awaitStable("classic", topic, 4)
	r.awaitRead()
	modern := r.join("consumer", topic)
	r.awaitStable("consumer", topic, 2, 2)
	r.produce(topic, 4)
	r.awaitRead()
	modern.leave()
	r.awaitStable("classic", topic, 4)
	r.produce(topic, 4)
	r.awaitRead()
}

// consumerGroups are the tests of a client that speaks the new group protocol.
func consumerGroups(t *testing.T, client client) {
	t.Run("hand over", func(t *testing.T) { handOver(t, client) })
	t.Run("static member", func(t *testing.T) { staticMember(t, client) })
	t.Run("pattern", func(t *testing.T) { pattern(t, client) })
	t.Run("migrate", func(t *testing.T) { migrate(t, client) })
}

// classicGroup has members of the classic protocol join, outlive their coordinator, and leave: every value is read, and in the
// end all are committed.
func classicGroup(t *testing.T, client client) {
	t.Parallel()
	r := newReading(t, client)
	r.produce(topic, 4)
	first := r.join("classic", topic)
	r.awaitStable("classic", topic, 4)
	r.awaitRead()
	second := r.join("classic", topic)
	r.awaitStable("classic", topic, 2, 2)
	r.produce(topic, 4)
	r.awaitRead()
	r.awaitCommits(topic, 4)

	before := r.c.Group(readers)
	old := r.c.Coordinator(readers)
	old.Crash()
	r.produce(topic, 4)
	r.awaitRead()
	after := r.awaitStable("classic", topic, 2, 2)
	r.awaitCommits(topic, 4)
	if after.Coordinator == before.Coordinator {
		t.Errorf("broker %d still coordinates", after.Coordinator)
	}
	old.Restart()
	r.c.WaitHealthy()
	second.leave()
	r.awaitStable("classic", topic, 4)
	r.produce(topic, 4)
	r.awaitRead()
	r.awaitCommits(topic, 4)
	first.leave()
	r.c.Wait("an empty group", func() bool { return r.c.Group(readers).State == "Empty" })
}

// awaitCommits waits until all that there is has been committed.
func (r *reading) awaitCommits(topic string, partitions int32) {
	r.t.Helper()
	r.c.Wait("all to be committed", func() bool {
		g := r.c.Group(readers)
		for p := range partitions {
			if g.Offset(topic, p) != r.c.PartitionState(topic, p).HighWatermark {
				return false
			}
		}
		return true
	})
}
