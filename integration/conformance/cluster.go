package conformance

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Verb is something that can be done to a node.
type Verb string

// The verbs. A node is a broker or a controller.
const (
	// Kill ends a node at once, as kill -9 does: memory is lost, what was written is kept.
	Kill Verb = "kill"
	// Stop ends a node in an orderly way, and returns when it has ended.
	Stop Verb = "stop"
	// Start starts a node that was killed or stopped, on its address and data. It returns at once.
	Start Verb = "start"
	// Pause freezes a node: its connections stay open, nothing is answered, no timer fires.
	Pause Verb = "pause"
	// Resume lets a paused node go on.
	Resume Verb = "resume"
	// Isolate cuts a node off from all other nodes, while clients still reach it.
	Isolate Verb = "isolate"
	// CutController cuts a broker off from the controllers, while other brokers and clients still reach it.
	CutController Verb = "cut off from the controllers"
	// HoldReplication keeps a broker from copying what other brokers lead, while its heartbeats go on.
	HoldReplication Verb = "hold the replication of"
	// Rejoin ends Isolate, CutController and HoldReplication.
	Rejoin Verb = "rejoin"
	// FailDisk breaks a broker's disk: the next append fails. The broker may end by it.
	FailDisk Verb = "fail the disk of"
	// MendDisk makes it a good one again; a broker that ended stays down until it is started.
	MendDisk Verb = "mend the disk of"
)

// ErrVerb says that a cluster cannot do what was asked.
var ErrVerb = errors.New("conformance: the target cannot do that to a node")

// Cluster is a running cluster under test.
type Cluster interface {
	// Addrs returns the address of each broker by its id, of dead ones too.
	Addrs() map[int32]string
	// Controllers returns the ids under which Do reaches the controllers; none when they are out of reach.
	Controllers() []int32
	// Do applies a verb to a node.
	Do(verb Verb, node int32) error
	// Close ends the cluster, or leaves it alone when it was not started here.
	Close() error
}

// Placer is a Cluster that does not place replicas as CreateTopics says, but can be told afterwards.
type Placer interface {
	// Place puts a partition's replicas on these brokers, the leader first.
	Place(topic string, partition int32, replicas []int32) error
}

// Config says which cluster a row needs.
type Config struct {
	// WithoutELR asks for eligible leader replicas (KIP-966) to be off.
	WithoutELR bool
	// Defaults asks for Apache Kafka's own defaults, timings included, without Properties.
	Defaults bool
}

// properties are what the cluster is started with.
func (c Config) properties() map[string]string {
	if c.Defaults {
		return nil
	}
	return Properties()
}

// Properties are the server properties that clusters are started with. They make background work of minutes happen
// in a second, and nothing else differ from the defaults.
func Properties() map[string]string {
	return map[string]string{
		"auto.leader.rebalance.enable":                                "false",
		"group.initial.rebalance.delay.ms":                            "0",
		"group.share.min.record.lock.duration.ms":                     "1000",
		"offsets.topic.num.partitions":                                "3",
		"producer.id.expiration.check.interval.ms":                    "1000",
		"share.coordinator.state.topic.num.partitions":                "3",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
		"transaction.state.log.num.partitions":                        "3",
		"unclean.leader.election.interval.ms":                         "1000",
	}
}

// Timing is what a row must know of a target's clocks.
type Timing struct {
	// Session is how long after its last heartbeat a silent broker is fenced.
	Session time.Duration
	// Lag is replica.lag.time.max.ms: how long a live follower may stay behind before it leaves the ISR.
	Lag time.Duration
	// CrashSeen says that a crash is noticed at once, without waiting for the session to end.
	CrashSeen bool
	// Patience is how long anything may take that is due at once. It is only used up by a row that fails.
	Patience time.Duration
	// Poll is how often a condition is looked at that a broker cannot be asked to wait for.
	Poll time.Duration
}

// Target is a kind of cluster that the rows can run against.
type Target struct {
	// Name is what -target calls it; File names its results in testdata, empty when none are kept.
	Name, File string
	// Software is the name and version that documents give it.
	Software string
	Timing   Timing
	Verbs    []Verb
	// Configs says that the cluster can be started as Config asks; otherwise rows that ask for anything are left out.
	Configs bool
	// Controllers says that the controllers are within reach of the verbs.
	Controllers bool
	// Forwards says that every broker takes requests that change the cluster, not the controller alone.
	Forwards bool
	// Found says that the cluster was running already, with properties of its own.
	Found bool
	// Fresh says that a cluster starts so fast that each situation gets one of its own.
	Fresh bool
	// Unable names situations that cannot be brought about though the verbs are there, and says why.
	Unable map[string]string
	// Differs names rows that are not run because they would end this process together with the target's, or because their
	// outcome is left to chance, and says what happens. They count as differences.
	Differs map[string]string
	// Start starts or finds a cluster of three brokers and returns when it is ready.
	Start func(ctx context.Context, cfg Config) (Cluster, error)
}

// Can says whether the target has all these verbs.
func (t Target) Can(verbs ...Verb) bool {
	for _, v := range verbs {
		if !slices.Contains(t.Verbs, v) {
			return false
		}
	}
	return true
}
