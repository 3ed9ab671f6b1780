package groups

import (
	"fmt"
	"time"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

const expiryKey = "expire-group-metadata"

// scheduleExpiry looks for expired offsets and groups from time to time.
func (s *Shard) scheduleExpiry() {
	interval := time.Duration(s.config.Settings.OffsetsRetentionCheckIntervalMs) * time.Millisecond
	s.ctx.Schedule(expiryKey, interval, func() (coordinator.Outcome, error) {
		s.scheduleExpiry()
		return coordinator.Outcome{Records: s.expired(), Splits: true}, nil
	})
}

// expired are the tombstones of what has expired
// (GroupCoordinatorShard.cleanupGroupMetadata).
func (s *Shard) expired() []coordinator.Record {
	var records []coordinator.Record
	for _, g := range s.groups.All() {
		var all bool
		records, all = s.expiredOffsets(g, records)
		if all && g.empty() {
			records = g.tombstones(records)
			g.cancelTimers(s)
		}
	}
	return records
}

// expiredOffsets adds the tombstones of a group's expired offsets, and tells
// whether none is left (OffsetMetadataManager.cleanupExpiredOffsets).
func (s *Shard) expiredOffsets(g group, to []coordinator.Record) (records []coordinator.Record, all bool) {
	all = !s.offsets.transacting(g.id())
	offsets, ok := s.offsets.groups.Get(g.id())
	if !ok {
		return to, all
	}
	from := g.expiry()
	if from == nil {
		return to, false
	}
	now := s.ctx.Now().UnixMilli()
	retention := (time.Duration(s.config.Settings.OffsetsRetentionMinutes) * time.Minute).Milliseconds()
	for p, c := range offsets.All() {
		expired := now-from(c) >= retention
		if c.expires >= 0 {
			expired = now >= c.expires
		}
		if expired && !g.subscribed(p.topic) && !s.offsets.unstable(g.id(), p) {
			to = append(to, offsetTombstone(g.id(), p.topic, p.partition))
		} else {
			all = false
		}
	}
	return to, all
}

// deletedTopic is a topic that is not there any more.
type deletedTopic struct {
	name string
	id   [16]byte
}

// topicsDeleted removes the offsets of topics, after a moment
// (GroupCoordinatorService.handleTopicsDeletion).
func (s *Shard) topicsDeleted(gone []deletedTopic) {
	s.deletions++
	s.ctx.ScheduleRetried(fmt.Sprintf("topics-deleted-%d", s.deletions), 0, func() (coordinator.Outcome, error) {
		return coordinator.Outcome{Records: s.offsetsOf(gone), Splits: true}, nil
	})
}

// offsetsOf are tombstones for offsets of topics (onTopicsDeleted). An offset that
// was committed for a newer topic of the name stays.
func (s *Shard) offsetsOf(gone []deletedTopic) []coordinator.Record {
	byName := map[string][][16]byte{}
	for _, t := range gone {
		byName[t.name] = append(byName[t.name], t.id)
	}
	seen := map[groupPlace]bool{}
	var records []coordinator.Record
	add := func(at groupPlace, c committed) {
		for _, id := range byName[at.place.topic] {
			if (c.topicID == [16]byte{} || c.topicID == id) && !seen[at] {
				seen[at] = true
				records = append(records, offsetTombstone(at.group, at.place.topic, at.place.partition))
			}
		}
	}
	for id, offsets := range s.offsets.groups.All() {
		for p, c := range offsets.All() {
			add(groupPlace{id, p}, c)
		}
	}
	for _, pending := range s.offsets.pending.All() {
		for at, c := range pending.All() {
			if _, ok := s.offsets.get(timeline.Latest, at.group, at.place); !ok {
				add(at, c)
			}
		}
	}
	return records
}
