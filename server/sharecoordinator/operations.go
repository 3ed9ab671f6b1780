package sharecoordinator

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/share"
)

// Partition names a share-partition.
type Partition struct {
	Group     string
	Topic     log.TopicID
	Partition int32
}

func (p Partition) key() key { return key{p.Group, p.Topic, p.Partition} }

// State is the state of a share-partition.
type State struct {
	StateEpoch  int32
	LeaderEpoch int32
	// Start is the share-partition start offset, -1 while there is none.
	Start int64
	// DeliveryComplete is how many records from Start on are acknowledged or
	// archived; -1 if that is not known.
	DeliveryComplete int32
	Batches          []share.StateBatch
}

// Error is an error for a client: a code of Kafka's and what is wrong.
type Error struct {
	Code    *kerr.Error
	Message string
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap is the code.
func (e *Error) Unwrap() error { return e.Code }

func invalid(message string) error { return &Error{kerr.InvalidRequest, message} }

// refused is an error with Kafka's own message for the code.
func refused(code *kerr.Error) error {
	message := "This server does not host this topic-partition."
	switch code {
	case kerr.FencedLeaderEpoch:
		message = "The leader epoch in the request is older than the epoch on the broker."
	case kerr.FencedStateEpoch:
		message = "The share coordinator rejected the request because the share-group state epoch did not match."
	}
	return &Error{code, message}
}

const (
	negativePartition = "The partition id cannot be a negative number."
	negativeLeader    = "The leader epoch cannot be a negative number."
	negativeState     = "The state epoch cannot be a negative number."
	uninitializedTo   = " operation on uninitialized share partition not allowed."
)

// exists refuses partitions that there are not.
func (s *Shard) exists(p Partition) error {
	m := s.ctx.Image()
	if m == nil {
		return refused(kerr.UnknownTopicOrPartition)
	}
	if t := m.TopicsByID[p.Topic]; t == nil || int(p.Partition) >= len(t.Partitions) {
		return refused(kerr.UnknownTopicOrPartition)
	}
	return nil
}

// Initialize begins a share-partition at a start offset, or begins it anew. Errors
// are kerr's InvalidRequest, FencedStateEpoch and UnknownTopicOrPartition.
func (s *Shard) Initialize(p Partition, stateEpoch int32, start int64) (coordinator.Outcome, error) {
	switch {
	case p.Partition < 0:
		return coordinator.Outcome{}, invalid(negativePartition)
	case stateEpoch < 0:
		return coordinator.Outcome{}, invalid(negativeState)
	}
	k := p.key()
	if epoch, ok := s.stateEpochs.Get(k); ok && epoch > stateEpoch {
		return coordinator.Outcome{}, refused(kerr.FencedStateEpoch)
	}
	if err := s.exists(p); err != nil {
		return coordinator.Outcome{}, err
	}
	now := s.ctx.Now().UnixMilli()
	fresh := &state{
		stateEpoch: stateEpoch, leaderEpoch: 0, start: start, deliveryComplete: -1, created: now, written: now,
	}
	if start >= 0 {
		fresh.deliveryComplete = 0
	}
	if before, ok := s.states.Get(k); ok {
		fresh.snapshotEpoch = before.snapshotEpoch + 1
	}
	return coordinator.Outcome{Records: []coordinator.Record{fresh.snapshot(k)}}, nil
}

// Write adds to the state of a share-partition. Errors are kerr's InvalidRequest,
// FencedLeaderEpoch, FencedStateEpoch and UnknownTopicOrPartition.
func (s *Shard) Write(p Partition, w State) (coordinator.Outcome, error) {
	switch {
	case p.Partition < 0:
		return coordinator.Outcome{}, invalid(negativePartition)
	case w.LeaderEpoch < 0:
		return coordinator.Outcome{}, invalid(negativeLeader)
	case w.StateEpoch < 0:
		return coordinator.Outcome{}, invalid(negativeState)
	}
	k := p.key()
	before, ok := s.states.Get(k)
	if !ok {
		return coordinator.Outcome{}, invalid("Write" + uninitializedTo)
	}
	if epoch, ok := s.leaderEpochs.Get(k); ok && epoch > w.LeaderEpoch {
		return coordinator.Outcome{}, refused(kerr.FencedLeaderEpoch)
	}
	if epoch, ok := s.stateEpochs.Get(k); ok && epoch > w.StateEpoch {
		return coordinator.Outcome{}, refused(kerr.FencedStateEpoch)
	}
	if err := s.exists(p); err != nil {
		return coordinator.Outcome{}, err
	}
	for _, b := range w.Batches {
		if b.Last < b.First {
			return coordinator.Outcome{}, &Error{kerr.UnknownServerError, "A batch ends before it begins."}
		}
	}
	// What comes late does not take the start offset back.
	return s.record(k, before, State{
		LeaderEpoch: before.leaderEpoch, Start: max(w.Start, before.start),
		DeliveryComplete: before.laterComplete(w), Batches: w.Batches,
	}), nil
}

// laterComplete is the delivery complete count after a write.
func (s *state) laterComplete(w State) int32 {
	switch {
	case w.Start > s.start:
		return w.DeliveryComplete
	case w.Start < s.start:
		return s.deliveryComplete
	}
	return max(w.DeliveryComplete, s.deliveryComplete)
}

// record writes an update, or the whole state when there were many of them.
func (s *Shard) record(k key, before *state, w State) coordinator.Outcome {
	next := &state{
		snapshotEpoch: before.snapshotEpoch, stateEpoch: before.stateEpoch, leaderEpoch: w.LeaderEpoch,
		start: w.Start, deliveryComplete: w.DeliveryComplete,
	}
	n, _ := s.updates.Get(k)
	if n < s.perSnapshot {
		next.batches = share.Combine(nil, w.Batches, w.Start)
		return coordinator.Outcome{Records: []coordinator.Record{next.update(k)}}
	}
	next.snapshotEpoch++
	next.created = s.ctx.Now().UnixMilli()
	next.written = next.created
	next.batches = share.Combine(before.batches, w.Batches, w.Start)
	return coordinator.Outcome{Records: []coordinator.Record{next.snapshot(k)}}
}

// merge is the state after an update (ShareCoordinatorShard.merge).
func (s *state) merge(u *state) *state {
	merged := *s
	if u.start != -1 {
		merged.start = u.start
	}
	if u.leaderEpoch != -1 {
		merged.leaderEpoch = u.leaderEpoch
	}
	merged.deliveryComplete = u.deliveryComplete
	merged.batches = share.Combine(s.batches, u.batches, merged.start)
	return &merged
}

// Read returns the state of a share-partition to the broker that leads the
// partition in the epoch, and fences its predecessors. Errors are those of Write.
func (s *Shard) Read(p Partition, leaderEpoch int32) (State, coordinator.Outcome, error) {
	none := coordinator.Outcome{}
	switch {
	case p.Partition < 0:
		return State{}, none, invalid(negativePartition)
	case leaderEpoch < 0:
		return State{}, none, invalid(negativeLeader)
	}
	k := p.key()
	now, ok := s.states.Get(k)
	if !ok {
		return State{}, none, invalid("Read" + uninitializedTo)
	}
	epoch, ok := s.leaderEpochs.Get(k)
	if ok && epoch > leaderEpoch {
		return State{}, none, refused(kerr.FencedLeaderEpoch)
	}
	if err := s.exists(p); err != nil {
		return State{}, none, err
	}
	found := State{now.stateEpoch, leaderEpoch, now.start, now.deliveryComplete, now.batches}
	if ok && epoch == leaderEpoch {
		return found, none, nil
	}
	return found, s.record(k, now, State{LeaderEpoch: leaderEpoch, Start: now.start, DeliveryComplete: now.deliveryComplete}), nil
}

// Summary returns the state of a share-partition without its batches; Start is
// -1 where there is none. Errors are kerr's InvalidRequest and
// UnknownTopicOrPartition.
func (s *Shard) Summary(p Partition) (State, error) {
	if p.Partition < 0 {
		return State{}, invalid(negativePartition)
	}
	if err := s.exists(p); err != nil {
		return State{}, err
	}
	now, ok := s.states.Get(p.key())
	if !ok {
		return State{Start: -1, DeliveryComplete: -1}, nil
	}
	return State{now.stateEpoch, now.leaderEpoch, now.start, now.deliveryComplete, nil}, nil
}

// Delete forgets a share-partition, if there is one. Errors are Summary's.
func (s *Shard) Delete(p Partition) (coordinator.Outcome, error) {
	if p.Partition < 0 {
		return coordinator.Outcome{}, invalid(negativePartition)
	}
	if err := s.exists(p); err != nil {
		return coordinator.Outcome{}, err
	}
	k := p.key()
	if _, ok := s.states.Get(k); !ok {
		return coordinator.Outcome{}, nil
	}
	return coordinator.Outcome{Records: []coordinator.Record{{Key: k.record(snapshotType)}}}, nil
}
