package transactions

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

// ErrNeedsProducerID is returned by operations that cannot go on without a fresh
// producer id: they are to be run again with one.
var ErrNeedsProducerID = errors.New("transactions: a producer id is needed")

// InitRequest is what InitProducerId asks for.
type InitRequest struct {
	ID        string
	TimeoutMs int32
	// ProducerID and Epoch are what the producer has, -1 when it has none (KIP-360).
	ProducerID int64
	Epoch      int16
	// Fresh is a producer id that nobody has, or -1.
	Fresh int64
}

// expects tells whether the producer said what it has.
func (q *InitRequest) expects() bool { return q.ProducerID != noProducerID }

// Validate makes the checks that come before that of who coordinates the id.
// maxTimeoutMs is transaction.max.timeout.ms.
func (q *InitRequest) Validate(maxTimeoutMs int32) error {
	switch {
	case q.ID == "":
		return kerr.InvalidRequest
	case q.TimeoutMs <= 0 || q.TimeoutMs > maxTimeoutMs:
		return kerr.InvalidTransactionTimeout
	}
	return nil
}

// InitProducerID makes a producer the only one of its transactional id
// (TransactionCoordinator.handleInitProducerId). The answer is valid once the
// outcome is committed. An open transaction is aborted first: then the error is
// CONCURRENT_TRANSACTIONS, with an outcome, and the producer asks again.
func (s *Shard) InitProducerID(q InitRequest) (*Transaction, coordinator.Outcome, error) {
	var none coordinator.Outcome
	t, known := s.ids.Get(q.ID)
	if !known {
		if q.Fresh == noProducerID {
			return nil, none, ErrNeedsProducerID
		}
		t = created(q.ID, q.Fresh)
	}
	switch {
	case s.waits(q.ID):
		return nil, none, kerr.ConcurrentTransactions
	case !q.mayInit(t):
		return nil, none, kerr.ProducerFenced
	case t.State.decided():
		return nil, none, kerr.ConcurrentTransactions
	case t.State == Ongoing:
		return nil, s.decide(t, t.fenced(s.version(), s.nowMs())), kerr.ConcurrentTransactions
	}
	n, err := s.bumped(t, q)
	if err != nil {
		return nil, none, err
	}
	return n, s.step(t, n, nil), nil
}

// mayInit tells whether the producer is the one that the state knows, if it said
// who it is (isValidProducerId).
func (q *InitRequest) mayInit(t *Transaction) bool {
	return !q.expects() || t.Epoch == noEpoch || q.ProducerID == t.ProducerID ||
		q.ProducerID == t.PreviousID && exhausted(q.Epoch)
}

// bumped is the state with the next epoch, or with another producer id where the
// epochs are used up.
func (s *Shard) bumped(t *Transaction, q InitRequest) (*Transaction, error) {
	if exhausted(t.Epoch) && (!q.expects() || q.Epoch == t.Epoch) {
		if q.Fresh == noProducerID {
			return nil, ErrNeedsProducerID
		}
		last := noEpoch
		if q.expects() {
			last = t.Epoch
		}
		return t.initialized(q.Fresh, 0, last, q.TimeoutMs, s.nowMs()), nil
	}
	epoch, last := t.Epoch+1, noEpoch
	switch {
	case !q.expects():
	case t.Epoch == noEpoch, q.Epoch == t.Epoch:
		last = t.Epoch
	case q.Epoch == t.LastEpoch: // asked for again
		epoch, last = t.Epoch, t.LastEpoch
	default:
		return nil, kerr.ProducerFenced
	}
	return t.initialized(t.ProducerID, epoch, last, q.TimeoutMs, s.nowMs()), nil
}
