package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

func quorumRequest(topic string, partitions ...int32) *kmsg.DescribeQuorumRequest {
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Version = 2
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = topic
	for _, p := range partitions {
		t.Partitions = append(t.Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: p})
	}
	req.Topics = append(req.Topics, t)
	return req
}

func TestDescribeQuorumRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	f.quorum = func(context.Context) (*election.Quorum, error) {
		return &election.Quorum{
			Leader: 2, Epoch: 5, HighWatermark: 9,
			Voters:    []election.QuorumReplica{{ID: 1, LogEnd: -1}, {ID: 2, LogEnd: 9, LastCaughtUp: time.UnixMilli(7)}},
			Observers: []election.QuorumReplica{{ID: 1, LogEnd: 8, LastFetch: time.UnixMilli(6)}},
		}, nil
	}
	resp := f.describeQuorum(t.Context(), quorumRequest("__cluster_metadata", 0))
	p := resp.Topics[0].Partitions[0]
	got := []string{fmt.Sprint(resp.ErrorCode, len(resp.Nodes), p.ErrorCode, p.LeaderID, p.LeaderEpoch, p.HighWatermark)}
	for _, r := range append(p.CurrentVoters, p.Observers...) {
		got = append(got, fmt.Sprint(r.ReplicaID, r.LogEndOffset, r.LastFetchTimestamp, r.LastCaughtUpTimestamp))
	}
	compare(t, "quorum", got, []string{"0 2 0 2 5 9", "1 -1 -1 -1", "2 9 -1 7", "1 8 6 -1"})

	for _, req := range []*kmsg.DescribeQuorumRequest{quorumRequest("a", 0), quorumRequest("__cluster_metadata", 1)} {
		resp := f.describeQuorum(t.Context(), req)
		if p := resp.Topics[0].Partitions[0]; resp.ErrorCode != 0 || p.ErrorCode != 3 || p.ErrorMessage == nil {
			t.Errorf("another partition: %+v", resp)
		}
	}
	f.quorum = func(context.Context) (*election.Quorum, error) { return nil, election.ErrTimedOut }
	if resp := f.describeQuorum(t.Context(), quorumRequest("__cluster_metadata", 0)); resp.ErrorCode != 7 {
		t.Errorf("without a controller: %+v", resp)
	}
}

func TestUpdateFeaturesRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(c election.Command) (any, error) {
		for _, u := range c.(*election.UpdateFeatures).Updates {
			if u.UpgradeType != 2 {
				return nil, &election.Error{Err: election.ErrInvalidUpdateVersion, Message: "no"}
			}
		}
		return map[string]error{"x": nil}, nil
	})
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.Version, req.TimeoutMillis = 1, 1000
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.UpgradeType = "x", 1
	req.FeatureUpdates = append(req.FeatureUpdates, u)
	resp := f.updateFeatures(t.Context(), req)
	if code(resp.ErrorCode, resp.ErrorMessage) != "95 no" || len(resp.Results) > 0 || len(f.settled) > 0 {
		t.Errorf("refused: %+v", resp)
	}
	req.FeatureUpdates[0].UpgradeType = 2
	if resp := f.updateFeatures(t.Context(), req); resp.ErrorCode != 0 || len(resp.Results) != 1 || len(f.settled) != 1 {
		t.Errorf("done: %+v", resp)
	}
	req.Version = 0
	req.FeatureUpdates[0].AllowDowngrade = true
	if resp := f.updateFeatures(t.Context(), req); resp.ErrorCode != 0 {
		t.Errorf("v0's flag: %+v", resp)
	}
}

func TestUnregisterBrokerRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(c election.Command) (any, error) {
		if c.(*election.UnregisterBroker).Broker == 9 {
			return nil, &election.Error{Err: election.ErrBrokerNotRegistered, Message: "Broker ID 9 is not currently registered"}
		}
		return nil, nil
	})
	for id, want := range map[int32]int16{9: 102, 3: 0} {
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = id
		if resp := f.unregisterBroker(t.Context(), req); resp.ErrorCode != want {
			t.Errorf("broker %d: code %d, want %d", id, resp.ErrorCode, want)
		}
	}
}
