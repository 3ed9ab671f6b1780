package groups

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
)

// replayClassic applies a record of type 2: the group as of its last complete
// generation.
func (s *Shard) replayClassic(r coordinator.Record) error {
	key := kmsg.NewGroupMetadataKey()
	if err := unreadable("group metadata key", key.ReadFrom(r.Key)); err != nil {
		return err
	}
	if r.Value == nil {
		s.groups.Delete(key.Group)
		return nil
	}
	v := kmsg.NewGroupMetadataValue()
	v.CurrentStateTimestamp = -1
	if err := checkVersion(r.Value, newestGroupMetadataValue); err != nil {
		return err
	}
	if err := unreadable("group metadata value", v.ReadFrom(r.Value)); err != nil {
		return err
	}
	g := newClassicGroup(key.Group, s.ctx.Now)
	g.protocolType, g.protocolName, g.generation, g.since = v.ProtocolType, v.Protocol, v.Generation, v.CurrentStateTimestamp
	if v.Leader != nil {
		g.leader = *v.Leader
	}
	if len(v.Members) > 0 {
		g.state_ = stateStable
	}
	for i := range v.Members {
		m := loadedMember(&v, &v.Members[i])
		if m.instanceID != nil && g.static[*m.instanceID] != "" || g.members[m.id] != nil {
			return fmt.Errorf("%w: group metadata value: a member of %s is there twice", ErrRecord, key.Group)
		}
		g.add(m, nil)
	}
	if g.members[g.leader] == nil {
		g.leader = ""
		if len(g.order) > 0 {
			g.leader = g.order[0]
		}
	}
	g.topics = g.subscriptions()
	s.groups.Set(key.Group, g)
	return nil
}

func loadedMember(g *kmsg.GroupMetadataValue, v *kmsg.GroupMetadataValueMember) *classicMember {
	m := &classicMember{
		id: v.MemberID, instanceID: v.InstanceID, clientID: v.ClientID, clientHost: v.ClientHost,
		rebalanceMs: v.RebalanceTimeoutMillis, sessionMs: v.SessionTimeoutMillis,
		protocolType: g.ProtocolType, assignment: v.Assignment,
	}
	if m.rebalanceMs < 0 {
		m.rebalanceMs = m.sessionMs
	}
	p := kmsg.NewJoinGroupRequestProtocol()
	if g.Protocol != nil {
		p.Name = *g.Protocol
	}
	p.Metadata = v.Subscription
	m.protocols = []kmsg.JoinGroupRequestProtocol{p}
	return m
}

// loaded gives every member a whole session. A group that is larger than it may
// be now rebalances.
func (g *classicGroup) loaded(s *Shard) {
	for _, m := range g.all() {
		s.renew(g, m)
	}
	if len(g.members) > int(s.config.Settings.GroupMaxSize) {
		s.rebalance(g, "the group is too large")
	}
}

// unloaded has everybody who waits look for the new coordinator.
func (g *classicGroup) unloaded() {
	g.to(stateDead)
	for _, m := range g.all() {
		g.answerJoin(m, joinError(m.id, kerr.NotCoordinator))
		m.answerSync(syncError(kerr.NotCoordinator))
	}
}
