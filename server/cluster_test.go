package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server"
	"github.com/minikafka/minikafka/server/configs"
)

// waitLimit is how long a test waits for anything.
const waitLimit = 20 * time.Second

const clusterID = "a-cluster-of-a-test-00"

// cluster is a controller and brokers, over TCP.
type cluster struct {
	t       *testing.T
	dir     string
	fabric  *fabric.Fabric
	holds   *replication.Holds
	witness *replication.Witness
	control *election.Controller
	brokers map[int32]*server.Broker
	listen  map[int32]string
	static  map[string]string
	logger  *slog.Logger
	disk    func(ctx context.Context, broker int32) error // of brokers that start
	syncs   chan struct{}                                 // told of their syncs, if there is room
	timing  server.Timing
}

func timing() server.Timing {
	return server.Timing{
		Election: election.Timing{
			SessionTimeout: time.Second, HeartbeatInterval: 200 * time.Millisecond,
			ElectionTimeout: 200 * time.Millisecond, ForwardTimeout: 5 * time.Second, FenceOnDisconnect: true,
		},
		Replication: replication.Timing{
			LagTime: 500 * time.Millisecond, RetryISR: 5 * time.Millisecond, CheckpointInterval: 500 * time.Millisecond,
		},
	}
}

// newCluster starts brokers 1 to n. static are configs of the brokers.
func newCluster(t *testing.T, n int32, static map[string]string, options ...func(*cluster)) *cluster {
	t.Helper()
	out := io.Discard
	if os.Getenv("MINIKAFKA_LOG") != "" {
		out = os.Stderr
	}
	c := &cluster{
		t: t, dir: t.TempDir(), fabric: fabric.New(), holds: replication.NewHolds(),
		witness: replication.NewWitness(func(v string) { t.Error(v) }),
		brokers: map[int32]*server.Broker{}, listen: map[int32]string{}, static: static,
		timing: timing(),
		logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, o := range options {
		o(c)
	}
	c.startController()
	t.Cleanup(func() {
		for _, b := range c.brokers {
			b.Crash()
		}
		if err := c.control.Stop(); err != nil {
			t.Errorf("stop the controller: %v", err)
		}
	})
	for id := int32(1); id <= n; id++ {
		c.start(id)
	}
	for id := int32(1); id <= n; id++ {
		c.ready(id)
	}
	c.eventually("every broker knows all brokers", func() bool {
		for _, b := range c.brokers {
			alive := 0
			for _, r := range b.Image().Brokers {
				if r.Alive() {
					alive++
				}
			}
			if alive < int(n) {
				return false
			}
		}
		return true
	})
	return c
}

func (c *cluster) startController() {
	c.t.Helper()
	control, err := election.StartController(election.ControllerConfig{
		ID: 1, Peers: []int32{1}, Fabric: c.fabric, Path: filepath.Join(c.dir, "controller-1.db"),
		Logger: c.logger.With("controller", 1), Rules: configs.Rules{}, ClusterID: clusterID,
		Static: c.static, Timing: timing().Election,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.control = control
}

// start starts a broker, on the address it has had before.
func (c *cluster) start(id int32) *server.Broker {
	c.t.Helper()
	listen := c.listen[id]
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	var disk func(context.Context, server.DiskUse, int) error
	if c.disk != nil {
		disk = func(ctx context.Context, _ server.DiskUse, _ int) error { return c.disk(ctx, id) }
	}
	if c.syncs != nil {
		disk = func(_ context.Context, use server.DiskUse, _ int) error {
			if use == server.DiskSync {
				select {
				case c.syncs <- struct{}{}:
				default:
				}
			}
			return nil
		}
	}
	b, err := server.Start(server.Config{
		ID: id, Listen: listen, Fabric: c.fabric, Controllers: []int32{1}, Holds: c.holds, Witness: c.witness,
		Path: filepath.Join(c.dir, "broker-"+strconv.Itoa(int(id))+".db"), ClusterID: clusterID,
		Static: c.static, Timing: c.timing, Logger: c.logger.With("broker", id), Disk: disk,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.brokers[id], c.listen[id] = b, b.ListenAddr()
	return b
}

func (c *cluster) ready(id int32) {
	c.t.Helper()
	select {
	case <-c.brokers[id].Ready():
	case <-time.After(waitLimit):
		c.t.Fatalf("broker %d is not ready", id)
	}
}

// crash ends a broker as kill -9 does.
func (c *cluster) crash(id int32) {
	c.brokers[id].Crash()
	delete(c.brokers, id)
}

// eventually waits until f holds; it looks again at each change of metadata, and
// after a while.
func (c *cluster) eventually(what string, f func() bool) {
	c.t.Helper()
	limit := time.After(waitLimit)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !f() {
		select {
		case <-again.C:
		case <-limit:
			c.t.Fatalf("waited in vain: %s\n%s", what, c.dump())
		}
	}
}

func (c *cluster) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	c.t.Cleanup(cancel)
	return ctx
}

func (c *cluster) seeds() []string {
	var seeds []string
	for _, b := range c.brokers {
		seeds = append(seeds, b.Addr())
	}
	return seeds
}

func (c *cluster) kgo(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(c.seeds()...), kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
	}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// createTopic creates a topic, through a client.
func (c *cluster) createTopic(name string, partitions int32, factor int16, topicConfigs map[string]string) {
	c.t.Helper()
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, factor
	for k, v := range topicConfigs {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = k, &v
		t.Configs = append(t.Configs, config)
	}
	q.Topics = append(q.Topics, t)
	cl := c.kgo()
	defer cl.Close() // Nothing of it is left for those who count goroutines.
	resp, err := q.RequestWith(c.ctx(), cl)
	if err != nil {
		c.t.Fatal(err)
	}
	if code := resp.Topics[0].ErrorCode; code != 0 {
		c.t.Fatalf("create %s: %d", name, code)
	}
}

// anyImage is the metadata of some broker.
func (c *cluster) anyImage() *election.Image {
	for _, b := range c.brokers {
		return b.Image()
	}
	c.t.Fatal("no broker runs")
	return nil
}

func (c *cluster) id(topic string, partition int32) log.PartitionID {
	c.t.Helper()
	t := c.anyImage().Topics[topic]
	if t == nil {
		c.t.Fatalf("no topic %s", topic)
	}
	return log.PartitionID{Topic: t.ID, Partition: partition}
}

// leader is who leads a partition, as that broker itself knows.
func (c *cluster) leader(topic string, partition int32) int32 {
	c.t.Helper()
	id := c.id(topic, partition)
	var leader int32
	c.eventually(fmt.Sprintf("a leader of %s-%d", topic, partition), func() bool {
		for n, b := range c.brokers {
			if r := b.Manager().Replica(id); r != nil {
				if s := r.State(); s.Leading && s.Leader == n {
					leader = n
					return true
				}
			}
		}
		return false
	})
	return leader
}

// inSync waits until so many replicas are in sync.
func (c *cluster) inSync(topic string, partition int32, n int) {
	c.t.Helper()
	id := c.id(topic, partition)
	c.eventually(fmt.Sprintf("%d replicas of %s-%d in sync", n, topic, partition), func() bool {
		p := c.anyImage().Partition(id)
		return p != nil && len(p.ISR) == n
	})
}

// dump tells what each broker knows, for a test that failed.
func (c *cluster) dump() string {
	var out strings.Builder
	for id, b := range c.brokers {
		m := b.Image()
		fmt.Fprintf(&out, "broker %d: image %d, epoch %d\n", id, m.Index, b.Client().Epoch())
		for _, r := range m.Brokers {
			fmt.Fprintf(&out, "  knows %+v\n", *r)
		}
		for _, r := range b.Manager().Replicas() {
			fmt.Fprintf(&out, "  %+v\n", r.State())
		}
	}
	return out.String()
}
