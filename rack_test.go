package minikafka_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// TestConsumersReadInTheirRack: with a selector of replicas a consumer reads from the
// replica in its rack while that is in sync, and from the leader otherwise (KIP-392).
func TestConsumersReadInTheirRack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Racks("a", "b", "c"), minikafka.Topic("orders", 1),
			minikafka.Config("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
			minikafka.Network(minikafka.PipeNetwork()))
		near := c.Broker((c.Leader("orders", 0).ID() + 1) % 3)
		racks := []string{"a", "b", "c"}
		fromNear := c.Fault(minikafka.Fault{APIs: []string{"Fetch"}, Brokers: []int32{near.ID()}, ClientID: "near", Effect: minikafka.Observe, Count: minikafka.Always})
		consumer := client(t, c, kgo.ClientID("near"), kgo.ConsumeTopics("orders"), kgo.Rack(racks[near.ID()]),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecheckPreferredReplicaInterval(10*time.Second))
		producer := client(t, c, kgo.DefaultProduceTopic("orders"))
		read := func(value string) {
			t.Helper()
			if err := producer.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			for {
				fs := consumer.PollFetches(t.Context())
				if err := fs.Err(); err != nil {
					t.Fatal(err)
				}
				if fs.NumRecords() > 0 {
					if got := string(fs.Records()[0].Value); got != value {
						t.Fatalf("read %q, want %q", got, value)
					}
					return
				}
			}
		}
		read("first")
		read("second")
		if fromNear.Hits() == 0 {
			t.Error("nothing was read from the replica in the consumer's rack")
		}
		near.Crash()
		read("without it")
		near.Restart()
		c.WaitHealthy()
		before := fromNear.Hits()
		<-time.After(10 * time.Second) // Then the client asks the leader again.
		read("with it again")
		read("from there")
		if fromNear.Hits() == before {
			t.Error("the replica in the consumer's rack was not read from any more")
		}
	})
}
