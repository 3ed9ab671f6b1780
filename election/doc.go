// Package election is the cluster's controller: which brokers are alive, who
// leads each partition, which replicas are in sync, which topics and configs
// there are. Controllers are a group of hashicorp/raft with ordinary majority
// elections; its state machine is the cluster metadata, and every rule is
// evaluated when a command is applied.
//
// It knows nothing of record batches and of Kafka requests. Brokers reach it
// through a [Client] over the fabric, and get the metadata as immutable images.
package election
