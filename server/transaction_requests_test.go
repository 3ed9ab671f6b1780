package server_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// marker sends the end of a transaction of producer 7 to partition 0 of a topic, and
// returns the code.
func (w *wire) marker(topic string) int16 {
	w.t.Helper()
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	q.Version = 1
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Committed = 7, 0, 1, true
	m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: topic, Partitions: []int32{0}})
	q.Markers = append(q.Markers, m)
	return w.ask(q).(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics[0].Partitions[0].ErrorCode
}

// TestWriteTxnMarkersCodes is where a marker cannot be written, with Kafka's codes.
func TestWriteTxnMarkersCodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.createTopic("here", 1, 1, nil)
	c.createTopic("both", 1, 2, nil)
	c.createTopic("small", 1, 1, map[string]string{"max.message.bytes": "10"})
	other := func(topic string) int32 { return 3 - c.leader(topic, 0) }
	for _, test := range []struct {
		what   string
		broker int32
		topic  string
		want   int16
	}{
		{"at the leader", c.leader("here", 0), "here", 0},
		{"at a broker without the partition", other("here"), "here", kerr.UnknownTopicOrPartition.Code},
		{"at a follower", other("both"), "both", kerr.NotLeaderForPartition.Code},
		{"an unknown topic", 1, "unknown", kerr.UnknownTopicOrPartition.Code},
		{"above max.message.bytes", c.leader("small", 0), "small", kerr.MessageTooLarge.Code},
	} {
		if code := c.dial(test.broker).marker(test.topic); code != test.want {
			t.Errorf("%s: %v, want %v", test.what, kerr.ErrorForCode(code), kerr.ErrorForCode(test.want))
		}
	}
}

// TestVerifyUnknownTopic is a verification of a partition that is not there: nobody is
// asked about the others.
func TestVerifyUnknownTopic(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, map[string]string{"transaction.state.log.replication.factor": "1"})
	c.createTopic("here", 1, 1, nil)
	for _, verify := range []bool{true, false} {
		q := kmsg.NewPtrAddPartitionsToTxnRequest()
		q.Version = 5
		a := kmsg.NewAddPartitionsToTxnRequestTransaction()
		a.TransactionalID, a.ProducerID, a.VerifyOnly = "tx", 7, verify
		for _, topic := range []string{"here", "unknown"} {
			a.Topics = append(a.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: topic, Partitions: []int32{0}})
		}
		q.Transactions = append(q.Transactions, a)
		for _, topic := range c.dial(1).ask(q).(*kmsg.AddPartitionsToTxnResponse).Transactions[0].Topics {
			want := map[string]int16{"here": kerr.OperationNotAttempted.Code, "unknown": kerr.UnknownTopicOrPartition.Code}[topic.Topic]
			if code := topic.Partitions[0].ErrorCode; code != want {
				t.Errorf("%s, to be verified: %v: %v, want %v", topic.Topic, verify, kerr.ErrorForCode(code), kerr.ErrorForCode(want))
			}
		}
	}
}
