package minikafka_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// One partition's commit of one group fails, and the others are committed.
func TestFaultOfACommit(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(2), minikafka.Topic("orders", 2))
	adm := kadm.NewClient(client(t, c))
	h := c.Fault(minikafka.Fault{
		APIs: []string{"OffsetCommit"}, Group: "billing", Topic: "orders", Partitions: []int32{1}, Error: "OFFSET_METADATA_TOO_LARGE",
		Count: minikafka.Always, // a coordinator that still loads has it sent again
	})
	commit := func(group string) kadm.OffsetResponses {
		t.Helper()
		offsets := kadm.Offsets{}
		for p := range int32(2) {
			offsets.Add(kadm.Offset{Topic: "orders", Partition: p, At: 7, LeaderEpoch: -1})
		}
		answers, err := adm.CommitOffsets(t.Context(), group, offsets)
		if err != nil {
			t.Fatal(err)
		}
		return answers
	}
	if err := commit("shipping").Error(); err != nil {
		t.Errorf("another group: %v", err)
	}
	got := commit("billing")
	if got["orders"][0].Err != nil || got["orders"][1].Err != kerr.OffsetMetadataTooLarge || h.Hits() == 0 { //nolint:errorlint // kadm answers kerr's errors bare.
		t.Errorf("%d hits, %+v", h.Hits(), got)
	}
	committed, err := adm.FetchOffsets(t.Context(), "billing")
	if _, second := committed.Lookup("orders", 1); err != nil || second {
		t.Errorf("what failed is committed: %+v, %v", committed, err)
	}
	if first, ok := committed.Lookup("orders", 0); !ok || first.At != 7 {
		t.Errorf("what did not fail is not committed: %+v", committed)
	}
}

// A member joins its group in spite of lost answers and refused heartbeats. The
// coordinator waits for the member whose first answer was lost, for as long as its
// session lasts.
func TestFaultsOfAMember(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		c.Produce("orders", 0, minikafka.Values("one")...)
		joining := c.Fault(
			minikafka.Fault{APIs: []string{"JoinGroup"}, Group: "billing", Effect: minikafka.LoseAnswer},
			minikafka.Fault{APIs: []string{"SyncGroup"}, Group: "billing", Error: "REBALANCE_IN_PROGRESS"},
			minikafka.Fault{APIs: []string{"FindCoordinator"}, Group: "billing", Error: "COORDINATOR_NOT_AVAILABLE"},
		)
		beating := c.Fault(minikafka.Fault{APIs: []string{"Heartbeat"}, Group: "billing", Error: "UNKNOWN_MEMBER_ID"})
		cl := client(t, c, kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.RangeBalancer()),
			kgo.DisableAutoCommit()) // it waits on a mutex while the group is joined, which stops virtual time
		defer cl.Close()
		read := func() (records []*kgo.Record) {
			for len(records) == 0 {
				records = cl.PollFetches(t.Context()).Records() // errors are what faults look like from here
			}
			return records
		}
		read()
		joining.Wait(3)
		beating.Wait(1)
		c.Produce("orders", 0, minikafka.Values("two")...)
		for seen := ""; seen != "two"; { // it has joined again, from the start
			records := read()
			seen = string(records[len(records)-1].Value)
		}
	}, minikafka.WaitTimeout(5*time.Minute))
}

// A partition of a fetch session that fails is told at once, though nothing is to be
// read and the session does not name it; and what stood in the place of the error
// is told with the next answer.
func TestFaultOfASessionOnTheWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Topic("orders", 2), minikafka.Network(minikafka.PipeNetwork()))
		w := dialWire(t, c, c.Broker(0))
		session := int32(0)
		fetch := func(epoch, maxWaitMs int32, offsets ...int64) *kmsg.FetchResponse {
			t.Helper()
			q := kmsg.NewPtrFetchRequest()
			q.Version, q.SessionID, q.SessionEpoch, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 12, session, epoch, maxWaitMs, 1, 1<<20
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = "orders"
			for i, o := range offsets {
				p := kmsg.NewFetchRequestTopicPartition()
				p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), o, 1<<20
				topic.Partitions = append(topic.Partitions, p)
			}
			if len(offsets) > 0 {
				q.Topics = append(q.Topics, topic)
			}
			resp, err := w.Request(q)
			if err != nil {
				t.Fatal(err)
			}
			return resp.(*kmsg.FetchResponse)
		}
		session = fetch(0, 0, 0, 0).SessionID
		c.Produce("orders", 1, minikafka.Values("v")...)
		c.Fault(minikafka.Fault{APIs: []string{"Fetch"}, Topic: "orders", Partitions: []int32{1}, Error: "KAFKA_STORAGE_ERROR"})
		begin := time.Now()
		r := fetch(1, 20_000, 0, 1) // from the end
		if took := time.Since(begin); took != 0 {
			t.Errorf("the error was told after %v", took)
		}
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 || r.Topics[0].Partitions[0].ErrorCode != 56 || r.Topics[0].Partitions[0].HighWatermark != -1 {
			t.Errorf("with the fault: %+v", r)
		}
		r = fetch(2, 0)
		if len(r.Topics) != 1 || r.Topics[0].Partitions[0].Partition != 1 || r.Topics[0].Partitions[0].HighWatermark != 1 {
			t.Errorf("after it: %+v", r)
		}
		c.Fault(minikafka.Fault{APIs: []string{"Fetch"}, Topic: "orders", Partitions: []int32{0}, Error: "KAFKA_STORAGE_ERROR"})
		if r = fetch(3, 0); len(r.Topics) != 1 || r.Topics[0].Partitions[0].ErrorCode != 56 {
			t.Errorf("a partition that the request does not name: %+v", r)
		}
	})
}
