package minikafka

import (
	"log/slog"
	"maps"
	"time"

	"github.com/minikafka/minikafka/server"
)

// Options are what the options of [Start] and [New] set. A test uses the
// functions; the type is there for programs that build on this package.
type Options struct {
	// Brokers is the number of brokers; with BrokerIDs it may be 0.
	Brokers int
	// BrokerIDs are the brokers' ids, by default 0, 1, 2 and so on.
	BrokerIDs []int32
	// Racks are the brokers' racks in the order of their ids; none by default.
	Racks []string
	// Controllers is the number of controllers; 1 by default.
	Controllers int
	// Topics are created before the cluster is ready.
	Topics []TopicSpec
	// Listen holds one host:port for all brokers, each listening on the port
	// after that of the one before (0: all on free ones), or one for each.
	Listen []string
	// Advertise holds what clients are told, one host:port for each broker; by
	// default where it listens.
	Advertise []string
	// DataDir keeps the nodes' files; "" means in memory, on Linux, and elsewhere
	// in a temporary directory, which is removed when the cluster is closed.
	DataDir string
	// Configs are static configs of all nodes by Kafka's names, BrokerConfigs
	// those of one broker, ControllerConfigs those of the controllers alone.
	Configs           map[string]string
	BrokerConfigs     map[int32]map[string]string
	ControllerConfigs map[string]string
	// Features are feature levels that differ from Apache Kafka 4.4.0's.
	Features map[string]int16
	// Timings are all timers.
	Timings Timings
	// WaitTimeout comes before Timings.Wait when it is not 0.
	WaitTimeout time.Duration
	// Network is how brokers listen and clients reach them; nil means TCP.
	Network server.Network
	// Seed decides what links draw at random.
	Seed uint64
	// Logger gets what the nodes log. By default that is the test's log, or
	// nothing when there is no test, from LogLevel on.
	Logger   *slog.Logger
	LogLevel slog.Level
}

// Option sets something of a cluster; a nil one sets nothing.
type Option func(*Options)

// options are the defaults with opts applied.
func options(opts []Option) Options {
	o := Options{Brokers: 1, Controllers: 1, Timings: FastTimings(), LogLevel: slog.LevelError}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// Brokers sets the number of brokers; 1 by default. Their ids are 0, 1, 2 and so on.
func Brokers(n int) Option { return func(o *Options) { o.Brokers = n } }

// BrokerIDs sets the brokers' ids, and with them their number.
func BrokerIDs(ids ...int32) Option { return func(o *Options) { o.BrokerIDs = ids } }

// Racks sets the brokers' racks (broker.rack), in the order of their ids.
func Racks(racks ...string) Option { return func(o *Options) { o.Racks = racks } }

// Controllers sets the number of controllers; 1 by default. Their ids are 0, 1,
// 2 and so on, apart from the brokers' ids.
func Controllers(n int) Option { return func(o *Options) { o.Controllers = n } }

// Topic has a topic created before the cluster is ready, unless it is in the
// data directory already. It has a replica on each broker, up to three, unless
// [ReplicationFactor] or [Replicas] says otherwise.
func Topic(name string, partitions int, opts ...TopicOption) Option {
	return func(o *Options) { o.Topics = append(o.Topics, topicSpec(name, partitions, opts)) }
}

// Listen sets where brokers listen: one host:port, from which the brokers take
// ports upwards (or free ones, when the port is 0), or one for each broker. The
// default is 127.0.0.1:0.
func Listen(addresses ...string) Option { return func(o *Options) { o.Listen = addresses } }

// Advertise sets what clients are told, one host:port for each broker.
func Advertise(addresses ...string) Option { return func(o *Options) { o.Advertise = addresses } }

// DataDir keeps the nodes' files in a directory, and a later cluster over the same
// directory has its topics and records. Without it the files go with the cluster:
// on Linux they are in memory, all that is produced times the replication factor,
// elsewhere in a temporary directory. A test of more than fits memory gives a
// directory of its own, t.TempDir().
func DataDir(dir string) Option { return func(o *Options) { o.DataDir = dir } }

// Config sets a static config of all brokers and controllers by Kafka's name,
// as server.properties does.
func Config(name, value string) Option {
	return func(o *Options) { set(&o.Configs, name, value) }
}

// BrokerConfig sets a static config of one broker; it comes before [Config].
func BrokerConfig(id int32, name, value string) Option {
	return func(o *Options) {
		if o.BrokerConfigs == nil {
			o.BrokerConfigs = map[int32]map[string]string{}
		}
		configs := o.BrokerConfigs[id]
		set(&configs, name, value)
		o.BrokerConfigs[id] = configs
	}
}

// ControllerConfig sets a static config of the controllers; it comes before
// [Config].
func ControllerConfig(name, value string) Option {
	return func(o *Options) { set(&o.ControllerConfigs, name, value) }
}

// Feature sets a feature's finalized level, such as
// eligible.leader.replicas.version, on a cluster that is new.
func Feature(name string, level int16) Option {
	return func(o *Options) {
		if o.Features == nil {
			o.Features = map[string]int16{}
		}
		o.Features[name] = level
	}
}

// Timing sets all timers: [FastTimings], which is the default, [KafkaTimings],
// or a function that changes what one of them returns; nil leaves them as they are.
func Timing(timings func() Timings) Option {
	if timings == nil {
		return nil
	}
	return func(o *Options) { o.Timings = timings() }
}

// WaitTimeout sets how long methods wait for what they promise before they
// fail, instead of [Timings].Wait.
func WaitTimeout(d time.Duration) Option { return func(o *Options) { o.WaitTimeout = d } }

// Network sets how brokers listen and clients reach them; see [PipeNetwork].
func Network(n server.Network) Option { return func(o *Options) { o.Network = n } }

// Seed decides what is left to chance where a verb does not say it: which
// messages a jittery link delays, and which a lossy one loses. The default is 0.
func Seed(seed uint64) Option { return func(o *Options) { o.Seed = seed } }

// Logger sets what the nodes log to; [LogLevel] does not count then.
func Logger(l *slog.Logger) Option { return func(o *Options) { o.Logger = l } }

// LogLevel sets from which level on nodes log to the test's log; by default
// slog.LevelError.
func LogLevel(level slog.Level) Option { return func(o *Options) { o.LogLevel = level } }

// TopicSpec is a topic to create.
type TopicSpec struct {
	Name       string
	Partitions int
	// ReplicationFactor 0 means a replica on each broker, up to three.
	ReplicationFactor int
	// Replicas holds the brokers of partitions, the preferred leader first; it
	// has all partitions or none.
	Replicas map[int32][]int32
	Configs  map[string]string
}

// TopicOption sets something of a topic; a nil one sets nothing.
type TopicOption func(*TopicSpec)

// ReplicationFactor sets the number of replicas.
func ReplicationFactor(n int) TopicOption { return func(t *TopicSpec) { t.ReplicationFactor = n } }

// Replicas places one partition's replicas, the preferred leader first. All
// partitions of the topic must be placed then.
func Replicas(partition int32, brokers ...int32) TopicOption {
	return func(t *TopicSpec) {
		if t.Replicas == nil {
			t.Replicas = map[int32][]int32{}
		}
		t.Replicas[partition] = brokers
	}
}

// TopicConfig sets a config of the topic by Kafka's name.
func TopicConfig(name, value string) TopicOption {
	return func(t *TopicSpec) { set(&t.Configs, name, value) }
}

func topicSpec(name string, partitions int, opts []TopicOption) TopicSpec {
	t := TopicSpec{Name: name, Partitions: partitions}
	for _, opt := range opts {
		if opt != nil {
			opt(&t)
		}
	}
	return t
}

func set(m *map[string]string, name, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[name] = value
}

func merged(layers ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, l := range layers {
		maps.Copy(out, l)
	}
	return out
}
