package minikafka_test

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// example starts a cluster and a producer of the topic orders, not idempotent.
func example(opts ...kgo.Opt) (*minikafka.Cluster, *kgo.Client, func()) {
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Topic("orders", 1))
	if err != nil {
		panic(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic("orders"),
		kgo.DisableIdempotentWrite(), kgo.MetadataMinAge(10*time.Millisecond))...)
	if err != nil {
		panic(err)
	}
	return c, cl, func() {
		cl.Close()
		_ = c.Close()
	}
}

// An error in place of the work: the client sees it, and nothing is stored.
func ExampleCluster_Fault() {
	c, producer, end := example(kgo.RecordRetries(0))
	defer end()

	c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Topic: "orders", Error: "NOT_ENOUGH_REPLICAS"})
	err := producer.ProduceSync(context.Background(), kgo.StringRecord("first")).FirstErr()
	fmt.Println(err)
	fmt.Println(len(c.Records("orders", 0)), "records")
	// Output:
	// NOT_ENOUGH_REPLICAS: Messages are rejected since there are fewer in-sync replicas than required.
	// 0 records
}

// An error although the work was done: a client that sends again has its record
// twice, unless it is idempotent.
func ExampleCluster_Fault_afterWork() {
	c, producer, end := example()
	defer end()

	c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Error: "REQUEST_TIMED_OUT", Effect: minikafka.ErrorAfterWork})
	err := producer.ProduceSync(context.Background(), kgo.StringRecord("first")).FirstErr()
	fmt.Println(err, len(c.Records("orders", 0)), "records")
	// Output: <nil> 2 records
}

// An answer that gets lost when the work was done; so may requests
// (CloseBeforeWork), and parts of answers (CutAnswer).
func ExampleCluster_Fault_lostAnswer() {
	c, producer, end := example()
	defer end()

	c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Effect: minikafka.LoseAnswer})
	err := producer.ProduceSync(context.Background(), kgo.StringRecord("first")).FirstErr()
	fmt.Println(err, len(c.Records("orders", 0)), "records")
	// Output: <nil> 2 records
}

// A request that is stuck in the broker until the test lets it go.
func ExampleCluster_Fault_delay() {
	c, producer, end := example()
	defer end()

	h := c.Fault(minikafka.Fault{APIs: []string{"Produce"}, DelayRequest: minikafka.UntilRemoved})
	producer.Produce(context.Background(), kgo.StringRecord("stuck"), nil)
	h.Wait(1)
	c.Produce("orders", 0, minikafka.Values("overtakes")...)
	h.Remove()
	_ = producer.Flush(context.Background())
	for _, r := range c.Records("orders", 0) {
		fmt.Printf("%s\n", r.Value)
	}
	// Output:
	// overtakes
	// stuck
}

// A tenth of all requests, drawn from a seed, and counted.
func ExampleFaultHandle() {
	c, producer, end := example()
	defer end()

	h := c.Fault(minikafka.Fault{
		APIs: []string{"Produce"}, Error: "NOT_LEADER_OR_FOLLOWER", Count: minikafka.Always, Probability: 0.1, Seed: 7,
	})
	for range 50 {
		_ = producer.ProduceSync(context.Background(), kgo.StringRecord("v"))
	}
	h.Remove()
	fmt.Println(len(c.Records("orders", 0)), "records,", h.Hits() > 0)
	// Output: 50 records, true
}

// A function in the broker's place, or around its work.
func ExampleFault_handle() {
	c, producer, end := example()
	defer end()

	c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Handle: func(r *minikafka.FaultedRequest) (kmsg.Response, error) {
		resp, err := r.Work()
		if p, ok := resp.(*kmsg.ProduceResponse); ok {
			p.Topics[0].Partitions[0].BaseOffset = 42
		}
		return resp, err
	}})
	r, err := producer.ProduceSync(context.Background(), kgo.StringRecord("first")).First()
	fmt.Println(r.Offset, err)
	// Output: 42 <nil>
}
