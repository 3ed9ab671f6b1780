package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// DescribeQuorum (55), versions 0-2: the group of controllers as its active one
// sees it, under the name of Kafka's metadata log. v1 adds times, v2 messages
// and the controllers' listeners, of which there are none here: controllers are
// reached through brokers alone.

func describeQuorum(r *request, q *kmsg.DescribeQuorumRequest) (kmsg.Response, error) {
	return r.broker.admin().describeQuorum(r.ctx, q), nil
}

func (a *adminAPI) describeQuorum(ctx context.Context, req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	if !asksForMetadataLog(req) {
		refuseDescribeQuorum(req, resp)
		return resp
	}
	quorum, err := a.quorum(ctx)
	if err != nil {
		e := toAPIError(err).orDefault()
		resp.ErrorCode, resp.ErrorMessage = e.code, e.message
		return resp
	}
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = quorum.Leader, quorum.Epoch, quorum.HighWatermark
	p.CurrentVoters = quorumReplicas(quorum.Voters)
	p.Observers = quorumReplicas(quorum.Observers)
	topic := kmsg.NewDescribeQuorumResponseTopic()
	topic.Topic = clusterMetadata
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	for _, v := range quorum.Voters {
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID = v.ID
		resp.Nodes = append(resp.Nodes, n)
	}
	return resp
}

func asksForMetadataLog(req *kmsg.DescribeQuorumRequest) bool {
	return len(req.Topics) == 1 && req.Topics[0].Topic == clusterMetadata &&
		len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
}

func refuseDescribeQuorum(req *kmsg.DescribeQuorumRequest, resp *kmsg.DescribeQuorumResponse) {
	e := apiError{code: kerr.UnknownTopicOrPartition.Code}.orDefault()
	for _, t := range req.Topics {
		topic := kmsg.NewDescribeQuorumResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			answer := kmsg.NewDescribeQuorumResponseTopicPartition()
			answer.Partition, answer.ErrorCode, answer.ErrorMessage = p.Partition, e.code, e.message
			topic.Partitions = append(topic.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, topic)
	}
}

func quorumReplicas(replicas []election.QuorumReplica) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	all := make([]kmsg.DescribeQuorumResponseTopicPartitionReplicaState, 0, len(replicas))
	for _, r := range replicas {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.LogEndOffset = r.ID, r.LogEnd
		s.LastFetchTimestamp, s.LastCaughtUpTimestamp = msOrUnknown(r.LastFetch), msOrUnknown(r.LastCaughtUp)
		all = append(all, s)
	}
	return all
}

func msOrUnknown(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}
