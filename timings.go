package minikafka

import (
	"fmt"
	"strconv"
	"time"

	"github.com/minikafka/minikafka/server"
)

// Timings are the timers of a cluster. [FastTimings] and [KafkaTimings] give
// whole sets; to change one of them, change what they return:
//
//	minikafka.Timing(func() minikafka.Timings {
//		t := minikafka.FastTimings()
//		t.WaitForOldSession = true
//		return t
//	})
type Timings struct {
	// Configs are the timers that Kafka has a config for, by Kafka's names.
	// What [Config] sets comes before them.
	Configs map[string]string
	// FenceOnDisconnect has the controller fence a crashed broker at once, as
	// the broken connection tells; Kafka waits for the end of its session.
	FenceOnDisconnect bool
	// WaitForOldSession keeps a restarted broker out until the session of its
	// former life has ended, as Kafka does.
	WaitForOldSession bool
	// RetryISR is the time before a leader repeats a change of the ISR that did
	// not go through.
	RetryISR time.Duration
	// Forward is how long a broker looks for an active controller for a
	// client's request before it answers REQUEST_TIMED_OUT.
	Forward time.Duration
	// Wait is how long the methods of a Cluster wait for what they promise
	// before they fail; see [WaitTimeout].
	Wait time.Duration
}

// FastTimings let a crash be followed by a new leader within some 50 ms, and a
// silent broker be fenced after a second. Groups do not wait for more members, and
// members of the new protocol (KIP-848) and of share groups learn of a new assignment within 200 ms.
// They are the default.
func FastTimings() Timings {
	return Timings{
		Configs: map[string]string{
			"broker.session.timeout.ms":                                   "1000",
			"broker.heartbeat.interval.ms":                                "200",
			"controller.quorum.election.timeout.ms":                       "500",
			"replica.lag.time.max.ms":                                     "500",
			"replica.high.watermark.checkpoint.interval.ms":               "500",
			"unclean.leader.election.interval.ms":                         "200",
			"auto.leader.rebalance.enable":                                "false",
			"group.consumer.assignment.interval.ms":                       "0",
			"group.consumer.heartbeat.interval.ms":                        "200",
			"group.consumer.min.heartbeat.interval.ms":                    "200",
			"group.initial.rebalance.delay.ms":                            "0",
			"add.partitions.to.txn.retry.backoff.ms":                      "1",
			"group.share.assignment.interval.ms":                          "0",
			"group.share.heartbeat.interval.ms":                           "200",
			"group.share.min.heartbeat.interval.ms":                       "200",
			"transaction.abort.timed.out.transaction.cleanup.interval.ms": "100",
		},
		FenceOnDisconnect: true,
		RetryISR:          5 * time.Millisecond,
		Forward:           5 * time.Second,
		Wait:              30 * time.Second,
	}
}

// KafkaTimings are the defaults of Apache Kafka 4.4.0: a session of 9 s, which
// a crash has to wait for, 30 s of lag, and a restart that waits for the old
// session. In a testing/synctest bubble they cost nothing.
func KafkaTimings() Timings {
	return Timings{
		Configs:           map[string]string{},
		WaitForOldSession: true,
		RetryISR:          50 * time.Millisecond,
		Forward:           time.Minute,
		Wait:              3 * time.Minute,
	}
}

// timer is a timer that Kafka has a config for.
type timer struct {
	name  string
	unit  time.Duration
	kafka int64 // Kafka's default
	field func(*server.Timing) *time.Duration
}

func timers() []timer {
	ms := time.Millisecond
	return []timer{
		{"broker.session.timeout.ms", ms, 9000, func(t *server.Timing) *time.Duration { return &t.Election.SessionTimeout }},
		{"broker.heartbeat.interval.ms", ms, 2000, func(t *server.Timing) *time.Duration { return &t.Election.HeartbeatInterval }},
		{"controller.quorum.election.timeout.ms", ms, 1000, func(t *server.Timing) *time.Duration { return &t.Election.ElectionTimeout }},
		{"leader.imbalance.check.interval.seconds", time.Second, 300, func(t *server.Timing) *time.Duration { return &t.Election.LeaderImbalanceCheck }},
		{"unclean.leader.election.interval.ms", ms, 300_000, func(t *server.Timing) *time.Duration { return &t.Election.UncleanInterval }},
		{"replica.lag.time.max.ms", ms, 30_000, func(t *server.Timing) *time.Duration { return &t.Replication.LagTime }},
		{"replica.high.watermark.checkpoint.interval.ms", ms, 5000, func(t *server.Timing) *time.Duration { return &t.Replication.CheckpointInterval }},
	}
}

// timing reads a node's timers out of its static configs.
func (t Timings) timing(static map[string]string) (server.Timing, error) {
	var out server.Timing
	for _, timer := range timers() {
		n := timer.kafka
		if s, ok := static[timer.name]; ok {
			var err error
			if n, err = strconv.ParseInt(s, 10, 64); err != nil || n < 1 {
				return out, fmt.Errorf("%w: %s=%s: it takes a positive number", ErrOption, timer.name, s)
			}
		}
		*timer.field(&out) = time.Duration(n) * timer.unit
	}
	if static["auto.leader.rebalance.enable"] == "false" {
		out.Election.LeaderImbalanceCheck = 0
	}
	out.Election.FenceOnDisconnect = t.FenceOnDisconnect
	out.Election.WaitForOldSession = t.WaitForOldSession
	out.Election.ForwardTimeout = t.Forward
	out.Replication.RetryISR = t.RetryISR
	return out, nil
}
