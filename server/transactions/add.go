package transactions

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

// AddRequest is what AddPartitionsToTxn asks for, for one transactional id.
type AddRequest struct {
	ID         string
	ProducerID int64
	Epoch      int16
	// Version is the client's transaction version.
	Version    int16
	Partitions []Partition
}

// AddPartitions adds partitions to the producer's transaction, and begins one if
// there is none (TransactionCoordinator.handleAddPartitionsToTransaction).
func (s *Shard) AddPartitions(q AddRequest) (coordinator.Outcome, error) {
	t, err := s.checkAdd(&q)
	if err != nil || t.State == Ongoing && t.has(q.Partitions) {
		return coordinator.Outcome{}, err
	}
	return s.step(t, t.added(q.Partitions, q.Version, s.nowMs()), nil), nil
}

// checkAdd makes the checks of requests about an open transaction. What is pending
// comes first, whoever asks.
func (s *Shard) checkAdd(q *AddRequest) (*Transaction, error) {
	t, err := s.find(q.ID)
	switch {
	case err != nil:
		return nil, err
	case !s.settled(t):
		return nil, kerr.ConcurrentTransactions
	case t.ProducerID != q.ProducerID:
		return nil, kerr.InvalidProducerIDMapping
	case t.Epoch != q.Epoch:
		return nil, kerr.ProducerFenced
	}
	return t, nil
}

// Verify tells for each partition whether it is in the producer's transaction
// (TransactionCoordinator.handleVerifyPartitionsInTransaction): TRANSACTION_ABORTABLE
// where it is not, or not committed to be. The error is for all of them. Nothing changes.
func (s *Shard) Verify(q AddRequest) (errs []error, err error) {
	t, err := s.find(q.ID)
	switch {
	case err != nil:
		return nil, err
	case t.ProducerID != q.ProducerID:
		return nil, kerr.InvalidProducerIDMapping
	case t.Epoch != q.Epoch:
		return nil, kerr.ProducerFenced
	case t.State.decided():
		return nil, kerr.ConcurrentTransactions
	}
	if t, err = s.seen(q.ID); err != nil {
		return nil, err
	}
	errs = make([]error, len(q.Partitions))
	for i, p := range q.Partitions {
		if _, in := t.Partitions[p]; !in {
			errs[i] = kerr.TransactionAbortable
		}
	}
	return errs, nil
}
