// Package transactions keeps the state of transactional producers: which
// transaction each has open, which partitions are in it, and how it ends (Kafka's
// TransactionCoordinator, TransactionStateManager and TransactionMetadata).
//
// The state of a transactional id lives in one partition of __transaction_state,
// and so on the broker that leads it; see package coordinator. A [Shard] decides.
// What it decides counts once it is committed: only then the markers of a
// transaction are written to its partitions, by whoever [Config].Decided tells.
package transactions
