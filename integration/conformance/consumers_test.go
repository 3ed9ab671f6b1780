package conformance_test

import (
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumer is a member of a group of the consumer protocol (KIP-848). It has not joined when it is made.
type consumer struct {
	e        *env
	group    group
	id       string
	instance string
	epoch    int32
	topics   []string
	owned    []kmsg.ConsumerGroupHeartbeatRequestTopic // what it was given last
}

func (e *env) consumer(g group, topics ...topic) *consumer {
	c := &consumer{e: e, group: g, id: rand.Text()}
	for _, t := range topics {
		c.topics = append(c.topics, t.name)
	}
	return c
}

// request is a full heartbeat: everything is told, so that everything is answered.
func (c *consumer) request() *kmsg.ConsumerGroupHeartbeatRequest {
	req := request(kmsg.NewPtrConsumerGroupHeartbeatRequest(), 1)
	req.Group, req.MemberID, req.MemberEpoch = c.group.name, c.id, c.epoch
	req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 30_000, c.topics
	req.Topics = append([]kmsg.ConsumerGroupHeartbeatRequestTopic{}, c.owned...)
	if c.instance != "" {
		req.InstanceID = &c.instance
	}
	return req
}

// try sends a heartbeat and returns its answer; the member stays what it is.
func (c *consumer) try(req *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse {
	return ask[*kmsg.ConsumerGroupHeartbeatResponse](c.e, c.group.coordinator, req)
}

// refused is the code of a heartbeat with this epoch.
func (c *consumer) in(epoch int32) code {
	req := c.request()
	req.MemberEpoch = epoch
	return code(c.try(req).ErrorCode)
}

// beat sends a heartbeat, which must be answered well, takes what is assigned for its own and gives up what is not.
func (c *consumer) beat() {
	resp := c.try(c.request())
	check(c.e, "ConsumerGroupHeartbeat", code(resp.ErrorCode), none)
	c.epoch = resp.MemberEpoch
	if resp.Assignment == nil {
		return
	}
	c.owned = nil
	for _, t := range resp.Assignment.Topics {
		c.owned = append(c.owned, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: t.TopicID, Partitions: t.Partitions})
	}
}

// partitions are what it was given of a topic.
func (c *consumer) partitions(t topic) []int32 {
	out := []int32{}
	for _, o := range c.owned {
		if o.TopicID == t.id {
			out = append(out, o.Partitions...)
		}
	}
	return slices.Sorted(slices.Values(out))
}

// waitPartitions sends heartbeats of all the consumers until the first has so many partitions of a topic.
func (c *consumer) waitPartitions(t topic, want int, others ...*consumer) {
	c.e.wait(fmt.Sprintf("%d partitions to be assigned", want), func() error {
		for _, o := range others {
			o.beat()
		}
		c.beat()
		return is("their number", len(c.partitions(t)), want)
	})
}
