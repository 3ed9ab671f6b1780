package server

import (
	"errors"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/configs"
)

// background starts what a broker does by itself, from time to time. The high
// watermarks are written by the replicas' own task.
func (b *broker) background() {
	b.every(b.static.LogRetentionCheckIntervalMs, b.retain)
	if b.static.LogCleanerEnable {
		b.every(b.static.LogCleanerBackoffMs, b.compact)
	}
	b.every(configs.BrokerValues{Static: b.config.Static}.Int("producer.id.expiration.check.interval.ms"), b.expireProducers)
	b.spawn(b.shares.watchLocks)
}

// every calls f each time so many ms have passed.
func (b *broker) every(ms int64, f func(now time.Time)) {
	if ms <= 0 {
		return
	}
	interval := time.Duration(ms) * time.Millisecond
	b.spawn(func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if b.pauses.gate.pass(b.ctx) == nil {
					f(time.Now())
				}
			case <-b.ctx.Done():
				return
			}
		}
	})
}

// eachReplica calls f for each replica with its topic's settings, until the
// broker ends.
func (b *broker) eachReplica(f func(*replication.Replica, *topicSettings) error) {
	m := b.image()
	if m == nil {
		return
	}
	for _, r := range b.replicas.Replicas() {
		t := m.TopicsByID[r.ID().Topic]
		if t == nil {
			continue
		}
		err := f(r, b.topicSettings(m, t))
		switch {
		case b.ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, log.ErrClosed):
			b.logger.Error("cannot clean a log", "topic", r.Topic(), "partition", r.ID().Partition, "error", err)
		}
	}
}

// retain deletes what is too old or too much (LogManager.cleanupLogs). Every
// replica does so for itself.
func (b *broker) retain(now time.Time) {
	b.eachReplica(func(r *replication.Replica, s *topicSettings) error {
		if !s.deletes {
			return nil
		}
		l := r.Log()
		rule := s.retention
		rule.Now, rule.Bound = now, l.HighWatermark()
		before := l.LogStartOffset()
		start, err := l.Retain(rule)
		if start > before {
			r.LogStartRaised()
		}
		return err
	})
}

// compact compacts (LogCleaner).
func (b *broker) compact(now time.Time) {
	b.eachReplica(func(r *replication.Replica, s *topicSettings) error {
		if !s.compacts {
			return nil
		}
		l := r.Log()
		rule := s.compaction
		rule.Now, rule.Bound = now, l.HighWatermark()
		if first := l.FirstUnstableOffset(); first >= 0 {
			rule.Bound = min(rule.Bound, first)
		}
		_, err := l.Compact(rule)
		return err
	})
}

// expireProducers forgets idle producers (ProducerStateManager.removeExpiredProducers).
func (b *broker) expireProducers(now time.Time) {
	m := b.image()
	if m == nil {
		return
	}
	ms := b.values(m).Int("producer.id.expiration.ms")
	for _, r := range b.replicas.Replicas() {
		r.Log().ExpireProducers(now.UnixMilli(), ms)
	}
}
