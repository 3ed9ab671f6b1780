package minikafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// client returns a franz-go client of the cluster.
func client(t *testing.T, c *minikafka.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Addrs()...),
		kgo.Dialer(c.DialContext),
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// within bounds a test's own waits.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// consume reads n records from the beginning of a topic.
func consume(t *testing.T, c *minikafka.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	cl := client(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx := within(t, 20*time.Second)
	var got []*kgo.Record
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d records of %s, want %d", len(got), topic, n)
		}
		got = append(got, fetches.Records()...)
	}
	return got
}

func values(records []minikafka.Record) string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return strings.Join(out, " ")
}

func TestProduceAndConsume(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 6))
	cl := client(t, c, kgo.DefaultProduceTopic("orders"))
	const n = 100
	var sent []*kgo.Record
	for i := range n {
		sent = append(sent, kgo.StringRecord(fmt.Sprintf("order %d", i)))
	}
	if err := cl.ProduceSync(within(t, 20*time.Second), sent...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, r := range consume(t, c, "orders", n) {
		got[string(r.Value)] = true
	}
	if len(got) != n {
		t.Fatalf("read %d different records, want %d", len(got), n)
	}
	total := 0
	for p := range int32(6) {
		total += len(c.Records("orders", p))
		s := c.PartitionState("orders", p)
		if len(s.Replicas) != 3 || len(s.ISR) != 3 || s.Leader != s.Replicas[0] || s.LeaderEpoch != 0 {
			t.Errorf("orders/%d: %+v", p, s)
		}
		for _, l := range s.Logs {
			if l.LogEnd != s.HighWatermark {
				t.Errorf("orders/%d: broker %d ends at %d, the high watermark is %d", p, l.Broker, l.LogEnd, s.HighWatermark)
			}
		}
	}
	if total != n {
		t.Errorf("Records tells %d records, want %d", total, n)
	}
}

func TestCrashIsFollowedByANewLeader(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Config("min.insync.replicas", "2"))
	c.Produce("orders", 0, minikafka.Values("a", "b")...)
	old := c.Leader("orders", 0)
	begin := time.Now()
	old.Crash()
	if got := old.State(); got != minikafka.Crashed {
		t.Errorf("after the crash the broker is %s", got)
	}
	leader := c.WaitLeader("orders", 0)
	t.Logf("a new leader after %v", time.Since(begin))
	if leader == old {
		t.Fatalf("%v still leads", old)
	}
	c.Produce("orders", 0, minikafka.Values("c")...)
	if got := values(c.Records("orders", 0)); got != "a b c" {
		t.Errorf("the new leader has %q", got)
	}
	address := old.Addr()
	old.Restart()
	if old.Addr() != address {
		t.Errorf("restarted on %s, was on %s", old.Addr(), address)
	}
	c.WaitISR("orders", 0)
	c.WaitHealthy()
	if got := values(old.Records("orders", 0)); got != "a b c" {
		t.Errorf("the restarted broker has %q", got)
	}
}

func TestVerbsOnTheWrongNode(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(2), minikafka.Topic("orders", 1))
	cases := []struct {
		name string
		do   func(*minikafka.Cluster)
		want error
		says string
	}{
		{"restart of a running broker", func(c *minikafka.Cluster) { c.Broker(0).Restart() }, minikafka.ErrRunning, "Crash"},
		{"restart of a running controller", func(c *minikafka.Cluster) { c.Controller().Restart() }, minikafka.ErrRunning, "Crash"},
		{"an unknown broker", func(c *minikafka.Cluster) { c.Broker(7) }, minikafka.ErrUnknownNode, "there are 0, 1"},
		{"an unknown topic", func(c *minikafka.Cluster) { c.PartitionState("nope", 0) }, minikafka.ErrUnknownTopic, "nope/0"},
		{"the leader of an unknown topic", func(c *minikafka.Cluster) { c.Leader("nope", 0) }, minikafka.ErrUnknownTopic, "nope/0"},
		{"records of an unknown topic", func(c *minikafka.Cluster) { c.Records("nope", 0) }, minikafka.ErrUnknownTopic, "nope/0"},
		{"records of a broker", func(c *minikafka.Cluster) { c.Broker(0).Records("nope", 0) }, minikafka.ErrUnknownTopic, "nope/0"},
		{"produce to an unknown topic", func(c *minikafka.Cluster) { c.Produce("nope", 0, minikafka.Values("x")...) }, minikafka.ErrUnknownTopic, "nope/0"},
		{"produce nothing", func(c *minikafka.Cluster) { c.Produce("orders", 0) }, minikafka.ErrArgument, "no records"},
		{"elect in an unknown topic", func(c *minikafka.Cluster) { c.Elect("nope", 0, false) }, minikafka.ErrUnknownTopic, "nope/0"},
		{"delete an unknown topic", func(c *minikafka.Cluster) { c.DeleteTopic("nope") }, minikafka.ErrUnknownTopic, "nope"},
		{"a topic without partitions", func(c *minikafka.Cluster) { c.CreateTopic("new", 0) }, minikafka.ErrArgument, "0 partitions"},
		{"more replicas than brokers", func(c *minikafka.Cluster) { c.CreateTopic("new", 1, minikafka.ReplicationFactor(3)) }, minikafka.ErrArgument, "3 replicas on 2"},
		{"crash twice", func(c *minikafka.Cluster) { c.Broker(1).Crash(); c.Broker(1).Crash() }, minikafka.ErrNotRunning, "is crashed: Restart"},
	}
	for _, tc := range cases {
		if err := c.Try(tc.do); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %v, and %q in it", tc.name, err, tc.want, tc.says)
		}
	}
}

func TestHeldReplicationLosesWhatOnlyTheLeaderHas(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1))
	c.Produce("orders", 0, minikafka.Values("kept")...)
	old := c.Leader("orders", 0)
	release := c.HoldReplication("orders", 0)
	if _, err := old.Produce("orders", 0, minikafka.Values("lost")...); err != nil {
		t.Fatal(err)
	}
	if s := c.PartitionState("orders", 0); !s.Held || s.Log(old.ID()).LogEnd != 2 || s.HighWatermark != 1 {
		t.Errorf("while held: %+v", s)
	}
	if got := values(old.Records("orders", 0)); got != "kept lost" {
		t.Errorf("the leader has %q", got)
	}
	if got := values(c.Records("orders", 0)); got != "kept" {
		t.Errorf("consumers can read %q", got)
	}
	old.Crash()
	c.WaitLeader("orders", 0)
	release()
	c.Produce("orders", 0, minikafka.Values("new")...)
	old.Restart()
	c.WaitISR("orders", 0)
	if got := values(old.Records("orders", 0)); got != "kept new" {
		t.Errorf("after its restart the old leader has %q", got)
	}
}

func TestIsolatedLeaderIsDeposed(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1))
	c.Produce("orders", 0, minikafka.Values("kept")...)
	old := c.Leader("orders", 0)
	c.Isolate(old)
	if _, err := old.Produce("orders", 0, minikafka.Values("lost")...); err != nil {
		t.Fatalf("the isolated leader refuses acks=1 before it can know: %v", err)
	}
	c.Wait("another leader", func() bool { return c.PartitionState("orders", 0).Leader != old.ID() })
	c.WaitLeader("orders", 0)
	c.Produce("orders", 0, minikafka.Values("new")...)
	c.Heal()
	c.WaitISR("orders", 0)
	if got := values(old.Records("orders", 0)); got != "kept new" {
		t.Errorf("after healing the old leader has %q", got)
	}
}

func TestShutdownMovesLeadershipsFirst(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 3))
	b := c.Leader("orders", 1)
	b.Shutdown()
	if b.State() != minikafka.ShutDown {
		t.Errorf("the broker is %s", b.State())
	}
	for p := range int32(3) {
		if s := c.PartitionState("orders", p); s.Leader == b.ID() || s.Leader < 0 {
			t.Errorf("orders/%d is led by %d", p, s.Leader)
		}
	}
	b.Restart()
	c.WaitHealthy()
	if got := c.Elect("orders", 1, false); got.ID() != c.PartitionState("orders", 1).Replicas[0] {
		t.Errorf("%v was elected, not the preferred leader", got)
	}
}

func TestControllersFailOver(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Controllers(3), minikafka.Topic("orders", 1))
	old := c.Controller()
	old.Crash()
	if now := c.Controller(); now == old {
		t.Fatalf("%v is still active", old)
	}
	c.CreateTopic("later", 2)
	leader := c.Leader("orders", 0)
	leader.Crash()
	if c.WaitLeader("orders", 0) == leader {
		t.Errorf("%v still leads", leader)
	}
	old.Restart()
	leader.Restart()
	c.WaitHealthy()
}

func TestClustersDoNotMeet(t *testing.T) {
	t.Parallel()
	a := minikafka.Start(t, minikafka.Topic("a", 1))
	b := minikafka.Start(t, minikafka.Topic("b", 1))
	if a.ID() == b.ID() {
		t.Error("both have the same id")
	}
	if got := fmt.Sprint(a.Topics(), b.Topics()); got != "[a] [b]" {
		t.Errorf("topics: %s", got)
	}
	a.Broker(0).Crash()
	b.Produce("b", 0, minikafka.Values("x")...)
}

func TestDataDirectoryIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(opts ...minikafka.Option) (*minikafka.Cluster, error) {
		return minikafka.New(append([]minikafka.Option{
			minikafka.Brokers(2), minikafka.DataDir(dir), minikafka.Topic("orders", 1),
		}, opts...)...)
	}
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	c.Produce("orders", 0, minikafka.Values("a", "b")...)
	if _, err := open(); !errors.Is(err, minikafka.ErrInUse) {
		t.Errorf("a second cluster over the same files: %v", err)
	}
	id := c.ID()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(minikafka.Controllers(3)); !errors.Is(err, minikafka.ErrDataDir) {
		t.Errorf("with another number of controllers: %v", err)
	}
	c, err = open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.ID() != id {
		t.Errorf("the id was %s and is %s", id, c.ID())
	}
	if got := values(c.For(t).Records("orders", 0)); got != "a b" {
		t.Errorf("the records are %q", got)
	}
}

func TestTemporaryFilesAreRemoved(t *testing.T) {
	t.Parallel()
	c, err := minikafka.New()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		if len(openFiles(c)) == 0 || c.DataDir() != "" {
			t.Errorf("the files in memory are %v, those on disk in %q", openFiles(c), c.DataDir())
		}
	} else if _, err := os.Stat(c.DataDir()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if open := openFiles(c); len(open) > 0 {
		t.Errorf("after Close there are %v", open)
	}
	if c.DataDir() != "" {
		if _, err := os.Stat(c.DataDir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after Close: %v", err)
		}
	}
	if err := c.Try(func(c *minikafka.Cluster) { c.Broker(0).Restart() }); err == nil {
		t.Error("a closed cluster restarts a broker")
	}
}

func TestCloseClientConnections(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t)
	conn, err := c.DialContext(t.Context(), "tcp", c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// An answer tells that the broker has accepted the connection.
	if _, err := conn.Write([]byte("\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff")); err != nil { // ApiVersions
		t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
		t.Fatal(err)
	}
	c.Broker(0).CloseClientConnections()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read = %v, want the connection to be reset", err)
	}
	again, err := c.DialContext(t.Context(), "tcp", c.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestPowerOffLosesWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t,
		minikafka.Topic("usual", 1),
		minikafka.Topic("synced", 1, minikafka.TopicConfig("flush.messages", "1")))
	b := c.Broker(0)
	c.Produce("synced", 0, minikafka.Values("kept")...)
	c.Produce("usual", 0, minikafka.Values("lost")...)
	b.PowerOff()
	if b.State() != minikafka.PoweredOff {
		t.Errorf("the broker is %s", b.State())
	}
	b.Restart()
	if got := values(c.Records("synced", 0)); got != "kept" {
		t.Errorf("with flush.messages=1 there is %q", got)
	}
	if got := values(c.Records("usual", 0)); got != "" {
		t.Errorf("without a sync there is %q", got)
	}
	c.Produce("usual", 0, minikafka.Values("crash")...)
	b.Crash()
	b.Restart()
	if got := values(c.Records("usual", 0)); got != "crash" {
		t.Errorf("after a crash there is %q", got)
	}
}
