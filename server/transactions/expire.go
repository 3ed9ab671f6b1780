package transactions

import (
	"github.com/minikafka/minikafka/server/coordinator"
)

// abortRepeatedly aborts transactions that took longer than their producer allowed
// (TransactionCoordinator.abortTimedOutTransactions).
func (s *Shard) abortRepeatedly() {
	s.ctx.Schedule("abort", s.config.Settings.AbortInterval, func() (coordinator.Outcome, error) {
		s.abortRepeatedly()
		now := s.nowMs()
		var out coordinator.Outcome
		var dones []func(error)
		late := s.List(func(t *Transaction) bool {
			return t.State == Ongoing && !s.waits(t.ID) && t.Started+int64(t.TimeoutMs) < now
		})
		for _, t := range late {
			s.ctx.Logger().Info("a transaction timed out and is aborted", "transactionalID", t.ID, "producerID", t.ProducerID)
			one := s.decide(t, t.fenced(s.version(), now))
			out.Records, out.Applied = append(out.Records, one.Records...), true
			dones = append(dones, one.Done)
		}
		out.Splits, out.Done = true, all(dones)
		return out, nil
	})
}

// expireRepeatedly forgets transactional ids that nobody has used for long
// (TransactionStateManager.removeExpiredTransactionalIds).
func (s *Shard) expireRepeatedly() {
	s.ctx.Schedule("expire", s.config.Settings.ExpireInterval, func() (coordinator.Outcome, error) {
		s.expireRepeatedly()
		before := s.ctx.Now().Add(-s.config.Settings.Expiration).UnixMilli()
		out := coordinator.Outcome{Splits: true}
		for id, t := range s.ids.All() {
			if s.settled(t) && t.State != Ongoing && t.Updated <= before {
				out.Records = append(out.Records, coordinator.Record{Key: encodeKey(id)})
			}
		}
		return out, nil
	})
}

func all(dones []func(error)) func(error) {
	return func(err error) {
		for _, done := range dones {
			done(err)
		}
	}
}
