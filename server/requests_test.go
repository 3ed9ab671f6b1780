package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// listOffset asks for an offset of a partition of the topic t.
func (w *wire) listOffset(version int16, partition int32, timestamp int64) kmsg.ListOffsetsResponseTopicPartition {
	w.t.Helper()
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = version, -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	q.Topics = append(q.Topics, kmsg.ListOffsetsRequestTopic{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}})
	return w.ask(q).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
}

func TestListOffsets(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("t", 1, 1, nil)
	leader := c.leader("t", 0)
	conn := c.dial(leader)
	type answer struct {
		code              int16
		offset, timestamp int64
		epoch             int32
	}
	check := func(what string, p kmsg.ListOffsetsResponseTopicPartition, want answer) {
		t.Helper()
		if got := (answer{p.ErrorCode, p.Offset, p.Timestamp, p.LeaderEpoch}); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	check("latest of nothing", conn.listOffset(11, 0, -1), answer{0, 0, -1, 0})
	check("earliest of nothing", conn.listOffset(11, 0, -2), answer{0, 0, -1, 0})
	check("largest of nothing", conn.listOffset(11, 0, -3), answer{0, -1, -1, -1})
	check("a time of nothing", conn.listOffset(11, 0, 5), answer{0, -1, -1, -1})

	now := time.Now().UnixMilli()
	for _, at := range []int64{now, now + 20, now + 10} {
		b, err := log.BuildBatch([]log.Record{{Timestamp: at, Value: []byte("v")}}, log.BatchOptions{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1})
		if err != nil {
			t.Fatal(err)
		}
		if p := conn.produce(produceRequest("t", 0, 1, b)); p.ErrorCode != 0 {
			t.Fatal(p)
		}
	}
	check("latest", conn.listOffset(11, 0, -1), answer{0, 3, -1, 0})
	check("largest", conn.listOffset(7, 0, -3), answer{0, 1, now + 20, 0})
	check("a time", conn.listOffset(4, 0, now+1), answer{0, 1, now + 20, 0})
	check("a time beyond all", conn.listOffset(4, 0, now+21), answer{0, -1, -1, -1})
	check("no epoch before v4", conn.listOffset(3, 0, now), answer{0, 0, now, -1})
	check("local", conn.listOffset(8, 0, -4), answer{0, 0, -1, 0})
	check("tiered", conn.listOffset(9, 0, -5), answer{0, -1, -1, -1})
	for version, timestamp := range map[int16]int64{6: -3, 7: -4, 8: -5, 10: -6, 11: -7} {
		check("too early a version", conn.listOffset(version, 0, timestamp), answer{35, -1, -1, -1})
	}
	check("an unknown partition", conn.listOffset(11, 1, -1), answer{3, -1, -1, -1})
	check("another broker", c.dial(3-leader).listOffset(11, 0, -1), answer{6, -1, -1, -1})

	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = 11, -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p, p}}}
	if got := conn.ask(q).(*kmsg.ListOffsetsResponse).Topics[0].Partitions; len(got) != 1 || got[0].ErrorCode != 42 {
		t.Errorf("a partition twice: %+v", got)
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("t", 1, 2, nil)
	leader := c.leader("t", 0)
	c.dial(leader).produce(produceRequest("t", 0, -1, batch("a", "b")))
	ask := func(to int32, topic string, current, epoch int32) [3]int64 {
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		q.Version, q.ReplicaID = 4, -2
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.CurrentLeaderEpoch, p.LeaderEpoch = current, epoch
		q.Topics = append(q.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}})
		a := c.dial(to).ask(q).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]
		return [3]int64{int64(a.ErrorCode), int64(a.LeaderEpoch), a.EndOffset}
	}
	for _, tc := range []struct {
		to             int32
		topic          string
		current, epoch int32
		want           [3]int64
	}{
		{leader, "t", -1, 0, [3]int64{0, 0, 2}},
		{leader, "t", 0, 7, [3]int64{0, -1, -1}},
		{leader, "t", 3, 0, [3]int64{75, -1, -1}},
		{3 - leader, "t", -1, 0, [3]int64{6, -1, -1}},
		{leader, "nope", -1, 0, [3]int64{3, -1, -1}},
	} {
		if got := ask(tc.to, tc.topic, tc.current, tc.epoch); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestDeleteRecords(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("t", 1, 2, nil)
	c.createTopic("compacted", 1, 1, map[string]string{"cleanup.policy": "compact"})
	leader := c.leader("t", 0)
	conn := c.dial(leader)
	for range 5 {
		conn.produce(produceRequest("t", 0, -1, batch("a")))
	}
	ask := func(conn *wire, topic string, offset int64, timeoutMs int32) [2]int64 {
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.Version, q.TimeoutMillis = 2, timeoutMs
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Offset = offset
		q.Topics = append(q.Topics, kmsg.DeleteRecordsRequestTopic{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{p}})
		a := conn.ask(q).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
		return [2]int64{int64(a.ErrorCode), a.LowWatermark}
	}
	for _, tc := range []struct {
		name   string
		conn   *wire
		topic  string
		offset int64
		want   [2]int64
	}{
		{"some", conn, "t", 2, [2]int64{0, 2}},
		{"fewer", conn, "t", 1, [2]int64{0, 2}},
		{"beyond the high watermark", conn, "t", 6, [2]int64{1, -1}},
		{"below -1", conn, "t", -2, [2]int64{1, -1}},
		{"at a follower", c.dial(3 - leader), "t", 3, [2]int64{6, -1}},
		{"an unknown topic", conn, "nope", 3, [2]int64{3, -1}},
		{"a compacted topic", c.dial(c.leader("compacted", 0)), "compacted", 0, [2]int64{44, -1}},
		{"all", conn, "t", -1, [2]int64{0, 5}},
	} {
		if got := ask(tc.conn, tc.topic, tc.offset, 10_000); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	if p := conn.fetch(fetchRequest("t", 0, 0)); p.ErrorCode != 1 {
		t.Errorf("below the log start: %+v", p)
	}
}

func TestDescribeProducersAndLogDirs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("t", 2, 1, nil)
	leader := c.leader("t", 0)
	conn := c.dial(leader)
	conn.produce(produceRequest("t", 0, 1, batchOf(log.BatchOptions{ProducerID: 7, ProducerEpoch: 2, BaseSequence: 0}, "a", "b")))

	q := kmsg.NewPtrDescribeProducersRequest()
	for _, topic := range []string{"t", "nope", "a/b"} {
		q.Topics = append(q.Topics, kmsg.DescribeProducersRequestTopic{Topic: topic, Partitions: []int32{0}})
	}
	topics := conn.ask(q).(*kmsg.DescribeProducersResponse).Topics
	if p := topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.ActiveProducers) != 1 || p.ActiveProducers[0].ProducerID != 7 ||
		p.ActiveProducers[0].ProducerEpoch != 2 || p.ActiveProducers[0].LastSequence != 1 || p.ActiveProducers[0].CurrentTxnStartOffset != -1 {
		t.Errorf("%+v", p)
	}
	if p := topics[1].Partitions[0]; p.ErrorCode != 3 {
		t.Errorf("an unknown topic: %+v", p)
	}
	if p := topics[2].Partitions[0]; p.ErrorCode != 17 || p.ErrorMessage == nil {
		t.Errorf("an invalid name: %+v", p)
	}

	dirs := kmsg.NewPtrDescribeLogDirsRequest()
	dirs.Version = 4
	for _, all := range []bool{true, false} {
		if !all {
			dirs.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "t", Partitions: []int32{0}}}
		}
		resp := conn.ask(dirs).(*kmsg.DescribeLogDirsResponse)
		if len(resp.Dirs) != 1 || resp.Dirs[0].ErrorCode != 0 || len(resp.Dirs[0].Topics) != 1 {
			t.Fatalf("%+v", resp)
		}
		for _, p := range resp.Dirs[0].Topics[0].Partitions {
			if p.OffsetLag != 0 || p.IsFuture || (p.Size > 0) != (p.Partition == 0) {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, map[string]string{"num.partitions": "2", "default.replication.factor": "2"})
	c.createTopic("t", 1, 3, nil)
	c.inSync("t", 0, 3)
	conn := c.dial(1)
	ask := func(version int16, change func(q *kmsg.MetadataRequest)) *kmsg.MetadataResponse {
		t.Helper()
		q := kmsg.NewPtrMetadataRequest()
		q.Version = version
		change(q)
		return conn.ask(q).(*kmsg.MetadataResponse)
	}
	named := func(names ...string) []kmsg.MetadataRequestTopic {
		var out []kmsg.MetadataRequestTopic
		for _, n := range names {
			out = append(out, kmsg.MetadataRequestTopic{Topic: &n})
		}
		return out
	}
	all := ask(12, func(*kmsg.MetadataRequest) {})
	if len(all.Brokers) != 3 || len(all.Topics) != 1 || *all.ClusterID != clusterID || all.ControllerID < 1 || all.ControllerID > 3 {
		t.Errorf("%+v", all)
	}
	p := all.Topics[0].Partitions[0]
	if p.ErrorCode != 0 || len(p.Replicas) != 3 || len(p.ISR) != 3 || len(p.OfflineReplicas) != 0 || p.LeaderEpoch != 0 {
		t.Errorf("%+v", p)
	}
	for version := range int16(14) {
		resp := ask(version, func(q *kmsg.MetadataRequest) { q.Topics = named("t") })
		if len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 0 || len(resp.Topics[0].Partitions) != 1 {
			t.Errorf("version %d: %+v", version, resp.Topics)
		}
	}
	if n := len(ask(1, func(q *kmsg.MetadataRequest) { q.Topics = named() }).Topics); n != 0 && n != 1 {
		t.Errorf("no topics: %d", n)
	}
	if n := len(ask(0, func(q *kmsg.MetadataRequest) { q.Topics = []kmsg.MetadataRequestTopic{} }).Topics); n != 1 {
		t.Errorf("v0, an empty list: %d topics", n)
	}
	if n := len(ask(1, func(q *kmsg.MetadataRequest) { q.Topics = []kmsg.MetadataRequestTopic{} }).Topics); n != 0 {
		t.Errorf("v1, an empty list: %d topics", n)
	}
	byID := ask(12, func(q *kmsg.MetadataRequest) {
		q.Topics = append(named("new"), kmsg.MetadataRequestTopic{TopicID: c.id("t", 0).Topic}, kmsg.MetadataRequestTopic{TopicID: [16]byte{9}})
	})
	if len(byID.Topics) != 2 || *byID.Topics[0].Topic != "t" || byID.Topics[1].ErrorCode != 100 || byID.Topics[1].Topic != nil {
		t.Errorf("by id: %+v", byID.Topics)
	}
	early := ask(11, func(q *kmsg.MetadataRequest) {
		q.Topics = []kmsg.MetadataRequestTopic{{TopicID: [16]byte{9}, Topic: new(string)}}
	})
	if early.Topics[0].ErrorCode != 42 {
		t.Errorf("by id in v11: %+v", early.Topics)
	}
}

func TestAutoCreation(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, map[string]string{"num.partitions": "2", "default.replication.factor": "2"})
	conn := c.dial(1)
	ask := func(name string, allow bool) int16 {
		q := kmsg.NewPtrMetadataRequest()
		q.Version, q.AllowAutoTopicCreation = 9, allow
		q.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		return conn.ask(q).(*kmsg.MetadataResponse).Topics[0].ErrorCode
	}
	if code := ask("a/b", true); code != 17 {
		t.Errorf("an invalid name: %d", code)
	}
	if code := ask("new", false); code != 3 {
		t.Errorf("not allowed: %d", code)
	}
	if code := ask("new", true); code != 3 {
		t.Errorf("allowed: %d", code)
	}
	c.eventually("the topic", func() bool { return ask("new", true) == 0 })
	topic := c.brokers[1].Image().Topics["new"]
	if len(topic.Partitions) != 2 || len(topic.Partitions[0].Replicas) != 2 {
		t.Errorf("%+v", topic)
	}
	if code := ask("__consumer_offsets", true); code != 3 {
		t.Errorf("an internal topic: %d", code)
	}
	c.eventually("the internal topic", func() bool { return ask("__consumer_offsets", true) == 0 })
	offsets := c.brokers[1].Image().Topics["__consumer_offsets"]
	if len(offsets.Partitions) != 50 || len(offsets.Partitions[0].Replicas) != 3 || offsets.Configs["cleanup.policy"] != "compact" {
		t.Errorf("%d partitions, %v, %v", len(offsets.Partitions), offsets.Partitions[0].Replicas, offsets.Configs)
	}
}

func TestDescribeCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.crash(2)
	c.eventually("the fencing", func() bool { return c.brokers[1].Image().Brokers[2].Fenced })
	conn := c.dial(1)
	ask := func(version int16, endpoint int8, fenced bool) *kmsg.DescribeClusterResponse {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.Version, q.EndpointType, q.IncludeFencedBrokers, q.IncludeClusterAuthorizedOperations = version, endpoint, fenced, true
		return conn.ask(q).(*kmsg.DescribeClusterResponse)
	}
	if r := ask(0, 1, false); r.ErrorCode != 0 || len(r.Brokers) != 1 || r.ClusterID != clusterID || r.ControllerID != 1 || r.ClusterAuthorizedOperations != 8096 {
		t.Errorf("%+v", r)
	}
	if r := ask(2, 1, true); len(r.Brokers) != 2 || !slices.ContainsFunc(r.Brokers, func(b kmsg.DescribeClusterResponseBroker) bool { return b.IsFenced && b.NodeID == 2 }) {
		t.Errorf("with fenced ones: %+v", r)
	}
	if r := ask(1, 2, false); r.ErrorCode != 114 || r.ErrorMessage == nil {
		t.Errorf("controllers: %+v", r)
	}
	if r := ask(1, 9, false); r.ErrorCode != 115 {
		t.Errorf("an unknown endpoint: %+v", r)
	}
}

// Every replica deletes what is too old by itself.
func TestRetention(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, map[string]string{"log.retention.check.interval.ms": "20", "log.cleaner.backoff.ms": "20"})
	c.createTopic("t", 1, 2, map[string]string{"retention.ms": "1", "segment.ms": "1"})
	conn := c.dial(c.leader("t", 0))
	for range 3 {
		conn.produce(produceRequest("t", 0, -1, batch("a")))
	}
	c.eventually("the log start", func() bool {
		for _, b := range c.brokers {
			if r := b.Manager().Replica(c.id("t", 0)); r == nil || r.State().LogStartOffset < 2 {
				return false
			}
		}
		return true
	})
}
