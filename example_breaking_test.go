package minikafka_test

import (
	"fmt"
	"time"

	"github.com/minikafka/minikafka"
)

// threeBrokers is the cluster of the examples. Followers may lag for longer than by
// default: on a busy machine they do, and leave the ISR.
func threeBrokers() *minikafka.Cluster {
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Config("replica.lag.time.max.ms", "2000"), quiet())
	if err != nil {
		panic(err)
	}
	return c
}

// What was acknowledged with acks=all survives its leader.
func ExampleBroker_Crash() {
	c := threeBrokers()
	defer c.Close()

	c.Produce("orders", 0, minikafka.Values("paid")...)
	old := c.Leader("orders", 0)
	old.Crash()
	c.WaitLeader("orders", 0) // another broker
	fmt.Println(len(c.Records("orders", 0)), old.State())

	// Output: 1 crashed
}

// A power cut takes what was not synced: here all of it, but others have it.
func ExampleBroker_PowerOff() {
	c := threeBrokers()
	defer c.Close()

	c.Produce("orders", 0, minikafka.Values("paid")...)
	b := c.Leader("orders", 0)
	b.PowerOff()
	b.Restart() // with an empty log
	c.WaitISR("orders", 0)
	fmt.Println(len(b.Records("orders", 0)))

	// Output: 1
}

// Leaderships move before a broker ends in order, so nobody waits.
func ExampleBroker_Shutdown() {
	c := threeBrokers()
	defer c.Close()

	old := c.Leader("orders", 0)
	old.Shutdown()
	fmt.Println(c.Leader("orders", 0) != old)
	old.Restart()
	c.WaitISR("orders", 0)

	// Output: true
}

// A long garbage collection: the leader is deposed, and does not know it yet.
func ExampleBroker_Pause() {
	c := threeBrokers()
	defer c.Close()

	old := c.Leader("orders", 0)
	old.Pause()
	fmt.Println(c.WaitLeader("orders", 0) != old) // when its session has ended
	old.Resume()
	c.WaitISR("orders", 0) // it has found out, and follows

	// Output: true
}

// A broker whose disk is full halts.
func ExampleBroker_Disk() {
	c := threeBrokers()
	defer c.Close()

	b := c.Leader("orders", 0)
	b.Disk(minikafka.Disk{FullAfter: 1000})
	_, err := b.Produce("orders", 0, minikafka.Values(string(make([]byte, 2000)))...)
	c.Wait("the broker to halt", func() bool { return b.State() == minikafka.Halted })
	fmt.Println(err != nil, c.WaitLeader("orders", 0) != b)

	// Output: true true
}

// Clients lose their connections, and nothing else.
func ExampleBroker_CloseClientConnections() {
	c := threeBrokers()
	defer c.Close()

	b := c.Broker(1)
	b.CloseClientConnections() // they can connect again at once
	fmt.Println(b.State())

	// Output: running
}

// A leader on the wrong side of a split goes on with acks=1, and loses that.
func ExampleCluster_Split() {
	c := threeBrokers()
	defer c.Close()

	old := c.Leader("orders", 0)
	c.Split(minikafka.Group(old), minikafka.Group(c.Controller(), c.Broker((old.ID()+1)%3), c.Broker((old.ID()+2)%3)))
	_, err := old.Produce("orders", 0, minikafka.Values("lost")...)
	c.Wait("another leader", func() bool { return c.WaitLeader("orders", 0) != old })
	c.Heal()
	c.WaitISR("orders", 0)
	fmt.Println(err, len(c.Records("orders", 0)))

	// Output: <nil> 0
}

// An isolated broker is fenced by the controller, though clients reach it.
func ExampleCluster_Isolate() {
	c := threeBrokers()
	defer c.Close()

	b := c.Broker(1)
	c.Isolate(b)
	c.Wait("the broker to be fenced", func() bool { return c.Status().Brokers[1].Fenced })
	c.Heal()
	c.WaitHealthy()
	fmt.Println(c.Status().Brokers[1].Fenced)

	// Output: false
}

// A leader that does not hear a follower's answers goes on without it.
func ExampleCluster_Cut() {
	c := threeBrokers()
	defer c.Close()

	leader := c.Leader("orders", 0)
	c.Cut(c.Broker((leader.ID()+1)%3), leader)
	c.Produce("orders", 0, minikafka.Values("a", "b")...) // once the follower has left the ISR
	fmt.Println(len(c.PartitionState("orders", 0).ISR))

	// Output: 2
}

// The way to a follower is part of the latency of acks=all.
func ExampleCluster_Delay() {
	c := threeBrokers()
	defer c.Close()

	leader := c.Leader("orders", 0)
	c.Delay(leader, c.Broker((leader.ID()+1)%3), 50*time.Millisecond, 0)
	begin := time.Now()
	c.Produce("orders", 0, minikafka.Values("late")...)
	fmt.Println(time.Since(begin) >= 50*time.Millisecond)

	// Output: true
}

// Packets that are lost are sent again: a lossy network is slow.
func ExampleCluster_Lose() {
	c := threeBrokers()
	defer c.Close()

	leader := c.Leader("orders", 0)
	c.Lose(leader, c.Broker((leader.ID()+1)%3), 0.1)
	c.Produce("orders", 0, minikafka.Values("late, perhaps")...)
	fmt.Println(len(c.Records("orders", 0)), c.Status().Slow[0].Loss)

	// Output: 1 0.1
}

// A record that only the leader has is lost with it, though it was acknowledged.
func ExampleCluster_HoldReplication() {
	c := threeBrokers()
	defer c.Close()

	release := c.HoldReplication("orders", 0)
	leader := c.Leader("orders", 0)
	_, err := leader.Produce("orders", 0, minikafka.Values("lost")...) // acks=1
	leader.Crash()
	release()
	fmt.Println(err, len(c.Records("orders", 0)))

	// Output: <nil> 0
}

// A preferred leader gets its role back.
func ExampleCluster_Elect() {
	c := threeBrokers()
	defer c.Close()

	preferred := c.Leader("orders", 0)
	preferred.Shutdown()
	preferred.Restart()
	c.WaitISR("orders", 0)
	fmt.Println(c.Elect("orders", 0, false) == preferred)

	// Output: true
}

// Without a controller brokers go on, but nobody new is elected.
func ExampleController_Crash() {
	c := threeBrokers()
	defer c.Close()

	c.Controller().Crash()
	c.Produce("orders", 0, minikafka.Values("goes on")...)
	c.Controllers()[0].Restart()
	c.WaitHealthy()
	fmt.Println(len(c.Records("orders", 0)))

	// Output: 1
}

// Everything at random: the schedule follows from the seed.
func ExampleCluster_Chaos() {
	c := threeBrokers()
	defer c.Close()

	run := c.Chaos(7, minikafka.ChaosOptions{For: 300 * time.Millisecond, Kinds: []minikafka.Mishap{minikafka.MishapCrash}})
	c.Produce("orders", 0, minikafka.Values("through it all")...)
	run.Wait() // all is mended
	fmt.Println(len(run.Steps()) > 0, len(c.Records("orders", 0)))

	// Output: true 1
}
