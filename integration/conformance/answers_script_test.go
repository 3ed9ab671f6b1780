package conformance_test

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// scriptTime is when the script's records were made: a fixed time, so that batches are the same in every run.
const scriptTime = 1_700_000_000_000

// script prepares the cluster and returns the calls. They are sent in order: the later ones see what the earlier ones did.
func (e *env) script() []call {
	s := &script{
		one: e.topicCalled("one", on(e.A), with("retention.ms", "-1")),
		three: e.topicCalled("three", on(e.A, e.B, e.C), on(e.B, e.C, e.A), on(e.C, e.A, e.B),
			with("retention.ms", "-1"), with("min.insync.replicas", "2")),
		sequenced: e.topicCalled("sequenced", on(e.A)),
		now:       time.Now().UnixMilli(),
		compacted: e.topicCalled("compacted", on(e.A), with("cleanup.policy", "compact")),
		A:         e.A, B: e.B, C: e.C,
	}
	first := wire.NewBatch("a", "b").At(scriptTime)
	first.Records[1].Timestamp += 20
	for _, batch := range []wire.Batch{first, wire.NewBatch("c").At(scriptTime + 10)} {
		w := writing(s.one)
		w.batch = batch.Bytes()
		check(e, "preparing records", e.produce(e.A, w).code, none)
	}
	w := writing(s.sequenced)
	w.batch = s.batch(3, 7)
	check(e, "preparing records", e.produce(e.A, w).code, none)
	e.initProducerID(e.A) // A broker that has given none yet may have to wait for some.
	return slices.Concat(
		s.apiVersions(), s.metadata(), s.describe(), s.produce(), s.fetch(), s.listOffsets(), s.epochs(),
		s.describeConfigs(), s.alterConfigs(), s.createTopics(), s.createPartitions(), s.deleteTopics(), s.elections(), s.deleteRecords(), s.producers(),
		s.groups(e), s.transactions(e), s.shares(e),
	)
}

// script is what the calls are about: topics, and the brokers, of which A is asked.
type script struct {
	one       topic // has three records
	three     topic // has three partitions, led by A, B and C
	compacted topic
	sequenced topic // has one record of the script's idempotent producer, made now: producers with old records are forgotten
	now       int64
	A, B, C   int32
}

// producerID is the script's idempotent producer.
const producerID = 4242

// batch is a batch of the idempotent producer.
func (s *script) batch(epoch int16, sequence int32) []byte {
	return wire.NewBatch("sequenced").At(s.now).From(producerID, epoch, sequence).Bytes()
}

// unknown is a topic that is not there.
func unknown() topic { return topic{name: "unknown", id: [16]byte{0xff, 1}} }

// versions makes one call for each version.
func versions(label string, make func(version int16) kmsg.Request, versions ...int16) (calls []call) {
	for _, v := range versions {
		req := make(v)
		req.SetVersion(v)
		calls = append(calls, call{label: label, req: req})
	}
	return calls
}

func (s *script) apiVersions() []call {
	ask := func(name string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = name, "1"
			return req
		}
	}
	return slices.Concat(
		versions("", ask("script"), 0, 3, 4),
		versions("without a name", ask(""), 3),
		versions("with a bad name", ask("a b"), 4),
	)
}

func (s *script) metadata() []call {
	byName := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics = []kmsg.MetadataRequestTopic{}
			for _, name := range names {
				req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
			}
			return req
		}
	}
	byID := func(ids ...[16]byte) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			for _, id := range ids {
				req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{TopicID: id})
			}
			return req
		}
	}
	all := func(v int16) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		if v == 0 {
			req.Topics = []kmsg.MetadataRequestTopic{}
		}
		req.IncludeTopicAuthorizedOperations, req.IncludeClusterAuthorizedOperations = true, true
		return req
	}
	return slices.Concat(
		versions("of all", all, 0, 1, 9, 13),
		versions("of none", byName(), 1, 13),
		versions("of two", byName("one", "three"), 0, 4, 8, 13),
		versions("of an unknown one", byName("unknown"), 4, 13),
		versions("of bad names", byName("a b", "..", ""), 4, 13),
		versions("by id", byID(s.one.id, s.three.id), 12, 13),
		versions("by an unknown id", byID(unknown().id), 12, 13),
		versions("by an id before v12", byID(s.one.id), 10),
	)
}

// describe is the APIs that describe the cluster.
func (s *script) describe() []call {
	cluster := func(endpoint int8, fenced bool) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.EndpointType, req.IncludeFencedBrokers, req.IncludeClusterAuthorizedOperations = endpoint, fenced, true
			return req
		}
	}
	partitions := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit, req.Cursor = limit, cursor
			for _, name := range names {
				req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
			}
			return req
		}
	}
	dirs := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeLogDirsRequest()
			for _, name := range names {
				req.Topics = append(req.Topics, kmsg.DescribeLogDirsRequestTopic{Topic: name, Partitions: []int32{0, 1, 7}})
			}
			return req
		}
	}
	return slices.Concat(
		versions("", cluster(1, false), 0, 1, 2),
		versions("with fenced brokers", cluster(1, true), 2),
		versions("of controllers", cluster(2, false), 1, 2),
		versions("of nothing that there is", cluster(3, false), 1, 2),
		versions("", partitions(100, nil, "three", "one", "unknown"), 0),
		versions("of all", partitions(100, nil), 0),
		versions("two at a time", partitions(2, nil, "three", "one"), 0),
		versions("with a cursor", partitions(100, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "three", Partition: 1}, "three", "one"), 0),
		versions("with a limit of 0", partitions(0, nil, "three"), 0),
		versions("of two and an unknown one", dirs("one", "three", "unknown"), 1, 5),
		versions("of all", dirs(), 1, 5),
	)
}

func (s *script) createTopics() []call {
	create := func(validateOnly bool, topics ...kmsg.CreateTopicsRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.TimeoutMillis, req.ValidateOnly, req.Topics = 30_000, validateOnly, topics
			return req
		}
	}
	named := func(name string, opts ...topicOption) kmsg.CreateTopicsRequestTopic {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1, 1
		for _, opt := range opts {
			opt(&t)
		}
		return t
	}
	both := named("both", on(s.A))
	both.NumPartitions = 1
	bad := []kmsg.CreateTopicsRequestTopic{
		named("one"), named("a b"), named(""), named(".."), named("many", sized(1, 4)), named("no-partitions", sized(0, 1)), named("no-replicas", sized(1, 0)),
		named("negative", sized(-2, -2)), named("config", with("no.such.config", "1")), named("value", with("retention.ms", "x")),
		both, named("twice-a-broker", on(s.A, s.A)), named("no-broker", on(s.A, 99)), named("nobody", on()), named("uneven", on(s.A), on(s.A, s.B)),
		named("__cluster_metadata"),
	}
	return slices.Concat(
		versions("", create(false, named("created-2", sized(3, 2), with("retention.ms", "60000"))), 2),
		versions("", create(false, named("created-7", sized(3, 2), with("retention.ms", "60000"))), 7),
		versions("with the defaults", create(false, named("defaults", sized(-1, -1))), 7),
		versions("with an assignment", create(false, named("assigned", on(s.B, s.A), on(s.C, s.B))), 5),
		versions("to be validated only", create(true, named("validated", sized(2, 3))), 2, 7),
		versions("with a name that collides", create(false, named("created.7")), 2, 7),
		versions("with the same name twice", create(false, named("twice"), named("twice")), 2, 7),
		versions("that are wrong", create(false, bad...), 2, 7),
		versions("of nothing", create(false), 2, 7),
	)
}

func (s *script) createPartitions() []call {
	grow := func(topics ...kmsg.CreatePartitionsRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrCreatePartitionsRequest()
			req.TimeoutMillis, req.Topics = 30_000, topics
			return req
		}
	}
	to := func(name string, count int32, assignment ...[]int32) kmsg.CreatePartitionsRequestTopic {
		t := kmsg.CreatePartitionsRequestTopic{Topic: name, Count: count}
		for _, replicas := range assignment {
			t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
		}
		return t
	}
	return slices.Concat(
		versions("", grow(to("created-2", 4)), 0),
		versions("", grow(to("created-7", 4, []int32{s.C, s.A})), 3),
		versions("that are wrong", grow(
			to("unknown", 2), to("created-2", 4), to("created-7", 1), to("defaults", 0),
			to("assigned", 3, []int32{s.A, s.B}, []int32{s.A, s.B}), to("one", 2, []int32{99}),
		), 0, 3),
		versions("of a topic twice", grow(to("three", 4), to("three", 5)), 0, 3),
	)
}

func (s *script) deleteTopics() []call {
	byName := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis, req.TopicNames = 30_000, names
			return req
		}
	}
	mixed := func(topics ...kmsg.DeleteTopicsRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis, req.Topics = 30_000, topics
			return req
		}
	}
	name := func(name string) *string { return &name }
	return slices.Concat(
		versions("", byName("created-2", "unknown"), 1),
		versions("", mixed(kmsg.DeleteTopicsRequestTopic{Topic: name("created-7")}), 6),
		versions("that are unknown", byName("unknown", ""), 1, 5),
		versions("that are unknown", mixed(kmsg.DeleteTopicsRequestTopic{Topic: name("unknown")}, kmsg.DeleteTopicsRequestTopic{TopicID: unknown().id}), 6),
		versions("by name and id", mixed(kmsg.DeleteTopicsRequestTopic{Topic: name("defaults"), TopicID: s.one.id}), 6),
		versions("by neither", mixed(kmsg.DeleteTopicsRequestTopic{}), 6),
		versions("twice", mixed(kmsg.DeleteTopicsRequestTopic{Topic: name("defaults")}, kmsg.DeleteTopicsRequestTopic{Topic: name("defaults")}), 6),
	)
}

func (s *script) elections() []call {
	elect := func(kind int8, topics ...kmsg.ElectLeadersRequestTopic) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrElectLeadersRequest()
			req.TimeoutMillis, req.ElectionType, req.Topics = 30_000, kind, topics
			return req
		}
	}
	three := kmsg.ElectLeadersRequestTopic{Topic: "three", Partitions: []int32{0, 1, 9}}
	return slices.Concat(
		versions("of preferred leaders", elect(preferred, three, kmsg.ElectLeadersRequestTopic{Topic: "unknown", Partitions: []int32{0}}), 0, 2),
		versions("unclean", elect(unclean, three), 1, 2),
		versions("of all", elect(preferred), 0, 2),
		versions("of an unknown kind", elect(7, three), 1, 2),
	)
}

func (s *script) deleteRecords() []call {
	trim := func(name string, partition int32, offset int64) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDeleteRecordsRequest()
			req.TimeoutMillis = 30_000
			req.Topics = []kmsg.DeleteRecordsRequestTopic{{
				Topic:      name,
				Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: offset}},
			}}
			return req
		}
	}
	return slices.Concat(
		versions("", trim("one", 0, 1), 0, 2),
		versions("of an unknown topic", trim("unknown", 0, 1), 0, 2),
		versions("of an unknown partition", trim("one", 9, 1), 0, 2),
		versions("at a broker that does not lead", trim("three", 1, 0), 0, 2),
		versions("beyond the end", trim("one", 0, 99), 0, 2),
		versions("before everything", trim("one", 0, -2), 0, 2),
		versions("of a compacted topic", trim("compacted", 0, 0), 0, 2),
		versions("up to the high watermark", trim("one", 0, -1), 2),
	)
}

// producers is the APIs about producer ids.
func (s *script) producers() []call {
	initID := func(transactional string, id int64, epoch int16) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = 60_000, id, epoch
			if transactional != "none" {
				req.TransactionalID = &transactional
			}
			return req
		}
	}
	describe := func(int16) kmsg.Request {
		req := kmsg.NewPtrDescribeProducersRequest()
		req.Topics = []kmsg.DescribeProducersRequestTopic{
			{Topic: "sequenced", Partitions: []int32{0, 9}}, {Topic: "three", Partitions: []int32{0, 1}}, {Topic: "unknown", Partitions: []int32{0}},
		}
		return req
	}
	return slices.Concat(
		versions("", initID("none", -1, -1), 0, 5),
		versions("with an empty transactional id", initID("", -1, -1), 0, 5),
		versions("with an id and no epoch", initID("none", 5, -1), 3, 5),
		versions("with an id and an epoch", initID("none", 5, 2), 3, 5),
		versions("", describe, 0),
	)
}
