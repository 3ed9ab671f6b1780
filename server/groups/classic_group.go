package groups

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
)

// classicState is a classic group's state (ClassicGroupState).
type classicState string

const (
	stateEmpty      classicState = "Empty"
	statePreparing  classicState = "PreparingRebalance"
	stateCompleting classicState = "CompletingRebalance"
	stateStable     classicState = "Stable"
	stateDead       classicState = "Dead"
)

// consumerProtocol is the protocol type of consumers, whose metadata the
// coordinator can read.
const consumerProtocol = "consumer"

// classicGroup is a group of the classic protocol (ClassicGroup). It changes in
// place: what is not persisted by the leader's SyncGroup belongs to one
// coordinator's life.
type classicGroup struct {
	groupID string
	// now is the shard's clock.
	now func() time.Time

	state_   classicState
	previous classicState
	// since is when the state was entered (Unix ms), -1 where it is not known.
	since int64

	protocolType string  // "" before the first member, and of groups that only commit
	protocolName *string // of the generation; nil before the first, and when empty
	generation   int32
	leader       string // a member's id, or ""

	members map[string]*classicMember
	order   []string          // of members, as they came
	static  map[string]string // member ids by instance id
	// pending are ids that were given out by MEMBER_ID_REQUIRED and not used yet.
	pending map[string]struct{}
	// joining counts the members that wait in JoinGroup.
	joining int
	// supported counts the members that support a protocol.
	supported map[string]int
	// unsynced are the members that have not sent SyncGroup for this generation.
	unsynced map[string]struct{}
	// storing is the generation whose assignment is being persisted, 0 for none.
	storing int32
	// topics are what the members are subscribed to; nil when that is not known.
	topics map[string]struct{}
	// grown tells that members came during the initial delay.
	grown bool
}

func newClassicGroup(id string, now func() time.Time) *classicGroup {
	return &classicGroup{
		groupID: id, now: now, state_: stateEmpty, previous: stateDead, since: now().UnixMilli(),
		members: map[string]*classicMember{}, static: map[string]string{}, pending: map[string]struct{}{},
		supported: map[string]int{}, unsynced: map[string]struct{}{},
	}
}

func (g *classicGroup) id() string         { return g.groupID }
func (g *classicGroup) kind() kind         { return classic }
func (g *classicGroup) state(int64) string { return string(g.state_) }
func (g *classicGroup) protocol() string   { return g.protocolType }
func (g *classicGroup) empty() bool        { return g.in(stateEmpty) }

func (g *classicGroup) in(states ...classicState) bool { return slices.Contains(states, g.state_) }

// protocolOrNone is the generation's protocol, or "".
func (g *classicGroup) protocolOrNone() string {
	if g.protocolName == nil {
		return ""
	}
	return *g.protocolName
}

// typeOrNil is the protocol type for answers.
func (g *classicGroup) typeOrNil() *string {
	if g.protocolType == "" {
		return nil
	}
	protocol := g.protocolType // Answers are read while the group changes.
	return &protocol
}

// all are the members, as they came.
func (g *classicGroup) all() []*classicMember {
	all := make([]*classicMember, 0, len(g.order))
	for _, id := range g.order {
		all = append(all, g.members[id])
	}
	return all
}

// to changes the state. Which states may follow which is ClassicGroupState's; a
// change that is not among them is a mistake of this package.
func (g *classicGroup) to(next classicState) {
	g.previous, g.state_ = g.state_, next
	g.since = g.now().UnixMilli()
}

// canRebalance tells whether a rebalance may begin in this state.
func (g *classicGroup) canRebalance() bool { return g.in(stateStable, stateCompleting, stateEmpty) }

// add has a member join. With a promise it waits for the rebalance.
func (g *classicGroup) add(m *classicMember, p *Promise[*kmsg.JoinGroupResponse]) {
	if m.instanceID != nil {
		g.static[*m.instanceID] = m.id
	}
	if len(g.members) == 0 {
		g.protocolType = m.protocolType
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members[m.id] = m
	g.order = append(g.order, m.id)
	g.count(m, 1)
	g.await(m, p)
	delete(g.pending, m.id)
}

// count adds a member's protocols to those that are supported, or takes them out.
func (g *classicGroup) count(m *classicMember, n int) {
	for name := range m.protocolNames() {
		if g.supported[name] += n; g.supported[name] == 0 {
			delete(g.supported, name)
		}
	}
}

// await has a member wait in JoinGroup, or, with nil, not wait any more. A request
// of it that waits already has been given up by its client: it is answered, where
// Kafka leaves it to the end of its connection.
func (g *classicGroup) await(m *classicMember, p *Promise[*kmsg.JoinGroupResponse]) {
	if m.join == nil && p != nil {
		g.joining++
	} else if m.join != nil && p == nil {
		g.joining--
	}
	if m.join != nil && m.join != p {
		m.join.complete(joinError(m.id, kerr.RebalanceInProgress))
	}
	m.join = p
}

// remove takes out a member or a pending id.
func (g *classicGroup) remove(id string) {
	if m := g.members[id]; m != nil {
		delete(g.members, id)
		g.order = slices.DeleteFunc(g.order, func(o string) bool { return o == id })
		g.count(m, -1)
		g.await(m, nil)
		m.answerSync(syncError(kerr.UnknownMemberID))
		if m.instanceID != nil {
			delete(g.static, *m.instanceID)
		}
	}
	if g.leader == id && id != "" {
		g.leader = ""
		if len(g.order) > 0 {
			g.leader = g.order[0]
		}
	}
	delete(g.pending, id)
	delete(g.unsynced, id)
}

// electJoined has a member lead that has rejoined (maybeElectNewJoinedLeader); it
// is false when none has.
func (g *classicGroup) electJoined() bool {
	if l := g.members[g.leader]; l != nil && l.join != nil {
		return true
	}
	for _, m := range g.all() {
		if m.join != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

// replace gives a static member a new id (replaceStaticMember). Whoever waits
// under the old one is fenced.
func (g *classicGroup) replace(instanceID, oldID, newID string) *classicMember {
	old := g.members[oldID]
	fenced := joinError(oldID, kerr.FencedInstanceID)
	g.answerJoin(old, fenced)
	old.answerSync(syncError(kerr.FencedInstanceID))
	m := *old
	m.id, m.isNew = newID, false
	delete(g.members, oldID)
	g.members[newID] = &m
	g.order[slices.Index(g.order, oldID)] = newID
	if g.leader == oldID {
		g.leader = newID
	}
	g.static[instanceID] = newID
	return &m
}

// allJoined tells whether nobody has to be waited for.
func (g *classicGroup) allJoined() bool {
	return len(g.members) == g.joining && len(g.pending) == 0
}

// rebalanceTimeout is the longest of the members'.
func (g *classicGroup) rebalanceTimeout() time.Duration {
	longest := int32(0)
	for _, m := range g.members {
		longest = max(longest, m.rebalanceMs)
	}
	return time.Duration(longest) * time.Millisecond
}

// checkMember is validateMember: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
func (g *classicGroup) checkMember(id string, instanceID *string) error {
	if instanceID != nil {
		switch known, ok := g.static[*instanceID]; {
		case !ok:
			return kerr.UnknownMemberID
		case known != id:
			return kerr.FencedInstanceID
		}
	}
	if g.members[id] == nil {
		return kerr.UnknownMemberID
	}
	return nil
}

// supports tells whether a member with these protocols may be in the group.
func (g *classicGroup) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if g.in(stateEmpty) {
		return protocolType != "" && len(protocols) > 0
	}
	return g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p kmsg.JoinGroupRequestProtocol) bool {
		return g.supported[p.Name] == len(g.members)
	})
}

// selectProtocol takes the protocol with the most votes: each member votes for
// the first of its own that all support. Where votes are even, the first vote
// decides.
func (g *classicGroup) selectProtocol() string {
	votes := map[string]int{}
	var voted []string
	for _, m := range g.all() {
		v := m.vote(func(name string) bool { return g.supported[name] == len(g.members) })
		if votes[v]++; votes[v] == 1 {
			voted = append(voted, v)
		}
	}
	best := ""
	for _, v := range voted {
		if votes[v] > votes[best] {
			best = v
		}
	}
	return best
}

// update takes what a member says of itself when it joins again.
func (g *classicGroup) update(m *classicMember, q *kmsg.JoinGroupRequest, p *Promise[*kmsg.JoinGroupResponse]) {
	g.setProtocols(m, q.Protocols)
	m.rebalanceMs, m.sessionMs = q.RebalanceTimeoutMillis, q.SessionTimeoutMillis
	g.await(m, p)
}

func (g *classicGroup) setProtocols(m *classicMember, protocols []kmsg.JoinGroupRequestProtocol) {
	g.count(m, -1)
	m.protocols = protocols
	g.count(m, 1)
}

// answerJoin answers a member that waits in JoinGroup, if it does.
func (g *classicGroup) answerJoin(m *classicMember, resp *kmsg.JoinGroupResponse) {
	if m.join == nil {
		return
	}
	m.join.complete(resp)
	g.await(m, nil)
}

// nextGeneration begins a generation with the members that are there.
func (g *classicGroup) nextGeneration() {
	g.generation++
	if len(g.members) == 0 {
		g.protocolName = nil
		g.topics = g.subscriptions()
		g.to(stateEmpty)
	} else {
		name := g.selectProtocol()
		g.protocolName = &name
		g.topics = g.subscriptions()
		g.to(stateCompleting)
	}
	clear(g.unsynced)
}

// describeMembers are the members as the leader is told of them.
func (g *classicGroup) describeMembers() []kmsg.JoinGroupResponseMember {
	var all []kmsg.JoinGroupResponseMember
	for _, m := range g.all() {
		d := kmsg.NewJoinGroupResponseMember()
		d.MemberID, d.InstanceID, d.ProtocolMetadata = m.id, m.instanceID, m.metadata(g.protocolOrNone())
		all = append(all, d)
	}
	return all
}

// assignments are the members' assignments by their ids.
func (g *classicGroup) assignments() map[string][]byte {
	a := map[string][]byte{}
	for id, m := range g.members {
		a[id] = m.assignment
	}
	return a
}

// subscriptions are the topics that the members are subscribed to; nil when that
// is not known (computeSubscribedTopics).
func (g *classicGroup) subscriptions() map[string]struct{} {
	if g.protocolType != consumerProtocol {
		return nil
	}
	topics := map[string]struct{}{}
	if len(g.members) == 0 {
		return topics
	}
	if g.protocolName == nil {
		return nil
	}
	for _, m := range g.members {
		subscribed, err := subscribedTopics(m.metadata(*g.protocolName))
		if err != nil {
			return nil
		}
		for _, t := range subscribed {
			topics[t] = struct{}{}
		}
	}
	return topics
}

func (g *classicGroup) subscribed(topic string) bool {
	if g.topics == nil {
		return g.protocolType == consumerProtocol
	}
	_, ok := g.topics[topic]
	return ok
}

func (g *classicGroup) tombstones(to []coordinator.Record) []coordinator.Record {
	return append(to, groupTombstone(g.groupID))
}

func (g *classicGroup) cancelTimers(*Shard) {}
