package clients_test

import (
	"strings"
	"testing"

	"github.com/minikafka/minikafka"
)

// admin has a client's administrator do what each line asks for, one after the other. The answers are compared as text that
// every client's program can make: what it was told, or Kafka's error code.
func admin(t *testing.T, client client) {
	t.Parallel()
	c := cluster(t)
	c.Produce(topic, 0, minikafka.Values(strings.Split(strings.Repeat("x", 20), "")...)...)
	p := client.start(t, "admin", c.Bootstrap())
	for _, step := range []struct{ ask, expected string }{
		{"cluster", c.ID() + " 0,1,2"},
		{"topics", "orders"},
		{"create made 2 3 retention.ms=60000 min.insync.replicas=2", "ok"},
		{"create made 2 3", "error 36"},                   // TOPIC_ALREADY_EXISTS
		{"create more 2 4", "error 38"},                   // INVALID_REPLICATION_FACTOR
		{"create more 0 3", "error 37"},                   // INVALID_PARTITIONS
		{"create more 2 3 retention.ms=soon", "error 40"}, // INVALID_CONFIG
		{"create mo/re 2 3", "error 17"},                  // INVALID_TOPIC_EXCEPTION
		{"topics", "made,orders"},
		{"topic made", "0:3/3 1:3/3"},
		{"config topic made retention.ms", "60000 DYNAMIC_TOPIC_CONFIG"},
		{"config topic made cleanup.policy", "delete DEFAULT_CONFIG"},
		{"config broker 1 node.id", "1 STATIC_BROKER_CONFIG"},
		{"config topic none retention.ms", "error 3"}, // UNKNOWN_TOPIC_OR_PARTITION
		{"alter made retention.ms=70000", "ok"},
		{"config topic made retention.ms", "70000 DYNAMIC_TOPIC_CONFIG"},
		{"config topic made min.insync.replicas", "2 DYNAMIC_TOPIC_CONFIG"},
		{"alter made retention.ms=soon", "error 40"},
		{"partitions made 4", "ok"},
		{"partitions made 3", "error 37"},
		{"topic made", "0:3/3 1:3/3 2:3/3 3:3/3"},
		{"offsets orders", "0 20"},
		{"trim orders 5", "5"},
		{"trim orders 21", "error 1"}, // OFFSET_OUT_OF_RANGE
		{"offsets orders", "5 20"},
		{"delete made", "ok"},
		{"delete made", "error 3"},
		{"topics", "orders"},
	} {
		p.write(step.ask)
		var got struct{ Result string }
		if !p.next("the answer to "+step.ask, &got) {
			t.Fatalf("the program ended at %q", step.ask)
		}
		if got.Result != step.expected {
			t.Errorf("%s: %s, expected %s", step.ask, got.Result, step.expected)
		}
	}
	p.finish()
}
