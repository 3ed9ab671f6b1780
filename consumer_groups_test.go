package minikafka_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// party is a group's consumers, which read and commit on their own.
type party struct {
	t       *testing.T
	c       *minikafka.Cluster
	readers []*reader
	// wake has something in it when one of them has read something.
	wake chan struct{}
}

func newParty(t *testing.T, c *minikafka.Cluster) *party {
	return &party{t: t, c: c, wake: make(chan struct{}, 1)}
}

// reader is one consumer, until it is closed.
type reader struct {
	cl *kgo.Client
	mu sync.Mutex
	// seen are the values that it has read, and how often; guarded by mu.
	seen map[string]int
	wake chan<- struct{}
	done chan struct{}
}

// reader starts a consumer of the new protocol.
func (p *party) reader(opts ...kgo.Opt) *reader {
	p.t.Helper()
	return p.start(append([]kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}, opts...)...)
}

func (p *party) start(opts ...kgo.Opt) *reader {
	p.t.Helper()
	r := &reader{seen: map[string]int{}, wake: p.wake, done: make(chan struct{})}
	r.cl = member(p.t, p.c, "readers", append([]kgo.Opt{
		kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(100 * time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}, opts...)...)
	p.readers = append(p.readers, r)
	go r.run()
	p.t.Cleanup(r.close)
	return r
}

func (r *reader) run() {
	defer close(r.done)
	for {
		fetches := r.cl.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		r.mu.Lock()
		fetches.EachRecord(func(rec *kgo.Record) { r.seen[string(rec.Value)]++ })
		r.mu.Unlock()
		// A commit that fails is made again with the next records.
		_ = r.cl.CommitUncommittedOffsets(context.Background())
		r.cl.AllowRebalance()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (r *reader) close() {
	r.cl.CloseAllowingRebalance()
	<-r.done
}

func (r *reader) values() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.seen)
}

// sizes are how many partitions of a topic each member has, ascending.
func sizes(g minikafka.GroupState, topic string) []int {
	var n []int
	for _, m := range g.Members {
		n = append(n, len(m.Assigned[topic]))
	}
	slices.Sort(n)
	return n
}

// waitStable waits until the group of the test is stable, with so many partitions
// for each member.
func waitStable(t *testing.T, c *minikafka.Cluster, topic string, want ...int) minikafka.GroupState {
	t.Helper()
	var g minikafka.GroupState
	c.Wait(fmt.Sprintf("a stable group whose members have %v partitions of %s", want, topic), func() bool {
		g = c.Group("readers")
		return g.State == "Stable" && slices.Equal(sizes(g, topic), want)
	})
	return g
}

// waitRead waits until n values have been read in all.
func (p *party) waitRead(n int) map[string]int {
	p.t.Helper()
	deadline := time.After(time.Minute)
	for {
		all := map[string]int{}
		for _, r := range p.readers {
			for v, times := range r.values() {
				all[v] += times
			}
		}
		if len(all) == n {
			return all
		}
		select {
		case <-p.wake:
		case <-deadline:
			p.t.Fatalf("%d values of %d have been read; the group: %v", len(all), n, p.c.Group("readers"))
		}
	}
}

// produceTo writes n values to each partition of a topic.
func produceTo(c *minikafka.Cluster, topic string, partitions, from, n int) {
	for p := range partitions {
		for i := from; i < from+n; i++ {
			c.Produce(topic, int32(p), minikafka.Values(fmt.Sprintf("%s-%d-%d", topic, p, i))...)
		}
	}
}

// TestConsumerGroups has members of KIP-848 join, hand partitions over, leave, and
// outlive their coordinator.
func TestConsumerGroups(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 4))
	produceTo(c, "orders", 4, 0, 10)
	p := newParty(t, c)
	first := p.reader()
	g := waitStable(t, c, "orders", 4)
	if g.Type != "consumer" || g.Protocol != "uniform" || g.Epoch != 2 {
		t.Errorf("the group: %+v", g)
	}
	p.waitRead(40)
	began := time.Now()
	second := p.reader()
	g = waitStable(t, c, "orders", 2, 2)
	t.Logf("handed over after %v, in epoch %d", time.Since(began), g.Epoch)
	produceTo(c, "orders", 4, 10, 10)
	p.waitRead(80)

	old := c.Coordinator("readers")
	old.Crash()
	produceTo(c, "orders", 4, 20, 10)
	all := p.waitRead(120)
	g = waitStable(t, c, "orders", 2, 2)
	if g.Epoch != 3 {
		t.Errorf("the failover made epoch %d", g.Epoch)
	}
	for v, n := range all {
		if n > 1 {
			t.Logf("%s was read %d times", v, n)
		}
	}
	old.Restart()
	c.WaitHealthy()
	second.close()
	waitStable(t, c, "orders", 4)
	first.close()
	c.Wait("the last member to leave", func() bool { return c.Group("readers").State == "Empty" })
}

// TestConsumerGroupRegex has a member subscribe to what a regular expression
// matches, also when that is made later.
func TestConsumerGroupRegex(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Topic("orders", 2), minikafka.Topic("bills", 1))
	produceTo(c, "orders", 2, 0, 1)
	produceTo(c, "bills", 1, 0, 1)
	p := newParty(t, c)
	p.reader(kgo.ConsumeRegex(), kgo.ConsumeTopics("order.*"), kgo.MetadataMaxAge(100*time.Millisecond))
	p.waitRead(2)
	c.CreateTopic("orders2", 3)
	waitStable(t, c, "orders2", 3)
	produceTo(c, "orders2", 3, 0, 1)
	all := p.waitRead(5)
	if all["bills-0-0"] != 0 {
		t.Errorf("read %v", all)
	}
}

// TestMigrateLive takes a group from classic to consumer members and back while it
// reads.
func TestMigrateLive(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Topic("orders", 4))
	produceTo(c, "orders", 4, 0, 5)
	p := newParty(t, c)
	p.start(kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.HeartbeatInterval(100*time.Millisecond))
	waitStable(t, c, "orders", 4)
	p.waitRead(20)

	second := p.reader()
	g := waitStable(t, c, "orders", 2, 2)
	if g.Type != "consumer" {
		t.Errorf("the group is of type %s", g.Type)
	}
	produceTo(c, "orders", 4, 5, 5)
	p.waitRead(40)
	second.close()
	g = waitStable(t, c, "orders", 4)
	if g.Type != "classic" {
		t.Errorf("the group is of type %s", g.Type)
	}
	produceTo(c, "orders", 4, 10, 5)
	p.waitRead(60)
}

// TestConsumerGroupInVirtualTime: with Kafka's timings a session is 45 s and
// heartbeats are 5 s apart.
func TestConsumerGroupInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 4), minikafka.Network(minikafka.PipeNetwork()),
			minikafka.Timing(minikafka.KafkaTimings))
		produceTo(c, "orders", 4, 0, 5)
		p := newParty(t, c)
		first := p.reader()
		waitStable(t, c, "orders", 4)
		began := time.Now()
		second := p.reader()
		waitStable(t, c, "orders", 2, 2)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("handing over took %v", took)
		}
		p.waitRead(20)
		second.close()
		first.close()
	})
}

// TestConsumerGroupRequests: rows G38 to G43 of the semantics, and who may ask.
func TestConsumerGroupRequests(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Topic("orders", 2))
	to := newGroupClient(t, c, c.Coordinator("readers"))
	beat := func(change func(*kmsg.ConsumerGroupHeartbeatRequest)) *kmsg.ConsumerGroupHeartbeatResponse {
		t.Helper()
		q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.RebalanceTimeoutMillis = "readers", "m", 10_000
		q.SubscribedTopicNames, q.Topics = []string{"orders"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		change(q)
		var resp *kmsg.ConsumerGroupHeartbeatResponse
		c.Wait("the coordinator", func() bool {
			resp = asks[*kmsg.ConsumerGroupHeartbeatResponse](to, q)
			return resp.ErrorCode != kerr.CoordinatorLoadInProgress.Code && resp.ErrorCode != kerr.NotCoordinator.Code
		})
		return resp
	}
	none := func(*kmsg.ConsumerGroupHeartbeatRequest) {}
	resp := beat(none)
	if resp.MemberEpoch != 2 || *resp.MemberID != "m" || resp.HeartbeatIntervalMillis != 200 || len(resp.Assignment.Topics[0].Partitions) != 2 {
		t.Errorf("joined with %+v", resp)
	}
	for what, c := range map[string]struct {
		change func(*kmsg.ConsumerGroupHeartbeatRequest)
		want   *kerr.Error
	}{
		"a stale epoch":     {func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.MemberEpoch = 1 }, kerr.FencedMemberEpoch},
		"an unknown member": {func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.MemberID, q.MemberEpoch = "x", 1 }, kerr.UnknownMemberID},
		"an unknown group":  {func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.Group, q.MemberEpoch = "x", 1 }, kerr.GroupIDNotFound},
		"no group":          {func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.Group = "" }, kerr.InvalidRequest},
		"no member":         {func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.MemberID = "" }, kerr.InvalidRequest},
		"no timeout":        {func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.RebalanceTimeoutMillis = -1 }, kerr.InvalidRequest},
		"an unknown assignor": {func(q *kmsg.ConsumerGroupHeartbeatRequest) {
			q.ServerAssignor = kmsg.StringPtr("mine")
		}, kerr.UnsupportedAssignor},
		"a bad expression": {func(q *kmsg.ConsumerGroupHeartbeatRequest) {
			q.SubscribedTopicRegex = kmsg.StringPtr("(")
		}, kerr.InvalidRegularExpression},
	} {
		if got := beat(c.change); got.ErrorCode != c.want.Code || got.ErrorMessage == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
	c.WaitHealthy() // the coordinators of other groups have loaded too
	d := kmsg.NewPtrConsumerGroupDescribeRequest()
	d.Groups = []string{"readers", "", "nobodys"}
	d.IncludeAuthorizedOperations = true
	all := asks[*kmsg.ConsumerGroupDescribeResponse](to, d).Groups
	if all[0].State != "Stable" || all[0].Members[0].MemberType != 1 || all[0].AuthorizedOperations != 3400 ||
		all[1].ErrorCode != kerr.InvalidGroupID.Code || all[2].ErrorCode != kerr.GroupIDNotFound.Code {
		t.Errorf("described: %+v", all)
	}
}

// TestConsumerGroupsCanBeOff: by the feature group.version, and by a config.
func TestConsumerGroupsCanBeOff(t *testing.T) {
	t.Parallel()
	for what, off := range map[string]minikafka.Option{
		"feature": minikafka.Feature("group.version", 0),
		"config":  minikafka.Config("group.coordinator.rebalance.protocols", "classic"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := minikafka.Start(t, minikafka.Topic("orders", 2), off)
			to := newGroupClient(t, c, c.Coordinator("readers"))
			q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			q.Group, q.MemberID, q.RebalanceTimeoutMillis = "readers", "m", 10_000
			q.SubscribedTopicNames, q.Topics = []string{"orders"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			if got := asks[*kmsg.ConsumerGroupHeartbeatResponse](to, q); got.ErrorCode != kerr.UnsupportedVersion.Code {
				t.Errorf("heartbeat: %+v", got)
			}
			d := kmsg.NewPtrConsumerGroupDescribeRequest()
			d.Groups = []string{"readers"}
			if got := asks[*kmsg.ConsumerGroupDescribeResponse](to, d); got.Groups[0].ErrorCode != kerr.UnsupportedVersion.Code {
				t.Errorf("described: %+v", got)
			}
		})
	}
}

// TestConsumerGroupThroughCrashes has consumers come and go while coordinators
// crash: everything is read in the end. The brokers are not down for long, and time
// is not virtual: while its coordinator refuses connections, franz-go may look for
// offsets there again and again, without a pause.
func TestConsumerGroupThroughCrashes(t *testing.T) {
	t.Parallel()
	const partitions, rounds = 6, 8
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", partitions))
	p := newParty(t, c)
	var there []*reader
	for round := range rounds {
		there = append(there, p.reader())
		if len(there) > 3 {
			there[0].close()
			there = there[1:]
		}
		produceTo(c, "orders", partitions, round*2, 1)
		down := c.Coordinator("readers")
		down.Crash()
		produceTo(c, "orders", partitions, round*2+1, 1)
		down.Restart()
		if round%2 == 0 {
			p.waitRead(partitions * (round*2 + 2))
		}
	}
	p.waitRead(partitions * rounds * 2)
	waitStable(t, c, "orders", 2, 2, 2)
}
