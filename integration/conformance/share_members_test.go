package conformance_test

import (
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sharer is a member of a share group (KIP-932). It has not joined when it is made.
type sharer struct {
	e       *env
	group   group
	id      string
	epoch   int32
	topics  []string
	given   []kmsg.ShareGroupHeartbeatResponseAssignmentTopicPartition // what it was given last
	session *sharing
}

func (e *env) sharer(g group, topics ...topic) *sharer {
	s := &sharer{e: e, group: g, id: rand.Text()}
	for _, t := range topics {
		s.topics = append(s.topics, t.name)
	}
	return s
}

// request is a full heartbeat.
func (s *sharer) request() *kmsg.ShareGroupHeartbeatRequest {
	req := request(kmsg.NewPtrShareGroupHeartbeatRequest(), 1)
	req.GroupID, req.MemberID, req.MemberEpoch, req.SubscribedTopicNames = s.group.name, s.id, s.epoch, s.topics
	return req
}

// try sends a heartbeat and returns its answer; the member stays what it is.
func (s *sharer) try(req *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	return ask[*kmsg.ShareGroupHeartbeatResponse](s.e, s.group.coordinator, req)
}

// in is the code of a heartbeat in this epoch.
func (s *sharer) in(epoch int32) code {
	req := s.request()
	req.MemberEpoch = epoch
	return code(s.try(req).ErrorCode)
}

// beat sends a heartbeat, which must be answered well, and takes over what is assigned.
func (s *sharer) beat() {
	resp := s.try(s.request())
	check(s.e, "ShareGroupHeartbeat", code(resp.ErrorCode), none)
	s.epoch = resp.MemberEpoch
	if resp.Assignment != nil {
		s.given = resp.Assignment.TopicPartitions
	}
}

// leave takes the member out of its group.
func (s *sharer) leave() { check(s.e, "leaving", s.in(-1), none) }

// partitions are what it was given of a topic.
func (s *sharer) partitions(t topic) []int32 {
	out := []int32{}
	for _, g := range s.given {
		if g.TopicID == t.id {
			out = append(out, g.Partitions...)
		}
	}
	return slices.Sorted(slices.Values(out))
}

// waitPartitions sends heartbeats of all the members until the first has so many partitions of a topic.
func (s *sharer) waitPartitions(t topic, want int, others ...*sharer) *sharer {
	s.e.wait(fmt.Sprintf("%d partitions to be assigned", want), func() error {
		for _, o := range others {
			o.beat()
		}
		s.beat()
		return is("their number", len(s.partitions(t)), want)
	})
	return s
}

// shareGroup makes a group of a new name with these configs, each a name and a value. Topics that are made after it are served by
// brokers that know the configs.
func (e *env) shareGroup(configs ...[2]string) group {
	g := e.group()
	for _, c := range configs {
		check(e, "setting "+c[0], e.setGroupConfig(g, c[0], c[1]), none)
	}
	return g
}

// setGroupConfig sets a config of a group.
func (e *env) setGroupConfig(g group, name, value string) code {
	req := request(kmsg.NewPtrIncrementalAlterConfigsRequest(), 1)
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeGroupConfig,
		ResourceName: g.name,
		Configs:      []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: name, Op: kmsg.IncrementalAlterConfigOpSet, Value: &value}},
	}}
	resp := ask[*kmsg.IncrementalAlterConfigsResponse](e, e.controller(), req)
	check(e, "resources in the answer", len(resp.Resources), 1)
	return code(resp.Resources[0].ErrorCode)
}

// fromEarliest has a group begin with the oldest records.
func fromEarliest() [2]string { return [2]string{"share.auto.offset.reset", "earliest"} }

// shared makes a group of the oldest records, with further configs, a topic of one partition on A, and a member that has it.
func (e *env) shared(configs ...[2]string) (*sharer, topic) {
	g := e.shareGroup(append(configs, fromEarliest())...)
	t := e.topic(on(e.A))
	return e.sharer(g, t).waitPartitions(t, 1), t
}

// another makes a second member that has the topic's partition too.
func (s *sharer) another(t topic) *sharer {
	return s.e.sharer(s.group, t).waitPartitions(t, 1, s)
}

// shareAPIs are what rows of share groups ask beside heartbeats.
func shareAPIs() []kmsg.Key {
	return []kmsg.Key{kmsg.ShareGroupHeartbeat, kmsg.ShareFetch, kmsg.ShareAcknowledge}
}
