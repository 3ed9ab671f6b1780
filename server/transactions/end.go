package transactions

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

// EndRequest is what EndTxn asks for.
type EndRequest struct {
	ID         string
	ProducerID int64
	Epoch      int16
	Commit     bool
	// Version is the client's transaction version: 2 for EndTxn v5 and up.
	Version int16
	// Fresh is a producer id that nobody has, or -1.
	Fresh int64
}

// EndTransaction decides a transaction (TransactionCoordinator.endTransaction). The
// answer is the state that the producer goes on from; it is valid once the outcome is
// committed. The markers are written afterwards.
func (s *Shard) EndTransaction(q EndRequest) (*Transaction, coordinator.Outcome, error) {
	t, err := s.find(q.ID)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	if q.Version >= bumping {
		return s.endBumping(t, q)
	}
	return s.endPlain(t, q)
}

func outcomeOf(commit bool) State {
	if commit {
		return PrepareCommit
	}
	return PrepareAbort
}

// endPlain is the end of a transaction whose producer keeps its epoch
// (endTransactionWithTV1).
func (s *Shard) endPlain(t *Transaction, q EndRequest) (*Transaction, coordinator.Outcome, error) {
	var none coordinator.Outcome
	switch {
	case t.ProducerID != q.ProducerID:
		return nil, none, kerr.InvalidProducerIDMapping
	case t.Epoch != q.Epoch:
		return nil, none, kerr.ProducerFenced
	case !s.settled(t):
		return nil, none, kerr.ConcurrentTransactions
	case t.State == Ongoing:
		n := t.ended(outcomeOf(q.Commit), q.Version, noProducerID, s.nowMs())
		return n, s.decide(t, n), nil
	case q.Commit && t.State == CompleteCommit, !q.Commit && t.State == CompleteAbort:
		return t, none, nil // asked for again
	}
	return nil, none, kerr.InvalidTxnState
}

// endBumping is the end of a transaction that gives its producer the next epoch
// (KIP-890). The same request again comes with the epoch before.
func (s *Shard) endBumping(t *Transaction, q EndRequest) (*Transaction, coordinator.Outcome, error) {
	var none coordinator.Outcome
	if !s.settled(t) {
		return nil, none, kerr.ConcurrentTransactions
	}
	again := t.State != Ongoing && t.State != Empty && q.repeats(t)
	switch {
	case t.ProducerID != q.ProducerID && !again:
		return nil, none, kerr.InvalidProducerIDMapping
	case t.Epoch != q.Epoch && !again:
		return nil, none, kerr.ProducerFenced
	case again && q.Commit == (t.State == CompleteCommit):
		return t, none, nil
	case again, t.State != Ongoing && q.Commit:
		return nil, none, kerr.InvalidTxnState
	}
	// An abort without a transaction only bumps the epoch.
	next := noProducerID
	if exhausted(t.Epoch) {
		if next = q.Fresh; next == noProducerID {
			return nil, none, ErrNeedsProducerID
		}
	}
	n := t.ended(outcomeOf(q.Commit), q.Version, next, s.nowMs())
	answer := *n
	if next != noProducerID {
		answer.ProducerID, answer.Epoch = next, 0
	}
	return &answer, s.decide(t, n), nil
}

// repeats tells whether the request is the one that has led to the state: it comes with
// the epoch before, or with the producer id before, at its last epoch.
func (q *EndRequest) repeats(t *Transaction) bool {
	if q.ProducerID == t.ProducerID {
		return int32(q.Epoch)+1 == int32(t.Epoch)
	}
	return q.ProducerID == t.PreviousID && q.Epoch == math.MaxInt16-1 && t.Epoch == 0
}
