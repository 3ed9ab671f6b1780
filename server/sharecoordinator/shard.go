// Package sharecoordinator is the state of the share-partitions of one partition
// of __share_group_state (Kafka's ShareCoordinatorShard): start offsets, and what
// has become of the records behind them.
package sharecoordinator

import (
	"fmt"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// Shard is the share-partitions of one partition of __share_group_state. It is a
// [coordinator.Shard].
type Shard struct {
	ctx coordinator.Context
	// perSnapshot is after how many updates the whole state is written again
	// (share.coordinator.snapshot.update.records.per.snapshot).
	perSnapshot int
	states      *timeline.Map[key, *state]
	// leaderEpochs and stateEpochs are the highest that were seen, and updates is
	// how many updates there were since the snapshot.
	leaderEpochs, stateEpochs *timeline.Map[key, int32]
	updates                   *timeline.Map[key, int]
}

// New returns a shard without share-partitions.
func New(ctx coordinator.Context, perSnapshot int) *Shard {
	r := ctx.Timeline()
	return &Shard{
		ctx: ctx, perSnapshot: perSnapshot,
		states:       timeline.NewMap[key, *state](r),
		leaderEpochs: timeline.NewMap[key, int32](r),
		stateEpochs:  timeline.NewMap[key, int32](r),
		updates:      timeline.NewMap[key, int](r),
	}
}

// Replay applies a record.
func (s *Shard) Replay(_ coordinator.Position, r coordinator.Record) error {
	k, typ, known, err := parseKey(r.Key)
	if err != nil || !known {
		return err
	}
	if r.Value == nil {
		if typ == snapshotType {
			s.states.Delete(k)
			s.leaderEpochs.Delete(k)
			s.stateEpochs.Delete(k)
			s.updates.Delete(k)
		}
		return nil
	}
	v, err := parseValue(typ, r.Value)
	if err != nil {
		return fmt.Errorf("%w (group %q)", err, k.group)
	}
	raise(s.leaderEpochs, k, v.leaderEpoch)
	n, counted := s.updates.Get(k)
	if typ == snapshotType {
		raise(s.stateEpochs, k, v.stateEpoch)
		s.states.Set(k, v)
		if counted && n >= s.perSnapshot {
			s.updates.Set(k, 0)
		}
		return nil
	}
	if before, ok := s.states.Get(k); ok {
		v = before.merge(v)
	}
	s.states.Set(k, v)
	if counted {
		n++
	}
	s.updates.Set(k, n)
	return nil
}

func raise(m *timeline.Map[key, int32], k key, epoch int32) {
	if before, ok := m.Get(k); !ok || before < epoch {
		m.Set(k, epoch)
	}
}

// ReplayMarker is not called: nothing here belongs to a transaction.
func (s *Shard) ReplayMarker(int64, int16, bool) error { return nil }

// Loaded has the states of topics deleted that are gone, if there are any.
func (s *Shard) Loaded() { s.forget() }

// Unloaded does nothing: nothing waits in a shard.
func (s *Shard) Unloaded() {}

// Changed has the states of deleted topics deleted.
func (s *Shard) Changed(*election.Image) { s.forget() }

const forgetTimer = "forget"

// forget schedules the deletion of states of topics that there are not any more
// (ShareCoordinatorShard.maybeCleanupShareState).
func (s *Shard) forget() {
	if len(s.orphans()) == 0 || s.ctx.Scheduled(forgetTimer) {
		return
	}
	s.ctx.ScheduleRetried(forgetTimer, 0, func() (coordinator.Outcome, error) {
		return coordinator.Outcome{Records: s.orphans()}, nil
	})
}

// orphans are the tombstones of states whose topic is gone.
func (s *Shard) orphans() (tombstones []coordinator.Record) {
	m := s.ctx.Image()
	if m == nil {
		return nil
	}
	gone := map[log.TopicID]bool{}
	for k := range s.states.All() {
		is, seen := gone[k.topic]
		if !seen {
			is = m.TopicsByID[k.topic] == nil
			gone[k.topic] = is
		}
		if is {
			tombstones = append(tombstones, coordinator.Record{Key: k.record(snapshotType)})
		}
	}
	return tombstones
}
