package server

import (
	"maps"
	"math"
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
	s = newTopicSettings(b.topicValues(m, t).Settings())
	s.overrides = t.Configs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics[t.ID] = s
	return s
}

func newTopicSettings(c configs.TopicSettings) *topicSettings {
	s := &topicSettings{
		deletes:  c.Delete(),
		compacts: c.Compact(),
		replication: replication.Settings{
			MinInsyncReplicas: int(c.MinInsyncReplicas),
			FlushMessages:     orNever(c.FlushMessages, math.MaxInt64),
			FlushMs:           orNever(c.FlushMs, int64(math.MaxInt64/time.Millisecond)),
		},
		retention: log.Retention{
			Ms: c.RetentionMs, Bytes: c.RetentionBytes,
			SegmentBytes: int64(c.SegmentBytes), SegmentMs: c.SegmentMs,
		},
		compaction: log.Compaction{
			MinDirtyRatio: c.MinCleanableDirtyRatio,
			MinLagMs:      c.MinCompactionLagMs, MaxLagMs: c.MaxCompactionLagMs,
			DeleteRetention: c.DeleteRetentionMs,
			SegmentBytes:    int64(c.SegmentBytes), SegmentMs: c.SegmentMs,
		},
	}
	codec, recompress := codecOf(c.CompressionType)
	s.rules = log.Rules{
		MaxMessageBytes:      int(c.MaxMessageBytes),
		MaxDecompressedBytes: int64(c.MaxDecompressedMessageBytes),
		SegmentBytes:         int64(c.SegmentBytes),
		Compacted:            s.compacts,
		LogAppendTime:        c.LogAppendTime(),
		TimestampBeforeMaxMs: c.MessageTimestampBeforeMaxMs,
		TimestampAfterMaxMs:  c.MessageTimestampAfterMaxMs,
		Recompress:           recompress, Codec: codec,
	}
	switch codec {
	case log.CodecGzip:
		s.rules.Level = int(c.CompressionGzipLevel)
	case log.CodecLz4:
		s.rules.Level = int(c.CompressionLz4Level)
	case log.CodecZstd:
		s.rules.Level = int(c.CompressionZstdLevel)
	case log.CodecNone, log.CodecSnappy: // without levels
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
