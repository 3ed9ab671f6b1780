package transactions

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/minikafka/minikafka/server/coordinator"
)

// Partition is a partition that takes part in a transaction.
type Partition struct {
	Topic     string
	Partition int32
}

// Transaction is what is known of one transactional id (TransactionMetadata). It
// is not changed once made: each step makes another.
type Transaction struct {
	ID         string
	ProducerID int64
	// PreviousID is the producer id before this one, NextID the one to follow
	// once the transaction is complete; -1 when there is none.
	PreviousID, NextID int64
	Epoch              int16
	// LastEpoch is the epoch before the last bump, by which a repeated request is
	// known; -1 when there is none. The log does not keep it.
	LastEpoch int16
	TimeoutMs int32
	State     State
	// Partitions are those in the transaction.
	Partitions map[Partition]struct{}
	// Started and Updated are in ms since 1970; Started is -1 without a
	// transaction.
	Started, Updated int64
	// Version is the transaction version that the client used (KIP-890): from 2
	// on each end of a transaction bumps the epoch.
	Version int16
}

// bumping is the first transaction version with an epoch for each transaction
// (TransactionVersion.supportsEpochBump).
const bumping = 2

const (
	noProducerID = int64(-1)
	noEpoch      = int16(-1)
)

// exhausted tells whether an epoch is the last that a client may have: one more is
// kept for fencing it (TransactionMetadata.isEpochExhausted).
func exhausted(epoch int16) bool { return epoch >= math.MaxInt16-1 }

// created is the state of a transactional id that nobody has used before.
func created(id string, producerID int64) *Transaction {
	return &Transaction{
		ID: id, ProducerID: producerID, PreviousID: noProducerID, NextID: noProducerID,
		Epoch: noEpoch, LastEpoch: noEpoch, State: Empty, Started: -1,
	}
}

// to is a copy in another state. As in Kafka, the transaction version is only known
// while a transaction ends and after it.
func (t *Transaction) to(s State, nowMs int64) *Transaction {
	n := *t
	n.State, n.Updated, n.Version, n.NextID = s, nowMs, 0, noProducerID
	return &n
}

// initialized is the state after InitProducerId (prepareIncrementProducerEpoch,
// prepareProducerIdRotation).
func (t *Transaction) initialized(producerID int64, epoch, lastEpoch int16, timeoutMs int32, nowMs int64) *Transaction {
	n := t.to(Empty, nowMs)
	n.PreviousID = t.ProducerID
	n.ProducerID, n.Epoch, n.LastEpoch, n.TimeoutMs = producerID, epoch, lastEpoch, timeoutMs
	n.Partitions, n.Started = nil, -1
	return n
}

// has tells whether all of the partitions are in the transaction.
func (t *Transaction) has(partitions []Partition) bool {
	for _, p := range partitions {
		if _, in := t.Partitions[p]; !in {
			return false
		}
	}
	return true
}

// added is the transaction with more partitions, begun if it had not
// (prepareAddPartitions).
func (t *Transaction) added(partitions []Partition, version int16, nowMs int64) *Transaction {
	n := t.to(Ongoing, nowMs)
	n.Version = version
	n.Partitions = maps.Clone(t.Partitions)
	if n.Partitions == nil {
		n.Partitions = make(map[Partition]struct{}, len(partitions))
	}
	for _, p := range partitions {
		n.Partitions[p] = struct{}{}
	}
	if t.State != Ongoing {
		n.Started = nowMs
	}
	return n
}

// ended is the transaction with its outcome (prepareAbortOrCommit). nextID is the
// producer id to go on with where the epochs are used up, else -1.
func (t *Transaction) ended(s State, version int16, nextID, nowMs int64) *Transaction {
	n := t.to(s, nowMs)
	n.Version, n.NextID = version, nextID
	if version >= bumping {
		n.Epoch, n.LastEpoch = t.Epoch+1, t.Epoch
	}
	if t.State != Ongoing { // an abort of nothing
		n.Partitions, n.Started = nil, nowMs
	}
	return n
}

// fenced is the aborted transaction of a producer that is shut out: by another one
// of the same transactional id, or by its timeout (prepareFenceProducerEpoch). The
// epoch is bumped once, whatever the version.
func (t *Transaction) fenced(version int16, nowMs int64) *Transaction {
	n := t.to(PrepareAbort, nowMs)
	n.Version, n.Epoch, n.LastEpoch = version, t.Epoch+1, noEpoch
	return n
}

// completed is the state once all markers are written (prepareComplete).
func (t *Transaction) completed(nowMs int64) *Transaction {
	s := CompleteAbort
	if t.State == PrepareCommit {
		s = CompleteCommit
	}
	n := t.to(s, nowMs)
	n.Version, n.Partitions = t.Version, nil
	if t.Version < bumping {
		return n
	}
	n.PreviousID, n.LastEpoch = t.ProducerID, t.Epoch
	if t.NextID != noProducerID {
		n.ProducerID, n.Epoch = t.NextID, 0
	}
	return n
}

// sorted are the partitions, in order.
func (t *Transaction) sorted() []Partition {
	list := slices.Collect(maps.Keys(t.Partitions))
	slices.SortFunc(list, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}

func (t *Transaction) record(flexible bool) coordinator.Record {
	return coordinator.Record{Key: encodeKey(t.ID), Value: t.encode(flexible)}
}
