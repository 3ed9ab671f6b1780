package minikafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

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
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 2))
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
	if c.TransactionCoordinator("a") == nil {
		t.Error("no coordinator of transactions")
	}
	c.WaitHealthy()
	cl.Close()
	c.Wait("the member to leave", func() bool { return c.Group("readers").State == "Empty" })
}

// groupClient speaks requests to one broker.
type groupClient struct {
	t  *testing.T
	to *kgo.Broker
}

// byName has a client name topics by their names, and not by ids.
func byName() kgo.Opt {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.OffsetCommit), 9)
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	return kgo.MaxVersions(v)
}

func newGroupClient(t *testing.T, c *minikafka.Cluster, to *minikafka.Broker) *groupClient {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext), byName())
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
	resp := asks[*kmsg.OffsetCommitResponse](g, q)
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

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
	got := asks[*kmsg.OffsetFetchResponse](g, q).Groups[0]
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

// TestCommittedOffsetsNeverGoBack commits through crashes, shutdowns, pauses and
// isolations of the coordinators: what was acknowledged is there afterwards, on whoever
// coordinates then.
func TestCommittedOffsetsNeverGoBack(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext), kgo.RetryTimeout(20*time.Second), byName())
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		ctx, stop := context.WithCancel(t.Context())
		var committers sync.WaitGroup
		for i := range 4 {
			g := &committer{t: t, cl: cl, group: fmt.Sprint("group-", i)}
			committers.Go(func() { g.run(ctx) })
		}
		for range 15 {
			victim := c.Coordinator(fmt.Sprint("group-", random.IntN(4)))
			switch random.IntN(4) {
			case 3:
				victim.Shutdown()
				passes(random)
				victim.Restart()
			case 0:
				victim.Crash()
				passes(random)
				victim.Restart()
			case 1:
				victim.Pause()
				passes(random)
				victim.Resume()
			case 2:
				c.Isolate(victim)
				passes(random)
				c.Heal()
			}
			c.WaitHealthy()
		}
		stop()
		committers.Wait()
	})
}

func passes(random *rand.Rand) {
	<-time.After(time.Duration(random.IntN(8000)) * time.Millisecond)
}

// committer commits offsets that ascend.
type committer struct {
	t     *testing.T
	cl    *kgo.Client
	group string
	acked int64 // -1: none
}

func (g *committer) run(ctx context.Context) {
	g.acked = -1
	for offset := int64(1); ctx.Err() == nil; offset++ {
		<-time.After(100 * time.Millisecond) // in a bubble no time passes while anybody works
		if g.commit(ctx, offset) {
			g.acked = offset
		}
		if got, ok := g.fetch(ctx); ok && got < g.acked {
			g.t.Errorf("%s is at %d after an acknowledged %d", g.group, got, g.acked)
		}
	}
	if got, ok := g.fetch(context.WithoutCancel(ctx)); !ok || got < g.acked || g.acked < 0 {
		g.t.Errorf("in the end %s is at %d (%t), acknowledged was %d", g.group, got, ok, g.acked)
	}
}

func (g *committer) commit(ctx context.Context, offset int64) bool {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.Generation = g.group, -1
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = offset
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = "orders", append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	resp, err := g.cl.Request(ctx, q)
	return err == nil && resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode == 0
}

// fetch waits for what is under way.
func (g *committer) fetch(ctx context.Context) (int64, bool) {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.RequireStable = true
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = g.group
	q.Groups = append(q.Groups, of)
	resp, err := g.cl.Request(ctx, q)
	if err != nil {
		return -1, false
	}
	got := resp.(*kmsg.OffsetFetchResponse).Groups[0]
	if got.ErrorCode != 0 || len(got.Topics) == 0 {
		return -1, got.ErrorCode == 0
	}
	return got.Topics[0].Partitions[0].Offset, true
}

func TestGroupsOfEveryType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 2), minikafka.Network(minikafka.PipeNetwork()))
		newGroupClient(t, c, c.Coordinator("old")).join("old")

		modern := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		modern.Group, modern.MemberID, modern.SubscribedTopicNames, modern.RebalanceTimeoutMillis = "new", "member", []string{"orders"}, 60000
		modern.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		if resp := asks[*kmsg.ConsumerGroupHeartbeatResponse](newGroupClient(t, c, c.Coordinator("new")), modern); resp.ErrorCode != 0 {
			t.Fatalf("new: %v", kerr.ErrorForCode(resp.ErrorCode))
		}
		share := kmsg.NewPtrShareGroupHeartbeatRequest()
		share.GroupID, share.MemberID, share.SubscribedTopicNames = "shared", "AAAAAAAAAAAAAAAAAAAAAQ", []string{"orders"}
		if resp := asks[*kmsg.ShareGroupHeartbeatResponse](newGroupClient(t, c, c.Coordinator("shared")), share); resp.ErrorCode != 0 {
			t.Fatalf("shared: %v", kerr.ErrorForCode(resp.ErrorCode))
		}
		c.Wait("all groups", func() bool { return len(c.Groups()) == 3 })
		for i, want := range []struct{ id, kind, protocol, member string }{
			{"new", "consumer", "uniform", "member"},
			{"old", "classic", "range", c.Group("old").Members[0].ID},
			{"shared", "share", "simple", share.MemberID},
		} {
			c.Wait("the member of "+want.id, func() bool {
				g := c.Groups()[i]
				return want.id == "old" || len(g.Members) == 1 && len(g.Members[0].Assigned["orders"]) == 2
			})
			g := c.Groups()[i]
			if g.ID != want.id || g.Type != want.kind || g.State != "Stable" || g.Protocol != want.protocol || g.Members[0].ID != want.member {
				t.Errorf("got %+v, want %v", g, want)
			}
		}
	})
}
