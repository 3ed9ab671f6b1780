package oracle_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func describeConfigs(kind kmsg.ConfigResourceType, name string, names ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.SetVersion(4)
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, names
	req.Resources = append(req.Resources, r)
	return req
}

// told is one config as a client is told it.
func told(c kmsg.DescribeConfigsResponseResourceConfig) string {
	value := "null"
	if c.Value != nil {
		value = *c.Value
	}
	return fmt.Sprintf("%s from %s, read only %v", value, strings.ToLower(c.Source.String()), c.ReadOnly)
}

// configs describes and alters configs.
func configs(s *session) {
	s.create("set", 1, "retention.ms=1000")
	at := s.broker(0)
	note := func(what string, req *kmsg.DescribeConfigsRequest) {
		s.Helper()
		r := s.askAt(at, req).(*kmsg.DescribeConfigsResponse).Resources[0]
		s.code(what, r.ErrorCode)
		slices.SortFunc(r.Configs, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
		for _, c := range r.Configs {
			s.saw(what+": "+c.Name, told(c))
		}
	}
	note("topic", describeConfigs(kmsg.ConfigResourceTypeTopic, "set", "cleanup.policy", "compression.type", "delete.retention.ms", "max.message.bytes",
		"message.timestamp.type", "min.insync.replicas", "retention.bytes", "retention.ms", "segment.bytes", "segment.ms", "flush.messages"))
	note("two of the topic's", describeConfigs(kmsg.ConfigResourceTypeTopic, "set", "retention.ms", "no.such.config"))
	note("unknown topic", describeConfigs(kmsg.ConfigResourceTypeTopic, "no-such-topic"))
	note("broker 0", describeConfigs(kmsg.ConfigResourceTypeBroker, "0", "message.max.bytes", "min.insync.replicas", "log.retention.ms"))
	at = s.broker(1)
	note("broker 0, asked of broker 1", describeConfigs(kmsg.ConfigResourceTypeBroker, "0"))
	note("broker 77", describeConfigs(kmsg.ConfigResourceTypeBroker, "77"))
	note("broker without a number", describeConfigs(kmsg.ConfigResourceTypeBroker, "one"))

	alter := func(what, topic, name string, op kmsg.IncrementalAlterConfigOp, value *string) {
		s.Helper()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.SetVersion(1)
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = name, op, value
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		s.code(what, s.ask(req).(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode)
	}
	text := kmsg.StringPtr
	alter("set", "set", "max.message.bytes", kmsg.IncrementalAlterConfigOpSet, text("5000"))
	alter("set to nothing", "set", "max.message.bytes", kmsg.IncrementalAlterConfigOpSet, nil)
	alter("set to a wrong value", "set", "max.message.bytes", kmsg.IncrementalAlterConfigOpSet, text("many"))
	alter("set a wrong name", "set", "no.such.config", kmsg.IncrementalAlterConfigOpSet, text("1"))
	alter("append to a list", "set", "cleanup.policy", kmsg.IncrementalAlterConfigOpAppend, text("compact"))
	alter("append to what is no list", "set", "retention.ms", kmsg.IncrementalAlterConfigOpAppend, text("1"))
	alter("subtract from a list", "set", "cleanup.policy", kmsg.IncrementalAlterConfigOpSubtract, text("delete"))
	alter("delete", "set", "retention.ms", kmsg.IncrementalAlterConfigOpDelete, nil)
	alter("of an unknown topic", "no-such-topic", "retention.ms", kmsg.IncrementalAlterConfigOpSet, text("1"))
	note("afterwards", describeConfigs(kmsg.ConfigResourceTypeTopic, "set", "retention.ms", "max.message.bytes", "cleanup.policy"))

	old := kmsg.NewPtrAlterConfigsRequest()
	old.SetVersion(2)
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "set"
	c := kmsg.NewAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "segment.bytes", text("2000000")
	r.Configs = append(r.Configs, c)
	old.Resources = append(old.Resources, r)
	s.code("alter all", s.ask(old).(*kmsg.AlterConfigsResponse).Resources[0].ErrorCode)
	note("after altering all", describeConfigs(kmsg.ConfigResourceTypeTopic, "set", "max.message.bytes", "segment.bytes"))
}

// cluster asks about brokers and their logs.
func cluster(s *session) {
	s.create("looked-at", 1)
	dc := kmsg.NewPtrDescribeClusterRequest()
	dc.SetVersion(1)
	dc.EndpointType = 1
	r := s.ask(dc).(*kmsg.DescribeClusterResponse)
	s.saw("cluster", fmt.Sprintf("%s, %d brokers, controller %v", codeName(r.ErrorCode), len(r.Brokers), r.ControllerID >= 0))
	dc.EndpointType = 2
	s.code("cluster, asked for controllers", s.ask(dc).(*kmsg.DescribeClusterResponse).ErrorCode)

	dp := kmsg.NewPtrDescribeTopicPartitionsRequest()
	t := kmsg.NewDescribeTopicPartitionsRequestTopic()
	t.Topic = "looked-at"
	u := kmsg.NewDescribeTopicPartitionsRequestTopic()
	u.Topic = "no-such-topic"
	dp.Topics = append(dp.Topics, t, u)
	dp.ResponsePartitionLimit = 10
	for _, t := range s.ask(dp).(*kmsg.DescribeTopicPartitionsResponse).Topics {
		s.saw("partitions of "+*t.Topic, fmt.Sprintf("%s, %d", codeName(t.ErrorCode), len(t.Partitions)))
		for _, p := range t.Partitions {
			s.saw(fmt.Sprintf("%s/%d", *t.Topic, p.Partition), fmt.Sprintf("%s, epoch %d, %d in sync, ELR %v, last known %v",
				codeName(p.ErrorCode), p.LeaderEpoch, len(p.ISR), p.EligibleLeaderReplicas, p.LastKnownELR))
		}
	}

	ld := kmsg.NewPtrDescribeLogDirsRequest()
	ld.SetVersion(4)
	for _, d := range s.ask(ld).(*kmsg.DescribeLogDirsResponse).Dirs {
		topics := 0
		for _, t := range d.Topics {
			if t.Topic == "looked-at" {
				topics++
			}
		}
		s.saw("a log dir", fmt.Sprintf("%s, the topic is there %v", codeName(d.ErrorCode), topics == 1))
	}

	el := kmsg.NewPtrElectLeadersRequest()
	el.SetVersion(2)
	el.TimeoutMillis = 10_000
	for _, c := range []struct {
		topic string
		kind  int8
	}{{"looked-at", 0}, {"looked-at", 1}, {"no-such-topic", 0}} {
		et := kmsg.NewElectLeadersRequestTopic()
		et.Topic, et.Partitions = c.topic, []int32{0}
		el.Topics, el.ElectionType = []kmsg.ElectLeadersRequestTopic{et}, c.kind
		r := s.ask(el).(*kmsg.ElectLeadersResponse)
		code := r.ErrorCode
		for _, t := range r.Topics {
			code = t.Partitions[0].ErrorCode
		}
		s.code(fmt.Sprintf("elect a leader of %s, kind %d", c.topic, c.kind), code)
	}

	pr := kmsg.NewPtrDescribeProducersRequest()
	pt := kmsg.NewDescribeProducersRequestTopic()
	pt.Topic, pt.Partitions = "looked-at", []int32{0}
	pr.Topics = append(pr.Topics, pt)
	p := s.askAt(s.leader("looked-at", 0), pr).(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0]
	s.saw("producers", fmt.Sprintf("%s, %d", codeName(p.ErrorCode), len(p.ActiveProducers)))

	rs := kmsg.NewPtrListPartitionReassignmentsRequest()
	rs.TimeoutMillis = 10_000
	l := s.ask(rs).(*kmsg.ListPartitionReassignmentsResponse)
	s.saw("reassignments", fmt.Sprintf("%s, %d", codeName(l.ErrorCode), len(l.Topics)))
}
