package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// ListOffsets (2), versions 1-11.
//
// v2 has isolation levels; v4 leader epochs; v5 says OFFSET_NOT_AVAILABLE where
// earlier ones say LEADER_NOT_AVAILABLE; v7 finds the largest timestamp, v8 the
// local log start, v9 and v11 what is in tiered storage, of which there is none;
// v10 carries a timeout for that.

// Replica ids of clients (ListOffsetsRequest).
const (
	consumerReplica  = -1
	debuggingReplica = -2
)

func listOffsets(r *request, q *kmsg.ListOffsetsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ListOffsetsResponse)
	m := r.broker.image()
	count := map[place]int{}
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			count[place{q.Topics[i].Topic, p.Partition}]++
		}
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		out := kmsg.NewListOffsetsResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			n := count[place{t.Topic, p.Partition}]
			if n == 0 {
				continue // answered where it was named first
			}
			count[place{t.Topic, p.Partition}] = 0
			a := kmsg.NewListOffsetsResponseTopicPartition()
			a.Partition = p.Partition
			found, err := log.TimestampOffset{Offset: -1, Timestamp: -1, LeaderEpoch: -1}, error(kerr.InvalidRequest)
			if n == 1 {
				found, err = r.broker.listOffset(m, q, t.Topic, &p)
			}
			a.Offset, a.Timestamp, a.LeaderEpoch = found.Offset, found.Timestamp, found.LeaderEpoch
			a.ErrorCode = errorCode(err)
			out.Partitions = append(out.Partitions, a)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// place names a partition by its topic's name.
type place struct {
	topic     string
	partition int32
}

func (b *broker) listOffset(
	m *election.Image, q *kmsg.ListOffsetsRequest, topic string, p *kmsg.ListOffsetsRequestTopicPartition,
) (log.TimestampOffset, error) {
	none := log.TimestampOffset{Offset: -1, Timestamp: -1, LeaderEpoch: -1}
	if unsupportedTime(p.Timestamp, q.Version) {
		return none, kerr.UnsupportedVersion
	}
	_, r, err := b.partition(m, topic, p.Partition)
	if err != nil {
		return none, err
	}
	o := replication.OffsetRequest{Time: p.Timestamp, LeaderEpoch: p.CurrentLeaderEpoch, AnyReplica: q.ReplicaID == debuggingReplica}
	switch {
	case q.ReplicaID != consumerReplica:
		o.Isolation = replication.ReadLogEnd
	case q.IsolationLevel == 1:
		o.Isolation = replication.ReadCommitted
	}
	found, err := r.LookupOffset(o)
	if q.Version < 5 && errors.Is(err, replication.ErrOffsetNotAvailable) {
		err = kerr.LeaderNotAvailable
	}
	if err != nil {
		return none, err
	}
	return found, nil
}

// unsupportedTime tells whether a version does not know one of the special times
// (ReplicaManager.isListOffsetsTimestampUnsupported).
func unsupportedTime(time int64, version int16) bool {
	switch time {
	case replication.TimeLatest, replication.TimeEarliest:
		return false
	case replication.TimeMax:
		return version < 7
	case replication.TimeEarliestLocal:
		return version < 8
	case replication.TimeLatestTiered:
		return version < 9
	case replication.TimePendingUpload:
		return version < 11
	}
	return time < 0
}
