package groups

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// First versions of JoinGroup that know of something.
const (
	joinRequiresMemberID    = 4
	joinSkipsAssignment     = 9
	newMemberJoinTimeout    = 5 * time.Minute // GCS.classicGroupNewMemberJoinTimeoutMs
	nobody                  = ""              // the member id of who has none yet
	joinGroupWithoutTimeout = 0               // The version that has no rebalance timeout.
)

// join is one JoinGroup request under way.
type join struct {
	client Client
	q      *kmsg.JoinGroupRequest
	answer *Promise[*kmsg.JoinGroupResponse]
}

// fail answers with an error.
func (j *join) fail(memberID string, err *kerr.Error) { j.answer.complete(joinError(memberID, err)) }

func (j *join) newMemberID() string {
	if j.q.InstanceID != nil {
		return newMemberID(*j.q.InstanceID)
	}
	return newMemberID(j.client.ID)
}

func joinError(memberID string, err *kerr.Error) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Generation = -1
	resp.MemberID, resp.ErrorCode = memberID, err.Code
	return resp
}

// JoinGroup has a member join (GroupMetadataManager.classicGroupJoin). The answer
// comes when the rebalance is complete, or at once where none is needed. The
// group id and the session timeout have been checked.
func (s *Shard) JoinGroup(c Client, q *kmsg.JoinGroupRequest, answer *Promise[*kmsg.JoinGroupResponse]) (coordinator.Outcome, error) {
	j := &join{c, q, answer}
	if c.Version == joinGroupWithoutTimeout {
		q.RebalanceTimeoutMillis = q.SessionTimeoutMillis
	}
	known, ok := s.groups.Get(q.Group)
	modern, isConsumer := known.(*consumerGroup)
	if isConsumer && !modern.empty() {
		return s.joinConsumer(modern, j)
	}
	g, isClassic := known.(*classicGroup)
	var before []coordinator.Record // What takes away an empty consumer group.
	switch {
	case isClassic:
	case ok && !isConsumer:
		j.fail(nobody, kerr.InconsistentGroupProtocol)
		return coordinator.Outcome{}, nil
	case q.MemberID != nobody:
		j.fail(q.MemberID, kerr.UnknownMemberID)
		return coordinator.Outcome{}, nil
	default:
		if ok {
			before = known.tombstones(nil)
			known.cancelTimers(s)
		}
		g = s.newClassic(q.Group)
	}
	o := s.joinClassic(g, j)
	if len(o.Records) > 0 {
		o.Records = append(before, o.Records...)
	} else if !isClassic {
		// That there is a group has to be in the log, for it is in the timeline.
		o = coordinator.Outcome{
			Records: append(before, newGroupRecord(g)), Applied: true,
			Done: func(err error) {
				if err != nil {
					s.ctx.Logger().Warn("a new group was not persisted", "group", g.groupID, "error", err)
					j.answer.complete(joinError(nobody, clientError(err)))
				}
			},
		}
	}
	return o, nil
}

// newClassic adds an empty group.
func (s *Shard) newClassic(id string) *classicGroup {
	g := newClassicGroup(id, s.ctx.Now)
	s.groups.Set(id, g)
	return g
}

// classic finds a classic group; nil when there is none. Timers use it: their
// group may be gone, or have changed its protocol.
func (s *Shard) classic(id string) *classicGroup {
	g, err := s.group(id, timeline.Latest)
	if err != nil {
		return nil
	}
	c, _ := g.(*classicGroup)
	return c
}

func (s *Shard) joinClassic(g *classicGroup, j *join) coordinator.Outcome {
	q := j.q
	switch {
	case !s.accepts(g, q.MemberID):
		g.remove(q.MemberID)
		j.fail(nobody, kerr.GroupMaxSizeReached)
	case g.in(stateDead):
		j.fail(q.MemberID, kerr.CoordinatorNotAvailable)
	case !g.supports(q.ProtocolType, q.Protocols):
		j.fail(q.MemberID, kerr.InconsistentGroupProtocol)
	case q.MemberID == nobody:
		return s.joinNew(g, j)
	default:
		return s.joinKnown(g, j)
	}
	return coordinator.Outcome{}
}

// accepts tells whether a group has room (acceptJoiningMember).
func (s *Shard) accepts(g *classicGroup, memberID string) bool {
	limit := int(s.config.Settings.GroupMaxSize)
	m := g.members[memberID]
	switch g.state_ {
	case statePreparing:
		// Those who wait count, and not those who are members: so the last to
		// rejoin are turned away when the limit has been lowered.
		return m != nil && m.join != nil || g.joining < limit
	case stateCompleting, stateStable:
		return m != nil || len(g.members) < limit
	case stateEmpty, stateDead:
	}
	return true
}

// joinNew is a member without an id: a dynamic one is told its id first, and a
// static one takes the place of the one before.
func (s *Shard) joinNew(g *classicGroup, j *join) coordinator.Outcome {
	id := j.newMemberID()
	if j.q.InstanceID != nil {
		if old, ok := g.static[*j.q.InstanceID]; ok {
			return s.replaceStatic(g, j, old, id)
		}
		return s.addMember(g, j, id)
	}
	if j.client.Version < joinRequiresMemberID {
		return s.addMember(g, j, id)
	}
	g.pending[id] = struct{}{}
	s.expireAfter(g, id, millis(j.q.SessionTimeoutMillis))
	j.fail(id, kerr.MemberIDRequired)
	return coordinator.Outcome{}
}

// joinKnown is a member with an id (classicGroupJoinExistingMember).
func (s *Shard) joinKnown(g *classicGroup, j *join) coordinator.Outcome {
	q := j.q
	if _, ok := g.pending[q.MemberID]; ok {
		if q.InstanceID != nil {
			j.fail(nobody, kerr.UnknownServerError) // Static members are never told an id first.
			return coordinator.Outcome{}
		}
		return s.addMember(g, j, q.MemberID)
	}
	if err := g.checkMember(q.MemberID, q.InstanceID); err != nil {
		j.fail(q.MemberID, clientError(err))
		return coordinator.Outcome{}
	}
	m := g.members[q.MemberID]
	leads := g.leader == m.id
	switch {
	case g.in(statePreparing):
		return s.updateMember(g, m, j, "a member joins")
	case !m.matches(q.Protocols):
		return s.updateMember(g, m, j, "a member has changed its metadata")
	case g.in(stateStable) && leads:
		// What the leader saw may change nothing of its metadata: new partitions.
		return s.updateMember(g, m, j, "the leader joins again")
	}
	// The member did not get the answer before.
	resp := g.joined(m)
	if leads {
		resp.Members = g.describeMembers()
	}
	j.answer.complete(resp)
	return coordinator.Outcome{}
}

// joined is the current generation, as a follower is told of it.
func (g *classicGroup) joined(m *classicMember) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Generation, resp.ProtocolType, resp.Protocol = g.generation, g.typeOrNil(), g.protocolName
	resp.LeaderID, resp.MemberID = g.leader, m.id
	return resp
}

func (s *Shard) addMember(g *classicGroup, j *join, id string) coordinator.Outcome {
	m := &classicMember{
		id: id, instanceID: j.q.InstanceID, clientID: j.client.ID, clientHost: j.client.Host,
		rebalanceMs: j.q.RebalanceTimeoutMillis, sessionMs: j.q.SessionTimeoutMillis,
		protocolType: j.q.ProtocolType, protocols: j.q.Protocols, isNew: true,
	}
	if g.in(statePreparing) && g.previous == stateEmpty {
		g.grown = true
	}
	g.add(m, j.answer)
	// A new member has no session yet: it does not know its id. If its client is
	// gone nobody notices, so it is not waited for without end.
	s.expireAfter(g, id, newMemberJoinTimeout)
	return s.rebalanceOrComplete(g, "a new member: "+id)
}

func (s *Shard) updateMember(g *classicGroup, m *classicMember, j *join, reason string) coordinator.Outcome {
	g.update(m, j.q, j.answer)
	return s.rebalanceOrComplete(g, reason)
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
