package server_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka/election"
)

func (c *cluster) kadm() *kadm.Client {
	c.t.Helper()
	return kadm.NewClient(c.kgo())
}

// is fails the test unless err is the wished one of kerr's; nil for none.
func is(t *testing.T, what string, err error, want *kerr.Error) {
	t.Helper()
	var k *kerr.Error
	switch {
	case want == nil && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != nil && (!errors.As(err, &k) || k.Code != want.Code):
		t.Errorf("%s: %v, want %s", what, err, want.Message)
	}
}

// everywhere fails the test unless it is so in the metadata of every broker, now.
func (c *cluster) everywhere(what string, ok func(*election.Image) bool) {
	c.t.Helper()
	for id, b := range c.brokers {
		if !ok(b.Image()) {
			c.t.Errorf("broker %d does not know at once: %s", id, what)
		}
	}
}

func TestAdminCreateTopics(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, map[string]string{"num.partitions": "4", "default.replication.factor": "2"})
	adm := c.kadm()
	r, err := adm.CreateTopic(c.ctx(), 6, 3, map[string]*string{"min.insync.replicas": new("2")}, "orders")
	is(t, "create", err, nil)
	if r.NumPartitions != 6 || r.ReplicationFactor != 3 || r.ID == (kadm.TopicID{}) {
		t.Errorf("created %+v", r)
	}
	v := r.Configs["min.insync.replicas"]
	if v.MaybeValue() != "2" || v.Source != 1 {
		t.Errorf("created with %+v", v)
	}
	c.everywhere("a created topic", func(m *election.Image) bool { return m.Topics["orders"] != nil })
	for p := range int32(6) {
		id := c.id("orders", p)
		leader := c.anyImage().Partition(id).Leader
		if s := c.brokers[leader].Manager().Replica(id); s == nil || !s.State().Leading {
			t.Errorf("the leader of partition %d does not serve at once", p)
		}
	}

	_, err = adm.CreateTopic(c.ctx(), 1, 1, nil, "orders")
	is(t, "create again", err, kerr.TopicAlreadyExists)
	r, err = adm.CreateTopic(c.ctx(), -1, -1, nil, "defaults")
	is(t, "create with defaults", err, nil)
	if r.NumPartitions != 4 || r.ReplicationFactor != 2 {
		t.Errorf("defaults %+v", r)
	}
	for what, try := range map[string]struct {
		partitions int32
		factor     int16
		configs    map[string]*string
		name       string
		want       *kerr.Error
	}{
		"too many replicas": {1, 4, nil, "x", kerr.InvalidReplicationFactor},
		"no replicas":       {1, 0, nil, "x", kerr.InvalidReplicationFactor},
		"no partitions":     {0, 1, nil, "x", kerr.InvalidPartitions},
		"a bad name":        {1, 1, nil, "a/b", kerr.InvalidTopicException},
		"a bad config":      {1, 1, map[string]*string{"retention.ms": new("soon")}, "x", kerr.InvalidConfig},
		"an unknown config": {1, 1, map[string]*string{"retention": new("1")}, "x", kerr.InvalidConfig},
		"no value":          {1, 1, map[string]*string{"retention.ms": nil}, "x", kerr.InvalidConfig},
	} {
		_, err := adm.CreateTopic(c.ctx(), try.partitions, try.factor, try.configs, try.name)
		is(t, what, err, try.want)
	}
	_, err = adm.CreateTopic(c.ctx(), 1, 1, nil, "a.b")
	is(t, "a name with a dot", err, nil)
	_, err = adm.CreateTopic(c.ctx(), 1, 1, nil, "a_b")
	is(t, "a colliding name", err, kerr.InvalidTopicException)

	valid, err := adm.ValidateCreateTopics(c.ctx(), 1, 3, nil, "only-asked", "orders")
	is(t, "validate", err, nil)
	is(t, "validate a new one", valid["only-asked"].Err, nil)
	is(t, "validate an old one", valid["orders"].Err, kerr.TopicAlreadyExists)
	c.everywhere("nothing of a validated topic", func(m *election.Image) bool { return m.Topics["only-asked"] == nil })
}

func TestAdminDeleteTopics(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	adm := c.kadm()
	first, err := adm.CreateTopic(c.ctx(), 1, 3, nil, "orders")
	is(t, "create", err, nil)
	r, err := adm.DeleteTopics(c.ctx(), "orders", "nope")
	is(t, "delete", err, nil)
	is(t, "delete", r["orders"].Err, nil)
	is(t, "delete an unknown topic", r["nope"].Err, kerr.UnknownTopicOrPartition)
	c.everywhere("a deleted topic", func(m *election.Image) bool { return m.Topics["orders"] == nil })
	again, err := adm.CreateTopic(c.ctx(), 1, 3, nil, "orders")
	is(t, "create again", err, nil)
	if again.ID == first.ID {
		t.Errorf("a topic that was created again has its old id %v", again.ID)
	}
	producer := c.kgo(kgo.DefaultProduceTopic("orders"))
	is(t, "produce to it", producer.ProduceSync(c.ctx(), kgo.StringRecord("x")).FirstErr(), nil)
}

func TestAdminDeleteTopicsDisabled(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, map[string]string{"delete.topic.enable": "false"})
	adm := c.kadm()
	_, err := adm.CreateTopic(c.ctx(), 1, 1, nil, "orders")
	is(t, "create", err, nil)
	_, err = adm.DeleteTopic(c.ctx(), "orders")
	is(t, "delete", err, kerr.TopicDeletionDisabled)
}

func TestAdminCreatePartitions(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	adm := c.kadm()
	_, err := adm.CreateTopic(c.ctx(), 2, 2, nil, "orders")
	is(t, "create", err, nil)
	more := func(what string, set int, topic string, want *kerr.Error) {
		t.Helper()
		r, err := adm.UpdatePartitions(c.ctx(), set, topic)
		is(t, what, err, nil)
		is(t, what, r[topic].Err, want)
	}
	more("more", 5, "orders", nil)
	c.everywhere("more partitions", func(m *election.Image) bool { return len(m.Topics["orders"].Partitions) == 5 })
	for _, p := range c.anyImage().Topics["orders"].Partitions {
		if len(p.Replicas) != 2 || len(p.ISR) != 2 || p.LeaderEpoch != 0 {
			t.Errorf("partition %+v", p)
		}
	}
	more("as many", 5, "orders", kerr.InvalidPartitions)
	more("fewer", 4, "orders", kerr.InvalidPartitions)
	more("of an unknown topic", 4, "nope", kerr.UnknownTopicOrPartition)
	valid, err := adm.ValidateUpdatePartitions(c.ctx(), 9, "orders")
	is(t, "validate", err, nil)
	is(t, "validate", valid["orders"].Err, nil)
	c.everywhere("nothing of validated partitions", func(m *election.Image) bool { return len(m.Topics["orders"].Partitions) == 5 })
}

// TestAdminTopicConfigs changes configs and finds them in force at once.
func TestAdminTopicConfigs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	adm := c.kadm()
	_, err := adm.CreateTopic(c.ctx(), 1, 3, nil, "orders")
	is(t, "create", err, nil)
	value := func(name string) *kadm.Config {
		t.Helper()
		r, err := adm.DescribeTopicConfigs(c.ctx(), "orders")
		is(t, "describe", err, nil)
		i := slices.IndexFunc(r[0].Configs, func(k kadm.Config) bool { return k.Key == name })
		if i < 0 {
			t.Fatalf("%s is not told", name)
		}
		return &r[0].Configs[i]
	}
	alter := func(what string, want *kerr.Error, configs ...kadm.AlterConfig) {
		t.Helper()
		r, err := adm.AlterTopicConfigs(c.ctx(), configs, "orders")
		is(t, what, err, nil)
		is(t, what, r[0].Err, want)
	}
	if v := value("min.insync.replicas"); v.MaybeValue() != "1" || v.Source != 3 {
		t.Errorf("the cluster's min.insync.replicas is told as %+v", *v)
	}
	alter("set", nil, kadm.AlterConfig{Name: "min.insync.replicas", Value: new("3")}, kadm.AlterConfig{Name: "retention.ms", Value: new("7")})
	if v := value("retention.ms"); v.MaybeValue() != "7" || v.Source != 1 {
		t.Errorf("retention.ms is told as %+v", *v)
	}
	alter("append", nil, kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: new("compact")})
	if v := value("cleanup.policy").MaybeValue(); v != "delete,compact" {
		t.Errorf("cleanup.policy is %s", v)
	}
	alter("subtract", nil, kadm.AlterConfig{Op: kadm.SubtractConfig, Name: "cleanup.policy", Value: new("delete")})
	if v := value("cleanup.policy").MaybeValue(); v != "compact" {
		t.Errorf("cleanup.policy is %s", v)
	}
	alter("append to what is no list", kerr.InvalidConfig, kadm.AlterConfig{Op: kadm.AppendConfig, Name: "retention.ms", Value: new("1")})
	alter("all or nothing", kerr.InvalidConfig, kadm.AlterConfig{Name: "retention.ms", Value: new("8")}, kadm.AlterConfig{Name: "segment.ms", Value: new("x")})
	if v := value("retention.ms").MaybeValue(); v != "7" {
		t.Errorf("retention.ms is %s after a change that was refused", v)
	}
	alter("delete", nil, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "cleanup.policy"}, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"})
	if v := value("retention.ms"); v.MaybeValue() != "604800000" || v.Source != 5 {
		t.Errorf("retention.ms is told as %+v", *v)
	}
	r, err := adm.AlterTopicConfigsState(c.ctx(), []kadm.AlterConfig{{Name: "segment.ms", Value: new("60000")}}, "orders", "nope")
	is(t, "replace", err, nil)
	for _, one := range r {
		is(t, "replace of "+one.Name, one.Err, map[string]*kerr.Error{"nope": kerr.UnknownTopicOrPartition}[one.Name])
	}
	if v := value("min.insync.replicas").MaybeValue(); v != "1" {
		t.Errorf("min.insync.replicas is %s though all configs were replaced", v)
	}
}

// TestAdminMinISRTakesEffect finds a raised min.insync.replicas in force when
// the change is answered.
func TestAdminMinISRTakesEffect(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	adm := c.kadm()
	c.createTopic("orders", 1, 3, nil)
	leader := c.leader("orders", 0)
	c.crash(leader%3 + 1)
	c.inSync("orders", 0, 2)
	producer := c.kgo(kgo.DefaultProduceTopic("orders"), kgo.RecordRetries(0), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.AllISRAcks()))
	is(t, "produce", producer.ProduceSync(c.ctx(), kgo.StringRecord("x")).FirstErr(), nil)
	_, err := adm.AlterTopicConfigs(c.ctx(), []kadm.AlterConfig{{Name: "min.insync.replicas", Value: new("3")}}, "orders")
	is(t, "alter", err, nil)
	is(t, "produce under the minimum", producer.ProduceSync(c.ctx(), kgo.StringRecord("x")).FirstErr(), kerr.NotEnoughReplicas)
}

func TestAdminBrokerConfigs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, map[string]string{"message.max.bytes": "5000"})
	adm := c.kadm()
	c.createTopic("orders", 1, 1, nil)
	told := func(broker int32, name string) *kadm.Config {
		t.Helper()
		r, err := adm.DescribeBrokerConfigs(c.ctx(), broker)
		is(t, "describe", err, nil)
		i := slices.IndexFunc(r[0].Configs, func(k kadm.Config) bool { return k.Key == name })
		if i < 0 {
			t.Fatalf("%s is not told", name)
		}
		return &r[0].Configs[i]
	}
	alter := func(what string, want *kerr.Error, config kadm.AlterConfig, brokers ...int32) {
		t.Helper()
		r, err := adm.AlterBrokerConfigs(c.ctx(), []kadm.AlterConfig{config}, brokers...)
		is(t, what, err, nil)
		is(t, what, r[0].Err, want)
	}
	if v := told(2, "node.id"); v.MaybeValue() != "2" || v.Source != 4 {
		t.Errorf("node.id is told as %+v", *v)
	}
	alter("for all", nil, kadm.AlterConfig{Name: "message.max.bytes", Value: new("6000")})
	alter("for one", nil, kadm.AlterConfig{Name: "message.max.bytes", Value: new("7000")}, 2)
	for id, want := range map[int32]string{1: "6000", 2: "7000", 3: "6000"} {
		v := told(id, "message.max.bytes")
		if v.MaybeValue() != want {
			t.Errorf("broker %d: %+v, want %s", id, *v, want)
		}
		if last := v.Synonyms[len(v.Synonyms)-2]; last.Source != 4 || *last.Value != "5000" {
			t.Errorf("broker %d: synonyms %+v", id, v.Synonyms)
		}
	}
	alter("a read-only one", kerr.InvalidRequest, kadm.AlterConfig{Name: "num.partitions", Value: new("5")}, 1)
	alter("min.insync.replicas of one broker", kerr.InvalidConfig, kadm.AlterConfig{Name: "min.insync.replicas", Value: new("2")}, 1)
	alter("no min.insync.replicas", kerr.InvalidConfig, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "min.insync.replicas"})
	alter("a name that Kafka has not", nil, kadm.AlterConfig{Name: "my.own", Value: new("x")}, 1)
	r, err := adm.DescribeBrokerConfigs(c.ctx())
	is(t, "describe", err, nil)
	if got := r[0].Configs; len(got) != 2 || got[0].Key != "message.max.bytes" || got[1].Key != "min.insync.replicas" {
		t.Errorf("configs of all brokers: %+v", got)
	}
}

func TestAdminElectLeaders(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	adm := c.kadm()
	c.createTopic("orders", 1, 3, nil)
	preferred := c.anyImage().Topics["orders"].Partitions[0].Replicas[0]
	elect := func(what string, how kadm.ElectLeadersHow, s kadm.TopicsSet, want *kerr.Error) {
		t.Helper()
		r, err := adm.ElectLeaders(c.ctx(), how, s)
		is(t, what, err, nil)
		for topic, ps := range s {
			for p := range ps {
				is(t, what, r[topic][p].Err, want)
			}
		}
	}
	orders := kadm.TopicsSet{"orders": {0: {}}}
	elect("the preferred leader leads", kadm.ElectPreferredReplica, orders, kerr.ElectionNotNeeded)
	elect("there is a leader", kadm.ElectLiveReplica, orders, kerr.ElectionNotNeeded)
	elect("no such partition", kadm.ElectPreferredReplica, kadm.TopicsSet{"orders": {7: {}}, "nope": {0: {}}}, kerr.UnknownTopicOrPartition)
	c.crash(preferred)
	c.eventually("another leader", func() bool { return c.anyImage().Topics["orders"].Partitions[0].Leader != preferred })
	elect("the preferred leader is dead", kadm.ElectPreferredReplica, orders, kerr.PreferredLeaderNotAvailable)
	c.start(preferred)
	c.ready(preferred)
	c.inSync("orders", 0, 3)
	elect("the preferred leader is back", kadm.ElectPreferredReplica, orders, nil)
	c.everywhere("the elected leader", func(m *election.Image) bool { return m.Topics["orders"].Partitions[0].Leader == preferred })
	if s := c.brokers[preferred].Manager().Replica(c.id("orders", 0)).State(); !s.Leading {
		t.Errorf("the elected leader does not serve at once: %+v", s)
	}
	r, err := adm.ElectLeaders(c.ctx(), kadm.ElectPreferredReplica, nil)
	is(t, "all", err, nil)
	if len(r["orders"]) > 0 {
		t.Errorf("all partitions: %+v", r)
	}
}
