package configs_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/minikafka/minikafka/server/configs"
)

// TestSettings holds the fields of the typed views against the catalogue: every
// field is a config that has an effect, and every topic config with an effect is
// a field.
func TestSettings(t *testing.T) {
	t.Parallel()
	names := func(settings any) (names []string) {
		typ := reflect.TypeOf(settings)
		for f := range typ.Fields() {
			names = append(names, f.Tag.Get("config"))
		}
		return names
	}
	topic := names(configs.TopicSettings{})
	slices.Sort(topic)
	if want := configs.Effective(configs.Topic); !slices.Equal(topic, want) {
		t.Errorf("TopicSettings has %q, the configs with an effect are %q", topic, want)
	}
	effective := configs.Effective(configs.Broker)
	for _, name := range names(configs.BrokerSettings{}) {
		if c := configs.Lookup(configs.Broker, name); !slices.Contains(effective, name) && !c.Internal {
			t.Errorf("BrokerSettings has %s, which has no effect", name)
		}
	}
	for _, name := range []string{"log.retention.hours", "log.flush.scheduler.interval.ms", "message.max.bytes", "min.insync.replicas"} {
		if !slices.Contains(effective, name) {
			t.Errorf("%s is the default of a topic config with an effect, and has none", name)
		}
	}
	for _, name := range []string{"index.interval.bytes", "preallocate", "remote.storage.enable"} {
		if slices.Contains(configs.Effective(configs.Topic), name) {
			t.Errorf("%s has an effect", name)
		}
	}
}

// TestDefaultSettings compares what nobody has set with Kafka's own defaults.
func TestDefaultSettings(t *testing.T) {
	t.Parallel()
	got := configs.BrokerValues{}.Topic(nil).Settings()
	want := configs.TopicSettings{
		CleanupPolicy:               []string{"delete"},
		MaxMessageBytes:             1<<20 + 12,
		MaxDecompressedMessageBytes: 1<<31 - 9,
		MessageTimestampType:        "CreateTime",
		MessageTimestampBeforeMaxMs: 1<<63 - 1,
		MessageTimestampAfterMaxMs:  3_600_000,
		CompressionType:             "producer",
		CompressionGzipLevel:        -1,
		CompressionLz4Level:         9,
		CompressionZstdLevel:        3,
		MinInsyncReplicas:           1,
		RetentionBytes:              -1,
		RetentionMs:                 7 * 24 * 3_600_000,
		SegmentBytes:                1 << 30,
		SegmentMs:                   7 * 24 * 3_600_000,
		FlushMessages:               1<<63 - 1,
		FlushMs:                     1<<63 - 1,
		DeleteRetentionMs:           24 * 3_600_000,
		MaxCompactionLagMs:          1<<63 - 1,
		MinCleanableDirtyRatio:      0.5,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Compact() || !got.Delete() || got.LogAppendTime() {
		t.Errorf("compact %t, delete %t, log append time %t", got.Compact(), got.Delete(), got.LogAppendTime())
	}

	broker := configs.BrokerValues{}.Settings()
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"socket.request.max.bytes", broker.SocketRequestMaxBytes, int32(100 << 20)},
		{"queued.max.request.bytes", broker.QueuedMaxRequestBytes, int64(-1)},
		{"auto.create.topics.enable", broker.AutoCreateTopicsEnable, true},
		{"offsets.topic.replication.factor", broker.OffsetsTopicReplicationFactor, int16(3)},
		{"group.consumer.assignors", broker.GroupConsumerAssignors, []string{"uniform", "range"}},
		{"group.consumer.migration.policy", broker.GroupConsumerMigrationPolicy, "bidirectional"},
		{"transaction.max.timeout.ms", broker.TransactionMaxTimeoutMs, int32(900_000)},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestTopicSettings(t *testing.T) {
	t.Parallel()
	b := configs.BrokerValues{
		Cluster: map[string]string{"min.insync.replicas": "2"},
		Static:  map[string]string{"log.retention.minutes": "5", "log.cleanup.policy": "compact"},
	}
	s := b.Topic(map[string]string{
		"cleanup.policy":         " compact , delete ",
		"message.timestamp.type": "LogAppendTime",
		"internal.segment.bytes": "100",
		"max.message.bytes":      "no number",
	}).Settings()
	if !s.Compact() || !s.Delete() || !s.LogAppendTime() {
		t.Errorf("compact %t, delete %t, log append time %t", s.Compact(), s.Delete(), s.LogAppendTime())
	}
	if s.MinInsyncReplicas != 2 || s.RetentionMs != 300_000 || s.SegmentBytes != 100 || s.MaxMessageBytes != 1<<20+12 {
		t.Errorf("min.insync.replicas %d, retention.ms %d, segment.bytes %d, max.message.bytes %d",
			s.MinInsyncReplicas, s.RetentionMs, s.SegmentBytes, s.MaxMessageBytes)
	}
	if s := b.Topic(map[string]string{"cleanup.policy": ""}).Settings(); s.Compact() || s.Delete() {
		t.Error("an empty cleanup.policy is not empty")
	}
}

func BenchmarkTopicSettings(b *testing.B) {
	v := configs.BrokerValues{Cluster: map[string]string{"min.insync.replicas": "2"}}
	for b.Loop() {
		if s := v.Topic(nil).Settings(); s.MinInsyncReplicas != 2 {
			b.Fatal(s.MinInsyncReplicas)
		}
	}
}
