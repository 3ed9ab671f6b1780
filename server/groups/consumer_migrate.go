package groups

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// enterGroup finds the consumer group, or makes it, when the member joins: of
// nothing, or of a classic group, whose members stay
// (getOrMaybeCreateConsumerGroup).
func (b *beat) enterGroup(id string, create bool) error {
	s := b.shard
	known, ok := s.groups.Get(id)
	switch g := known.(type) {
	case *consumerGroup:
		b.group = g
		return nil
	case *classicGroup:
		switch {
		case !create:
		case g.empty():
			g.cancelTimers(s)
			b.records = g.tombstones(nil)
			b.group = newConsumerGroup(s.ctx.Timeline(), id)
			return nil
		default:
			return b.upgrade(g)
		}
	}
	if ok {
		return refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group.", id)
	}
	if !create {
		return refuse(kerr.GroupIDNotFound, "Group %s not found.", id)
	}
	b.group = newConsumerGroup(s.ctx.Timeline(), id)
	return nil
}

// upgrade makes a classic group with members a consumer group (validateOnlineUpgrade,
// convertToConsumerGroup). Who waits in it is told to join again; when it fails,
// nobody is, other than in Kafka.
func (b *beat) upgrade(c *classicGroup) error {
	s := b.shard
	because := ""
	switch {
	case !s.upgradeEnabled():
		because = "this is disabled"
	case c.protocolType != protocolTypeConsumer:
		because = "it does not use the consumers' protocol"
	case len(c.members) > int(s.config.Settings.GroupConsumerMaxSize):
		because = "it has too many members"
	}
	if because != "" {
		return cannotUpgrade(c, because)
	}
	g := newConsumerGroup(s.ctx.Timeline(), c.groupID)
	g.epoch.Set(c.generation)
	g.targetOf.Set(targetMetadata{epoch: c.generation})
	for _, m := range c.all() {
		u, err := c.upgraded(m, s.ctx.Image())
		if err != nil {
			return err
		}
		g.members.Set(m.id, u)
		g.target.Set(m.id, u.assigned.assignment())
	}
	g.hash.Set(metadataHash(g.view(nil).topics(), s.ctx.Image()))
	b.group, b.records = g, g.records(c.tombstones(nil))
	for _, m := range c.all() {
		c.answerJoin(m, joinError(m.id, kerr.RebalanceInProgress))
		m.answerSync(syncError(kerr.RebalanceInProgress))
		s.scheduleSession(c.groupID, m.id, millis(m.sessionMs))
	}
	s.ctx.Logger().Info("a classic group becomes a consumer group", "group", c.groupID)
	return nil
}

func cannotUpgrade(c *classicGroup, because string) error {
	return refuse(kerr.GroupIDNotFound, "Classic group %s cannot become a consumer group: %s.", c.groupID, because)
}

// upgraded is a classic member as a member of a consumer group, with what the
// group's leader assigned to it.
func (c *classicGroup) upgraded(m *classicMember, image *election.Image) (*consumerMember, error) {
	assigned, err := c.assignedTo(m, image)
	if err != nil {
		return nil, err
	}
	metadata := m.metadata(c.protocolOrNone())
	if metadata == nil {
		// In its first rebalance the group has no protocol yet, and in a later one a
		// new member may not know it: Kafka has no answer for that.
		return nil, fmt.Errorf("groups: classic group %s has no subscription of %s: %w", c.groupID, m.id, kerr.UnknownServerError)
	}
	wants, err := readSubscription(metadata)
	if err != nil {
		return nil, cannotUpgrade(c, "a subscription cannot be read")
	}
	u := newConsumerMember(m.id)
	u.epoch, u.previousEpoch = c.generation, c.generation
	u.instanceID, u.rebalanceMs = m.instanceID, m.rebalanceMs
	if wants.Rack != nil && *wants.Rack != "" {
		u.rackID = wants.Rack
	}
	u.clientID, u.clientHost, u.topics = m.clientID, m.clientHost, normalized(wants.Topics)
	u.assigned = allAt(assigned, c.generation)
	u.classic = &classicSide{sessionMs: m.sessionMs}
	for _, p := range m.protocols {
		u.classic.protocols = append(u.classic.protocols, classicProtocol{p.Name, p.Metadata})
	}
	return u, nil
}

// assignedTo reads a classic member's assignment.
func (c *classicGroup) assignedTo(m *classicMember, image *election.Image) (assignor.Assignment, error) {
	a := assignor.Assignment{}
	if len(m.assignment) == 0 {
		return a, nil
	}
	if _, err := protocolVersion(m.assignment); err != nil {
		return nil, cannotUpgrade(c, "an assignment cannot be read")
	}
	read, err := readAssignment(m.assignment)
	if err != nil {
		return nil, fmt.Errorf("groups: an assignment in classic group %s: %w: %w", c.groupID, err, kerr.UnknownServerError)
	}
	if len(read.UserData) > 0 {
		return nil, cannotUpgrade(c, "its assignor has data of its own, which would be lost")
	}
	for _, t := range read.Topics {
		if image == nil || image.Topics[t.Topic] == nil || len(t.Partitions) == 0 {
			continue
		}
		ps := slices.Clone(t.Partitions)
		slices.Sort(ps)
		a[image.Topics[t.Topic].ID] = slices.Compact(ps)
	}
	return a, nil
}

// records are all that persist the group as it is (createConsumerGroupRecords).
func (g *consumerGroup) records(to []coordinator.Record) []coordinator.Record {
	ids := sortedKeys(g.members)
	each := func(record func(m *consumerMember) coordinator.Record) {
		for _, id := range ids {
			m, _ := g.members.Get(id)
			to = append(to, record(m))
		}
	}
	each(func(m *consumerMember) coordinator.Record { return consumerMemberRecord(g.groupID, m) })
	to = append(to, consumerEpochRecord(g.groupID, g.epoch.Get(), g.hash.Get()))
	each(func(m *consumerMember) coordinator.Record {
		target, _ := g.target.Get(m.id)
		return consumerTargetMemberRecord(g.groupID, m.id, target)
	})
	to = append(to, consumerTargetRecord(g.groupID, g.targetOf.Get()))
	each(func(m *consumerMember) coordinator.Record { return consumerCurrentRecord(g.groupID, m) })
	return to
}

// downgrades tells whether the group becomes a classic one when these members
// leave: only classic ones are left then
// (validateOnlineDowngradeWithFencedMembers).
func (s *Shard) downgrades(g *consumerGroup, leaving []*consumerMember) bool {
	left := 0
	for _, m := range g.members.All() {
		if slices.Contains(leaving, m) {
			continue
		}
		if !m.isClassic() {
			return false
		}
		left++
	}
	return left > 0 && s.downgradeEnabled() && left <= int(s.config.Settings.GroupMaxSize)
}

// downgradesFor tells whether it does when a classic member takes this one's
// place (validateOnlineDowngradeWithReplacedMember).
func (s *Shard) downgradesFor(g *consumerGroup, replaced *consumerMember) bool {
	if replaced.isClassic() {
		return false
	}
	for _, m := range g.members.All() {
		if m != replaced && !m.isClassic() {
			return false
		}
	}
	return s.downgradeEnabled() && g.members.Len() <= int(s.config.Settings.GroupMaxSize)
}

// downgrade makes the group a classic one, without some members, or with one in
// another's place (convertToClassicGroup). With a reason it rebalances.
func (s *Shard) downgrade(g *consumerGroup, leaving []*consumerMember, joining *consumerMember, reason string) coordinator.Outcome {
	ids := sortedKeys(g.members)
	var replaced *consumerMember
	if joining != nil {
		replaced = g.static(joining.instanceID)
		ids[slices.Index(ids, replaced.id)] = joining.id
	}
	records := g.removal(nil, ids)
	c := newClassicGroup(g.groupID, s.ctx.Now)
	c.state_, c.generation, c.protocolType = stateStable, g.epoch.Get(), protocolTypeConsumer
	targets := map[string]assignor.Assignment{}
	add := func(m *consumerMember, targetOf string) {
		targets[m.id], _ = g.target.Get(targetOf)
		c.add(m.downgraded(), nil)
	}
	for _, id := range sortedKeys(g.members) {
		if m, _ := g.members.Get(id); m != replaced && !slices.Contains(leaving, m) {
			add(m, id)
		}
	}
	if joining != nil {
		add(joining, replaced.id)
	}
	protocol := c.selectProtocol()
	c.protocolName = &protocol
	c.topics = c.subscriptions()
	for _, m := range c.all() {
		m.assignment = serializedAssignment(targets[m.id], m.metadata(protocol), s.ctx.Image())
		s.renew(c, m)
	}
	records = append(records, groupRecord(c, c.assignments()))
	s.groups.Set(g.groupID, c)
	s.ctx.Logger().Info("a consumer group becomes a classic group", "group", g.groupID)
	if reason != "" {
		records = append(records, s.rebalance(c, reason).Records...)
	}
	return coordinator.Outcome{Records: records, Applied: true}
}

// downgraded is a classic member of a consumer group as one of a classic group.
func (m *consumerMember) downgraded() *classicMember {
	d := &classicMember{
		id: m.id, instanceID: m.instanceID, clientID: m.clientID, clientHost: m.clientHost,
		rebalanceMs: m.rebalanceMs, sessionMs: m.classic.sessionMs, protocolType: protocolTypeConsumer,
	}
	for _, p := range m.classic.protocols {
		r := kmsg.NewJoinGroupRequestProtocol()
		r.Name, r.Metadata = p.name, p.metadata
		d.protocols = append(d.protocols, r)
	}
	return d
}
