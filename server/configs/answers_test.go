package configs_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// TestAnswerAsKafkaDoes validates what Kafka's own validators were asked to, and
// compares the messages.
func TestAnswerAsKafkaDoes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/kafka-4.4.0-answers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	validate := map[string]func(map[string]string) error{
		"topic":   configs.Rules{}.ValidateTopic,
		"broker":  func(c map[string]string) error { return configs.Rules{}.CheckBrokerChange(c, true) },
		"cluster": func(c map[string]string) error { return configs.Rules{}.CheckBrokerChange(c, false) },
		"static": func(c map[string]string) error {
			if err := configs.CheckStatic(c); err != nil {
				return err
			}
			return configs.CheckTogether(c)
		},
		"group":   configs.BrokerValues{}.ValidateGroup,
		"metrics": configs.ValidateClientMetrics,
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		asked := map[string]string{}
		for c := range strings.SplitSeq(f[1], ";") {
			name, value, _ := strings.Cut(c, "=")
			asked[name] = value
		}
		got := ""
		if err := validate[f[0]](asked); err != nil {
			got = err.Error()
		}
		if got != f[2] {
			t.Errorf("%s %s:\n  here  %s\n  Kafka %s", f[0], f[1], got, f[2])
		}
	}
}

// TestRefusedTogether has what the table cannot: a change that means something
// only with the rest of a broker's configs, bounds that a broker was started
// with, and values too long to be stored.
func TestRefusedTogether(t *testing.T) {
	t.Parallel()
	long := map[string]string{"leader.replication.throttled.replicas": strings.Repeat("1", 32768)}
	lower := configs.BrokerValues{Static: map[string]string{"group.consumer.min.session.timeout.ms": "100", "group.consumer.min.heartbeat.interval.ms": "10"}}
	group := map[string]string{"consumer.session.timeout.ms": "100", "consumer.heartbeat.interval.ms": "10"}
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"log.retention.ms=0", configs.Rules{}.CheckBrokerChange(map[string]string{"log.retention.ms": "0"}, true), election.ErrInvalidRequest},
		{"log.roll.ms=0", configs.Rules{}.CheckBrokerChange(map[string]string{"log.roll.ms": "0"}, false), election.ErrInvalidRequest},
		{"a long topic config", configs.Rules{}.ValidateTopic(long), election.ErrInvalidConfig},
		{"a long broker config", configs.Rules{}.ValidateBroker(long), election.ErrInvalidConfig},
		{"a short session by default", configs.BrokerValues{}.ValidateGroup(group), election.ErrInvalidConfig},
		{"a short session where that is allowed", lower.ValidateGroup(group), nil},
		{"a session as short as a heartbeat", lower.ValidateGroup(map[string]string{"consumer.session.timeout.ms": "5000"}), election.ErrInvalidConfig},
		{"an unknown group config", lower.ValidateGroup(map[string]string{"nope": "1"}), election.ErrInvalidConfig},
		{"an unknown client metrics config", configs.ValidateClientMetrics(map[string]string{"nope": "1"}), election.ErrInvalidRequest},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
}

// TestCanonicalForm has the forms in which Kafka 4.4.0 tells values.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"cleanup.policy", "compact,delete,compact", "compact,delete"},
		{"cleanup.policy", " compact , delete ", "compact,delete"},
		{"cleanup.policy", "", ""},
		{"unclean.leader.election.enable", " TRUE ", "true"},
		{"max.message.bytes", " +5 ", "5"},
		{"min.cleanable.dirty.ratio", "0", "0.0"},
		{"min.cleanable.dirty.ratio", "1", "1.0"},
		{"min.cleanable.dirty.ratio", "1e-1", "0.1"},
		{"min.cleanable.dirty.ratio", "0.001", "0.001"},
		{"min.cleanable.dirty.ratio", "0.0001", "1.0E-4"},
		{"min.cleanable.dirty.ratio", "1.5e-7", "1.5E-7"},
	} {
		if got, err := configs.Lookup(configs.Topic, c.name).Parse(c.value); err != nil || got != c.want {
			t.Errorf("%s=%q: %q, %v, Kafka tells %q", c.name, c.value, got, err, c.want)
		}
	}
}

// TestGroupConfigsWithinLimits has a group's configs that were set under other limits stay within those that there
// are, while what is told of them stays what was set (KIP-1240).
func TestGroupConfigsWithinLimits(t *testing.T) {
	t.Parallel()
	b := configs.BrokerValues{Static: map[string]string{"group.share.max.delivery.count.limit": "7"}}
	set := map[string]string{
		"share.record.lock.duration.ms": "1500", "share.delivery.count.limit": "9", "share.isolation.level": "read_committed",
		"consumer.session.timeout.ms": "50000",
	}
	g := b.Group(set)
	for name, want := range map[string]string{
		"share.record.lock.duration.ms": "15000", "share.delivery.count.limit": "7", "share.isolation.level": "read_committed",
		"consumer.session.timeout.ms": "50000", "share.session.timeout.ms": "45000",
	} {
		if got := g.Value(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for _, e := range b.DescribeGroup(set) {
		if want, ok := set[e.Name]; ok && *e.Value != want {
			t.Errorf("%s is told as %s, want %s", e.Name, *e.Value, want)
		}
	}
}
