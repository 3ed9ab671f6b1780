package groups

import (
	"github.com/minikafka/minikafka/server/coordinator"
)

// replaceStatic has a static member that has started again take its place under a
// new id (updateStaticMemberThenRebalanceOrCompleteJoin). In a stable group that
// is no rebalance, if the protocol stays.
func (s *Shard) replaceStatic(g *classicGroup, j *join, oldID, newID string) coordinator.Outcome {
	s.ctx.Logger().Info("a static member is back", "group", g.groupID, "instance", *j.q.InstanceID, "was", oldID, "is", newID)
	before := *g.members[oldID]
	leader := g.leader
	m := g.replace(*j.q.InstanceID, oldID, newID)
	g.update(m, j.q, j.answer)
	s.renew(g, m)
	switch {
	case g.in(stateCompleting):
		// The leader may have been told of the old id already.
		return s.rebalance(g, "a static member has a new id")
	case !g.in(stateStable):
		return s.completeIfJoined(g)
	case g.protocolOrNone() != g.selectProtocol():
		return s.rebalanceOrComplete(g, "a static member has changed the protocol")
	}
	return coordinator.Outcome{
		Records: []coordinator.Record{groupRecord(g, g.assignments())}, Applied: true,
		Done: func(err error) {
			if err != nil {
				s.takeBackStatic(g, j, m, &before, leader, err)
				return
			}
			s.answerStatic(g, j, m, leader)
		},
	}
}

// answerStatic tells the current generation. Since version 9 a leader is told
// that it has nothing to assign.
func (s *Shard) answerStatic(g *classicGroup, j *join, m *classicMember, leader string) {
	resp := g.joined(m)
	if j.client.Version < joinSkipsAssignment {
		// The leader as it was: so a leader does not take itself for one, and the
		// assignment stays.
		resp.LeaderID = leader
	} else if g.leader == m.id {
		resp.Members, resp.SkipAssignment = g.describeMembers(), true
	}
	g.answerJoin(m, resp)
}

// takeBackStatic gives a static member its old id: the new one was not persisted.
func (s *Shard) takeBackStatic(g *classicGroup, j *join, m, before *classicMember, leader string, err error) {
	s.ctx.Logger().Warn("a static member was not persisted", "group", g.groupID, "instance", *j.q.InstanceID, "error", err)
	resp := joinError(nobody, clientError(err))
	resp.Generation, resp.ProtocolType, resp.Protocol, resp.LeaderID = g.generation, g.typeOrNil(), g.protocolName, leader
	j.answer.complete(resp)
	if g.members[m.id] != m {
		return // It has left, or has been replaced meanwhile.
	}
	g.await(m, nil)
	g.setProtocols(m, before.protocols)
	m.rebalanceMs, m.sessionMs = before.rebalanceMs, before.sessionMs
	s.renew(g, g.replace(*j.q.InstanceID, m.id, before.id))
}
