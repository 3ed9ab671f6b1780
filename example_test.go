package minikafka_test

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// A program, or a TestMain, that belongs to no single test.
func ExampleNew() {
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Topic("orders", 1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	c.Produce("orders", 0, minikafka.Values("first", "second")...)
	c.Leader("orders", 0).Crash()
	c.WaitLeader("orders", 0)
	for _, r := range c.Records("orders", 0) {
		fmt.Printf("%d %s\n", r.Offset, r.Value)
	}
	// Output:
	// 0 first
	// 1 second
}

// What a group has committed survives its coordinator.
func ExampleCluster_Coordinator() {
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Topic("orders", 1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	c.Produce("orders", 0, minikafka.Values("first", "second")...)
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	ctx := context.Background()
	reader.PollRecords(ctx, 2)
	if err := reader.CommitUncommittedOffsets(ctx); err != nil {
		fmt.Println(err)
	}
	c.Coordinator("readers").Crash()
	c.Wait("the offset on another coordinator", func() bool { return c.Group("readers").Offset("orders", 0) == 2 })
	fmt.Println(c.Group("readers").State)
	// Output: Stable
}
