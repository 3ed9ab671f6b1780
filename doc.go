// Package minikafka runs a small Apache Kafka inside a Go test: several brokers
// in one process, which speak Kafka's protocol, replicate their partitions to
// each other, and can be crashed, cut off from each other and started again.
//
//	func TestOrders(t *testing.T) {
//		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 6))
//		// point a client at c.Addrs(), then:
//		c.Leader("orders", 0).Crash()
//		c.WaitLeader("orders", 0)
//	}
//
// acks, min.insync.replicas, the in-sync replicas, the high watermark, leader
// epochs, clean and unclean election mean what they mean on a newly formatted
// Apache Kafka 4.4.0 cluster, so a program that can lose records on Kafka can
// lose them here too.
//
// # Failures
//
// A cluster made by [Start] belongs to a test: a method that cannot do what it
// was asked to fails that test, so none returns an error. [Cluster.For] gives
// the same cluster to a subtest. A cluster made by [New] belongs to no test,
// and panics instead; [Cluster.Try] turns that into an error.
//
// # Time
//
// Timers are fast by default (see [FastTimings]); [Timing] with [KafkaTimings]
// sets all of them to Kafka's own. Nothing polls, and with [PipeNetwork] a
// cluster runs inside a testing/synctest bubble, where hours take moments.
//
// # Caveats
//
// A broker's file does not shrink when records are deleted from it.
package minikafka
