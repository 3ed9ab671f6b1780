package groups

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

// Keys of timers.
func heartbeatKey(group, member string) string { return "heartbeat-" + group + "-" + member }
func joinKey(group string) string              { return "join-" + group }
func syncKey(group string) string              { return "sync-" + group }

// leastRejoinWait is the least time after which it is looked again whether a static
// member has rejoined.
const leastRejoinWait = 100 * time.Millisecond

// rebalanceOrComplete begins a rebalance, or completes the one under way if
// nobody is missing any more.
func (s *Shard) rebalanceOrComplete(g *classicGroup, reason string) coordinator.Outcome {
	if g.canRebalance() {
		return s.rebalance(g, reason)
	}
	return s.completeIfJoined(g)
}

// rebalance begins a rebalance (prepareRebalance). A group that was empty waits
// for more members.
func (s *Shard) rebalance(g *classicGroup, reason string) coordinator.Outcome {
	if g.in(stateCompleting) {
		s.answerSyncs(g, kerr.RebalanceInProgress)
	}
	clear(g.unsynced)
	s.ctx.Cancel(syncKey(g.groupID))
	first := g.in(stateEmpty)
	g.to(statePreparing)
	s.ctx.Logger().Info("rebalance", "group", g.groupID, "generation", g.generation, "reason", reason)
	if first {
		delay := millis(s.config.Settings.GroupInitialRebalanceDelayMs)
		s.awaitFirst(g, delay, max(g.rebalanceTimeout()-delay, 0))
		return coordinator.Outcome{}
	}
	if g.allJoined() {
		return s.completeJoin(g)
	}
	s.completeAfter(g, g.rebalanceTimeout())
	return coordinator.Outcome{}
}

// awaitFirst waits for more members of a group that was empty, and again when
// some came meanwhile, but no longer than remaining in all
// (tryCompleteInitialRebalanceElseSchedule).
func (s *Shard) awaitFirst(g *classicGroup, delay, remaining time.Duration) {
	s.ctx.Schedule(joinKey(g.groupID), delay, func() (coordinator.Outcome, error) {
		if s.classic(g.groupID) != g || !g.in(statePreparing) {
			return coordinator.Outcome{}, nil
		}
		if g.grown && remaining > 0 {
			g.grown = false
			next := min(millis(s.config.Settings.GroupInitialRebalanceDelayMs), remaining)
			s.awaitFirst(g, next, max(remaining-delay, 0))
			return coordinator.Outcome{}, nil
		}
		return s.completeJoin(g), nil
	})
}

// completeAfter has a rebalance go on without those who are missing after d.
func (s *Shard) completeAfter(g *classicGroup, d time.Duration) {
	s.ctx.Schedule(joinKey(g.groupID), d, func() (coordinator.Outcome, error) {
		if s.classic(g.groupID) != g || !g.in(statePreparing) {
			return coordinator.Outcome{}, nil
		}
		return s.completeJoin(g), nil
	})
}

// completeIfJoined completes a rebalance for which nobody is missing; a first one
// waits for its time.
func (s *Shard) completeIfJoined(g *classicGroup) coordinator.Outcome {
	if !g.in(statePreparing) || g.previous == stateEmpty || !g.allJoined() {
		return coordinator.Outcome{}
	}
	return s.completeJoin(g)
}

// completeJoin begins a generation with those who are there
// (completeClassicGroupJoin). Dynamic members that did not rejoin are removed;
// static ones stay until their sessions end.
func (s *Shard) completeJoin(g *classicGroup) coordinator.Outcome {
	s.ctx.Cancel(joinKey(g.groupID))
	for _, m := range g.all() {
		if m.join == nil && m.instanceID == nil {
			g.remove(m.id)
			s.ctx.Cancel(heartbeatKey(g.groupID, m.id))
			s.ctx.Logger().Info("a member did not rejoin", "group", g.groupID, "member", m.id)
		}
	}
	if len(g.members) > 0 && !g.electJoined() {
		// Only static members, and none has rejoined: wait for their sessions. Members
		// without a rebalance timeout are not to keep the coordinator busy meanwhile.
		s.completeAfter(g, max(g.rebalanceTimeout(), leastRejoinWait))
		return coordinator.Outcome{}
	}
	g.nextGeneration()
	if g.in(stateEmpty) {
		return coordinator.Outcome{
			Records: []coordinator.Record{groupRecord(g, nil)}, Applied: true,
			Done: func(err error) {
				if err != nil {
					s.ctx.Logger().Warn("an empty group was not persisted", "group", g.groupID, "error", err)
				}
			},
		}
	}
	for _, m := range g.all() {
		resp := g.joined(m)
		if m.id == g.leader {
			resp.Members = g.describeMembers()
		}
		g.answerJoin(m, resp)
		s.renew(g, m)
		m.isNew = false
		g.unsynced[m.id] = struct{}{}
	}
	s.expireSync(g)
	return coordinator.Outcome{}
}

// expireSync removes members that do not send SyncGroup in time
// (expirePendingSync).
func (s *Shard) expireSync(g *classicGroup) {
	generation := g.generation
	s.ctx.Schedule(syncKey(g.groupID), g.rebalanceTimeout(), func() (coordinator.Outcome, error) {
		if s.classic(g.groupID) != g || g.generation != generation || !g.in(stateCompleting, stateStable) || len(g.unsynced) == 0 {
			return coordinator.Outcome{}, nil
		}
		for id := range g.unsynced {
			g.remove(id)
			s.ctx.Cancel(heartbeatKey(g.groupID, id))
		}
		return s.rebalance(g, "members have not synced in time"), nil
	})
}

// renew begins a member's session anew.
func (s *Shard) renew(g *classicGroup, m *classicMember) {
	s.expireAfter(g, m.id, millis(m.sessionMs))
}

// expireAfter removes a member, or a pending id, after d without a sign of life
// (expireClassicGroupMemberHeartbeat).
func (s *Shard) expireAfter(g *classicGroup, id string, d time.Duration) {
	s.ctx.Schedule(heartbeatKey(g.groupID, id), d, func() (coordinator.Outcome, error) {
		if s.classic(g.groupID) != g {
			return coordinator.Outcome{}, nil
		}
		if _, ok := g.pending[id]; ok {
			g.remove(id)
			return s.completeIfPreparing(g), nil
		}
		m := g.members[id]
		if m == nil || m.excused() {
			return coordinator.Outcome{}, nil
		}
		s.ctx.Logger().Info("a member's session has ended", "group", g.groupID, "member", id)
		return s.removeMember(g, m, "a member's session has ended: "+id), nil
	})
}

// removeMember is removeMemberAndUpdateClassicGroup.
func (s *Shard) removeMember(g *classicGroup, m *classicMember, reason string) coordinator.Outcome {
	g.answerJoin(m, joinError(nobody, kerr.UnknownMemberID))
	g.remove(m.id)
	if g.in(stateStable, stateCompleting) {
		return s.rebalanceOrComplete(g, reason)
	}
	return s.completeIfPreparing(g)
}

// completeIfPreparing completes a rebalance, a first one too, for which nobody is
// missing now that someone is gone.
func (s *Shard) completeIfPreparing(g *classicGroup) coordinator.Outcome {
	if g.in(statePreparing) && g.allJoined() {
		return s.completeJoin(g)
	}
	return coordinator.Outcome{}
}
