package server_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminStep is a request with how its answer is written for comparison.
type adminStep struct {
	what    string
	request kmsg.Request
	show    func(kmsg.Response) string
	// kfake is what kfake answers where it is not what Kafka does; "" means the
	// same as we.
	kfake string
}

func createStep(what string, kfake string, topics ...kmsg.CreateTopicsRequestTopic) adminStep {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = topics
	return adminStep{what, req, func(r kmsg.Response) string {
		s := ""
		for _, t := range r.(*kmsg.CreateTopicsResponse).Topics {
			s += fmt.Sprint(t.Topic, " ", t.ErrorCode, " ", t.NumPartitions, " ", t.ReplicationFactor, "; ")
		}
		return s
	}, kfake}
}

func newTopic(name string, partitions int32, factor int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, factor
	for i := 0; i < len(configs); i += 2 {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
	}
	return t
}

func assigned(name string, partitions int32, replicas ...[]int32) kmsg.CreateTopicsRequestTopic {
	t := newTopic(name, partitions, -1)
	for i, r := range replicas {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: r})
	}
	return t
}

func deleteStep(what, kfake string, names ...string) adminStep {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &n})
	}
	return adminStep{what, req, func(r kmsg.Response) string {
		s := ""
		for _, t := range r.(*kmsg.DeleteTopicsResponse).Topics {
			s += fmt.Sprint(*t.Topic, " ", t.ErrorCode, "; ")
		}
		return s
	}, kfake}
}

func partitionsStep(what, kfake, topic string, count int32) adminStep {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: topic, Count: count}}
	return adminStep{what, req, func(r kmsg.Response) string {
		return fmt.Sprint(r.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode)
	}, kfake}
}

func alterStep(what, kfake, topic string, op kmsg.IncrementalAlterConfigOp, name, value string) adminStep {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	r.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: name, Op: op, Value: &value}}
	req.Resources = append(req.Resources, r)
	return adminStep{what, req, func(r kmsg.Response) string {
		return fmt.Sprint(r.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode)
	}, kfake}
}

func configStep(what, kfake, topic, name string) adminStep {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{name}
	req.Resources = append(req.Resources, r)
	return adminStep{what, req, func(r kmsg.Response) string {
		d := r.(*kmsg.DescribeConfigsResponse).Resources[0]
		s := fmt.Sprint(d.ErrorCode)
		for _, c := range d.Configs {
			s += fmt.Sprint(" ", c.Name, "=", *c.Value, " ", int8(c.Source))
		}
		return s
	}, kfake}
}

func electStep(what, kfake, topic string, partition int32) adminStep {
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: topic, Partitions: []int32{partition}}}
	return adminStep{what, req, func(r kmsg.Response) string {
		return fmt.Sprint(r.(*kmsg.ElectLeadersResponse).Topics[0].Partitions[0].ErrorCode)
	}, kfake}
}

func describeStep(what, kfake string, limit int32, names ...string) adminStep {
	req := describeTopicsRequest(names...)
	req.ResponsePartitionLimit = limit
	return adminStep{what, req, func(r kmsg.Response) string {
		d := r.(*kmsg.DescribeTopicPartitionsResponse)
		s := ""
		for _, t := range d.Topics {
			s += fmt.Sprint(*t.Topic, " ", t.ErrorCode, " ", len(t.Partitions), "; ")
		}
		if d.NextCursor != nil {
			s += fmt.Sprint("next ", d.NextCursor.Topic, " ", d.NextCursor.Partition)
		}
		return s
	}, kfake}
}

// TestAdminAsKfakeDoes runs the same requests against kfake. Where it answers
// differently the step says how, and we keep to Kafka.
func TestAdminAsKfakeDoes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	fake, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	peer, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(peer.Close)
	ours := c.kgo()
	for _, s := range adminSteps() {
		got, err := ours.Request(c.ctx(), s.request)
		if err != nil {
			t.Fatalf("%s: %v", s.what, err)
		}
		theirs, err := peer.Request(c.ctx(), s.request)
		if err != nil {
			t.Fatalf("%s: kfake: %v", s.what, err)
		}
		us, them := s.show(got), s.show(theirs)
		switch {
		case s.kfake == "" && us != them:
			t.Errorf("%s: we answer %q, kfake %q", s.what, us, them)
		case s.kfake != "" && us == s.kfake:
			t.Errorf("%s: we answer %q, as kfake does and Kafka does not", s.what, us)
		}
	}
}

// adminSteps have kfake's answer in the second place where it is another: it
// checks less than Kafka, and its segment.bytes has another default.
func adminSteps() []adminStep {
	const opSet, opDelete, opAppend = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend
	return []adminStep{
		createStep("create", "", newTopic("orders", 3, 3, "retention.ms", "5000")),
		createStep("create again, and another", "", newTopic("orders", 3, 3), newTopic("other", 1, 1)),
		createStep("twice in one request", "", newTopic("twice", 1, 1), newTopic("twice", 1, 1)),
		createStep("too many replicas", "", newTopic("x1", 1, 4)),
		createStep("no partitions", "", newTopic("x2", 0, 1)),
		createStep("no replicas", "x3 0 1 0; ", newTopic("x3", 1, 0)),
		createStep("a bad name", "a/b 0 1 1; ", newTopic("a/b", 1, 1)),
		createStep("a colliding name", "", newTopic("a.b", 1, 1)),
		createStep("a colliding name", "", newTopic("a_b", 1, 1)),
		createStep("an unknown config", "x4 0 1 1; ", newTopic("x4", 1, 1, "nope", "1")),
		createStep("a bad value", "x5 0 1 1; ", newTopic("x5", 1, 1, "retention.ms", "soon")),
		createStep("assigned, and a number of partitions", "", assigned("x6", 2, []int32{1, 2})),
		createStep("a broker twice", "x7 0 1 2; ", assigned("x7", -1, []int32{1, 1})),
		createStep("an unknown broker", "x8 0 1 1; ", assigned("x8", -1, []int32{9})),
		createStep("different numbers of replicas", "x9 0 2 1; ", assigned("x9", -1, []int32{1}, []int32{1, 2})),
		createStep("the metadata log", "__cluster_metadata 0 1 1; ", newTopic("__cluster_metadata", 1, 1)),
		partitionsStep("more partitions", "", "orders", 5),
		partitionsStep("as many partitions", "0", "orders", 5),
		partitionsStep("fewer partitions", "", "orders", 1),
		partitionsStep("partitions of an unknown topic", "", "nope", 5),
		configStep("a topic's config", "", "orders", "retention.ms"),
		configStep("a default", "0 segment.bytes=104857600 5", "orders", "segment.bytes"),
		configStep("an unknown topic's config", "", "nope", "retention.ms"),
		alterStep("set", "", "orders", opSet, "retention.ms", "6000"),
		configStep("what was set", "", "orders", "retention.ms"),
		alterStep("a bad value", "0", "orders", opSet, "retention.ms", "soon"),
		alterStep("an unknown config", "0", "orders", opSet, "nope", "1"),
		alterStep("an unknown topic", "", "nope", opSet, "retention.ms", "1"),
		alterStep("append to what is no list", "42", "orders", opAppend, "retention.ms", "1"),
		alterStep("append", "", "orders", opAppend, "cleanup.policy", "compact"),
		configStep("what was appended", "0 cleanup.policy=compact 1", "orders", "cleanup.policy"),
		alterStep("delete", "", "orders", opDelete, "retention.ms", ""),
		configStep("what was deleted", "", "orders", "retention.ms"),
		electStep("an election that is not needed", "0", "orders", 0),
		electStep("an unknown partition", "", "orders", 9),
		describeStep("partitions", "", 2000, "orders", "nope", "other"),
		describeStep("a page of partitions", "", 4, "orders", "other"),
		deleteStep("delete", "", "orders", "nope"),
		deleteStep("delete twice in one request", "other 0; ", "other", "other"),
		describeStep("deleted", "orders 3 0; other 3 0; ", 2000, "orders", "other"),
	}
}
