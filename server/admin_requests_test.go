package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// ask sends a request to one broker, once.
func ask[R kmsg.Response](c *cluster, broker int32, req kmsg.Request, opts ...kgo.Opt) R {
	c.t.Helper()
	resp, err := c.kgo(opts...).Broker(int(broker)).Request(c.ctx(), req)
	if err != nil {
		c.t.Fatalf("%T: %v", req, err)
	}
	return resp.(R)
}

func describeTopicsRequest(names ...string) *kmsg.DescribeTopicPartitionsRequest {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2000
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: n})
	}
	return req
}

// TestAdminEligibleLeaders sees the eligible leader replicas come and go, and
// stay away when the feature is off.
func TestAdminEligibleLeaders(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 1, 1, nil)
	leader := c.leader("orders", 0)
	other := leader%3 + 1
	describe := func() kmsg.DescribeTopicPartitionsResponseTopicPartition {
		t.Helper()
		return ask[*kmsg.DescribeTopicPartitionsResponse](c, other, describeTopicsRequest("orders")).Topics[0].Partitions[0]
	}
	if p := describe(); p.LeaderID != leader || p.EligibleLeaderReplicas == nil || len(p.EligibleLeaderReplicas) > 0 || len(p.OfflineReplicas) > 0 {
		t.Errorf("all is well: %+v", p)
	}
	c.crash(leader)
	c.eventually("no leader", func() bool { return describe().LeaderID == -1 })
	p := describe()
	if p.ErrorCode != 0 || len(p.ISR) > 0 || !slices.Equal(p.EligibleLeaderReplicas, []int32{leader}) ||
		!slices.Equal(p.LastKnownELR, []int32{leader}) || !slices.Equal(p.OfflineReplicas, []int32{leader}) {
		t.Errorf("after the crash of the only replica: %+v", p)
	}
}

// TestAdminUpdateFeatures turns eligible leader replicas off.
func TestAdminUpdateFeatures(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	const elr = "eligible.leader.replicas.version"
	update := func(level int16, kind int8, validateOnly bool) *kmsg.UpdateFeaturesResponse {
		t.Helper()
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.TimeoutMillis, req.ValidateOnly = 10_000, validateOnly
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = elr, level, kind
		req.FeatureUpdates = append(req.FeatureUpdates, u)
		return ask[*kmsg.UpdateFeaturesResponse](c, 2, req)
	}
	if r := update(0, 1, false); r.ErrorCode != kerr.InvalidUpdateVersion.Code || r.ErrorMessage == nil {
		t.Errorf("a downgrade that does not say so: %+v", r)
	}
	if r := update(0, 2, true); r.ErrorCode != 0 {
		t.Errorf("validate a safe downgrade: %+v", r)
	}
	c.everywhere("the feature that was only validated", func(m *election.Image) bool { return m.Features[elr] == 1 })
	if r := update(0, 2, false); r.ErrorCode != 0 {
		t.Errorf("a safe downgrade: %+v", r)
	}
	c.everywhere("the feature that is off", func(m *election.Image) bool { return m.Features[elr] == 0 })

	c.createTopic("orders", 1, 1, nil)
	leader := c.leader("orders", 0)
	c.crash(leader)
	c.eventually("no leader", func() bool { return c.anyImage().Topics["orders"].Partitions[0].Leader == -1 })
	if p := c.anyImage().Topics["orders"].Partitions[0]; !slices.Equal(p.ISR, []int32{leader}) || len(p.ELR) > 0 {
		t.Errorf("without eligible leader replicas the last one stays in the ISR: %+v", *p)
	}
}

func TestAdminUnregisterBroker(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	unregister := func(id int32) int16 {
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = id
		return ask[*kmsg.UnregisterBrokerResponse](c, 1, req).ErrorCode
	}
	c.crash(3)
	c.eventually("broker 3 fenced", func() bool { return c.anyImage().Brokers[3].Fenced })
	if code := unregister(3); code != 0 {
		t.Errorf("unregister: %d", code)
	}
	c.everywhere("a broker that is gone", func(m *election.Image) bool { return m.Brokers[3] == nil })
	if code := unregister(3); code != kerr.BrokerIDNotRegistered.Code {
		t.Errorf("unregister again: %d", code)
	}
	c.start(3)
	c.ready(3)
}

func TestAdminDescribeQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	p := ask[*kmsg.DescribeQuorumResponse](c, 2, req).Topics[0].Partitions[0]
	if p.ErrorCode != 0 || p.LeaderID != 1 || p.LeaderEpoch < 1 || len(p.CurrentVoters) != 1 || len(p.Observers) != 3 {
		t.Errorf("quorum %+v", p)
	}
	if v := p.CurrentVoters[0]; v.LogEndOffset != p.HighWatermark || v.LastFetchTimestamp != -1 || v.LastCaughtUpTimestamp < time.Now().Add(-time.Minute).UnixMilli() {
		t.Errorf("voter %+v, high watermark %d", v, p.HighWatermark)
	}
}

// TestAdminOtherConfigs sets configs of a group, a subscription and loggers.
func TestAdminOtherConfigs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	alter := func(kind kmsg.ConfigResourceType, resource, name, value string) int16 {
		t.Helper()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, resource
		k := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		k.Name, k.Value = name, &value
		r.Configs = append(r.Configs, k)
		req.Resources = append(req.Resources, r)
		return ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, req).Resources[0].ErrorCode
	}
	describe := func(broker int32, kind kmsg.ConfigResourceType, resource, name string) string {
		t.Helper()
		req := kmsg.NewPtrDescribeConfigsRequest()
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kind, resource, []string{name}
		req.Resources = append(req.Resources, r)
		resp := ask[*kmsg.DescribeConfigsResponse](c, broker, req).Resources[0]
		if resp.ErrorCode != 0 || len(resp.Configs) != 1 {
			return fmt.Sprint(resp.ErrorCode)
		}
		return fmt.Sprint(*resp.Configs[0].Value, " ", int8(resp.Configs[0].Source))
	}
	for _, s := range []struct {
		kind                  kmsg.ConfigResourceType
		resource, name, value string
		before, there, after  string // as broker 2 tells it, and broker 1
	}{
		{32, "g", "consumer.session.timeout.ms", "50000", "45000 5", "50000 8", "50000 8"},
		{16, "s", "interval.ms", "60000", "300000 5", "60000 7", "60000 7"},
		{8, "1", "root", "DEBUG", "42", "42", "DEBUG 6"},
	} {
		if got := describe(2, s.kind, s.resource, s.name); got != s.before {
			t.Errorf("%s before: %s, want %s", s.name, got, s.before)
		}
		if code := alter(s.kind, s.resource, s.name, s.value); code != 0 {
			t.Errorf("%s: code %d", s.name, code)
		}
		if there, here := describe(2, s.kind, s.resource, s.name), describe(1, s.kind, s.resource, s.name); there != s.there || here != s.after {
			t.Errorf("%s after: %s at broker 2 and %s at broker 1, want %s and %s", s.name, there, here, s.there, s.after)
		}
	}
}

// TestAdminWithoutController times out, by the request's own time.
func TestAdminWithoutController(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	if err := c.control.Crash(); err != nil {
		t.Fatal(err)
	}
	adm := c.kadm()
	adm.SetTimeoutMillis(200)
	start := time.Now()
	_, err := adm.CreateTopic(c.ctx(), 1, 1, nil, "orders")
	is(t, "create", err, kerr.RequestTimedOut)
	if took := time.Since(start); took < 200*time.Millisecond || took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	c.startController()
	adm.SetTimeoutMillis(10_000)
	_, err = adm.CreateTopic(c.ctx(), 1, 1, nil, "orders")
	is(t, "create when the controller is back", err, nil)
}

// TestAdminPausedBroker does not have changes wait long for a broker that
// cannot learn of them.
func TestAdminPausedBroker(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("orders", 1, 1, nil)
	leader := c.leader("orders", 0)
	c.fabric.Pause(fabric.Broker(leader%3 + 1))
	defer c.fabric.Heal()
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders"}}
	start := time.Now()
	if code := ask[*kmsg.AlterConfigsResponse](c, leader, req).Resources[0].ErrorCode; code != 0 {
		t.Errorf("alter: code %d", code)
	}
	if took := time.Since(start); took > 800*time.Millisecond {
		t.Errorf("a paused broker held an answer up for %v", took)
	}
}

// TestAdminVersions asks every admin request in every version that is offered.
func TestAdminVersions(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("orders", 1, 1, nil)
	for _, api := range []struct {
		min, max int16
		request  func(version int16) kmsg.Request
		code     func(kmsg.Response) int16
	}{
		{2, 7, func(v int16) kmsg.Request {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.TimeoutMillis = 10_000
			req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: fmt.Sprint("t", v), NumPartitions: 1, ReplicationFactor: 1}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode }},
		{1, 6, func(v int16) kmsg.Request {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis = 10_000
			name := fmt.Sprint("t", v+1)
			req.TopicNames = []string{name}
			req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode }},
		{0, 3, func(v int16) kmsg.Request {
			req := kmsg.NewPtrCreatePartitionsRequest()
			req.TimeoutMillis = 10_000
			req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "orders", Count: 2 + int32(v)}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode }},
		{1, 4, func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.IncludeSynonyms, req.IncludeDocumentation = true, true
			req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.DescribeConfigsResponse).Resources[0].ErrorCode }},
		{0, 2, func(int16) kmsg.Request {
			req := kmsg.NewPtrAlterConfigsRequest()
			req.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders"}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.AlterConfigsResponse).Resources[0].ErrorCode }},
		{0, 1, func(int16) kmsg.Request {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders"}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode }},
		{0, 2, func(int16) kmsg.Request {
			req := kmsg.NewPtrElectLeadersRequest()
			req.TimeoutMillis = 10_000
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.ElectLeadersResponse).ErrorCode }},
		{
			0, 0, func(int16) kmsg.Request { return describeTopicsRequest("orders") },
			func(r kmsg.Response) int16 { return r.(*kmsg.DescribeTopicPartitionsResponse).Topics[0].ErrorCode },
		},
		{0, 2, func(int16) kmsg.Request {
			req := kmsg.NewPtrUpdateFeaturesRequest()
			req.TimeoutMillis = 10_000
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.UpdateFeaturesResponse).ErrorCode }},
		{0, 2, func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeQuorumRequest()
			req.Topics = []kmsg.DescribeQuorumRequestTopic{{
				Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}},
			}}
			return req
		}, func(r kmsg.Response) int16 { return r.(*kmsg.DescribeQuorumResponse).Topics[0].Partitions[0].ErrorCode }},
	} {
		for v := api.min; v <= api.max; v++ {
			req := api.request(v)
			versions := kversion.Stable()
			versions.SetMaxKeyVersion(req.Key(), v)
			resp := ask[kmsg.Response](c, 1, req, kgo.MaxVersions(versions))
			if code := api.code(resp); code != 0 || resp.GetVersion() != v {
				t.Errorf("%T v%d: answered in v%d with code %d", req, v, resp.GetVersion(), code)
			}
		}
	}
}
