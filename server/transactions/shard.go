package transactions

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// Settings are the configs that a shard looks at.
type Settings struct {
	// AbortInterval is how often transactions that timed out are looked for, and
	// ExpireInterval how often transactional ids that are older than Expiration.
	AbortInterval, ExpireInterval, Expiration time.Duration
}

// Decision is a transaction whose outcome is committed: a marker goes into each
// partition (TransactionMarkerChannelManager's TxnIdAndMarkerEntry).
type Decision struct {
	ID         string
	ProducerID int64
	Epoch      int16
	Commit     bool
	Version    int16
	Partitions []Partition
}

// Config configures a [Shard].
type Config struct {
	Settings Settings
	// Decided has the markers written, in the background, and then
	// [Shard.Complete] run. ctx ends when the shard is unloaded: the next
	// coordinator begins anew.
	Decided func(ctx context.Context, partition int32, d Decision)
}

// featureVersion is the feature that says which version of transactions there is.
const featureVersion = "transaction.version"

// Shard is the transactional ids of one partition of __transaction_state.
type Shard struct {
	ctx    coordinator.Context
	config Config
	ids    *timeline.Map[string, *Transaction]
	// pending are the ids whose last step is not committed yet, and what they were
	// before it: what others may see until it is.
	pending map[string]*Transaction
	life    context.Context // ends when the shard is unloaded
	end     context.CancelFunc
}

var _ coordinator.Shard = (*Shard)(nil)

// New makes the empty state of a partition.
func New(ctx coordinator.Context, c Config) *Shard {
	s := &Shard{ctx: ctx, config: c, ids: timeline.NewMap[string, *Transaction](ctx.Timeline()), pending: map[string]*Transaction{}}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Replay applies a record of the log.
func (s *Shard) Replay(_ coordinator.Position, r coordinator.Record) error {
	id, err := decodeKey(r.Key)
	if err != nil {
		return err
	}
	if r.Value == nil {
		s.ids.Delete(id)
		return nil
	}
	t, err := decodeValue(id, r.Value)
	if err != nil {
		return err
	}
	if t.State == Dead {
		s.ids.Delete(id)
		return nil
	}
	s.ids.Set(id, t)
	return nil
}

// ReplayMarker is not called: no transaction writes to __transaction_state.
func (s *Shard) ReplayMarker(int64, int16, bool) error { return nil }

// Changed is coordinator.Shard's.
func (s *Shard) Changed(*election.Image) {}

// Loaded goes on with the transactions that were decided, once it is sure that
// they are: what has been loaded may not be committed yet.
func (s *Shard) Loaded() {
	s.ctx.ScheduleRetried("resume", 0, func() (coordinator.Outcome, error) {
		var decided []*Transaction
		for id, t := range s.ids.All() {
			if t.State.decided() {
				decided = append(decided, t)
				s.pending[id] = t
			}
		}
		return coordinator.Outcome{Done: func(err error) {
			for _, t := range decided {
				delete(s.pending, t.ID)
				if now, _ := s.ids.Get(t.ID); err == nil && now == t {
					s.tell(t)
				}
			}
		}}, nil
	})
	s.abortRepeatedly()
	s.expireRepeatedly()
}

// Unloaded stops what this shard has begun.
func (s *Shard) Unloaded() { s.end() }

// waits tells whether the id's last step is not committed yet.
func (s *Shard) waits(id string) bool {
	_, waits := s.pending[id]
	return waits
}

// settled tells whether the id's last step is committed, and its markers, if it
// has any, are written; else Kafka answers CONCURRENT_TRANSACTIONS.
func (s *Shard) settled(t *Transaction) bool { return !s.waits(t.ID) && !t.State.decided() }

// version is the finalized level of transaction.version.
func (s *Shard) version() int16 {
	m := s.ctx.Image()
	if m == nil {
		return 0
	}
	return m.Features[featureVersion]
}

func (s *Shard) nowMs() int64 { return s.ctx.Now().UnixMilli() }

// step makes t the state of an id that was before. done, which may be nil, is called
// with nil when that is committed.
func (s *Shard) step(before, t *Transaction, done func(error)) coordinator.Outcome {
	s.ids.Set(t.ID, t)
	s.pending[t.ID] = before
	return coordinator.Outcome{
		Records: []coordinator.Record{t.record(s.version() >= 1)},
		Applied: true, // LastEpoch is not in the record
		Done: func(err error) {
			delete(s.pending, t.ID)
			if done != nil {
				done(err)
			}
		},
	}
}

// tell has the markers of a decided transaction written.
func (s *Shard) tell(t *Transaction) {
	s.config.Decided(s.life, s.ctx.Partition(), Decision{
		ID: t.ID, ProducerID: t.ProducerID, Epoch: t.Epoch, Commit: t.State == PrepareCommit,
		Version: t.Version, Partitions: t.sorted(),
	})
}

// decide is step for an outcome, whose markers are written once it is committed.
func (s *Shard) decide(before, t *Transaction) coordinator.Outcome {
	return s.step(before, t, func(err error) {
		if err == nil {
			s.tell(t)
		}
	})
}

// Complete is the end of a transaction, once all markers of the decision are
// written. Another state than that of the decision means that there is nothing to
// do.
func (s *Shard) Complete(d Decision) (coordinator.Outcome, error) {
	t, ok := s.ids.Get(d.ID)
	if !ok || !t.State.decided() || t.ProducerID != d.ProducerID || t.Epoch != d.Epoch || s.waits(d.ID) {
		return coordinator.Outcome{}, nil
	}
	return s.step(t, t.completed(s.nowMs()), nil), nil
}

// find is the state of an id that has one (TransactionStateManager.
// getTransactionState); INVALID_PRODUCER_ID_MAPPING for another.
func (s *Shard) find(id string) (*Transaction, error) {
	t, ok := s.ids.Get(id)
	if !ok {
		return nil, kerr.InvalidProducerIDMapping
	}
	return t, nil
}

// seen is the state of an id as others may see it: without a step that may be lost
// with its coordinator.
func (s *Shard) seen(id string) (*Transaction, error) {
	if before, waits := s.pending[id]; waits {
		return before, nil
	}
	return s.find(id)
}
