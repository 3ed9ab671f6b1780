package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// LeaveGroup removes members (GroupMetadataManager.classicGroupLeave). The request
// is of version 3 or above, which names members in a list.
func (s *Shard) LeaveGroup(q *kmsg.LeaveGroupRequest) (*kmsg.LeaveGroupResponse, coordinator.Outcome, error) {
	g, err := s.group(q.Group, timeline.Latest)
	if err != nil {
		return nil, coordinator.Outcome{}, kerr.UnknownMemberID
	}
	switch g := g.(type) {
	case *classicGroup:
		resp, o := s.leaveClassic(g, q)
		return resp, o, nil
	case *consumerGroup:
		resp, o := s.leaveConsumer(g, q)
		return resp, o, nil
	}
	return nil, coordinator.Outcome{}, kerr.UnknownMemberID
}

func (s *Shard) leaveClassic(g *classicGroup, q *kmsg.LeaveGroupRequest) (*kmsg.LeaveGroupResponse, coordinator.Outcome) {
	resp := kmsg.NewPtrLeaveGroupResponse()
	if g.in(stateDead) {
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp, coordinator.Outcome{}
	}
	left := false
	for i := range q.Members {
		m := &q.Members[i]
		a := kmsg.NewLeaveGroupResponseMember()
		a.MemberID, a.InstanceID = m.MemberID, m.InstanceID
		if err := s.leave(g, m.MemberID, m.InstanceID); err != nil {
			a.ErrorCode = clientError(err).Code
		} else {
			left = true
		}
		resp.Members = append(resp.Members, a)
	}
	if !left {
		return resp, coordinator.Outcome{}
	}
	switch g.state_ {
	case stateStable, stateCompleting:
		return resp, s.rebalanceOrComplete(g, "members have left")
	case statePreparing:
		return resp, s.completeIfJoined(g)
	case stateEmpty, stateDead:
	}
	return resp, coordinator.Outcome{}
}

// leave removes one member. An admin names static members by their instances
// alone.
func (s *Shard) leave(g *classicGroup, id string, instanceID *string) error {
	if id == nobody {
		known, ok := "", false
		if instanceID != nil {
			known, ok = g.static[*instanceID]
		}
		if !ok {
			return kerr.UnknownMemberID
		}
		id = known
	} else if _, ok := g.pending[id]; !ok {
		if err := g.checkMember(id, instanceID); err != nil {
			return err
		}
	}
	s.ctx.Cancel(heartbeatKey(g.groupID, id))
	if m := g.members[id]; m != nil {
		g.answerJoin(m, joinError(nobody, kerr.UnknownMemberID))
	}
	g.remove(id)
	return nil
}
