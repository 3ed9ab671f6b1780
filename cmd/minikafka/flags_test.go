package main

import (
	"strings"
	"testing"

	"github.com/minikafka/minikafka"
)

func applied(opt minikafka.Option) minikafka.Options {
	var o minikafka.Options
	opt(&o)
	return o
}

func TestParseTopic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]minikafka.TopicSpec{
		"orders:6":   {Name: "orders", Partitions: 6},
		"orders:6:2": {Name: "orders", Partitions: 6, ReplicationFactor: 2},
	} {
		opt, err := parseTopic(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := applied(opt).Topics[0]
		if got.Name != want.Name || got.Partitions != want.Partitions || got.ReplicationFactor != want.ReplicationFactor {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{"", "orders", ":3", "orders:", "orders:0", "orders:-1", "orders:x", "orders:1:0", "orders:1:x", "orders:1:1:1"} {
		if _, err := parseTopic(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want an error that names it", text, err)
		}
	}
}

func TestParseSet(t *testing.T) {
	t.Parallel()
	parsed := func(text string) minikafka.Options {
		t.Helper()
		opt, err := parseSet(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return applied(opt)
	}
	if got := parsed("a.b=c=d:e").Configs["a.b"]; got != "c=d:e" {
		t.Errorf("for all: %q", got)
	}
	if got := parsed("0:a=1").BrokerConfigs[0]["a"]; got != "1" {
		t.Errorf("for broker 0: %q", got)
	}
	if got := parsed("controller:a=1").ControllerConfigs["a"]; got != "1" {
		t.Errorf("for the controllers: %q", got)
	}
	if got, ok := parsed("a=").Configs["a"]; !ok || got != "" {
		t.Errorf("an empty value: %q, %v", got, ok)
	}
	for _, text := range []string{"", "a", "=1", "1:=1", "x:a=1", "-1:a=1", "controllers:a=1", ":a=1"} {
		if _, err := parseSet(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestParseFeature(t *testing.T) {
	t.Parallel()
	opt, err := parseFeature("group.version=1")
	if err != nil || applied(opt).Features["group.version"] != 1 {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{"", "group.version", "group.version=", "=1", "group.version=x", "group.version=70000"} {
		if _, err := parseFeature(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestParsePartition(t *testing.T) {
	t.Parallel()
	if topic, p, err := parsePartition("my.topic/12"); err != nil || topic != "my.topic" || p != 12 {
		t.Errorf("got %s/%d, %v", topic, p, err)
	}
	for _, text := range []string{"", "orders", "orders/", "/1", "orders/-1", "orders/x", "orders/99999999999"} {
		if _, _, err := parsePartition(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestServeFlags(t *testing.T) {
	t.Parallel()
	f := serveFlags{
		brokers: 3, listen: "127.0.0.1:0", controllers: 3, timings: "kafka", dataDir: "d",
		brokerIDs: []int32{4, 5}, racks: []string{"a", "b"}, advertise: []string{"h:1", "h:2"},
		topics: []string{"t:1"}, set: []string{"a=b"}, features: []string{"group.version=0"},
	}
	opts, err := f.options()
	if err != nil {
		t.Fatal(err)
	}
	var o minikafka.Options
	for _, opt := range opts {
		opt(&o)
	}
	if len(o.BrokerIDs) != 2 || o.Brokers != 0 || o.Controllers != 3 || o.DataDir != "d" || o.Listen[0] != "127.0.0.1:0" ||
		len(o.Racks) != 2 || len(o.Advertise) != 2 || len(o.Topics) != 1 || o.Configs["a"] != "b" ||
		!o.Timings.WaitForOldSession || len(o.Features) != 1 {
		t.Errorf("got %+v", o)
	}
	f.timings = "slow"
	if _, err := f.options(); err == nil {
		t.Error("--timings slow was taken")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"orders:6:2", "2:a=b", "controller:a=b", "x=1", "orders/3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if opt, err := parseTopic(text); err == nil && applied(opt).Topics[0].Partitions < 1 {
			t.Errorf("parseTopic(%q) gives a topic without partitions", text)
		}
		if opt, err := parseSet(text); err == nil {
			o := applied(opt)
			if len(o.Configs)+len(o.BrokerConfigs)+len(o.ControllerConfigs) != 1 {
				t.Errorf("parseSet(%q) sets nothing, or more than one thing", text)
			}
		}
		_, _ = parseFeature(text)
		if topic, p, err := parsePartition(text); err == nil && (topic == "" || p < 0) {
			t.Errorf("parsePartition(%q) = %q, %d", text, topic, p)
		}
	})
}
