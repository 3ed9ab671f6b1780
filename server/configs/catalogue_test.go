package configs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

var _ election.ConfigRules = configs.Rules{}

// told is one line of what the real broker told.
type told struct{ scope, name, rest string }

func readTold(t *testing.T) []told {
	t.Helper()
	text, err := os.ReadFile("testdata/kafka-4.4.0-describe.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []told
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(strings.TrimRight(line, "\n"), "\t", 3)
		all = append(all, told{f[0], f[1], f[2]})
	}
	return all
}

func sourceName(s configs.Source) string {
	return map[configs.Source]string{
		configs.FromTopic: "DYNAMIC_TOPIC_CONFIG", configs.FromBroker: "DYNAMIC_BROKER_CONFIG",
		configs.FromCluster: "DYNAMIC_DEFAULT_BROKER_CONFIG", configs.FromStatic: "STATIC_BROKER_CONFIG",
		configs.FromDefault: "DEFAULT_CONFIG", configs.FromGroup: "GROUP_CONFIG",
	}[s]
}

func tell(e configs.Entry) string {
	value := "null"
	if e.Value != nil {
		value = *e.Value
	}
	flag := map[bool]string{true: "true", false: "false"}
	var synonyms []string
	for _, s := range e.Synonyms {
		synonyms = append(synonyms, s.Name+":"+sourceName(s.Source))
	}
	return strings.Join([]string{
		value, e.Type.String(), sourceName(e.Source),
		flag[e.ReadOnly], flag[e.Sensitive], strings.Join(synonyms, ","),
	}, "\t")
}

// TestDescribeAsKafkaDoes compares every config of a broker, a topic and a group
// with what a real one told.
func TestDescribeAsKafkaDoes(t *testing.T) {
	t.Parallel()
	all := readTold(t)
	b := configs.BrokerValues{
		Cluster: map[string]string{"min.insync.replicas": "1"},
		Static:  map[string]string{},
	}
	for _, want := range all {
		if want.scope == "BROKER" && strings.Contains(want.rest, ":STATIC_BROKER_CONFIG") {
			b.Static[want.name] = strings.SplitN(want.rest, "\t", 2)[0]
		}
	}
	got := map[told]bool{}
	add := func(scope string, entries []configs.Entry) {
		for _, e := range entries {
			got[told{scope, e.Name, tell(e)}] = true
		}
	}
	add("BROKER", b.DescribeBroker())
	add("TOPIC", b.DescribeTopic(nil))
	add("GROUP_CONFIG", b.DescribeGroup(nil))
	for _, want := range all {
		if !got[want] {
			t.Errorf("Kafka tells %s %s\t%s", want.scope, want.name, want.rest)
		}
		delete(got, want)
	}
	for extra := range got {
		t.Errorf("Kafka does not tell %s %s\t%s", extra.scope, extra.name, extra.rest)
	}
}

// TestValidateTopic has the answers that Kafka 4.4.0's LogConfig.validate gave.
func TestValidateTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"nope", "1", "Unknown topic config name: nope"},
		{"retention.ms", "x", "Invalid value x for configuration retention.ms: Not a number of type LONG"},
		{"retention.ms", " 5 ", ""},
		{"retention.ms", "+5", ""},
		{"retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{"retention.ms", "99999999999999999999", "Invalid value 99999999999999999999 for configuration retention.ms: Not a number of type LONG"},
		{"min.insync.replicas", "0", "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"},
		{"min.insync.replicas", "1.5", "Invalid value 1.5 for configuration min.insync.replicas: Not a number of type INT"},
		{"cleanup.policy", "", ""},
		{"cleanup.policy", "foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{"cleanup.policy", "compact, delete", ""},
		{"cleanup.policy", "delete,,compact", "Configuration 'cleanup.policy' values must not be empty."},
		{"leader.replication.throttled.replicas", "x", "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{"preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"},
		{"preallocate", "TRUE", ""},
		{"compression.type", "GZIP", "Invalid value GZIP for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"min.cleanable.dirty.ratio", "2", "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"min.cleanable.dirty.ratio", "x", "Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{"segment.bytes", "100", "Invalid value 100 for configuration segment.bytes: Value must be at least 1048576"},
		{"segment.bytes", "0x10", "Invalid value 0x10 for configuration segment.bytes: Not a number of type INT"},
		{"leader.replication.throttled.replicas", "*", ""},
		{"leader.replication.throttled.replicas", "0:1,1:2", ""},
		{"compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{"compression.zstd.level", "23", "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22"},
		{"internal.segment.bytes", "5", ""},
		{"retention.bytes", "-7", ""},
	} {
		got := ""
		if err := (configs.Rules{}).ValidateTopic(map[string]string{c.name: c.value}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s=%q: %q, Kafka says %q", c.name, c.value, got, c.want)
		}
	}
}

func TestValidateTopicTogether(t *testing.T) {
	t.Parallel()
	err := (configs.Rules{}).ValidateTopic(map[string]string{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"})
	if want := "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestEffectiveValues(t *testing.T) {
	t.Parallel()
	b := configs.BrokerValues{
		Own:     map[string]string{"message.max.bytes": "3"},
		Cluster: map[string]string{"message.max.bytes": "2", "log.retention.ms": "7"},
		Static:  map[string]string{"message.max.bytes": "1", "log.retention.hours": "2", "log.roll.hours": "2"},
	}
	topic := b.Topic(map[string]string{"max.message.bytes": "4"})
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"a topic's own config", topic.Int("max.message.bytes"), int64(4)},
		{"one broker's config before all brokers'", b.Topic(nil).Int("max.message.bytes"), int64(3)},
		{"a dynamic config before a static synonym", topic.Int("retention.ms"), int64(7)},
		{"hours in a topic's milliseconds", topic.Int("segment.ms"), int64(2 * 60 * 60 * 1000)},
		{"a static config hidden by a dynamic synonym", b.Int("log.retention.hours"), int64(168)},
		{"a default", topic.Int("retention.bytes"), int64(-1)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestCheckBrokerChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value string
		one         bool
		want        string
	}{
		{"message.max.bytes", "5", true, ""},
		{"message.max.bytes", "-5", true, "Invalid value -5 for configuration message.max.bytes: Value must be at least 0"},
		{"never.heard.of", "5", true, ""},
		{"num.partitions", "5", false, "Cannot update these configs dynamically: [num.partitions]"},
		{"listeners", "x", false, "Cannot update these configs at default cluster level, broker id must be specified: [listeners]"},
	} {
		got := ""
		if err := (configs.Rules{}).CheckBrokerChange(map[string]string{c.name: c.value}, c.one); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s=%q: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
