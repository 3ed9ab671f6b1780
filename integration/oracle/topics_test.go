package oracle_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topics creates and deletes topics, well and badly.
func topics(s *session) {
	assigned := newTopic("assigned", -1, -1)
	for p := range int32(2) {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = p, []int32{p, p + 1}
		assigned.ReplicaAssignment = append(assigned.ReplicaAssignment, a)
	}
	both := assigned
	both.Topic, both.NumPartitions = "both", 2
	cases := []kmsg.CreateTopicsRequestTopic{
		newTopic("plain", 3, 3), newTopic("plain", 3, 3), newTopic("defaults", -1, -1), assigned, both,
		newTopic("", 1, 1), newTopic(".", 1, 1), newTopic("a/b", 1, 1), newTopic(strings.Repeat("x", 250), 1, 1),
		newTopic("zero", 0, 1), newTopic("negative", -2, 1), newTopic("no-replicas", 1, 0), newTopic("four-replicas", 1, 4),
		newTopic("configured", 1, 1, "retention.ms=1000", "cleanup.policy=compact"),
		newTopic("bad-value", 1, 1, "retention.ms=soon"), newTopic("bad-name", 1, 1, "no.such.config=1"),
		newTopic("col.liding", 1, 1), newTopic("col_liding", 1, 1),
	}
	for i, t := range cases {
		resp := s.ask(createTopics(t)).(*kmsg.CreateTopicsResponse)
		name := t.Topic
		if len(name) > 20 {
			name = fmt.Sprintf("%d letters", len(name))
		}
		what := fmt.Sprintf("create %d %q", i, name)
		for _, r := range resp.Topics {
			s.saw(what, fmt.Sprintf("%s, %d partitions, %d replicas", codeName(r.ErrorCode), r.NumPartitions, r.ReplicationFactor))
			if r.ErrorCode == 0 && r.TopicID == [16]byte{} {
				s.Errorf("%s: topic %q has no id", s.server.name, name)
			}
		}
	}
	check := createTopics(newTopic("only-checked", 1, 1))
	check.ValidateOnly = true
	s.code("validate only", s.ask(check).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	twice := s.ask(createTopics(newTopic("twice", 1, 1), newTopic("twice", 1, 1))).(*kmsg.CreateTopicsResponse)
	s.saw("the same topic twice", fmt.Sprint(len(twice.Topics), " ", codeName(twice.Topics[0].ErrorCode)))
	for _, t := range s.metadata("plain", "assigned", "only-checked").Topics {
		s.saw("afterwards "+*t.Topic, fmt.Sprintf("%s, %d partitions", codeName(t.ErrorCode), len(t.Partitions)))
	}

	del := kmsg.NewPtrDeleteTopicsRequest()
	del.SetVersion(6)
	del.TimeoutMillis = 10_000
	for _, name := range []string{"plain", "no-such-topic"} {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		del.Topics = append(del.Topics, t)
	}
	for _, r := range s.ask(del).(*kmsg.DeleteTopicsResponse).Topics {
		s.code("delete "+*r.Topic, r.ErrorCode)
	}
	s.code("create after delete", s.ask(createTopics(newTopic("plain", 1, 1))).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
}

// partitions adds partitions to a topic.
func partitions(s *session) {
	s.create("grows", 2)
	for i, n := range []int32{4, 4, 3, -1, 0} {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.SetVersion(3)
		req.TimeoutMillis = 10_000
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = "grows", n
		req.Topics = append(req.Topics, t)
		for _, r := range s.ask(req).(*kmsg.CreatePartitionsResponse).Topics {
			s.code(fmt.Sprintf("%d: to %d", i, n), r.ErrorCode)
		}
	}
	s.saw("partitions", len(s.metadata("grows").Topics[0].Partitions))
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.SetVersion(3)
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = "no-such-topic", 2
	req.Topics = append(req.Topics, t)
	s.code("unknown topic", s.ask(req).(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode)
}

// metadata asks what there is.
func metadata(s *session) {
	s.create("described", 3)
	m := s.metadata("described", "bad/name")
	s.saw("brokers", len(m.Brokers))
	s.saw("a controller", m.ControllerID >= 0)
	s.saw("a cluster id", m.ClusterID != nil && *m.ClusterID != "")
	for _, t := range m.Topics {
		s.saw("topic "+*t.Topic, fmt.Sprintf("%s, %d partitions, internal %v, id %v", codeName(t.ErrorCode), len(t.Partitions), t.IsInternal, t.TopicID != [16]byte{}))
		slices.SortFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return int(a.Partition - b.Partition) })
		for _, p := range t.Partitions {
			s.saw(fmt.Sprintf("%s/%d", *t.Topic, p.Partition), fmt.Sprintf("%s, epoch %d, %d replicas, %d in sync, leader is the first %v, %d offline",
				codeName(p.ErrorCode), p.LeaderEpoch, len(p.Replicas), len(p.ISR), len(p.Replicas) > 0 && p.Leader == p.Replicas[0], len(p.OfflineReplicas)))
		}
	}
	for _, auto := range []bool{false, true} {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(12)
		req.AllowAutoTopicCreation = auto
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr("not-there-yet")
		req.Topics = append(req.Topics, t)
		resp := s.ask(req).(*kmsg.MetadataResponse)
		s.code(fmt.Sprintf("unknown topic, to be created: %v", auto), resp.Topics[0].ErrorCode)
	}
	byID := kmsg.NewPtrMetadataRequest()
	byID.SetVersion(12)
	t := kmsg.NewMetadataRequestTopic()
	t.TopicID = m.Topics[0].TopicID
	u := kmsg.NewMetadataRequestTopic()
	u.TopicID = [16]byte{1, 2, 3}
	byID.Topics = append(byID.Topics, t, u)
	for i, t := range s.ask(byID).(*kmsg.MetadataResponse).Topics {
		s.saw(fmt.Sprintf("by id %d", i), fmt.Sprintf("%s, named %v", codeName(t.ErrorCode), t.Topic != nil))
	}
	none := kmsg.NewPtrMetadataRequest()
	none.SetVersion(12)
	none.Topics = []kmsg.MetadataRequestTopic{}
	s.saw("of no topics", len(s.ask(none).(*kmsg.MetadataResponse).Topics))
}
