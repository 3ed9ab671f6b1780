package server_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// shareMember is a member of a share group, at the wire. It talks to one broker.
type shareMember struct {
	*cluster
	group, id string
	broker    *kgo.Broker
	epoch     int32
	topic     log.TopicID
}

// shareMember returns a member of g that talks to the leader of partition 0 of t.
func (c *cluster) shareMember(id string) *shareMember {
	c.t.Helper()
	return &shareMember{cluster: c, group: "g", id: id, broker: c.kgo().Broker(int(c.leader("t", 0))), topic: c.id("t", 0).Topic}
}

// initializeShare has the share coordinator begin partition 0 of t for g.
func (c *cluster) initializeShare(start int64) {
	c.t.Helper()
	cl := c.kgo()
	q := kmsg.NewPtrInitializeShareGroupStateRequest()
	q.GroupID = "g"
	t := kmsg.NewInitializeShareGroupStateRequestTopic()
	t.TopicID = c.id("t", 0).Topic
	part := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
	part.StartOffset = start
	t.Partitions = append(t.Partitions, part)
	q.Topics = append(q.Topics, t)
	c.eventually("the partition is initialized", func() bool {
		resp := c.askShareCoordinator(cl, q.GroupID, t.TopicID, 0, q).(*kmsg.InitializeShareGroupStateResponse)
		return resp.Topics[0].Partitions[0].ErrorCode == 0
	})
}

func (c *cluster) askShareCoordinator(cl *kgo.Client, group string, topic [16]byte, partition int32, q kmsg.Request) kmsg.Response {
	c.t.Helper()
	f := kmsg.NewPtrFindCoordinatorRequest()
	f.CoordinatorType = 2
	id := log.TopicID(topic)
	f.CoordinatorKeys = []string{fmt.Sprintf("%s:%s:%d", group, base64ID(id), partition)}
	found, err := f.RequestWith(c.ctx(), cl)
	if err != nil {
		c.t.Fatal(err)
	}
	if code := found.Coordinators[0].ErrorCode; code != 0 {
		c.t.Fatalf("no share coordinator: %v", kerr.ErrorForCode(code))
	}
	resp, err := cl.Broker(int(found.Coordinators[0].NodeID)).Request(c.ctx(), q)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// fetch asks for records of partition 0; wait is in ms.
func (m *shareMember) fetch(wait int32, edit ...func(*kmsg.ShareFetchRequest)) *kmsg.ShareFetchResponse {
	m.t.Helper()
	q := kmsg.NewPtrShareFetchRequest()
	q.GroupID, q.MemberID, q.ShareSessionEpoch = &m.group, &m.id, m.epoch
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.MaxRecords, q.BatchSize = wait, 1, 1<<20, 500, 500
	if m.epoch == 0 {
		t := kmsg.NewShareFetchRequestTopic()
		t.TopicID = m.topic
		t.Partitions = append(t.Partitions, kmsg.NewShareFetchRequestTopicPartition())
		q.Topics = append(q.Topics, t)
	}
	for _, e := range edit {
		e(q)
	}
	resp, err := m.broker.Request(m.ctx(), q)
	if err != nil {
		m.t.Fatal(err)
	}
	r := resp.(*kmsg.ShareFetchResponse)
	if r.ErrorCode == 0 {
		m.epoch++
	}
	return r
}

// acquire fetches until something was acquired.
func (m *shareMember) acquire() []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord {
	m.t.Helper()
	limit := time.Now().Add(waitLimit)
	for time.Now().Before(limit) {
		r := m.fetch(1000)
		if r.ErrorCode != 0 {
			m.t.Fatalf("share fetch: %v", kerr.ErrorForCode(r.ErrorCode))
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					m.t.Fatalf("partition %d: %v %v", p.Partition, kerr.ErrorForCode(p.ErrorCode), *p.ErrorMessage)
				}
				if len(p.AcquiredRecords) > 0 {
					return p.AcquiredRecords
				}
			}
		}
	}
	m.t.Fatal("nothing was acquired")
	return nil
}

func (m *shareMember) wants(what string, want ...kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) {
	m.t.Helper()
	got := m.acquire()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.t.Fatalf("%s: acquired %v, want %v", what, got, want)
	}
}

func acquired(first, last int64, count int16) kmsg.ShareFetchResponseTopicPartitionAcquiredRecord {
	return kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{FirstOffset: first, LastOffset: last, DeliveryCount: count}
}

// ack acknowledges records of partition 0, and returns the partition's error.
func (m *shareMember) ack(first, last int64, types ...int8) error {
	m.t.Helper()
	q := kmsg.NewPtrShareAcknowledgeRequest()
	q.GroupID, q.MemberID, q.ShareSessionEpoch = &m.group, &m.id, m.epoch
	for _, typ := range types {
		q.IsRenewAck = q.IsRenewAck || typ == 4
	}
	t := kmsg.NewShareAcknowledgeRequestTopic()
	t.TopicID = m.topic
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
	b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = first, last, types
	p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	resp, err := m.broker.Request(m.ctx(), q)
	if err != nil {
		m.t.Fatal(err)
	}
	r := resp.(*kmsg.ShareAcknowledgeResponse)
	if r.ErrorCode != 0 {
		return kerr.ErrorForCode(r.ErrorCode)
	}
	m.epoch++
	return kerr.ErrorForCode(r.Topics[0].Partitions[0].ErrorCode)
}

func (c *cluster) produceBatches(sizes ...int) {
	c.t.Helper()
	cl := c.kgo(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, n := range sizes {
		var rs []*kgo.Record
		for i := range n {
			rs = append(rs, &kgo.Record{Value: fmt.Appendf(nil, "%d", i)})
		}
		if err := cl.ProduceSync(c.ctx(), rs...).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// shareCluster is a cluster whose groups begin at the beginning.
func shareCluster(t *testing.T, brokers int32, static map[string]string) *cluster {
	configs := map[string]string{
		"share.coordinator.state.topic.num.partitions":     "3",
		"share.coordinator.state.topic.replication.factor": fmt.Sprint(brokers),
		"share.coordinator.state.topic.min.isr":            "1",
		"offsets.topic.num.partitions":                     "3",
		"group.share.heartbeat.interval.ms":                "200",
		"group.share.min.heartbeat.interval.ms":            "200",
		"group.share.assignment.interval.ms":               "0",
		"offsets.topic.replication.factor":                 fmt.Sprint(brokers),
	}
	for k, v := range static {
		configs[k] = v
	}
	return newCluster(t, brokers, configs)
}

func TestShareFetchAndAcknowledge(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	c.initializeShare(0)
	c.produceBatches(5, 5)
	a, b := c.shareMember("a"), c.shareMember("b")
	a.wants("all", acquired(0, 9, 1))
	if r := b.fetch(100); r.ErrorCode != 0 || len(r.Topics) != 1 || len(r.Topics[0].Partitions[0].AcquiredRecords) > 0 || r.Topics[0].Partitions[0].Records == nil {
		t.Fatalf("b: %+v", r)
	}
	if err := b.ack(0, 9, 1); !errors.Is(err, kerr.InvalidRecordState) {
		t.Fatalf("b acknowledges what a has: %v", err)
	}
	if err := a.ack(0, 9, 1, 1, 2, 2, 3, 1, 1, 1, 1, 1); err != nil {
		t.Fatal(err)
	}
	b.wants("released", acquired(2, 3, 2))
	if err := b.ack(2, 3, 4); err != nil {
		t.Fatalf("renew: %v", err)
	}
	if err := b.ack(2, 3, 1); err != nil {
		t.Fatal(err)
	}
	c.produceBatches(1)
	b.wants("the next", acquired(10, 10, 1))
	// A session that ends gives back what it holds.
	if r := b.fetch(0, func(q *kmsg.ShareFetchRequest) { q.ShareSessionEpoch, q.Topics = -1, nil }); r.ErrorCode != 0 {
		t.Fatalf("end of the session: %v", kerr.ErrorForCode(r.ErrorCode))
	}
	a.wants("given back", acquired(10, 10, 2))
}

func base64ID(id log.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func TestShareRequestsAtTheWrongBroker(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 2, nil)
	c.createTopic("t", 1, 2, nil)
	c.initializeShare(0)
	leader := c.leader("t", 0)
	m := c.shareMember("a")
	m.broker = c.kgo().Broker(int(3 - leader))
	r := m.fetch(100)
	if r.ErrorCode != 0 || len(r.Topics) != 1 {
		t.Fatalf("fetched: %+v", r)
	}
	p := r.Topics[0].Partitions[0]
	if p.ErrorCode != kerr.NotLeaderForPartition.Code || p.CurrentLeader.LeaderID != leader || len(r.NodeEndpoints) != 1 || r.NodeEndpoints[0].NodeID != leader {
		t.Fatalf("fetched: %+v %+v", p, r.NodeEndpoints)
	}
	if err := m.ack(0, 0, 1); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatalf("acknowledged: %v", err)
	}
}

func TestShareRequestsAreChecked(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 1, map[string]string{"group.share.max.share.sessions": "1"})
	c.createTopic("t", 1, 1, nil)
	c.initializeShare(0)
	long, none := string(make([]byte, 37)), ""
	cases := []struct {
		name string
		edit func(*kmsg.ShareFetchRequest)
		want *kerr.Error
	}{
		{"no group", func(q *kmsg.ShareFetchRequest) { q.GroupID = nil }, kerr.InvalidRequest},
		{"no member", func(q *kmsg.ShareFetchRequest) { q.MemberID = nil }, kerr.InvalidRequest},
		{"empty member", func(q *kmsg.ShareFetchRequest) { q.MemberID = &none }, kerr.InvalidRequest},
		{"long member", func(q *kmsg.ShareFetchRequest) { q.MemberID = &long }, kerr.InvalidRequest},
		{"renewal with a fetch", func(q *kmsg.ShareFetchRequest) { q.IsRenewAck = true }, kerr.InvalidRequest},
		{"no session", func(q *kmsg.ShareFetchRequest) { q.ShareSessionEpoch = 3 }, kerr.ShareSessionNotFound},
		{"no session to end", func(q *kmsg.ShareFetchRequest) { q.ShareSessionEpoch = -1 }, kerr.ShareSessionNotFound},
		{"acknowledgements in the first request", func(q *kmsg.ShareFetchRequest) {
			q.Topics[0].Partitions[0].AcknowledgementBatches = []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{{AcknowledgeTypes: []int8{1}}}
		}, kerr.InvalidRequest},
	}
	for _, x := range cases {
		m := c.shareMember("a")
		if r := m.fetch(0, x.edit); r.ErrorCode != x.want.Code || r.ErrorMessage != nil {
			t.Errorf("%s: %v, want %v without a message", x.name, kerr.ErrorForCode(r.ErrorCode), x.want)
		}
	}
	m := c.shareMember("a")
	m.group = ""
	if r := m.fetch(10_000); r.ErrorCode != 0 || len(r.Topics) != 1 || r.Topics[0].Partitions[0].ErrorCode == 0 {
		t.Errorf("a group without a name: %+v", r)
	}
	m.epoch = -1
	m.fetch(0, func(q *kmsg.ShareFetchRequest) { q.Topics = nil })
	m = c.shareMember("a")
	c.produceBatches(3)
	m.wants("all", acquired(0, 2, 1))
	if r := c.shareMember("b").fetch(0); r.ErrorCode != kerr.ShareSessionLimitReached.Code {
		t.Errorf("a second session: %v", kerr.ErrorForCode(r.ErrorCode))
	}
	for _, types := range [][]int8{{}, {1, 1}, {5}, {-1}} {
		if err := m.ack(0, 2, types...); !errors.Is(err, kerr.InvalidRequest) {
			t.Errorf("types %v: %v", types, err)
		}
	}
	if err := m.ack(2, 0, 1); !errors.Is(err, kerr.InvalidRequest) {
		t.Errorf("backwards: %v", err)
	}
	if err := m.ack(0, 99, 1); !errors.Is(err, kerr.InvalidRequest) {
		t.Errorf("past what was acquired: %v", err)
	}
	if err := m.ack(0, 2, 1); err != nil {
		t.Error(err)
	}
}

// TestShareSessionEndsBeforeItsConnection is ShareSessionCache's: a session that
// ends leaves its share-partitions with the leader until the connection ends, too;
// then what was stored meanwhile counts.
func TestShareSessionEndsBeforeItsConnection(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 1, map[string]string{"group.share.delivery.count.limit": "10"})
	c.createTopic("t", 1, 1, nil)
	c.initializeShare(0)
	c.produceBatches(1, 1)
	a := c.shareMember("a")
	cl := c.kgo()
	a.broker = a.leaderBy(cl)
	a.wants("all", acquired(0, 1, 1))
	a.end()
	c.initializeShare(1)
	b := c.shareMember("b")
	b.broker = a.broker
	b.wants("what the leader remembers", acquired(0, 1, 2))
	b.end()
	cl.Close()
	c.eventually("the leader forgets", func() bool {
		m, cl := c.shareMember("c"), c.kgo()
		defer cl.Close()
		m.broker = a.leaderBy(cl)
		got := m.acquire()
		m.end()
		return got[0].FirstOffset == 1 // as was stored last
	})
}

// leaderBy is the leader by a client's connections.
func (m *shareMember) leaderBy(cl *kgo.Client) *kgo.Broker { return cl.Broker(int(m.leader("t", 0))) }

// end ends the member's session.
func (m *shareMember) end() {
	m.t.Helper()
	m.epoch = -1
	if r := m.fetch(0, func(q *kmsg.ShareFetchRequest) { q.Topics = nil }); r.ErrorCode != 0 {
		m.t.Fatal(kerr.ErrorForCode(r.ErrorCode))
	}
}
