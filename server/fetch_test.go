package server_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// fetchRequest is a Fetch request of version 12 for partition 0, without a
// session.
func fetchRequest(topic string, offset int64, maxWaitMs int32) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 12, maxWaitMs, 1, 1<<20
	q.SessionEpoch = -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	q.Topics = append(q.Topics, kmsg.FetchRequestTopic{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}})
	return q
}

func (w *wire) fetch(q *kmsg.FetchRequest) kmsg.FetchResponseTopicPartition {
	w.t.Helper()
	return w.ask(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
}

// values are the values of the records in an answer.
func values(t *testing.T, records []byte) []string {
	t.Helper()
	out := []string{}
	for len(records) > 0 {
		b, rest, err := log.ParseBatch(records)
		if err != nil {
			t.Fatal(err)
		}
		all, err := log.Records(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			out = append(out, string(r.Value))
		}
		records = rest
	}
	return out
}

func TestFetchWaits(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	conn := c.dial(1)
	start := time.Now()
	if p := conn.fetch(fetchRequest("t", 0, 50)); p.ErrorCode != 0 || p.HighWatermark != 0 || len(p.RecordBatches) > 0 {
		t.Errorf("nothing there: %+v", p)
	}
	if d := time.Since(start); d < 50*time.Millisecond {
		t.Errorf("answered after %v", d)
	}
	conn.send(fetchRequest("t", 0, int32(waitLimit.Milliseconds())))
	if p := c.dial(1).produce(produceRequest("t", 0, 1, batch("a", "b"))); p.ErrorCode != 0 {
		t.Fatal(p)
	}
	p := conn.receive(fetchRequest("t", 0, 0)).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if got := values(t, p.RecordBatches); len(got) != 2 || p.HighWatermark != 2 || p.LastStableOffset != 2 || p.LogStartOffset != 0 {
		t.Errorf("%v, %+v", got, p)
	}
	// In the middle of a batch the whole of it is answered.
	if p := conn.fetch(fetchRequest("t", 1, 0)); len(values(t, p.RecordBatches)) != 2 {
		t.Errorf("%+v", p)
	}
}

func TestFetchErrors(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.createTopic("t", 1, 2, nil)
	leader := c.leader("t", 0)
	c.inSync("t", 0, 2)
	part := c.anyImage().Partition(c.id("t", 0))
	follower := part.Replicas[0] + part.Replicas[1] - leader
	neither := 6 - leader - follower
	if p := c.dial(leader).produce(produceRequest("t", 0, -1, batch("a"))); p.ErrorCode != 0 {
		t.Fatal(p)
	}
	c.eventually("the follower's high watermark", func() bool {
		return c.brokers[follower].Manager().Replica(c.id("t", 0)).State().HighWatermark == 1
	})
	with := func(change func(q *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
		q := fetchRequest("t", 0, 10_000)
		change(q, &q.Topics[0].Partitions[0])
		return q
	}
	type change = func(q *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition)
	cases := []struct {
		name   string
		to     int32
		change change
		code   int16
		hw     int64
		hint   int32
	}{
		{"the leader", leader, func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {}, 0, 1, -1},
		{"a follower, v11", follower, func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.Version = 11 }, 0, 1, -1},
		{"a follower, v10", follower, func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.Version = 10 }, 6, -1, -1},
		{"a broker without it", neither, func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {}, 6, -1, -1},
		{"beyond the end", leader, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 2 }, 1, -1, -1},
		{"below the start", leader, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -5 }, 1, -1, -1},
		{"an old epoch comes before the leader check", follower, func(q *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
			q.Version, p.CurrentLeaderEpoch = 10, 7
		}, 75, -1, -1},
		{"an unknown partition", leader, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.Partition = 9 }, 3, -1, -1},
		{"a replica that is not one", leader, func(q *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { q.ReplicaID = 77 }, 6, -1, -1},
		{"the same with an epoch", leader, func(q *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
			q.ReplicaID, p.CurrentLeaderEpoch = 77, 0
		}, 75, -1, -1},
		{"a replica", leader, func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.ReplicaID = follower }, 0, 1, -1},
		{"a replica at a follower", follower, func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { q.ReplicaID = leader }, 6, -1, -1},
		{"by id, with a hint", neither, func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) {
			q.Version, q.Topics[0].TopicID = 16, c.id("t", 0).Topic
		}, 6, -1, leader},
		{"an unknown id", leader, func(q *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) {
			q.Version, q.Topics[0].TopicID = 13, [16]byte{3}
		}, 100, -1, -1},
	}
	for _, tc := range cases {
		start := time.Now()
		resp := c.dial(tc.to).ask(with(tc.change)).(*kmsg.FetchResponse)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != tc.code || p.HighWatermark != tc.hw || p.RecordBatches == nil || (len(p.RecordBatches) > 0) != (tc.code == 0) ||
			p.CurrentLeader.LeaderID != tc.hint || len(resp.Brokers) != map[bool]int{true: 1}[tc.hint >= 0] {
			t.Errorf("%s: %+v, want code %d", tc.name, p, tc.code)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: answered after %v", tc.name, d)
		}
	}
}

// A partition that metadata does not know does not end the wait for the others.
func TestFetchOfAnUnknownPartitionWaits(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	q := fetchRequest("nope", 0, 50)
	known := fetchRequest("t", 0, 0)
	q.Topics = append(q.Topics, known.Topics...)
	start := time.Now()
	resp := c.dial(1).ask(q).(*kmsg.FetchResponse)
	if time.Since(start) < 50*time.Millisecond || resp.Topics[0].Topic != "t" || resp.Topics[1].Partitions[0].ErrorCode != 3 {
		t.Errorf("after %v: %+v", time.Since(start), resp)
	}
}

// A waiting fetch ends when the topic is deleted, and when the leader changes.
func TestFetchEndsEarly(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("gone", 1, 1, nil)
	c.createTopic("moved", 1, 2, nil)
	c.inSync("moved", 0, 2)
	gone, moved := c.dial(c.leader("gone", 0)), c.dial(c.leader("moved", 0))
	longMs := int32(waitLimit.Milliseconds())
	gone.send(fetchRequest("gone", 0, longMs))
	q := fetchRequest("moved", 0, longMs)
	q.Topics[0].Partitions[0].CurrentLeaderEpoch = 0
	moved.send(q)

	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames, del.TimeoutMillis = []string{"gone"}, 5000
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &del.TopicNames[0]
	del.Topics = append(del.Topics, topic)
	if resp, err := del.RequestWith(c.ctx(), c.kgo()); err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
	if p := gone.receive(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != 3 {
		t.Errorf("a deleted topic: %+v", p)
	}
	leader := c.leader("moved", 0)
	shut := make(chan error, 1)
	go func() { shut <- c.brokers[leader].Shutdown(c.ctx()) }()
	if p := moved.receive(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != 74 {
		t.Errorf("a leadership that moved: %+v", p)
	}
	if err := <-shut; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	delete(c.brokers, leader)
}

func TestFetchLimits(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 2, 1, nil)
	conn := c.dial(1)
	for partition := range int32(2) {
		for range 3 {
			conn.produce(produceRequest("t", partition, 1, batch("0123456789")))
		}
	}
	size := int32(len(batch("0123456789")))
	both := func(maxBytes, partitionBytes int32) *kmsg.FetchRequest {
		q := fetchRequest("t", 0, 10_000)
		q.MaxBytes = maxBytes
		q.Topics[0].Partitions[0].PartitionMaxBytes = partitionBytes
		second := q.Topics[0].Partitions[0]
		second.Partition = 1
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, second)
		return q
	}
	for _, tc := range []struct {
		maxBytes, partitionBytes int32
		want                     [2]int
	}{
		{1 << 20, 1 << 20, [2]int{3, 3}},
		{1 << 20, 2 * size, [2]int{2, 2}},
		{4 * size, 1 << 20, [2]int{3, 1}},
		{1, 1, [2]int{1, 0}}, // the first batch whole, then nothing
		{0, 0, [2]int{1, 0}},
		{-1, -1, [2]int{1, 0}},
	} {
		resp := conn.ask(both(tc.maxBytes, tc.partitionBytes)).(*kmsg.FetchResponse)
		for i, p := range resp.Topics[0].Partitions {
			if n := len(values(t, p.RecordBatches)); n != tc.want[i] || p.ErrorCode != 0 {
				t.Errorf("%+v: partition %d has %d batches, error %d", tc, i, n, p.ErrorCode)
			}
		}
	}
}

func TestFetchSessionAtTheWire(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.createTopic("t", 1, 1, nil)
	conn := c.dial(1)
	q := fetchRequest("t", 0, 0)
	q.SessionEpoch = 0
	resp := conn.ask(q).(*kmsg.FetchResponse)
	if resp.SessionID == 0 || len(resp.Topics) != 1 {
		t.Fatalf("%+v", resp)
	}
	next := kmsg.NewPtrFetchRequest()
	next.Version, next.MinBytes, next.MaxBytes, next.MaxWaitMillis = 12, 1, 1<<20, 10
	next.SessionID, next.SessionEpoch = resp.SessionID, 1
	if resp := conn.ask(next).(*kmsg.FetchResponse); len(resp.Topics) != 0 || resp.SessionID != next.SessionID {
		t.Errorf("nothing new: %+v", resp)
	}
	conn.produce(produceRequest("t", 0, 1, batch("a")))
	next.SessionEpoch = 2
	if resp := conn.ask(next).(*kmsg.FetchResponse); len(resp.Topics) != 1 || len(values(t, resp.Topics[0].Partitions[0].RecordBatches)) != 1 {
		t.Errorf("a record: %+v", resp)
	}
	if resp := conn.ask(next).(*kmsg.FetchResponse); resp.ErrorCode != 71 || len(resp.Topics) != 0 {
		t.Errorf("the same epoch again: %+v", resp)
	}
}
