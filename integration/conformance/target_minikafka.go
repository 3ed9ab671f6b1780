package conformance

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/minikafka/minikafka"
)

// What rows do while a broker is silent has to be over before it is fenced, or leaves an ISR, on a loaded machine too: these are
// longer than minikafka's own fast timings.
const (
	minikafkaSession = 3 * time.Second
	minikafkaLag     = 2 * time.Second
)

// minikafkaProperties are what minikafka is started with.
func minikafkaProperties(cfg Config) map[string]string {
	properties := maps.Clone(cfg.properties())
	if !cfg.Defaults {
		properties["broker.session.timeout.ms"] = fmt.Sprint(minikafkaSession.Milliseconds())
		properties["replica.lag.time.max.ms"] = fmt.Sprint(minikafkaLag.Milliseconds())
	}
	return properties
}

// minikafkaTarget is minikafka in this process: a controller and three brokers, which notice a crash at once.
func minikafkaTarget() Target {
	return Target{
		Name:     "minikafka",
		File:     "minikafka.json",
		Software: "minikafka",
		Timing: Timing{
			Session: minikafkaSession, Lag: minikafkaLag, CrashSeen: true,
			Patience: 10 * time.Second, Poll: 2 * time.Millisecond,
		},
		Verbs:       []Verb{Kill, Stop, Start, Pause, Resume, Isolate, CutController, HoldReplication, Rejoin, FailDisk, MendDisk},
		Configs:     true,
		Controllers: true,
		Forwards:    true,
		Fresh:       true,
		Start:       startMinikafka,
	}
}

func startMinikafka(_ context.Context, cfg Config) (Cluster, error) {
	opts := []minikafka.Option{minikafka.BrokerIDs(1, 2, 3), minikafka.Racks("r1", "r2", "r3")}
	for name, value := range minikafkaProperties(cfg) {
		opts = append(opts, minikafka.Config(name, value))
	}
	if cfg.Defaults {
		opts = append(opts, minikafka.Timing(minikafka.KafkaTimings))
	}
	if cfg.WithoutELR {
		opts = append(opts, minikafka.Feature("eligible.leader.replicas.version", 0))
	}
	c, err := minikafka.New(opts...)
	if err != nil {
		return nil, err
	}
	return inProcess{c}, nil
}

type inProcess struct{ *minikafka.Cluster }

func (c inProcess) Addrs() map[int32]string {
	addrs := map[int32]string{}
	for _, b := range c.Brokers() {
		addrs[b.ID()] = b.Addr()
	}
	return addrs
}

// firstController keeps the ids of controllers apart from those of brokers.
const firstController = 100

func (c inProcess) Controllers() []int32 {
	var ids []int32
	for _, controller := range c.Cluster.Controllers() {
		ids = append(ids, firstController+controller.ID())
	}
	return ids
}

func (c inProcess) Do(verb Verb, node int32) error {
	return c.Try(func(cl *minikafka.Cluster) {
		if node >= firstController {
			doController(cl.Controllers()[node-firstController], verb)
			return
		}
		doBroker(cl, cl.Broker(node), verb)
	})
}

func doController(controller *minikafka.Controller, verb Verb) {
	switch verb {
	case Kill:
		controller.Crash()
	case Stop:
		controller.Shutdown()
	case Start:
		controller.Restart()
	case Pause:
		controller.Pause()
	case Resume:
		controller.Resume()
	default:
		panic(ErrVerb)
	}
}

func doBroker(c *minikafka.Cluster, b *minikafka.Broker, verb Verb) {
	switch verb {
	case Kill:
		b.Crash()
	case Stop:
		b.Shutdown()
	case Start:
		b.Restart()
	case Pause:
		b.Pause()
	case Resume:
		b.Resume()
	case FailDisk:
		b.Disk(minikafka.Disk{FailWrite: 1})
	case MendDisk:
		b.Disk(minikafka.Disk{})
	default:
		doLinks(c, b, verb)
	}
}

func doLinks(c *minikafka.Cluster, b *minikafka.Broker, verb Verb) {
	switch verb {
	case Isolate:
		c.Isolate(b)
	case CutController:
		for _, controller := range c.Controllers() {
			c.Cut(b, controller)
			c.Cut(controller, b)
		}
	case HoldReplication:
		for _, other := range c.Brokers() {
			if other.ID() != b.ID() {
				c.Cut(b, other)
			}
		}
	case Rejoin:
		c.Heal()
	default:
		panic(ErrVerb)
	}
}
