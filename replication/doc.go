// Package replication makes replicas of partition logs agree. Each replica is
// a member of a hashicorp/raft group whose only voter is the leader that the
// controller has appointed; raft's AppendEntries copies the log and settles
// conflicts, while who is in sync, what is committed and who may lead are
// Kafka's rules, not raft's.
//
// It knows nothing of Kafka requests, and does not decide who leads: that comes
// in as an [Assignment].
package replication
