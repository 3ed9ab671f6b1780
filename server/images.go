package server

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// images holds the newest metadata whose roles are in force on this broker.
type images struct {
	newest atomic.Pointer[election.Image]
	mu     sync.Mutex
	change chan struct{} // closed at the next image
}

func (i *images) init() { i.change = make(chan struct{}) }

// current is the newest image, nil before the first.
func (i *images) current() *election.Image { return i.newest.Load() }

func (i *images) next() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.change
}

func (i *images) set(m *election.Image) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.newest.Store(m)
	close(i.change)
	i.change = make(chan struct{})
}

// wait returns when the roles of an image of at least the index are in force.
func (i *images) wait(ctx context.Context, index uint64) error {
	for {
		change := i.next()
		if m := i.current(); m != nil && m.Index >= index {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// onImage puts the roles of new metadata in force, and then shows it to handlers:
// a broker that names itself as leader leads (BrokerMetadataPublisher). Calls come
// one at a time.
func (b *broker) onImage(m *election.Image) {
	<-b.wired
	// Before the broker is registered it takes no role: what it would say of
	// itself would carry no epoch, and older metadata speaks of a former life.
	select {
	case <-b.registered:
	case <-b.ctx.Done():
		return
	}
	old := b.images.current()
	if old == nil && m.Index < uint64(b.epoch.Load()) {
		return
	}
	fresh := old == nil || !maps.Equal(old.ClusterConfigs, m.ClusterConfigs) ||
		!maps.Equal(old.BrokerConfigs[b.config.ID], m.BrokerConfigs[b.config.ID])
	if fresh {
		b.settings.clear()
		b.conns.allow(b.values(m).Settings())
	}
	changed, gone := b.assignments(old, m, fresh)
	var moved, deleted []replication.Gone
	for _, g := range gone {
		if g.Deleted {
			deleted = append(deleted, g)
		} else {
			moved = append(moved, g)
		}
	}
	b.replicas.Apply(changed, moved, members{m})
	if old == nil {
		b.removeStrays(m)
	}
	b.images.set(m)
	b.coordinate(old, m)
	b.shares.changed(m)
	// Deleted topics go last: whoever asks for one meanwhile is told that it is not
	// there, and not that another broker has it.
	if len(deleted) > 0 {
		b.replicas.Apply(nil, deleted, members{m})
	}
	for _, g := range deleted {
		b.settings.forget(g.ID.Topic)
	}
	if old == nil {
		close(b.imaged)
	}
}

// assignments tells what differs between two images of what this broker hosts;
// with all everything counts as changed.
func (b *broker) assignments(old, m *election.Image, all bool) (changed []replication.Assignment, gone []replication.Gone) {
	for id, t := range m.TopicsByID {
		var before *election.Topic
		if old != nil {
			before = old.TopicsByID[id]
		}
		if before == t && !all {
			continue
		}
		c, g := b.topicAssignments(m, before, t, all)
		changed, gone = append(changed, c...), append(gone, g...)
	}
	if old == nil {
		return changed, nil
	}
	for id, t := range old.TopicsByID {
		if m.TopicsByID[id] != nil {
			continue
		}
		for n, p := range t.Partitions {
			if b.hosts(p) {
				gone = append(gone, replication.Gone{ID: log.PartitionID{Topic: id, Partition: int32(n)}, Deleted: true})
			}
		}
	}
	return changed, gone
}

// topicAssignments is assignments for a topic that there is, and that may not
// have been there before.
func (b *broker) topicAssignments(
	m *election.Image, before, t *election.Topic, all bool,
) (changed []replication.Assignment, gone []replication.Gone) {
	all = all || before == nil || !maps.Equal(before.Configs, t.Configs)
	for n, p := range t.Partitions {
		var was *election.Partition
		if before != nil && n < len(before.Partitions) {
			was = before.Partitions[n]
		}
		id := log.PartitionID{Topic: t.ID, Partition: int32(n)}
		switch {
		case b.hosts(p):
			if all || was != p {
				changed = append(changed, b.assignment(m, t, id, p))
			}
		case was != nil && b.hosts(was):
			gone = append(gone, replication.Gone{ID: id})
		}
	}
	return changed, gone
}

func (b *broker) hosts(p *election.Partition) bool {
	for _, r := range p.Replicas {
		if r == b.config.ID {
			return true
		}
	}
	return false
}

func (b *broker) assignment(m *election.Image, t *election.Topic, id log.PartitionID, p *election.Partition) replication.Assignment {
	s := b.topicSettings(m, t)
	return replication.Assignment{
		ID: id, Topic: t.Name, Replicas: p.Replicas, ISR: p.ISR, Leader: p.Leader,
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Settings: s.replication,
	}
}

// removeStrays deletes logs of partitions that this broker lost while it was
// down (LogManager's stray partitions).
func (b *broker) removeStrays(m *election.Image) {
	for _, id := range b.db.Partitions() {
		if p := m.Partition(id); p != nil && b.hosts(p) {
			continue
		}
		if err := b.db.Delete(id); err != nil {
			b.logger.Error("cannot delete a partition that is not hosted here any more", "partition", id, "error", err)
		}
	}
}

// members tells the replicas which brokers may be in an ISR.
type members struct{ image *election.Image }

// Member is replication.Members'.
func (m members) Member(id int32) (epoch int64, eligible bool) {
	b := m.image.Brokers[id]
	if b == nil {
		return -1, false
	}
	return b.Epoch, b.Alive()
}

// Brokers is replication.Members'.
func (m members) Brokers() []int32 { return slices.Collect(maps.Keys(m.image.Brokers)) }
