package server

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

func describeRequest(kind kmsg.ConfigResourceType, name string, configs ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms, req.IncludeDocumentation = 4, true, true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, configs
	req.Resources = append(req.Resources, r)
	return req
}

func TestDescribeConfigsResources(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	for _, c := range []struct {
		kind kmsg.ConfigResourceType
		name string
		want string // code, message, and how many configs
	}{
		{2, "a", "0  37"},
		{2, "nope", "3  0"},
		{2, "", "17 Topic name is invalid: the empty string is not allowed 0"},
		{4, "1", "0  350"},
		{4, "", "0  1"},
		{4, "2", "42 Unexpected broker id, expected 1 or empty string, but received 2 0"},
		{4, "x", "42 Broker id must be an integer, but it is: x 0"},
		{8, "", "42 Broker id must not be empty 0"},
		{8, "1", "0  3"},
		{8, "2", "42 Unexpected broker id, expected 1 but received 2 0"},
		{16, "s", "0  3"},
		{16, "", "42 Client metrics subscription name must not be empty 0"},
		{32, "", "42 Group name must not be empty 0"},
		{32, "g", "0  21"},
	} {
		r := f.describeConfigs(describeRequest(c.kind, c.name)).Resources[0]
		if got := fmt.Sprint(code(r.ErrorCode, r.ErrorMessage), " ", len(r.Configs)); got != c.want {
			t.Errorf("%d %q: %s, want %s", c.kind, c.name, got, c.want)
		}
	}
	req := describeRequest(2, "a")
	req.Resources = append(req.Resources, describeRequest(3, "x").Resources...)
	for _, r := range f.describeConfigs(req).Resources {
		if r.ErrorCode != 42 || len(r.Configs) > 0 {
			t.Errorf("with an unknown resource type %+v", r)
		}
	}
}

func TestDescribeConfigsEntry(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	f.image().Topics["a"].Configs = map[string]string{"min.insync.replicas": "2"}
	r := f.describeConfigs(describeRequest(2, "a", "min.insync.replicas", "nope")).Resources[0]
	if len(r.Configs) != 1 {
		t.Fatalf("%d configs, want the one that was asked for", len(r.Configs))
	}
	c := r.Configs[0]
	if c.Name != "min.insync.replicas" || *c.Value != "2" || c.Source != 1 || c.ConfigType != 3 || c.ReadOnly || c.Documentation == nil {
		t.Errorf("told as %+v", c)
	}
	var got []string
	for _, s := range c.ConfigSynonyms {
		got = append(got, fmt.Sprint(s.Name, "=", *s.Value, " ", int8(s.Source)))
	}
	compare(t, "synonyms", got, []string{"min.insync.replicas=2 1", "min.insync.replicas=1 3", "min.insync.replicas=1 5"})

	req := describeRequest(2, "a", "min.insync.replicas")
	req.IncludeSynonyms, req.IncludeDocumentation = false, false
	if c := f.describeConfigs(req).Resources[0].Configs[0]; c.ConfigSynonyms != nil || c.Documentation != nil || c.Source != 1 {
		t.Errorf("without synonyms and documentation %+v", c)
	}
}

type alterCase struct {
	kind    kmsg.ConfigResourceType
	name    string
	configs []kmsg.IncrementalAlterConfigsRequestResourceConfig
	want    string
}

func set(name, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	return op(kmsg.IncrementalAlterConfigOpSet, name, value)
}

func op(o kmsg.IncrementalAlterConfigOp, name, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	return kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: o, Value: &value}
}

func many(cs ...kmsg.IncrementalAlterConfigsRequestResourceConfig) []kmsg.IncrementalAlterConfigsRequestResourceConfig {
	return cs
}

func incremental(cases ...alterCase) *kmsg.IncrementalAlterConfigsRequest {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, c := range cases {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.Configs = c.kind, c.name, c.configs
		req.Resources = append(req.Resources, r)
	}
	return req
}

func accept(c election.Command) (any, error) {
	return make([]error, len(c.(*election.AlterConfigs).Resources)), nil
}

func TestIncrementalAlterConfigsChecks(t *testing.T) {
	t.Parallel()
	null := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: "retention.ms"}
	for _, c := range []alterCase{
		{2, "a", many(set("retention.ms", "5")), "0"},
		{2, "", many(set("retention.ms", "5")), "42 Default topic resources are not allowed."},
		{2, "a", many(null), "42 Null value not supported for : retention.ms"},
		{2, "a", many(set("x", "1"), set("x", "2")), "42 Error due to duplicate config keys"},
		{2, "a", many(op(9, "retention.ms", "1")), "-1"},
		{4, "", many(set("message.max.bytes", "5")), "0"},
		{4, "1", many(set("never.heard.of", "5")), "0"},
		{4, "1", many(set("node.id", "5")), "42 Cannot update these configs dynamically: [node.id]"},
		{4, "1", many(set("message.max.bytes", "x")), "42 Invalid value x for configuration message.max.bytes: Not a number of type INT"},
		{4, "1", many(op(2, "message.max.bytes", "5")), "40 Config value append is not allowed for config key: message.max.bytes"},
		{4, "1", many(op(9, "message.max.bytes", "5")), "42 Unknown operations type 9"},
		{4, "2", many(set("message.max.bytes", "5")), "42 Unexpected broker id, expected 1, but received 2"},
		{4, "x", many(set("message.max.bytes", "5")), "42 Node id must be an integer, but it is: x"},
		{8, "1", many(set("root", "DEBUG")), "0"},
		{8, "1", many(set("root", "LOUD")), "40 Cannot set the log level of root to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"},
		{8, "1", many(set("nope", "DEBUG")), "40 Logger nope does not exist!"},
		{8, "1", many(op(1, "root", "")), "42 Removing the log level of the root logger is not allowed"},
		{16, "s", many(set("interval.ms", "1000"), set("match", "client_id=x")), "0"},
		{16, "s", many(set("interval.ms", "1")), "42 Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)"},
		{16, "s", many(set("nope", "1")), "42 Unknown client metrics configuration: nope"},
		{16, "s", many(set("match", "client_id=[(")), "40 Illegal client matching pattern: client_id=[("},
		{16, "", many(set("metrics", "*")), "42 Subscription name can't be empty"},
		{32, "g", many(set("consumer.session.timeout.ms", "50000")), "0"},
		{32, "g", many(set("consumer.session.timeout.ms", "10")), "40 consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive."},
		{32, "g", many(set("nope", "10")), "40 Unknown group config name: nope"},
		{32, "", many(set("consumer.session.timeout.ms", "50000")), "42 Default group resources are not allowed."},
		{32, "g", many(set("streams.num.standby.replicas", "99")), "40 streams.num.standby.replicas must be less than or equal to 2"},
		{32, "g", many(set("streams.assignor.name", "foo")), "40 streams.assignor.name 'foo' is not a registered task assignor. Registered assignors are: [sticky]."},
		{32, "g", many(set("streams.rack.aware.assignment.tags", "a,a")), "40 streams.rack.aware.assignment.tags must not contain duplicate tag keys."},
		{3, "a", many(set("x", "1")), "42 Unknown resource type 3"},
	} {
		f := newAdminFake(accept)
		r := f.incrementalAlterConfigs(t.Context(), incremental(c)).Resources[0]
		if got := code(r.ErrorCode, r.ErrorMessage); got != c.want {
			t.Errorf("%d %q %v: %s, want %s", c.kind, c.name, c.configs, got, c.want)
		}
		if sent := len(f.asked) > 0; sent != (c.want == "0" && c.kind != 8) {
			t.Errorf("%d %q: sent to the controller: %t", c.kind, c.name, sent)
		}
	}
}

func TestIncrementalAlterConfigsMixed(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(c election.Command) (any, error) {
		return []error{nil, &election.Error{Err: election.ErrInvalidConfig, Message: "no"}}, nil
	})
	resp := f.incrementalAlterConfigs(t.Context(), incremental(
		alterCase{kind: 2, name: "a", configs: many(set("retention.ms", "1"))},
		alterCase{kind: 2, name: "twice"}, alterCase{kind: 4, name: "2"},
		alterCase{kind: 2, name: "b", configs: many(set("retention.ms", "x"))},
		alterCase{kind: 2, name: "twice"},
	))
	var got []string
	for _, r := range resp.Resources {
		got = append(got, r.ResourceName+" "+code(r.ErrorCode, r.ErrorMessage))
	}
	compare(t, "answers", got, []string{
		"a 0", "twice 42 Each resource must appear at most once.",
		"2 42 Unexpected broker id, expected 1, but received 2", "b 40 no", "twice 42 Each resource must appear at most once.",
	})
	if len(f.settled) != 1 {
		t.Errorf("waited %d times", len(f.settled))
	}
}

func TestIncrementalAlterConfigsValidateOnly(t *testing.T) {
	t.Parallel()
	f := newAdminFake(accept)
	req := incremental(alterCase{kind: 2, name: "a", configs: many(set("retention.ms", "1"))})
	req.ValidateOnly = true
	f.incrementalAlterConfigs(t.Context(), req)
	if !f.asked[0].(*election.AlterConfigs).ValidateOnly || len(f.settled) > 0 {
		t.Errorf("asked %+v, waited for %v", f.asked[0], f.settled)
	}
}

func TestAlterConfigsReplaces(t *testing.T) {
	t.Parallel()
	f := newAdminFake(accept)
	// What is there does not matter: it goes.
	f.image().BrokerConfigs = map[int32]map[string]string{1: {"message.max.bytes": "not a number"}}
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Resources = []kmsg.AlterConfigsRequestResource{
		{ResourceType: 4, ResourceName: "1", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "log.retention.ms", Value: kmsg.StringPtr("5")}}},
		{ResourceType: 8, ResourceName: "1"},
	}
	resp := f.alterConfigs(t.Context(), req)
	if a, b := resp.Resources[0].ErrorCode, resp.Resources[1].ErrorCode; a != 0 || b != 42 {
		t.Errorf("codes %d and %d", a, b)
	}
	sent := f.asked[0].(*election.AlterConfigs)
	if !sent.Replace || !sent.Resources[0].Resource.IsBroker || sent.Resources[0].Resource.Broker != 1 {
		t.Errorf("sent %+v", sent)
	}
}

func TestLoggerLevels(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	level := func() string {
		return *f.describeConfigs(describeRequest(8, "1", "kafka")).Resources[0].Configs[0].Value
	}
	request := incremental(alterCase{kind: 8, name: "1", configs: many(set("kafka", "TRACE"))})
	request.ValidateOnly = true
	f.incrementalAlterConfigs(t.Context(), request)
	if got := level(); got != "INFO" {
		t.Errorf("after a mere validation: %s", got)
	}
	request.ValidateOnly = false
	f.incrementalAlterConfigs(t.Context(), request)
	if got := level(); got != "TRACE" {
		t.Errorf("after the change: %s", got)
	}
	f.incrementalAlterConfigs(t.Context(), incremental(alterCase{kind: 8, name: "1", configs: many(op(1, "kafka", ""))}))
	if got := level(); got != "INFO" {
		t.Errorf("after the deletion: %s", got)
	}
}

func TestListConfigResources(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	f.image().NamedConfigs = map[election.NamedResource]map[string]string{
		{Kind: 32, Name: "g"}: {"x": "1"}, {Kind: 16, Name: "s"}: {"x": "1"},
	}
	for _, c := range []struct {
		version int16
		types   []int8
		want    string
	}{
		{0, nil, "0 16:s"},
		{1, nil, "0 2:a 2:b 2:c 4:1 4:2 8:1 8:2 16:s 32:g"},
		{1, []int8{32, 2, 32}, "0 2:a 2:b 2:c 32:g"},
		{1, []int8{32, 3}, "35"},
	} {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.Version, req.ResourceTypes = c.version, c.types
		resp := f.listConfigResources(req)
		got := fmt.Sprint(resp.ErrorCode)
		for _, r := range resp.ConfigResources {
			got += fmt.Sprint(" ", r.Type, ":", r.Name)
		}
		if got != c.want {
			t.Errorf("v%d %v: %s, want %s", c.version, c.types, got, c.want)
		}
	}
}
