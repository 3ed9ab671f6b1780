package minikafka_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/server"
)

// member starts a consumer of a group, until the test ends.
func member(t *testing.T, c *minikafka.Cluster, group string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"),
		kgo.DisableAutoCommit(), kgo.MetadataMinAge(10 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// read polls until a consumer has so many records, and commits them.
func read(t *testing.T, cl *kgo.Client, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n > 0 {
		f := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records did not come", n)
		}
		n -= f.NumRecords()
	}
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 2),
		minikafka.Config("group.initial.rebalance.delay.ms", "0"))
	if g := c.Group("readers"); g.State != minikafka.DeadGroup || g.Coordinator != -1 {
		t.Errorf("before anything: %v", g)
	}
	if len(c.Topics()) != 1 {
		t.Errorf("a cluster without groups has topics %v", c.Topics())
	}
	c.Produce("orders", 0, minikafka.Values("a", "b", "c")...)
	began := time.Now()
	cl := member(t, c, "readers", kgo.ClientID("reader"))
	read(t, cl, 3)
	t.Logf("read after %v", time.Since(began))
	c.Wait("the commit", func() bool { return c.Group("readers").Offset("orders", 0) == 3 })
	g := c.Group("readers")
	if g.State != "Stable" || g.Type != "classic" || g.ProtocolType != "consumer" || g.Protocol != "cooperative-sticky" {
		t.Errorf("the group: %+v", g)
	}
	if len(g.Members) != 1 || g.Members[0].ClientID != "reader" || len(g.Members[0].Assigned["orders"]) != 2 {
		t.Errorf("its members: %+v", g.Members)
	}
	if g.Owner("orders", 1) != g.Members[0].ID || g.Owner("orders", 2) != "" || g.Offset("orders", 1) != -1 {
		t.Errorf("its assignment: %v", g)
	}
	if status := c.Status().String(); !strings.Contains(status, "__consumer_offsets has 49 more partitions, all in sync and empty") {
		t.Errorf("the status:\n%s", status)
	}
	for _, want := range []string{"readers: Stable, classic, cooperative-sticky", g.Members[0].ID + " orders[0 1]", "orders/0: 3"} {
		if !strings.Contains(g.String(), want) {
			t.Errorf("the group does not say %q:\n%v", want, g)
		}
	}
	old := c.Coordinator("readers")
	if old.ID() != g.Coordinator {
		t.Errorf("coordinators %v and %d", old, g.Coordinator)
	}
	if all := c.Groups(); len(all) != 1 || all[0].ID != "readers" {
		t.Errorf("all groups: %v", all)
	}

	old.Crash()
	next := c.Coordinator("readers")
	if next == old {
		t.Error("the crashed broker coordinates")
	}
	c.Wait("the offset on the new coordinator", func() bool { return c.Group("readers").Offset("orders", 0) == 3 })
	c.Produce("orders", 0, minikafka.Values("d")...)
	read(t, cl, 1)
	if got := c.Group("readers"); got.Members[0].ID != g.Members[0].ID || got.State != "Stable" {
		t.Errorf("after the failover: %v; before: %v", got, g)
	}
	old.Restart()
	c.WaitHealthy()
	cl.Close()
	c.Wait("the member to leave", func() bool { return c.Group("readers").State == "Empty" })
}

// groupClient speaks requests to one broker.
type groupClient struct {
	t  *testing.T
	to *kgo.Broker
}

func newGroupClient(t *testing.T, c *minikafka.Cluster, to *minikafka.Broker) *groupClient {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &groupClient{t, cl.Broker(int(to.ID()))}
}

func asks[R kmsg.Response](g *groupClient, q kmsg.Request) R {
	g.t.Helper()
	resp, err := g.to.Request(g.t.Context(), q)
	if err != nil {
		g.t.Fatalf("%T: %v", q, err)
	}
	return resp.(R)
}

// join makes a group of one member.
func (g *groupClient) join(group string) (member string, generation int32) {
	g.t.Helper()
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = group, "consumer", 45000, 60000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	join.Protocols = append(join.Protocols, p)
	join.MemberID = asks[*kmsg.JoinGroupResponse](g, join).MemberID
	joined := asks[*kmsg.JoinGroupResponse](g, join)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = group, join.MemberID, joined.Generation
	protocol, kind := "range", "consumer"
	sync.Protocol, sync.ProtocolType = &protocol, &kind
	if code := asks[*kmsg.SyncGroupResponse](g, sync).ErrorCode; code != 0 {
		g.t.Fatalf("sync: %v", kerr.ErrorForCode(code))
	}
	return join.MemberID, joined.Generation
}

func (g *groupClient) commit(group, member string, generation int32, offset int64) error {
	g.t.Helper()
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.MemberID, q.Generation = group, member, generation
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = offset
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = "orders", append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	// By name: a client that knows the topic's id would use that.
	resp := asks[*kmsg.OffsetCommitResponse](g, kmsg.Request(&pinned{q, 9}))
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// pinned is a request of a version.
type pinned struct {
	kmsg.Request
	version int16
}

// MaxVersion is kmsg.Request's.
func (p *pinned) MaxVersion() int16 { return p.version }

func (g *groupClient) heartbeat(group, member string, generation int32) error {
	g.t.Helper()
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group, q.MemberID, q.Generation = group, member, generation
	return kerr.ErrorForCode(asks[*kmsg.HeartbeatResponse](g, q).ErrorCode)
}

func (g *groupClient) fetch(group string, stable bool) (int64, error) {
	g.t.Helper()
	q := kmsg.NewPtrOffsetFetchRequest()
	q.RequireStable = stable
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = group
	q.Groups = append(q.Groups, of)
	got := asks[*kmsg.OffsetFetchResponse](g, &pinned{q, 9}).Groups[0]
	if got.ErrorCode != 0 || len(got.Topics) == 0 {
		return -1, kerr.ErrorForCode(got.ErrorCode)
	}
	return got.Topics[0].Partitions[0].Offset, nil
}

// TestOffsetsUnderTheirMinimumISR is semantics G07, G08 and G44 to G46, with
// Kafka's defaults: a commit is appended and answered COORDINATOR_NOT_AVAILABLE
// after 5 s; it is seen when the ISR has grown again.
func TestOffsetsUnderTheirMinimumISR(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()),
			minikafka.Timing(minikafka.KafkaTimings), minikafka.Config("min.insync.replicas", "2"))
		coordinator := c.Coordinator("readers")
		g := newGroupClient(t, c, coordinator)
		member, generation := g.join("readers")
		if err := g.commit("readers", member, generation, 3); err != nil {
			t.Fatal(err)
		}
		for _, b := range c.Brokers() {
			if b != coordinator {
				b.Crash()
			}
		}
		partition := server.CoordinatorPartition("readers", 50)
		c.Wait("the coordinator to be alone in the ISR", func() bool {
			return len(c.PartitionState("__consumer_offsets", partition).ISR) == 1 && c.Coordinator("readers") == coordinator
		})

		after := func(want time.Duration, wantErr error, f func() error) {
			t.Helper()
			began := time.Now()
			if err := f(); !errors.Is(err, wantErr) || time.Since(began).Round(100*time.Millisecond) != want {
				t.Errorf("answered %v after %v, not %v after %v", err, time.Since(began), wantErr, want)
			}
		}
		after(5*time.Second, kerr.CoordinatorNotAvailable, func() error { return g.commit("readers", member, generation, 4) })
		after(5*time.Second, kerr.CoordinatorNotAvailable, func() error { return g.heartbeat("readers", member, generation) })
		after(0, kerr.IllegalGeneration, func() error { return g.heartbeat("readers", member, generation+1) })
		after(5*time.Second, kerr.NotCoordinator, func() error { _, err := g.fetch("readers", true); return err })
		if offset, err := g.fetch("readers", false); offset != 3 || err != nil {
			t.Errorf("fetched %d, %v while the commit is not replicated", offset, err)
		}
		if got := c.Group("readers").Offset("orders", 0); got != 3 {
			t.Errorf("the group shows offset %d", got)
		}
		for _, b := range c.Brokers() {
			if b != coordinator {
				b.Restart()
			}
		}
		c.Wait("the commit", func() bool { return c.Group("readers").Offset("orders", 0) == 4 })
		after(0, nil, func() error { return g.heartbeat("readers", member, generation) })
		if offset, err := g.fetch("readers", true); offset != 4 || err != nil {
			t.Errorf("fetched %d, %v", offset, err)
		}
	})
}
