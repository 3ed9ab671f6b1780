package conformance_test

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Resource types of configs that kmsg has no name for.
const unknownResource = kmsg.ConfigResourceType(99)

func (s *script) describeConfigs() []call {
	describe := func(documentation bool, resources ...kmsg.DescribeConfigsRequestResource) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.IncludeSynonyms, req.IncludeDocumentation, req.Resources = true, documentation, resources
			return req
		}
	}
	of := func(kind kmsg.ConfigResourceType, name string, configs ...string) kmsg.DescribeConfigsRequestResource {
		r := kmsg.DescribeConfigsRequestResource{ResourceType: kind, ResourceName: name}
		r.ConfigNames = configs // None is all.
		return r
	}
	const topicKind, brokerKind = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	self, other := fmt.Sprint(s.A), fmt.Sprint(s.B)
	return slices.Concat(
		versions("of a topic", describe(false, of(topicKind, "three")), 1, 4),
		versions("of a topic, with documentation", describe(true, of(topicKind, "three", "retention.ms")), 4),
		versions("of a topic, some", describe(false, of(topicKind, "three", "min.insync.replicas", "cleanup.policy", "no.such.config")), 1, 4),
		versions("of an unknown topic", describe(false, of(topicKind, "unknown")), 1, 4),
		versions("of a topic with a bad name", describe(false, of(topicKind, "a b")), 1, 4),
		versions("of the broker", describe(false, of(brokerKind, self)), 1, 4),
		versions("of the broker, some", describe(false, of(brokerKind, self, "min.insync.replicas", "log.retention.ms", "node.id", "no.such.config")), 1, 4),
		versions("of all brokers", describe(false, of(brokerKind, "")), 1, 4),
		versions("of another broker", describe(false, of(brokerKind, other)), 1, 4),
		versions("of something that is no broker", describe(false, of(brokerKind, "x")), 1, 4),
		versions("of an unknown kind", describe(false, of(unknownResource, "x")), 1, 4),
		versions("of the same topic twice", describe(false, of(topicKind, "one", "retention.ms"), of(topicKind, "one", "retention.ms")), 1, 4),
		versions("of nothing", describe(false), 1, 4),
	)
}

// alterConfigs is both APIs that change configs, and a look at what came of it.
func (s *script) alterConfigs() []call {
	const topicKind, brokerKind = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	replace := func(validateOnly bool, topic, config string, value *string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrAlterConfigsRequest()
			req.ValidateOnly = validateOnly
			req.Resources = []kmsg.AlterConfigsRequestResource{{
				ResourceType: topicKind, ResourceName: topic,
				Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: config, Value: value}},
			}}
			return req
		}
	}
	alter := func(validateOnly bool, kind kmsg.ConfigResourceType, name string, configs ...kmsg.IncrementalAlterConfigsRequestResourceConfig) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			req.ValidateOnly = validateOnly
			req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: name, Configs: configs}}
			return req
		}
	}
	value := func(v string) *string { return &v }
	const (
		set      = kmsg.IncrementalAlterConfigOpSet
		remove   = kmsg.IncrementalAlterConfigOpDelete
		add      = kmsg.IncrementalAlterConfigOpAppend
		subtract = kmsg.IncrementalAlterConfigOpSubtract
	)
	one := func(op kmsg.IncrementalAlterConfigOp, name string, v *string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
		return kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: op, Value: v}
	}
	look := func(label string, ready func(map[string]string) bool) call {
		req := request(kmsg.NewPtrDescribeConfigsRequest(), 4)
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: topicKind, ResourceName: "compacted"}}
		return call{label: label, req: req, ready: func(resp kmsg.Response) bool { return ready(configsIn(resp)) }}
	}
	return slices.Concat(
		versions("", alter(false, topicKind, "compacted", one(set, "retention.ms", value("1000")), one(add, "cleanup.policy", value("delete"))), 0),
		[]call{look("of what was altered", func(c map[string]string) bool { return c["retention.ms"] == "1000" })},
		versions("", alter(false, topicKind, "compacted", one(remove, "retention.ms", nil), one(subtract, "cleanup.policy", value("delete"))), 1),
		versions("to be validated only", alter(true, topicKind, "compacted", one(set, "retention.ms", value("1000"))), 1),
		versions("of an unknown config", alter(false, topicKind, "compacted", one(set, "no.such.config", value("1"))), 0, 1),
		versions("to a bad value", alter(false, topicKind, "compacted", one(set, "retention.ms", value("x"))), 0, 1),
		versions("to null", alter(false, topicKind, "compacted", one(set, "retention.ms", nil)), 1),
		versions("appending to no list", alter(false, topicKind, "compacted", one(add, "retention.ms", value("1"))), 1),
		versions("twice", alter(false, topicKind, "compacted", one(set, "retention.ms", value("1")), one(remove, "retention.ms", nil)), 1),
		versions("with an unknown operation", alter(false, topicKind, "compacted", one(9, "retention.ms", value("1"))), 1),
		versions("of an unknown topic", alter(false, topicKind, "unknown", one(set, "retention.ms", value("1"))), 0, 1),
		versions("of the broker", alter(false, brokerKind, fmt.Sprint(s.A), one(set, "log.retention.ms", value("700000000"))), 0, 1),
		versions("of another broker", alter(false, brokerKind, fmt.Sprint(s.B), one(set, "log.retention.ms", value("700000000"))), 1),
		versions("of a read-only config", alter(false, brokerKind, fmt.Sprint(s.A), one(set, "node.id", value("7"))), 1),
		versions("of all brokers", alter(false, brokerKind, "", one(set, "log.retention.ms", value("700000000"))), 1),
		versions("of something that is no broker", alter(false, brokerKind, "x", one(set, "log.retention.ms", value("1"))), 1),
		versions("of an unknown kind", alter(false, unknownResource, "x", one(set, "retention.ms", value("1"))), 1),
		versions("", replace(false, "compacted", "cleanup.policy", value("compact")), 0, 2),
		[]call{look("of what was replaced", func(c map[string]string) bool { return c["cleanup.policy"] == "compact" })},
		versions("to be validated only", replace(true, "compacted", "retention.ms", value("1")), 2),
		versions("of an unknown topic", replace(false, "unknown", "retention.ms", value("1")), 0, 2),
		versions("of an unknown config", replace(false, "compacted", "no.such.config", value("1")), 0, 2),
		versions("to null", replace(false, "compacted", "retention.ms", nil), 0, 2),
	)
}

// configsIn returns the values of all configs in an answer to DescribeConfigs.
func configsIn(resp kmsg.Response) map[string]string {
	values := map[string]string{}
	for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		for _, c := range r.Configs {
			if c.Value != nil {
				values[c.Name] = *c.Value
			}
		}
	}
	return values
}
