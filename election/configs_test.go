package election

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func topicConfig(name string, changes ...ConfigChange) ResourceChange {
	return ResourceChange{ConfigResource{Topic: name}, changes}
}

func brokerConfig(id int32, changes ...ConfigChange) ResourceChange {
	return ResourceChange{ConfigResource{IsBroker: true, Broker: id}, changes}
}

func set(name, value string) ConfigChange { return ConfigChange{name, OpSet, &value} }
func app(name, value string) ConfigChange { return ConfigChange{name, OpAppend, &value} }
func sub(name, value string) ConfigChange { return ConfigChange{name, OpSubtract, &value} }
func del(name string) ConfigChange        { return ConfigChange{name, OpDelete, nil} }

// picky refuses a few configs.
type picky struct{ noRules }

func (picky) ValidateTopic(configs map[string]string) error {
	if _, ok := configs["bad"]; ok {
		return errors.New("Unknown topic config name: bad")
	}
	return nil
}

func (picky) ValidateBroker(configs map[string]string) error {
	if _, ok := configs["broker.id"]; ok {
		return fail(ErrInvalidRequest, "Cannot update these configs dynamically: Set(broker.id)")
	}
	return nil
}

func TestAlterConfigs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		elrOff  bool
		change  ResourceChange
		replace bool
		want    error
		got     map[string]string // of the resource afterwards
	}{
		{name: "set", change: topicConfig("t", set("x", "1")), got: map[string]string{"x": "1", "old": "1"}},
		{name: "delete", change: topicConfig("t", del("old")), got: map[string]string{}},
		{name: "delete what is not set", change: topicConfig("t", del("x")), got: map[string]string{"old": "1"}},
		{name: "null value", change: topicConfig("t", ConfigChange{"x", OpSet, nil}), want: ErrInvalidRequest},
		{name: "null value to append", change: topicConfig("t", ConfigChange{"cleanup.policy", OpAppend, nil}), want: ErrInvalidRequest},
		{name: "a key twice", change: topicConfig("t", set("x", "1"), del("x")), want: ErrInvalidRequest},
		{name: "append to the default", change: topicConfig("t", app("cleanup.policy", "compact")), got: map[string]string{"old": "1", "cleanup.policy": "delete,compact"}},
		{name: "append what is there", change: topicConfig("t", app("cleanup.policy", "delete")), got: map[string]string{"old": "1", "cleanup.policy": "delete"}},
		{name: "subtract", change: topicConfig("t", sub("cleanup.policy", "delete")), got: map[string]string{"old": "1", "cleanup.policy": ""}},
		{name: "A18 append to no list", change: topicConfig("t", app("x", "1")), want: ErrInvalidConfig},
		{name: "subtract from no list", change: topicConfig("t", sub("x", "1")), want: ErrInvalidConfig},
		{name: "the catalogue refuses", change: topicConfig("t", set("x", "1"), set("bad", "1")), want: ErrInvalidConfig},
		{name: "too long", change: topicConfig("t", set("x", strings.Repeat("x", 32768))), want: ErrInvalidConfig},
		{name: "no such topic", change: topicConfig("none", set("x", "1")), want: ErrUnknownTopicOrPartition},
		{name: "no topic name", change: topicConfig("a/b", set("x", "1")), want: ErrInvalidTopic},
		{name: "replace", change: topicConfig("t", set("x", "1")), replace: true, got: map[string]string{"x": "1"}},
		{name: "replace by nothing", change: topicConfig("t"), replace: true, got: map[string]string{}},
		{name: "broker", change: brokerConfig(1, set("x", "1")), got: map[string]string{"x": "1"}},
		{name: "broker not registered", change: brokerConfig(9, set("x", "1")), want: ErrBrokerNotRegistered},
		{name: "the catalogue has a code", change: brokerConfig(1, set("broker.id", "1")), want: ErrInvalidRequest},
		{name: "cluster", change: brokerConfig(-1, set("x", "1")), got: map[string]string{"x": "1", minISRConfig: "1"}},
		{name: "minimum ISR of the cluster", change: brokerConfig(-1, set(minISRConfig, "2")), got: map[string]string{minISRConfig: "2"}},
		{name: "not removed", change: brokerConfig(-1, del(minISRConfig)), want: ErrInvalidConfig},
		{name: "not removed by replacing", change: brokerConfig(-1, set("x", "1")), replace: true, want: ErrInvalidConfig},
		{name: "not of one broker", change: brokerConfig(1, set(minISRConfig, "2")), want: ErrInvalidConfig},
		{name: "nor its removal", change: brokerConfig(1, del(minISRConfig)), want: ErrInvalidConfig},
		{name: "ELR off: of one broker", elrOff: true, change: brokerConfig(1, set(minISRConfig, "2")), got: map[string]string{minISRConfig: "2"}},
		{name: "ELR off: none of the cluster", elrOff: true, change: brokerConfig(-1, del(minISRConfig)), got: map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, !c.elrOff, 1)
			w.rules = picky{}
			w.create([]int32{1}, map[string]string{"old": "1"})
			before := w.image
			cmd := &AlterConfigs{Resources: []ResourceChange{c.change}, Replace: c.replace, ValidateOnly: true}
			if err := w.must(cmd).([]error)[0]; !errors.Is(err, c.want) || w.image != before {
				t.Errorf("validated only: %v, image changed %v", err, w.image != before)
			}
			cmd.ValidateOnly = false
			if err := w.must(cmd).([]error)[0]; !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if c.want != nil {
				if w.image != before {
					t.Error("a refused change took effect")
				}
				return
			}
			e := newEdit(w.image, w.hidden, w.rules)
			if got := e.overrides(c.change.Resource); !maps.Equal(got, c.got) {
				t.Errorf("got %v, want %v", got, c.got)
			}
		})
	}
}

func TestAlterConfigsEachResourceAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1)
	w.createTopics(auto("a", 1, 1), auto("b", 1, 1))
	errs := w.must(&AlterConfigs{Resources: []ResourceChange{
		topicConfig("a", set("x", "1")), topicConfig("none", set("x", "1")), topicConfig("b", set("x", "1")), topicConfig("b", set("y", "1")),
	}}).([]error)
	for i, want := range []error{nil, ErrUnknownTopicOrPartition, ErrInvalidRequest, ErrInvalidRequest} {
		if !errors.Is(errs[i], want) {
			t.Errorf("%d: %v, want %v", i, errs[i], want)
		}
	}
	if w.image.Topics["a"].Configs["x"] != "1" || len(w.image.Topics["b"].Configs) != 0 {
		t.Errorf("a %v, b %v", w.image.Topics["a"].Configs, w.image.Topics["b"].Configs)
	}
}

func TestNewCluster(t *testing.T) {
	t.Parallel()
	on, off := newWorld(t, true), newWorld(t, false)
	if on.image.ClusterConfigs[minISRConfig] != "1" || on.image.Features[elrFeature] != 1 || on.image.Features["metadata.version"] != 33 {
		t.Errorf("ELR on: %+v", on.image)
	}
	if _, ok := off.image.Features[elrFeature]; ok || len(off.image.ClusterConfigs) != 0 {
		t.Errorf("ELR off: %+v", off.image)
	}
	epoch := on.image.FeaturesEpoch
	on.must(&claim{ClusterID: "other", Features: map[string]int16{}})
	if on.image.ClusterID != "test" || on.image.Features[elrFeature] != 1 || on.image.FeaturesEpoch != epoch {
		t.Errorf("a second claim formatted again: %+v", on.image)
	}
	w := &world{t: t, codec: newCodec(), image: emptyImage(), rules: noRules{}}
	w.must(&claim{ClusterID: "x", Features: DefaultFeatures(), Static: map[string]string{minISRConfig: "2"}})
	if w.image.ClusterConfigs[minISRConfig] != "2" {
		t.Errorf("the static value is not the cluster's: %v", w.image.ClusterConfigs)
	}
}

func TestUpdateFeatures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		updates []FeatureUpdate
		ok      bool
	}{
		{"safe downgrade", []FeatureUpdate{{elrFeature, 0, safeDowngrade}}, true},
		{"unsafe downgrade", []FeatureUpdate{{elrFeature, 0, unsafeDowngrade}}, true},
		{"the same", []FeatureUpdate{{elrFeature, 1, upgradeOnly}}, true},
		{"downgrade as upgrade", []FeatureUpdate{{elrFeature, 0, upgradeOnly}}, false},
		{"upgrade as downgrade", []FeatureUpdate{{"share.version", 3, safeDowngrade}}, false},
		{"too high", []FeatureUpdate{{elrFeature, 2, upgradeOnly}}, false},
		{"negative", []FeatureUpdate{{elrFeature, -1, safeDowngrade}}, false},
		{"unknown", []FeatureUpdate{{"x", 1, upgradeOnly}}, false},
		{"unknown type", []FeatureUpdate{{elrFeature, 0, 0}}, false},
		{"metadata downgrade", []FeatureUpdate{{metadataFeature, 20, unsafeDowngrade}}, false},
		{"raft downgrade", []FeatureUpdate{{raftFeature, 0, safeDowngrade}}, false},
		{"all or none", []FeatureUpdate{{elrFeature, 0, safeDowngrade}, {"x", 1, upgradeOnly}}, false},
	} {
		w := newWorld(t, true, 1)
		before := w.image
		_, err := w.apply(&UpdateFeatures{Updates: c.updates, ValidateOnly: true})
		if (err == nil) != c.ok || w.image != before {
			t.Errorf("%s, validated only: %v", c.name, err)
		}
		if _, err = w.apply(&UpdateFeatures{Updates: c.updates}); (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrInvalidUpdateVersion)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.ok && w.image != before {
			t.Errorf("%s: a refused update took effect", c.name)
		}
		if c.ok && c.updates[0].Level == 0 {
			if _, there := w.image.Features[elrFeature]; there || w.image.FeaturesEpoch <= before.FeaturesEpoch {
				t.Errorf("%s: %v", c.name, w.image.Features)
			}
		}
	}
}

// TestTurnELROn makes the configs safe: one minimum ISR, known to the
// controller.
func TestTurnELROn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false, 1)
	w.must(&AlterConfigs{Resources: []ResourceChange{brokerConfig(1, set(minISRConfig, "2"), set("x", "1"))}})
	w.must(&UpdateFeatures{Updates: []FeatureUpdate{{elrFeature, 1, upgradeOnly}}})
	if w.image.ClusterConfigs[minISRConfig] != "1" || !maps.Equal(w.image.BrokerConfigs[1], map[string]string{"x": "1"}) {
		t.Errorf("cluster %v, broker %v", w.image.ClusterConfigs, w.image.BrokerConfigs)
	}
}

func TestProducerIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1)
	for i := range int64(3) {
		if b := w.must(&AllocateProducerIDs{Broker: 1, Epoch: w.epoch(1)}).(ProducerIDBlock); b.First != 1000*i || b.Count != 1000 {
			t.Errorf("%+v", b)
		}
	}
	if _, err := w.apply(&AllocateProducerIDs{Broker: 1, Epoch: w.epoch(1) - 1}); !errors.Is(err, ErrStaleBrokerEpoch) {
		t.Error(err)
	}
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2)
	w.create([]int32{1, 2}, nil)
	b := w.image.Brokers[1]
	again := &registerBroker{ID: 1, Incarnation: b.Incarnation, Host: "other", Port: 7, PreviousEpoch: -1}
	if epoch := w.must(again).(int64); epoch != b.Epoch || w.image.Brokers[1].Fenced || w.image.Brokers[1].Host != "other" {
		t.Errorf("the same incarnation: epoch %d, %+v", epoch, *w.image.Brokers[1])
	}
	if got := show(w.partition()); got != "1 e0 p0 isr[1 2]" {
		t.Errorf("the same incarnation changed the partition: %s", got)
	}
	w.register(1, -1)
	if n := w.image.Brokers[1]; n.Epoch != int64(w.next) || !n.Fenced {
		t.Errorf("a new incarnation: %+v", *n)
	}
	for _, cmd := range []applier{
		&fenceBroker{1, b.Epoch}, &unfenceBroker{1, b.Epoch, 100}, &beginShutdown{1, b.Epoch},
		&ReportOffline{Broker: 1, BrokerEpoch: b.Epoch}, &fenceBroker{9, 1},
	} {
		if _, err := w.apply(cmd); !errors.Is(err, ErrStaleBrokerEpoch) {
			t.Errorf("%T of an old epoch: %v", cmd, err)
		}
	}
	if unfenced := w.must(&unfenceBroker{1, w.epoch(1), uint64(w.epoch(1)) - 1}); unfenced != false || !w.image.Brokers[1].Fenced {
		t.Error("unfenced before it has seen its own registration")
	}
	if unfenced := w.must(&unfenceBroker{1, w.epoch(1), uint64(w.epoch(1))}); unfenced != true || w.image.Brokers[1].Fenced {
		t.Error("not unfenced though it has seen its own registration")
	}
	if _, err := w.apply(&UnregisterBroker{Broker: 9}); !errors.Is(err, ErrBrokerNotRegistered) {
		t.Error(err)
	}
}
