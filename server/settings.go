package server

import (
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/configs"
)

// values are the broker's configs as of an image.
func (b *broker) values(m *election.Image) configs.BrokerValues {
	return configs.BrokerValues{Own: m.BrokerConfigs[b.config.ID], Cluster: m.ClusterConfigs, Static: b.config.Static}
}

// topicValues are a topic's configs as of an image.
func (b *broker) topicValues(m *election.Image, t *election.Topic) configs.TopicValues {
	return b.values(m).Topic(t.Configs)
}

// topicSettings are those of a topic's configs that are needed often, parsed.
type topicSettings struct {
	overrides   map[string]string // of which topic configs they were made
	replication replication.Settings
	rules       log.Rules // without NowMs
	deletes     bool      // cleanup.policy
	compacts    bool
	retention   log.Retention  // without Now and Bound
	compaction  log.Compaction // without Now and Bound
}

// settingsCache holds the settings of topics while the broker's own configs stay
// as they are.
type settingsCache struct {
	mu     sync.RWMutex
	topics map[log.TopicID]*topicSettings
}

func (c *settingsCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics = map[log.TopicID]*topicSettings{}
}

func (c *settingsCache) forget(id log.TopicID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.topics, id)
}

// topicSettings are a topic's settings. They are shared: nobody changes them.
func (b *broker) topicSettings(m *election.Image, t *election.Topic) *topicSettings {
	c := &b.settings
	c.mu.RLock()
	s := c.topics[t.ID]
	c.mu.RUnlock()
	if s != nil && maps.Equal(s.overrides, t.Configs) {
		return s
	}
	s = newTopicSettings(b.topicValues(m, t))
	s.overrides = t.Configs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics[t.ID] = s
	return s
}

func newTopicSettings(v configs.TopicValues) *topicSettings {
	policy := v.List("cleanup.policy")
	s := &topicSettings{
		deletes:  slices.Contains(policy, "delete"),
		compacts: slices.Contains(policy, "compact"),
		replication: replication.Settings{
			MinInsyncReplicas: int(v.Int("min.insync.replicas")),
			FlushMessages:     orNever(v.Int("flush.messages"), math.MaxInt64),
			FlushMs:           orNever(v.Int("flush.ms"), int64(math.MaxInt64/time.Millisecond)),
		},
		retention: log.Retention{
			Ms: v.Int("retention.ms"), Bytes: v.Int("retention.bytes"),
			SegmentBytes: v.Int("segment.bytes"), SegmentMs: v.Int("segment.ms"),
		},
		compaction: log.Compaction{
			MinDirtyRatio: v.Double("min.cleanable.dirty.ratio"),
			MinLagMs:      v.Int("min.compaction.lag.ms"), MaxLagMs: v.Int("max.compaction.lag.ms"),
			DeleteRetention: v.Int("delete.retention.ms"),
			SegmentBytes:    v.Int("segment.bytes"), SegmentMs: v.Int("segment.ms"),
		},
	}
	codec, recompress := codecOf(v.Value("compression.type"))
	s.rules = log.Rules{
		MaxMessageBytes:      int(v.Int("max.message.bytes")),
		MaxDecompressedBytes: v.Int("max.decompressed.message.bytes"),
		SegmentBytes:         v.Int("segment.bytes"),
		Compacted:            s.compacts,
		LogAppendTime:        v.Value("message.timestamp.type") == "LogAppendTime",
		TimestampBeforeMaxMs: v.Int("message.timestamp.before.max.ms"),
		TimestampAfterMaxMs:  v.Int("message.timestamp.after.max.ms"),
		Recompress:           recompress, Codec: codec,
	}
	return s
}

// orNever makes 0 of what is beyond all limits.
func orNever(n, limit int64) int64 {
	if n >= limit {
		return 0
	}
	return n
}

// codecOf reads compression.type; recompress is false for "producer".
func codecOf(name string) (c log.Codec, recompress bool) {
	switch name {
	case "uncompressed":
		return log.CodecNone, true
	case "gzip":
		return log.CodecGzip, true
	case "snappy":
		return log.CodecSnappy, true
	case "lz4":
		return log.CodecLz4, true
	case "zstd":
		return log.CodecZstd, true
	}
	return log.CodecNone, false
}
