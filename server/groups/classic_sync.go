package groups

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
)

func syncError(err *kerr.Error) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode = err.Code
	return resp
}

// clientError is the error that a client is told.
func clientError(err error) *kerr.Error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k
	}
	return kerr.UnknownServerError
}

// SyncGroup gives a member its assignment (GroupMetadataManager.classicGroupSync).
// The leader's request brings the assignments: everybody is answered when they
// are persisted.
func (s *Shard) SyncGroup(q *kmsg.SyncGroupRequest, answer *Promise[*kmsg.SyncGroupResponse]) (coordinator.Outcome, error) {
	g, ok := s.groups.Get(q.Group)
	if !ok || g.empty() {
		answer.complete(syncError(kerr.UnknownMemberID))
		return coordinator.Outcome{}, nil
	}
	switch g := g.(type) {
	case *classicGroup:
		return s.syncClassic(g, q, answer), nil
	case *consumerGroup:
		return s.syncConsumer(g, q, answer), nil
	}
	answer.complete(syncError(kerr.UnknownMemberID))
	return coordinator.Outcome{}, nil
}

func (s *Shard) syncClassic(g *classicGroup, q *kmsg.SyncGroupRequest, answer *Promise[*kmsg.SyncGroupResponse]) coordinator.Outcome {
	if err := g.checkSync(q); err != nil {
		answer.complete(syncError(clientError(err)))
		return coordinator.Outcome{}
	}
	m := g.members[q.MemberID]
	switch g.state_ {
	case statePreparing:
		answer.complete(syncError(kerr.RebalanceInProgress))
	case stateCompleting:
		m.answerSync(syncError(kerr.RebalanceInProgress)) // An earlier request, which its client has given up.
		m.sync = answer
		s.synced(g, m.id)
		// A second assignment, while the first is on its way, would only be in the log.
		if g.leader == m.id && g.storing != g.generation {
			return s.assign(g, q)
		}
	case stateStable:
		s.synced(g, m.id)
		answer.complete(g.assigned(m))
	case stateEmpty, stateDead: // Refused above.
	}
	return coordinator.Outcome{}
}

// checkSync is validateSyncGroup.
func (g *classicGroup) checkSync(q *kmsg.SyncGroupRequest) error {
	if g.in(stateDead) {
		return kerr.CoordinatorNotAvailable
	}
	if err := g.checkMember(q.MemberID, q.InstanceID); err != nil {
		return err
	}
	if q.Generation != g.generation {
		return kerr.IllegalGeneration
	}
	if q.ProtocolType != nil && g.protocolType != "" && *q.ProtocolType != g.protocolType ||
		q.Protocol != nil && g.protocolName != nil && *q.Protocol != *g.protocolName {
		return kerr.InconsistentGroupProtocol
	}
	return nil
}

// synced notes that a member has sent SyncGroup.
func (s *Shard) synced(g *classicGroup, id string) {
	delete(g.unsynced, id)
	if len(g.unsynced) == 0 {
		s.ctx.Cancel(syncKey(g.groupID))
	}
}

// assign persists the leader's assignments, and then hands them out.
func (s *Shard) assign(g *classicGroup, q *kmsg.SyncGroupRequest) coordinator.Outcome {
	assignments := map[string][]byte{}
	for _, a := range q.GroupAssignment {
		assignments[a.MemberID] = a.MemberAssignment
	}
	generation := q.Generation
	g.storing = generation
	return coordinator.Outcome{
		Records: []coordinator.Record{groupRecord(g, assignments)}, Applied: true,
		Done: func(err error) {
			if g.storing == generation {
				g.storing = 0
			}
			// Somebody may have joined or left meanwhile.
			if !g.in(stateCompleting) || g.generation != generation {
				return
			}
			if err != nil {
				s.answerSyncs(g, clientError(err))
				// A rebalance that completes at once would have records; nobody is
				// joined here, so it does not.
				s.rebalanceOrComplete(g, "the assignment was not persisted: "+err.Error())
				return
			}
			for _, m := range g.all() {
				m.assignment = assignments[m.id]
			}
			s.handOut(g, func(m *classicMember) *kmsg.SyncGroupResponse { return g.assigned(m) })
			g.to(stateStable)
		},
	}
}

// assigned is a member's assignment.
func (g *classicGroup) assigned(m *classicMember) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ProtocolType, resp.Protocol, resp.MemberAssignment = g.typeOrNil(), g.protocolName, m.assignment
	return resp
}

// answerSyncs takes all assignments back and tells those who wait for them
// (resetAndPropagateAssignmentWithError).
func (s *Shard) answerSyncs(g *classicGroup, err *kerr.Error) {
	for _, m := range g.all() {
		m.assignment = nil
	}
	s.handOut(g, func(*classicMember) *kmsg.SyncGroupResponse { return syncError(err) })
}

// handOut answers those who wait in SyncGroup. Their sessions begin anew, for
// while they waited they did not end.
func (s *Shard) handOut(g *classicGroup, answer func(*classicMember) *kmsg.SyncGroupResponse) {
	for _, m := range g.all() {
		if m.answerSync(answer(m)) {
			s.renew(g, m)
		}
	}
}
