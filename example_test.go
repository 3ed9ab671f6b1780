package minikafka_test

import (
	"fmt"

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
