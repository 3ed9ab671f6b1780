// Package coordinator runs the state that brokers keep in the partitions of an
// internal topic, such as __consumer_offsets (Kafka's CoordinatorRuntime).
//
// A [Runtime] has a [Shard] for each partition that its broker leads. A shard is
// plain state: operations on it return records, which are applied to it at once,
// appended to the partition, and answered when they are committed, which is when
// the high watermark has passed them. What is not committed can be taken back, for
// the state lives in a timeline.
//
// Each shard has one goroutine, which loads the partition's log, runs operations
// one at a time, and waits for nothing else meanwhile: neither for its own appends
// nor for replication.
package coordinator
