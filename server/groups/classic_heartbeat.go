package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// Heartbeat begins a member's session anew, and tells of a rebalance
// (GroupMetadataManager.classicGroupHeartbeat). What is an error here is answered
// at once; the answer waits for what was written before.
func (s *Shard) Heartbeat(q *kmsg.HeartbeatRequest) (*kmsg.HeartbeatResponse, coordinator.Outcome, error) {
	g, err := s.group(q.Group, timeline.Latest)
	if err != nil {
		return nil, coordinator.Outcome{}, kerr.UnknownMemberID
	}
	var resp *kmsg.HeartbeatResponse
	switch g := g.(type) {
	case *classicGroup:
		resp, err = s.heartbeatClassic(g, q)
	case *consumerGroup:
		resp, err = s.heartbeatConsumer(g, q)
	default:
		err = kerr.UnknownMemberID
	}
	return resp, coordinator.Outcome{}, err
}

func (s *Shard) heartbeatClassic(g *classicGroup, q *kmsg.HeartbeatRequest) (*kmsg.HeartbeatResponse, error) {
	if g.in(stateDead) {
		return nil, kerr.CoordinatorNotAvailable
	}
	if err := g.checkMember(q.MemberID, q.InstanceID); err != nil {
		return nil, err
	}
	if q.Generation != g.generation {
		return nil, kerr.IllegalGeneration
	}
	s.renew(g, g.members[q.MemberID])
	resp := kmsg.NewPtrHeartbeatResponse()
	if g.in(statePreparing) {
		resp.ErrorCode = kerr.RebalanceInProgress.Code
	}
	return resp, nil
}
