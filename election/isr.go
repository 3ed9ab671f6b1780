package election

import "slices"

// apply changes the ISR of a partition for its leader (RCM.alterPartition).
func (c *AlterPartition) apply(e *edit) (any, error) {
	t, p, err := c.validate(e)
	if err != nil {
		return nil, err
	}
	ch := unchanged(p, e.mode(t))
	ch.isr = c.ids()
	ch.recovering = c.Recovering
	if !e.change(t, int(c.Partition.Partition), ch, nil) {
		return AlterPartitionResult{*p}, nil
	}
	next := e.Partition(c.Partition)
	if next.Leader != c.Broker {
		// The change is in force, and has completed a reassignment that this
		// leader is not part of.
		return nil, fail(ErrNewLeaderElected, "the leader of %s-%d is now %d", t.Name, c.Partition.Partition, next.Leader)
	}
	return AlterPartitionResult{*next}, nil
}

func (c *AlterPartition) ids() []int32 {
	ids := make([]int32, len(c.NewISR))
	for i, m := range c.NewISR {
		ids[i] = m.ID
	}
	return ids
}

// validate makes the checks in Kafka's order (RCM.validateAlterPartitionData).
func (c *AlterPartition) validate(e *edit) (*Topic, *Partition, error) {
	if _, err := e.brokerAt(c.Broker, c.BrokerEpoch); err != nil {
		return nil, nil, err
	}
	t := e.TopicsByID[c.Partition.Topic]
	if t == nil {
		return nil, nil, fail(ErrUnknownTopicID, "unknown topic id %x", c.Partition.Topic)
	}
	p := e.Partition(c.Partition)
	if p == nil {
		return nil, nil, fail(ErrUnknownTopicOrPartition, "unknown partition %s-%d", t.Name, c.Partition.Partition)
	}
	switch {
	case c.LeaderEpoch > p.LeaderEpoch || c.PartitionEpoch > p.PartitionEpoch:
		// This controller is behind, so it is probably not the active one.
		return nil, nil, fail(ErrNotController, "epochs %d, %d are ahead of %d, %d",
			c.LeaderEpoch, c.PartitionEpoch, p.LeaderEpoch, p.PartitionEpoch)
	case c.LeaderEpoch < p.LeaderEpoch:
		return nil, nil, fail(ErrFencedLeaderEpoch, "the leader epoch is %d, not %d", p.LeaderEpoch, c.LeaderEpoch)
	case c.Broker != p.Leader:
		return nil, nil, fail(ErrInvalidRequest, "the leader is %d, not %d", p.Leader, c.Broker)
	case c.PartitionEpoch < p.PartitionEpoch:
		return nil, nil, fail(ErrInvalidUpdateVersion, "the partition epoch is %d, not %d", p.PartitionEpoch, c.PartitionEpoch)
	}
	if err := c.validateISR(e, p); err != nil {
		return nil, nil, err
	}
	return t, p, nil
}

func (c *AlterPartition) validateISR(e *edit, p *Partition) error {
	isr := c.ids()
	for i, id := range isr {
		if slices.Contains(isr[:i], id) || !slices.Contains(p.Replicas, id) {
			return fail(ErrInvalidRequest, "invalid ISR %v of replicas %v", isr, p.Replicas)
		}
	}
	switch {
	case !slices.Contains(isr, p.Leader):
		return fail(ErrInvalidRequest, "the ISR %v lacks the leader %d", isr, p.Leader)
	case c.Recovering && len(isr) > 1:
		return fail(ErrInvalidRequest, "the ISR %v has more than the recovering leader", isr)
	case c.Recovering && !p.Recovering:
		return fail(ErrInvalidRequest, "a recovered leader cannot be recovering")
	}
	for _, m := range c.NewISR {
		if why := e.ineligible(m, c); why != "" {
			return fail(ErrIneligibleReplica, "replica %d is %s", m.ID, why)
		}
	}
	return nil
}

// ineligible says why a replica may not be in the ISR, or ""
// (RCM.ineligibleReplicasForIsr).
func (e *edit) ineligible(m ISRMember, c *AlterPartition) string {
	b := e.Brokers[m.ID]
	switch {
	case b == nil:
		return "not registered"
	case b.ShuttingDown:
		return "shutting down"
	case b.Fenced:
		return "fenced"
	case m.Epoch != -1 && m.Epoch != b.Epoch:
		return "of another broker epoch"
	case e.Offline[m.ID].holds(c.Partition):
		return "offline"
	}
	return ""
}
