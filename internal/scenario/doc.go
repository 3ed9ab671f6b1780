// Package scenario holds what can happen to a Kafka cluster and the programs
// that use it, as a table: a leader that crashes with records nobody copied, a
// follower that falls behind, the last replica in sync that is gone. Each is
// told once, and run through every client library that can take part: the
// tests of this package run franz-go, those of the module integration others.
//
// Only tests import this package.
package scenario
