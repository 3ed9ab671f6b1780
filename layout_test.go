package minikafka

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func layoutOf(t *testing.T, opts ...Option) *layout {
	t.Helper()
	l, err := plan(options(opts))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPlanNodes(t *testing.T) {
	t.Parallel()
	l := layoutOf(t)
	if len(l.brokers) != 1 || l.brokers[0].id != 0 || len(l.controllers) != 1 {
		t.Errorf("by default there are brokers %+v and controllers %v; want broker 0 and one controller", l.brokers, l.controllers)
	}
	l = layoutOf(t, BrokerIDs(1, 5, 2), Racks("a", "b", "c"), Controllers(3))
	var ids []int32
	var racks []string
	for _, b := range l.brokers {
		ids, racks = append(ids, b.id), append(racks, b.rack)
	}
	if !slices.Equal(ids, []int32{1, 5, 2}) || !slices.Equal(racks, []string{"a", "b", "c"}) {
		t.Errorf("ids %v, racks %v", ids, racks)
	}
	if !slices.Equal(l.controllers, []int32{0, 1, 2}) {
		t.Errorf("controllers %v", l.controllers)
	}
}

func TestPlanAddresses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name              string
		opts              []Option
		listen, advertise []string
	}{
		{"default", nil, []string{"127.0.0.1:0", "127.0.0.1:0"}, []string{"", ""}},
		{"next ports follow", []Option{Listen("127.0.0.1:9092")}, []string{"127.0.0.1:9092", "127.0.0.1:9093"}, []string{"", ""}},
		{"one each", []Option{Listen("127.0.0.1:7000", "[::1]:7")}, []string{"127.0.0.1:7000", "[::1]:7"}, []string{"", ""}},
		{
			"clients cannot dial an unspecified address",
			[]Option{Listen("0.0.0.0:9092")},
			[]string{"0.0.0.0:9092", "0.0.0.0:9093"},
			[]string{"127.0.0.1:9092", "127.0.0.1:9093"},
		},
		{
			"advertised",
			[]Option{Listen(":0"), Advertise("a:1", "b:2")},
			[]string{":0", ":0"},
			[]string{"a:1", "b:2"},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := layoutOf(t, append([]Option{Brokers(2)}, tc.opts...)...)
			for i, b := range l.brokers {
				if b.listen != tc.listen[i] || b.advertise != tc.advertise[i] {
					t.Errorf("broker %d listens on %q and advertises %q; want %q and %q",
						b.id, b.listen, b.advertise, tc.listen[i], tc.advertise[i])
				}
			}
		})
	}
}

func TestPlanConfigsComeInOrder(t *testing.T) {
	t.Parallel()
	l := layoutOf(
		t, BrokerIDs(1, 2), Timing(KafkaTimings),
		Config("num.partitions", "3"), Config("min.insync.replicas", "2"), Config("broker.session.timeout.ms", "7000"),
		BrokerConfig(2, "num.partitions", "4"), BrokerConfig(2, "replica.lag.time.max.ms", "1234"),
		ControllerConfig("min.insync.replicas", "1"),
	)
	for i, want := range []string{"3", "4"} {
		if got := l.brokers[i].static["num.partitions"]; got != want {
			t.Errorf("num.partitions of broker %d = %s, want %s", l.brokers[i].id, got, want)
		}
	}
	if got := l.controllerStatic["min.insync.replicas"]; got != "1" {
		t.Errorf("min.insync.replicas of the controllers = %s, want 1", got)
	}
	if got := l.brokers[0].static["min.insync.replicas"]; got != "2" {
		t.Errorf("min.insync.replicas of the brokers = %s, want 2", got)
	}
	if got := l.controllerTiming.SessionTimeout; got != 7*time.Second {
		t.Errorf("session = %v, want the 7 s that Config set", got)
	}
	for i, want := range []time.Duration{30 * time.Second, 1234 * time.Millisecond} {
		if got := l.brokers[i].timing.Replication.LagTime; got != want {
			t.Errorf("lag of broker %d = %v, want %v", l.brokers[i].id, got, want)
		}
	}
}

func TestPlanTimings(t *testing.T) {
	t.Parallel()
	fast := layoutOf(t).brokers[0].timing.Election
	if !fast.FenceOnDisconnect || fast.WaitForOldSession || fast.SessionTimeout != time.Second || fast.LeaderImbalanceCheck != 0 {
		t.Errorf("by default: %+v", fast)
	}
	kafka := layoutOf(t, Timing(KafkaTimings)).brokers[0].timing.Election
	if kafka.FenceOnDisconnect || !kafka.WaitForOldSession || kafka.SessionTimeout != 9*time.Second ||
		kafka.LeaderImbalanceCheck != 300*time.Second || kafka.ForwardTimeout != time.Minute {
		t.Errorf("Kafka's: %+v", kafka)
	}
}

func TestPlanSizesInternalTopics(t *testing.T) {
	t.Parallel()
	const name = "offsets.topic.replication.factor"
	for n, want := range map[int]string{1: "1", 2: "2", 3: "", 4: ""} {
		if got := layoutOf(t, Brokers(n)).brokers[0].static[name]; got != want {
			t.Errorf("%s with %d brokers = %q, want %q", name, n, got, want)
		}
	}
	if got := layoutOf(t, Config(name, "3")).brokers[0].static[name]; got != "3" {
		t.Errorf("%s = %q, want the 3 that Config set", name, got)
	}
}

func TestPlanFeatures(t *testing.T) {
	t.Parallel()
	const elr = "eligible.leader.replicas.version"
	if got := layoutOf(t).features[elr]; got != 1 {
		t.Errorf("%s = %d by default, want 1", elr, got)
	}
	if got := layoutOf(t, Feature(elr, 0)).features[elr]; got != 0 {
		t.Errorf("%s = %d, want 0", elr, got)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string][]Option{
		"0 brokers":                          {Brokers(0)},
		"id -1":                              {BrokerIDs(-1)},
		"id 3 is there twice":                {BrokerIDs(3, 3)},
		"3 brokers, but 2 broker ids":        {Brokers(3), BrokerIDs(1, 2)},
		"1 racks for 2 brokers":              {Brokers(2), Racks("a")},
		"0 controllers":                      {Controllers(0)},
		`"9092" is not host:port`:            {Listen("9092")},
		`"a:http"`:                           {Listen("a:http")},
		`"a:65536"`:                          {Listen("a:65536")},
		`"a:65535": 2 brokers need`:          {Brokers(2), Listen("a:65535")},
		"2 addresses to listen on":           {Brokers(3), Listen("a:1", "a:2")},
		"1 advertised addresses":             {Brokers(3), Advertise("a:1")},
		`advertised address "a:0"`:           {Advertise("a:0")},
		"give the addresses to advertise":    {Listen(":0")},
		"decided by the option BrokerIDs":    {Config("node.id", "1")},
		`no broker config "min.insync"`:      {Config("min.insync", "1")},
		"min.insync.replicas":                {Config("min.insync.replicas", "many")},
		"config for broker 7":                {BrokerConfig(7, "min.insync.replicas", "1")},
		"broker.session.timeout.ms=0":        {ControllerConfig("broker.session.timeout.ms", "0")},
		`no feature "elr"`:                   {Feature("elr", 1)},
		"group.version=9: levels are 0 to 1": {Feature("group.version", 9)},
		"a topic without a name":             {Topic("", 1)},
		"topic t is there twice":             {Topic("t", 1), Topic("t", 2)},
		"topic t: 0 partitions":              {Topic("t", 0)},
		"topic t: -1 partitions":             {Topic("t", -1)},
		`address "" is not host:port`:        {Advertise("")},
		"topic t: 2 replicas on 1 brokers":   {Topic("t", 1, ReplicationFactor(2))},
		"topic t: -1 replicas on 1 brokers":  {Topic("t", 1, ReplicationFactor(-1))},
		"give one of them":                   {Topic("t", 1, ReplicationFactor(1), Replicas(0, 0))},
		"Replicas of 1 of 2 partitions":      {Topic("t", 2, Replicas(0, 0))},
		`address "a:1" is there twice`:       {Brokers(2), Advertise("a:1", "a:1")},
		"or log.cleanup.policy for all":      {Config("cleanup.policy", "compact")},
		"WaitTimeout of -1s":                 {WaitTimeout(-time.Second)},
		"WaitTimeout of 0s":                  {Timing(func() Timings { return Timings{} })},
		"RetryISR of 0s":                     {Timing(func() Timings { return Timings{Wait: 1, Forward: 1} })},
	}
	if many := math.MaxInt; many > math.MaxInt32 { // not on 32 bits
		cases[fmt.Sprintf("topic t: %d partitions", many)] = []Option{Topic("t", many)}
	}
	for _, want := range slices.Sorted(maps.Keys(cases)) {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, err := plan(options(cases[want]))
			if !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an ErrOption that says %q", err, want)
			}
		})
	}
}

func TestOptionsDefaults(t *testing.T) {
	t.Parallel()
	if o := options([]Option{nil, Timing(nil), Topic("t", 1, nil)}); o.Timings.Wait != FastTimings().Wait || len(o.Topics) != 1 {
		t.Errorf("with options that are nil: %+v", o)
	}
	if o := options(nil); o.LogLevel != slog.LevelError || o.Brokers != 1 || o.Controllers != 1 {
		t.Errorf("defaults: %+v", o)
	}
}
