package conformance_test

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataRows is part A of the table: metadata and administration.
func metadataRows() []row {
	return append(append(createRows(), alterRows()...), []row{
		{id: "A01", title: "Metadata of an unknown topic creates it, and answers UNKNOWN_TOPIC_OR_PARTITION meanwhile", run: func(e *env) {
			t := topic{name: e.freshName()}
			check(e, "first answer", e.metadataCreating(t, true), unknownTopicOrPartition)
			e.waitTopic(t.name)
		}},
		{id: "A02", title: "Metadata of an unknown topic does not create it when it is told not to", run: func(e *env) {
			t := topic{name: e.freshName()}
			check(e, "first answer", e.metadataCreating(t, false), unknownTopicOrPartition)
			e.topic() // Made after it, and there before it would be.
			check(e, "second answer", e.metadataCreating(t, false), unknownTopicOrPartition)
		}},
		{id: "A03", title: "a leaderless partition is LEADER_NOT_AVAILABLE in Metadata, with leader -1", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.C))
			before := e.partition(t)
			e.next("C is killed")
			e.next("C is fenced")
			p := e.waitLeader(t, -1)
			check(e, "error", p.code, leaderNotAvailable)
			check(e, "leader epoch", p.epoch, before.epoch+1)
			checkSet(e, "replicas", p.replicas, e.C)
			checkSet(e, "offline replicas", p.offline, e.C)
		}},
		{id: "A04", title: "the controller that Metadata names is a live broker", run: func(e *env) {
			check(e, "is it one of the brokers", e.liveBrokers()[e.namedController()], true)
		}},
		{id: "A05", title: "a dead broker leaves Metadata when it is fenced, but stays among replicas and offline replicas", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.next("C is killed")
			e.next("C is fenced")
			check(e, "is C among the brokers", e.liveBrokers()[e.C], false)
			p := e.waitISR(t, e.A)
			checkSet(e, "replicas", p.replicas, e.A, e.C)
			checkSet(e, "offline replicas", p.offline, e.C)
		}},
		{id: "A13", title: "deleting an unknown topic, by name and by id", run: func(e *env) {
			check(e, "by name", e.deleteTopic(topic{name: e.freshName()}), unknownTopicOrPartition)
			req := request(kmsg.NewPtrDeleteTopicsRequest(), 6)
			req.TimeoutMillis = 30_000
			req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: [16]byte{1}}}
			resp := ask[*kmsg.DeleteTopicsResponse](e, e.controller(), req)
			check(e, "topics in the answer", len(resp.Topics), 1)
			check(e, "by id", code(resp.Topics[0].ErrorCode), unknownTopicID)
		}},
		{id: "A15", title: "DeleteRecords beyond the high watermark is out of range", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "3"))
			e.put(t, "a")
			e.next("C is killed")
			e.next("C is fenced")
			e.waitShort(e.A, t)
			end := e.putUnseen(t, "b")
			for _, offset := range []int64{end, end + 1} { // Within the log, and beyond it.
				got := e.deleteRecords(e.A, t, offset, 30*time.Second)
				check(e, "answer", got.code, offsetOutOfRange)
				check(e, "low watermark", got.lowWatermark, -1)
			}
		}},
		{id: "A16", title: "DeleteRecords on a topic that is only compacted is against the policy", run: func(e *env) {
			t := e.topic(with("cleanup.policy", "compact"))
			check(e, "answer", e.deleteRecords(e.partition(t).leader, t, -1, 30*time.Second).code, policyViolation)
		}},
		{id: "A17", title: "DeleteRecords with a silent live follower times out, though the leader has deleted", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.put(t, "a", "b")
			e.next("C is paused")
			got := e.deleteRecords(e.A, t, 1, 100*time.Millisecond)
			check(e, "answer", got.code, requestTimedOut)
			check(e, "low watermark", got.lowWatermark, 0)
			check(e, "log start of the leader", e.listOffsets(e.A, listed{topic: t, time: earliest}).offset, 1)
			e.next("C is fenced")
			e.waitISR(t, e.A)
			e.wait("DeleteRecords to succeed without C", func() error {
				return is("answer", e.deleteRecords(e.A, t, 1, 100*time.Millisecond).code, none)
			})
			e.next("C goes on")
		}},
		{id: "A22", title: "no controller: a change of the cluster waits for one, up to a minute, then REQUEST_TIMED_OUT", during: noController, run: func(e *env) {
			e.next("the controller is killed")
			req := request(kmsg.NewPtrCreateTopicsRequest(), 7)
			req.TimeoutMillis = 120_000
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = e.freshName(), 1, 1
			req.Topics = []kmsg.CreateTopicsRequestTopic{t}
			waiting := e.send(e.conn(e.A), req)
			e.next("C is killed")
			check(e, "is the request unanswered without a controller", waiting.open(), true)
			e.next("the controller is back")
			got := code(answer[*kmsg.CreateTopicsResponse](e, waiting).Topics[0].ErrorCode)
			check(e, "was it carried out or timed out", got == none || got == requestTimedOut, true)
		}},
		{id: "A23", title: "ApiVersions in an unknown version is answered in version 0, naming the versions of ApiVersions; the connection goes on", run: func(e *env) {
			conn := e.conn(e.A)
			for _, version := range []int16{99, -1} {
				req := request(kmsg.NewPtrApiVersionsRequest(), 0)
				if version > 0 {
					req.Version = 3 // The header has tags, as it has in every version since.
				}
				frame := conn.Frame(req)
				binary.BigEndian.PutUint16(frame[6:], uint16(version))
				if err := conn.SendBytes(frame); err != nil {
					e.fatalf("sending: %v", err)
				}
				resp := answer[*kmsg.ApiVersionsResponse](e, e.receive(conn, req))
				check(e, "answer", code(resp.ErrorCode), unsupportedVersion)
				check(e, "entries", len(resp.ApiKeys), 1)
				check(e, "key", resp.ApiKeys[0].ApiKey, req.Key())
				check(e, "lowest version", resp.ApiKeys[0].MinVersion, 0)
			}
			resp, err := conn.Request(request(kmsg.NewPtrApiVersionsRequest(), 0))
			if err != nil {
				e.fatalf("the next request on the connection: %v", err)
			}
			check(e, "answer to the next request", code(resp.(*kmsg.ApiVersionsResponse).ErrorCode), none)
		}},
		{id: "A24", title: "an unknown API, or an unsupported version of a known one, ends the connection", run: func(e *env) {
			for _, c := range []struct {
				what         string
				key, version uint16
			}{
				{"an unknown key", 999, 0},
				{"a version above Metadata's", 3, 99},
				{"a version below CreateTopics's", 19, 0},
				{"a negative version of Metadata", 3, 0xffff},
				{"a version of Produce before 4.0", 0, 2},
			} {
				conn := e.conn(e.A)
				frame := conn.Frame(request(kmsg.NewPtrMetadataRequest(), 1))
				binary.BigEndian.PutUint16(frame[4:], c.key)
				binary.BigEndian.PutUint16(frame[6:], c.version)
				if err := conn.SendBytes(frame); err != nil {
					e.fatalf("sending: %v", err)
				}
				e.closed(c.what, conn)
			}
		}},
		{id: "A25", title: "DescribeTopicPartitions of a leaderless partition: no error, the dead replica eligible and last known leader", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.C))
			before := e.partition(t)
			e.next("C is killed")
			e.next("C is fenced")
			e.waitLeader(t, -1)
			p := e.waitEligible(t, nil, []int32{e.C})
			check(e, "error", code(p.ErrorCode), none)
			check(e, "leader", e.name(p.LeaderID), "nobody")
			check(e, "leader epoch", p.LeaderEpoch, before.epoch+1)
			checkSet(e, "last known leader", p.LastKnownELR, e.C)
		}},
	}...)
}

// metadataCreating asks for a topic's Metadata and says whether it may be created by that.
func (e *env) metadataCreating(t topic, create bool) code {
	req := request(kmsg.NewPtrMetadataRequest(), 9)
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &t.name}}
	req.AllowAutoTopicCreation = create
	resp := ask[*kmsg.MetadataResponse](e, e.A, req)
	check(e, "topics in the answer", len(resp.Topics), 1)
	return code(resp.Topics[0].ErrorCode)
}

// createRows are about CreateTopics.
func createRows() []row {
	return []row{
		{id: "A06", title: "creating a topic that exists", run: func(e *env) {
			check(e, "answer", code(e.createTopic(e.topic().name).ErrorCode), topicAlreadyExists)
		}},
		{id: "A07", title: "creating a topic with more replicas than there are brokers", run: func(e *env) {
			check(e, "answer", code(e.createTopic(e.freshName(), sized(1, 4)).ErrorCode), invalidReplicationFactor)
		}},
		{id: "A08", title: "a topic created while a broker is fenced has it as a replica outside the ISR", during: aBrokerIsKilled, run: func(e *env) {
			e.next("C is killed")
			e.next("C is fenced")
			t := topic{name: e.freshName()}
			check(e, "answer", code(e.createTopic(t.name, sized(1, 3)).ErrorCode), none)
			e.waitTopic(t.name)
			p := e.partition(t)
			checkSet(e, "replicas", p.replicas, e.A, e.B, e.C)
			checkSet(e, "in-sync replicas", p.isr, e.A, e.B)
			e.next("C is back")
			e.waitISR(t, e.A, e.B, e.C)
		}},
		{id: "A09", title: "creating a topic with no partitions", run: func(e *env) {
			check(e, "answer", code(e.createTopic(e.freshName(), sized(0, 1)).ErrorCode), invalidPartitions)
		}},
		{id: "A10", title: "a name that differs from another only in '.' against '_'", run: func(e *env) {
			name := e.freshName()
			check(e, "creating the first", code(e.createTopic(name+"_a").ErrorCode), none)
			check(e, "creating the second", code(e.createTopic(name+".a").ErrorCode), invalidTopic)
		}},
		{id: "A11", title: "creating a topic with an unknown config, or a bad value", run: func(e *env) {
			check(e, "unknown config", code(e.createTopic(e.freshName(), with("no.such.config", "1")).ErrorCode), invalidConfig)
			check(e, "bad value", code(e.createTopic(e.freshName(), with("retention.ms", "soon")).ErrorCode), invalidConfig)
		}},
		{id: "A12", title: "right after CreateTopics a Produce may get UNKNOWN_TOPIC_OR_PARTITION or NOT_LEADER_OR_FOLLOWER, for a moment", run: func(e *env) {
			t := topic{name: e.freshName()}
			check(e, "creating the topic", code(e.createTopic(t.name).ErrorCode), none)
			e.wait("Produce to succeed", func() error {
				p, err := e.tryPartition(t, 0)
				if err != nil {
					return err
				}
				got := e.produce(max(p.leader, e.A), writing(t, "a")).code
				if got != none && got != unknownTopicOrPartition && got != notLeaderOrFollower {
					e.fatalf("answer: got %v", got)
				}
				return is("answer", got, none)
			})
		}},
	}
}

// alterRows are about changes to what exists.
func alterRows() []row {
	return []row{
		{id: "A14", title: "CreatePartitions to fewer than there are, or to as many", run: func(e *env) {
			t := e.topic(sized(2, 1))
			for _, count := range []int32{1, 2} {
				req := request(kmsg.NewPtrCreatePartitionsRequest(), 3)
				req.TimeoutMillis = 30_000
				req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: t.name, Count: count}}
				resp := ask[*kmsg.CreatePartitionsResponse](e, e.controller(), req)
				check(e, fmt.Sprintf("answer for %d", count), code(resp.Topics[0].ErrorCode), invalidPartitions)
			}
		}},
		{id: "A18", title: "IncrementalAlterConfigs cannot append to a config that is no list", run: func(e *env) {
			value := "1"
			check(e, "answer", e.alterConfig(e.topic(), "retention.ms", &value, kmsg.IncrementalAlterConfigOpAppend), invalidConfig)
		}},
		{id: "A19", title: "DescribeConfigs of a broker is for that broker alone", run: func(e *env) {
			check(e, "own id", e.describeBroker(e.A, fmt.Sprint(e.A)), none)
			check(e, "another's id", e.describeBroker(e.A, fmt.Sprint(e.B)), invalidRequest)
		}},
		{id: "A20", title: "cancelling a reassignment that is not there", run: func(e *env) {
			check(e, "answer", e.reassign(e.topic(), nil), noReassignmentInProgress)
		}},
		{id: "A21", title: "a reassignment that leaves the leader out moves the leadership, with the next epoch", run: func(e *env) {
			t := e.topic(on(e.A, e.B))
			before := e.partition(t)
			e.put(t, "a")
			check(e, "asking for it", e.reassign(t, []int32{e.B, e.C}), none)
			after := e.waitISR(t, e.B, e.C)
			checkSet(e, "replicas", after.replicas, e.B, e.C)
			check(e, "leader", e.name(after.leader), "B")
			check(e, "leader epoch", after.epoch, before.epoch+1)
			e.waitLeader(t, e.B)
			e.wait("the old leader to know", func() error {
				return is("its answer", e.produce(e.A, writing(t, "b")).code, notLeaderOrFollower)
			})
			e.holds(t, "a")
		}},
	}
}

// describeBroker asks a broker for the configuration of the broker with this id.
func (e *env) describeBroker(broker int32, id string) code {
	req := request(kmsg.NewPtrDescribeConfigsRequest(), 4)
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: id}}
	resp := ask[*kmsg.DescribeConfigsResponse](e, broker, req)
	check(e, "resources in the answer", len(resp.Resources), 1)
	return code(resp.Resources[0].ErrorCode)
}
