package election_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// fast are the default timings, kafka those of Apache Kafka.
func fast() election.Timing {
	return election.Timing{
		SessionTimeout: time.Second, HeartbeatInterval: 200 * time.Millisecond,
		ElectionTimeout: 200 * time.Millisecond, ForwardTimeout: 10 * time.Second, FenceOnDisconnect: true,
	}
}

func kafka() election.Timing {
	return election.Timing{
		SessionTimeout: 9 * time.Second, HeartbeatInterval: 2 * time.Second,
		ElectionTimeout: time.Second, ForwardTimeout: 60 * time.Second,
		LeaderImbalanceCheck: 300 * time.Second, UncleanInterval: 300 * time.Second,
		WaitForOldSession: true,
	}
}

// catalogue is a small ConfigRules.
type catalogue struct{}

func (catalogue) Default(name string) string {
	return map[string]string{
		"min.insync.replicas": "1", "num.partitions": "1", "default.replication.factor": "1",
		"unclean.leader.election.enable": "false", "delete.topic.enable": "true", "cleanup.policy": "delete",
	}[name]
}

func (catalogue) IsList(name string) bool { return name == "cleanup.policy" }

func (c catalogue) ValidateTopic(configs map[string]string) error {
	for name, value := range configs {
		if c.Default(name) == "" && name != "retention.ms" {
			return fmt.Errorf("Unknown topic config name: %s", name)
		}
		if name == "min.insync.replicas" {
			if n, err := strconv.Atoi(value); err != nil || n < 1 {
				return errors.New("Invalid value " + value)
			}
		}
	}
	return nil
}

func (catalogue) ValidateBroker(map[string]string) error { return nil }

// cluster is controllers and brokers' sides on one fabric.
type cluster struct {
	t           testing.TB
	dir         string
	fabric      *fabric.Fabric
	timing      election.Timing
	peers       []int32
	static      map[string]string
	features    map[string]int16
	controllers map[int32]*election.Controller
	brokers     map[int32]*broker
	logger      *slog.Logger
	incarnation int
}

// broker is a broker's side with its port.
type broker struct {
	*election.Client
	id   int32
	port *fabric.Port
	seen []uint64 // image indexes, as OnImage got them
}

func newCluster(t testing.TB, timing election.Timing, controllers ...int32) *cluster {
	t.Helper()
	out := io.Discard
	if os.Getenv("MINIKAFKA_LOG") != "" {
		out = t.Output()
	}
	c := &cluster{
		t: t, dir: t.TempDir(), fabric: fabric.New(), timing: timing, peers: controllers,
		controllers: map[int32]*election.Controller{}, brokers: map[int32]*broker{},
		logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return c
}

// run starts the controllers; cleanup stops all.
func (c *cluster) run() *cluster {
	c.t.Helper()
	for _, id := range c.peers {
		c.startController(id)
	}
	return c
}

func (c *cluster) startController(id int32) {
	c.t.Helper()
	n, err := election.StartController(election.ControllerConfig{
		ID: id, Peers: c.peers, Fabric: c.fabric, Path: c.path(id), Logger: c.logger,
		Rules: catalogue{}, ClusterID: "test", Timing: c.timing, Static: c.static, Features: c.features,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.controllers[id] = n
}

func (c *cluster) path(id int32) string {
	return filepath.Join(c.dir, fmt.Sprintf("controller-%d.db", id))
}

// stop stops everything; it is idempotent.
func (c *cluster) stop() {
	for _, b := range c.brokers {
		b.crash()
	}
	for _, n := range c.controllers {
		if err := n.Stop(); err != nil {
			c.t.Error(err)
		}
	}
}

// startBroker starts a broker's side; edit may change its config.
func (c *cluster) startBroker(id int32, edit ...func(*election.ClientConfig)) *broker {
	c.t.Helper()
	port, err := c.fabric.Join(fabric.Broker(id), func(context.Context, fabric.Node, any) (any, error) { return nil, nil })
	if err != nil {
		c.t.Fatal(err)
	}
	b := &broker{id: id, port: port}
	c.incarnation++
	cfg := election.ClientConfig{
		BrokerID: id, Host: "localhost", Port: 9092 + id, PreviousEpoch: -1,
		Controllers: c.peers, Call: port, Logger: c.logger, Timing: c.timing,
		OnImage: func(m *election.Image) { b.seen = append(b.seen, m.Index) },
	}
	copy(cfg.Incarnation[:], fmt.Sprint(c.incarnation))
	for _, f := range edit {
		f(&cfg)
	}
	b.Client = election.StartClient(cfg)
	c.brokers[id] = b
	return b
}

// startBrokers starts brokers and waits until they are unfenced.
func (c *cluster) startBrokers(ids ...int32) {
	c.t.Helper()
	for _, id := range ids {
		c.startBroker(id)
	}
	for _, id := range ids {
		c.await("broker unfenced", c.brokers[id].Unfenced())
	}
}

func (b *broker) crash() {
	b.port.Leave()
	b.Stop()
}

func (c *cluster) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	c.t.Cleanup(cancel)
	return ctx
}

func (c *cluster) await(what string, ch <-chan struct{}) {
	c.t.Helper()
	select {
	case <-ch:
	case <-time.After(30 * time.Second):
		c.t.Fatalf("waited in vain for: %s", what)
	}
}

// wait waits until the broker's image is as wished.
func (b *broker) wait(c *cluster, what string, ok func(*election.Image) bool) *election.Image {
	c.t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		changed := b.Changed()
		m := b.Image()
		if m != nil && ok(m) {
			return m
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("waited in vain for: %s; topics %s", what, describe(m))
		}
	}
}

func describe(m *election.Image) string {
	s := ""
	for name, t := range m.Topics {
		for i, p := range t.Partitions {
			s += fmt.Sprintf("\n%s-%d %+v", name, i, *p)
		}
	}
	for _, b := range m.Brokers {
		s += fmt.Sprintf("\n%+v", *b)
	}
	return s
}

// do runs a command at a broker that must go through.
func do[T any](c *cluster, b *broker, cmd election.Command) T {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	a, err := b.Do(ctx, cmd)
	if err != nil {
		c.t.Fatalf("%T: %v", cmd, err)
	}
	v, ok := a.(T)
	if !ok {
		c.t.Fatalf("%T answered %T", cmd, a)
	}
	return v
}

// createTopic creates one topic and waits until the broker knows it.
func (c *cluster) createTopic(b *broker, name string, partitions int32, rf int16, configs map[string]string) *election.Topic {
	c.t.Helper()
	r := do[[]election.CreateTopicResult](c, b, &election.CreateTopics{Topics: []election.NewTopic{{
		Name: name, Partitions: partitions, ReplicationFactor: rf, Configs: configs,
	}}})[0]
	if r.Err != nil {
		c.t.Fatalf("create %s: %v", name, r.Err)
	}
	if err := b.WaitFor(c.ctx(), r.Index); err != nil {
		c.t.Fatal(err)
	}
	return b.Image().Topics[name]
}

// partition is partition 0 of a topic.
func partition(m *election.Image, topic string) *election.Partition {
	if t := m.Topics[topic]; t != nil {
		return t.Partitions[0]
	}
	return &election.Partition{Leader: -2}
}

func ids(list ...int32) []int32 { return list }

func same(a []int32, b ...int32) bool { return slices.Equal(a, b) }

// alterISR is a leader's proposal for partition 0 of topic t.
func alterISR(m *election.Image, b *broker, p *election.Partition, isr ...int32) *election.AlterPartition {
	cmd := &election.AlterPartition{
		Broker: b.id, BrokerEpoch: b.Epoch(), Partition: log.PartitionID{Topic: m.Topics["t"].ID},
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
	}
	for _, id := range isr {
		cmd.NewISR = append(cmd.NewISR, election.ISRMember{ID: id, Epoch: -1})
	}
	return cmd
}
