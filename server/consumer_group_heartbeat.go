package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// ConsumerGroupHeartbeat (68), versions 0-1: KIP-848. With it a member joins a
// consumer group, tells which partitions it has, learns which it should have, and
// leaves. v1 has regular expressions, and members make their ids themselves.

func consumerGroupHeartbeat(r *request, q *kmsg.ConsumerGroupHeartbeatRequest) (kmsg.Response, error) {
	resp, err := r.broker.consumerHeartbeat(r, q)
	if err == nil {
		return resp, nil
	}
	failed := q.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	failed.ErrorCode, failed.ErrorMessage = errorCode(err), errorMessage(err)
	return failed, ended(r.ctx)
}

func (b *broker) consumerHeartbeat(r *request, q *kmsg.ConsumerGroupHeartbeatRequest) (*kmsg.ConsumerGroupHeartbeatResponse, error) {
	if !b.servesConsumerGroups() {
		return nil, kerr.UnsupportedVersion
	}
	if err := groups.CheckConsumerHeartbeat(q, b.static.GroupConsumerAssignors); err != nil {
		return nil, err
	}
	return writeGroups(r, b.groupPartition(q.Group),
		func(s *groups.Shard) (*kmsg.ConsumerGroupHeartbeatResponse, coordinator.Outcome, error) {
			return s.ConsumerGroupHeartbeat(r.client(), q)
		})
}

// servesConsumerGroups tells whether the new protocol is in use: the feature
// group.version is 1 and group.coordinator.rebalance.protocols has it
// (KafkaApis.isConsumerGroupProtocolEnabled).
func (b *broker) servesConsumerGroups() bool {
	return slices.ContainsFunc(b.static.GroupCoordinatorRebalanceProtocols, func(p string) bool { return p == "consumer" }) &&
		b.image().Features["group.version"] >= 1
}
