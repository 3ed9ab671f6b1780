// Package groups is the state of the groups of one partition of
// __consumer_offsets (Kafka's GroupCoordinatorShard, GroupMetadataManager and
// OffsetMetadataManager): who is a member, and which offsets are committed.
//
// A [Shard] is plain state. Its methods take a request and return the answer and
// the records that persist it; package coordinator calls them one at a time,
// stores the records, and says when they are committed. Nothing here knows
// connections, brokers or replicas.
//
// What is in the timeline can be read as of the last committed record, and is
// taken back when an append fails: which groups there are, and their offsets.
// Groups of the classic protocol are objects that change in place, as in Kafka:
// who is joining, and who waits, is not persisted, and starts anew with another
// coordinator.
package groups
