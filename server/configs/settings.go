package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// TopicSettings are the configs of a topic that have an effect, in types of
// their own: what the path of a request reads. Making them costs some µs: make
// them once for a topic and a metadata image. Each field is the config that its
// tag names; times are ms, and -1 is Kafka's "unlimited" where it has one.
type TopicSettings struct {
	CleanupPolicy []string `config:"cleanup.policy"` // Kafka allows neither of the two: then nothing is deleted.

	MaxMessageBytes             int32  `config:"max.message.bytes"`
	MaxDecompressedMessageBytes int32  `config:"max.decompressed.message.bytes"`
	MessageTimestampType        string `config:"message.timestamp.type"`
	MessageTimestampBeforeMaxMs int64  `config:"message.timestamp.before.max.ms"`
	MessageTimestampAfterMaxMs  int64  `config:"message.timestamp.after.max.ms"`

	CompressionType      string `config:"compression.type"`
	CompressionGzipLevel int32  `config:"compression.gzip.level"` // -1: the codec's own default.
	CompressionLz4Level  int32  `config:"compression.lz4.level"`
	CompressionZstdLevel int32  `config:"compression.zstd.level"`

	MinInsyncReplicas           int32 `config:"min.insync.replicas"`
	UncleanLeaderElectionEnable bool  `config:"unclean.leader.election.enable"`

	RetentionBytes int64 `config:"retention.bytes"`
	RetentionMs    int64 `config:"retention.ms"`
	SegmentBytes   int32 `config:"segment.bytes"`
	SegmentMs      int64 `config:"segment.ms"`
	FlushMessages  int64 `config:"flush.messages"`
	FlushMs        int64 `config:"flush.ms"`

	DeleteRetentionMs      int64   `config:"delete.retention.ms"`
	MinCompactionLagMs     int64   `config:"min.compaction.lag.ms"`
	MaxCompactionLagMs     int64   `config:"max.compaction.lag.ms"`
	MinCleanableDirtyRatio float64 `config:"min.cleanable.dirty.ratio"`
}

// Compact says whether the topic is compacted: keys must not be null.
func (s *TopicSettings) Compact() bool { return slices.Contains(s.CleanupPolicy, "compact") }

// Delete says whether old records are deleted by age and size.
func (s *TopicSettings) Delete() bool { return slices.Contains(s.CleanupPolicy, "delete") }

// LogAppendTime says whether records get the broker's time (TimestampType).
func (s *TopicSettings) LogAppendTime() bool { return s.MessageTimestampType == "LogAppendTime" }

// Settings are the topic's configs in types of their own. The internal config
// internal.segment.bytes, which may lie below the least segment.bytes, goes
// before that, as in Kafka.
func (t TopicValues) Settings() TopicSettings {
	var s TopicSettings
	read(&s, func(name string) string { return t.Value(name) })
	if v, ok := t.overrides[internalSegmentBytes]; ok {
		if parsed, err := mustLookup(Topic, internalSegmentBytes).Parse(v); err == nil {
			s.SegmentBytes = int32(mustInt(internalSegmentBytes, parsed))
		}
	}
	return s
}

const internalSegmentBytes = "internal.segment.bytes"

// BrokerSettings are the configs of a broker that have an effect, in types of
// their own, apart from those that are defaults of topic configs. Each field is
// the config that its tag names; times are ms.
type BrokerSettings struct {
	// Connections.
	SocketRequestMaxBytes                 int32 `config:"socket.request.max.bytes"`
	QueuedMaxRequestBytes                 int64 `config:"queued.max.request.bytes"` // -1: unlimited.
	ConnectionsMaxIdleMs                  int64 `config:"connections.max.idle.ms"`
	MaxConnections                        int32 `config:"max.connections"`
	MaxConnectionsPerIP                   int32 `config:"max.connections.per.ip"`
	ConnectionFailedAuthenticationDelayMs int32 `config:"connection.failed.authentication.delay.ms"`

	// Topics.
	AutoCreateTopicsEnable       bool  `config:"auto.create.topics.enable"`
	DeleteTopicEnable            bool  `config:"delete.topic.enable"`
	NumPartitions                int32 `config:"num.partitions"`
	DefaultReplicationFactor     int32 `config:"default.replication.factor"`
	MaxRequestPartitionSizeLimit int32 `config:"max.request.partition.size.limit"`

	// Fetches and logs.
	FetchMaxBytes                        int32 `config:"fetch.max.bytes"`
	MaxIncrementalFetchSessionCacheSlots int32 `config:"max.incremental.fetch.session.cache.slots"`
	LogRetentionCheckIntervalMs          int64 `config:"log.retention.check.interval.ms"`
	LogCleanerEnable                     bool  `config:"log.cleaner.enable"`
	LogCleanerBackoffMs                  int64 `config:"log.cleaner.backoff.ms"`
	ProducerIDExpirationMs               int32 `config:"producer.id.expiration.ms"`
	ControlledShutdownEnable             bool  `config:"controlled.shutdown.enable"`

	// Groups.
	OffsetsTopicNumPartitions           int32    `config:"offsets.topic.num.partitions"`
	OffsetsTopicReplicationFactor       int16    `config:"offsets.topic.replication.factor"`
	OffsetsRetentionMinutes             int32    `config:"offsets.retention.minutes"`
	OffsetsRetentionCheckIntervalMs     int64    `config:"offsets.retention.check.interval.ms"`
	OffsetsCommitTimeoutMs              int32    `config:"offsets.commit.timeout.ms"`
	OffsetMetadataMaxBytes              int32    `config:"offset.metadata.max.bytes"`
	GroupInitialRebalanceDelayMs        int32    `config:"group.initial.rebalance.delay.ms"`
	GroupMinSessionTimeoutMs            int32    `config:"group.min.session.timeout.ms"`
	GroupMaxSessionTimeoutMs            int32    `config:"group.max.session.timeout.ms"`
	GroupMaxSize                        int32    `config:"group.max.size"`
	GroupCoordinatorRebalanceProtocols  []string `config:"group.coordinator.rebalance.protocols"`
	GroupConsumerAssignors              []string `config:"group.consumer.assignors"`
	GroupConsumerMaxSize                int32    `config:"group.consumer.max.size"`
	GroupShareMaxSize                   int32    `config:"group.share.max.size"`
	GroupConsumerMigrationPolicy        string   `config:"group.consumer.migration.policy"`
	GroupConsumerSessionTimeoutMs       int32    `config:"group.consumer.session.timeout.ms"`
	GroupConsumerMinSessionTimeoutMs    int32    `config:"group.consumer.min.session.timeout.ms"`
	GroupConsumerMaxSessionTimeoutMs    int32    `config:"group.consumer.max.session.timeout.ms"`
	GroupConsumerHeartbeatIntervalMs    int32    `config:"group.consumer.heartbeat.interval.ms"`
	GroupConsumerMinHeartbeatIntervalMs int32    `config:"group.consumer.min.heartbeat.interval.ms"`
	GroupConsumerMaxHeartbeatIntervalMs int32    `config:"group.consumer.max.heartbeat.interval.ms"`
	GroupConsumerRegexRefreshIntervalMs int32    `config:"group.consumer.regex.refresh.interval.ms"`

	// Transactions.
	TransactionStateLogNumPartitions                     int32 `config:"transaction.state.log.num.partitions"`
	TransactionStateLogReplicationFactor                 int16 `config:"transaction.state.log.replication.factor"`
	TransactionStateLogMinISR                            int32 `config:"transaction.state.log.min.isr"`
	TransactionMaxTimeoutMs                              int32 `config:"transaction.max.timeout.ms"`
	TransactionAbortTimedOutTransactionCleanupIntervalMs int32 `config:"transaction.abort.timed.out.transaction.cleanup.interval.ms"`
	TransactionRemoveExpiredTransactionCleanupIntervalMs int32 `config:"transaction.remove.expired.transaction.cleanup.interval.ms"`
	TransactionPartitionVerificationEnable               bool  `config:"transaction.partition.verification.enable"`
	TransactionalIDExpirationMs                          int32 `config:"transactional.id.expiration.ms"`
}

// Settings are the broker's configs in types of their own.
func (b BrokerValues) Settings() BrokerSettings {
	var s BrokerSettings
	read(&s, func(name string) string { v, _ := b.Value(name); return v })
	return s
}

// Effective are the names of a scope's configs that have an effect here, sorted.
// All others are accepted and told, and change nothing.
func Effective(s Scope) []string {
	var names []string
	for _, c := range catalogue().told[s] {
		if c.Effect != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

// read sets the fields of a struct of settings from the configs that their tags
// name. The values have been parsed: they fit, unless a field has the wrong type.
func read(settings any, value func(name string) string) {
	s := reflect.ValueOf(settings).Elem()
	for i := range s.NumField() {
		name := s.Type().Field(i).Tag.Get("config")
		v := value(name)
		switch f := s.Field(i).Addr().Interface().(type) {
		case *string:
			*f = v
		case *[]string:
			*f = splitList(v)
		case *bool:
			*f = v == "true"
		case *int16, *int32, *int64:
			s.Field(i).SetInt(mustInt(name, v))
		case *float64:
			d, err := parseDouble(v)
			if err != nil {
				panic(fmt.Sprintf("configs: %s is no number: %s", name, strconv.Quote(v)))
			}
			*f = d
		default:
			panic(fmt.Sprintf("configs: %s is of type %T", name, f))
		}
	}
}
