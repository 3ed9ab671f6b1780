package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/faults"
)

// fault has a request handled with the faults that apply to it. Handlers know
// nothing of faults.
func (c *conn) fault(a *api, r *request) (resp kmsg.Response, cut bool, err error) {
	q := &faults.Request{Context: r.ctx, Node: c.b.config.ID, ClientID: r.clientID, Body: r.body}
	return c.b.config.Faults.Run(q, &faults.Broker{
		Work: func(body kmsg.Request) (kmsg.Response, error) {
			work := *r
			work.body = body
			return a.handle(&work)
		},
		Topics: c.b.nameTopic,
		Wait: func(d time.Duration, removed <-chan struct{}, answer bool) error {
			return c.delay(r, d, removed, answer)
		},
		Fetched: c.b.fetched,
		Untold:  c.b.untold,
	})
}

// delay waits for a fault. A broker at work does not notice that its client has
// gone: what was asked for is done all the same, and often asked for again. With
// the answer it does notice.
func (c *conn) delay(r *request, d time.Duration, removed <-chan struct{}, answer bool) error {
	ended := c.ctx.Done()
	if answer {
		ended = r.ctx.Done() // has the connection watched
	}
	var over <-chan time.Time // never, for UntilRemoved
	if d != faults.UntilRemoved {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
	case <-removed:
	case <-ended:
		return context.Cause(c.ctx)
	}
	return c.b.pauses.gate.pass(c.ctx)
}

// nameTopic completes the name or id of a topic, as far as it is known.
func (b *broker) nameTopic(name string, id [16]byte) (string, [16]byte, bool) {
	m := b.image()
	if m == nil {
		return name, id, false
	}
	t := m.Topics[name]
	if id != ([16]byte{}) {
		t = m.TopicsByID[id]
	}
	if t == nil {
		return name, id, false
	}
	return t.Name, t.ID, true
}

// fetched are the partitions that a Fetch request is about, by topic.
func (b *broker) fetched(q *kmsg.FetchRequest) []kmsg.FetchRequestTopic {
	var topics []kmsg.FetchRequestTopic
	for _, k := range b.sessions.keys(q) {
		last := len(topics) - 1
		if last < 0 || topics[last].Topic != k.topic || topics[last].TopicID != k.topicID {
			topics = append(topics, kmsg.FetchRequestTopic{Topic: k.topic, TopicID: k.topicID})
			last++
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = k.partition
		topics[last].Partitions = append(topics[last].Partitions, p)
	}
	return topics
}

// untold has a fetch session tell partitions again.
func (b *broker) untold(session int32, topics []kmsg.FetchResponseTopic) {
	for i := range topics {
		for _, p := range topics[i].Partitions {
			b.sessions.untold(session, fetchKey{topics[i].Topic, log.TopicID(topics[i].TopicID), p.Partition})
		}
	}
}

// Keys are the API keys that brokers serve.
func Keys() []kmsg.Key {
	var keys []kmsg.Key
	for _, a := range apis() {
		keys = append(keys, a.key)
	}
	return keys
}
