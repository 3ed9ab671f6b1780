package replication

import "github.com/minikafka/minikafka/log"

// Verify is to be called before the coordinator of a transaction is asked about a
// batch of it (UnifiedLog.maybeStartTransactionVerification). It returns what
// [Replica.AppendVerified] needs once the coordinator has vouched for the batch, or
// nil where nobody need be asked: the producer's transaction has records here. bumping
// is set for a producer with an epoch for each transaction (KIP-890). A marker that
// comes in between makes the verification void, so that no transaction is left open by
// a late batch. Errors are those of [Replica.CheckAppend].
func (r *Replica) Verify(b log.Batch, bumping bool) (*log.Verification, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkAppendLocked(1); err != nil {
		return nil, err
	}
	if r.inTransactionLocked(b.ProducerID, b.ProducerEpoch) {
		return nil, nil
	}
	v := r.verifications[b.ProducerID]
	switch {
	case v == nil || v.ProducerEpoch < b.ProducerEpoch:
		v = &log.Verification{ProducerEpoch: b.ProducerEpoch, LeaderEpoch: r.epoch, LowestSequence: b.BaseSequence, Bumping: bumping}
		r.verifications[b.ProducerID] = v
	case v.ProducerEpoch == b.ProducerEpoch:
		v.LowestSequence = min(v.LowestSequence, b.BaseSequence)
	}
	return v, nil
}

func (r *Replica) inTransactionLocked(producerID int64, epoch int16) bool {
	if q := r.producers[producerID]; q != nil {
		return q.state.InTransaction(producerID, epoch)
	}
	return r.log.InTransaction(producerID, epoch)
}

// AppendVerified is [Replica.Append] of a transactional batch that needs v: the
// coordinator's word, asked for after [Replica.Verify] had returned v. Without it, or
// when it is void by now, the error is log's ErrInvalidTxnState; ErrNotLeader when the
// coordinator was asked in another leader epoch.
func (r *Replica) AppendVerified(b log.Batch, acks int16, v *log.Verification) (*Pending, error) {
	batch, err := producerBatch(b)
	if err != nil {
		return nil, err
	}
	batch.MustVerify, batch.Verification = true, v
	return r.append(b, newPending(acks, batch))
}

// admitLocked takes the verification of a batch away where it is void.
func (r *Replica) admitLocked(p *Pending) error {
	v := p.batch.Verification
	switch {
	case v == nil:
	case v.LeaderEpoch != r.epoch:
		return ErrNotLeader
	case r.verifications[p.batch.ProducerID] != v:
		p.batch.Verification = nil
	}
	return nil
}

// Verified tells whether v, from [Replica.Verify], still holds for a producer that is
// to write without [Replica.AppendVerified], whose errors it returns.
func (r *Replica) Verified(producerID int64, v *log.Verification) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(-1, true); err != nil {
		return err
	}
	switch {
	case v.LeaderEpoch != r.epoch:
		return ErrNotLeader
	case r.verifications[producerID] != v:
		return log.ErrInvalidTxnState
	}
	return nil
}

// Unverify makes a producer's verification void: its transaction is about to end.
func (r *Replica) Unverify(producerID int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.verifications, producerID)
}

// MarkerWritten is log's, with what is queued.
func (r *Replica) MarkerWritten(producerID int64, epoch int16) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.producers[producerID]; q != nil {
		return q.state.MarkerWritten(producerID, epoch)
	}
	return r.log.MarkerWritten(producerID, epoch)
}
