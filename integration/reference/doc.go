// Package reference runs a real Apache Kafka on loopback: a controller quorum and some brokers, each a JVM of its own, that
// can be killed, stopped, paused and started again. It is what minikafka is compared with.
//
// It needs Java 17 or later and, the first time, Maven, which fetches the pinned release into a cache folder. A test asks for
// both with [Require]: on a machine without them it is skipped, with CI=true in the environment it fails.
//
// A process started here ends with the test that started it, however that ends.
package reference
