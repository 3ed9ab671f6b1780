package election

import (
	"fmt"
	"slices"
)

// completeReassignment ends a reassignment whose replicas are all in the ISR
// (PartitionReassignmentReplicas.maybeCompleteReassignment).
func completeReassignment(c change) change {
	if len(c.adding) == 0 && len(c.removing) == 0 {
		return c
	}
	isr, replicas := c.isr, c.replicas
	if len(c.removing) > 0 {
		isr, replicas = without(isr, c.removing...), without(replicas, c.removing...)
		if len(isr) == 0 || len(replicas) == 0 {
			return c
		}
	}
	if !containsAll(isr, replicas) {
		return c
	}
	c.isr, c.replicas, c.adding, c.removing = isr, replicas, nil, nil
	return c
}

// Reassigning tells whether the partition is on its way to other replicas.
func (p *Partition) Reassigning() bool { return len(p.Adding) > 0 || len(p.Removing) > 0 }

// apply starts and cancels reassignments (RCM.alterPartitionReassignments).
func (c *AlterReassignments) apply(e *edit) (any, error) {
	results := make([]ElectResult, 0, len(c.Partitions))
	for _, r := range c.Partitions {
		results = append(results, ElectResult{r.PartitionRef, e.reassign(r, c.AllowReplicationFactorChange)})
	}
	return results, nil
}

func (e *edit) reassign(r Reassignment, allowRFChange bool) error {
	t := e.Topics[r.Topic]
	if t == nil {
		return fail(ErrUnknownTopicOrPartition, "Unable to find a topic named %s.", r.Topic)
	}
	if r.Partition < 0 || int(r.Partition) >= len(t.Partitions) {
		return fail(ErrUnknownTopicOrPartition, "Unable to find partition %s:%d.", r.Topic, r.Partition)
	}
	p := t.Partitions[r.Partition]
	if r.Replicas == nil {
		return e.cancelReassignment(t, int(r.Partition), p)
	}
	if err := e.validAssignment(r.Replicas, -1); err != nil {
		return err
	}
	if size := len(without(p.Replicas, p.Removing...)); !allowRFChange && size != len(r.Replicas) {
		return fail(ErrInvalidReplicationFactor, "The replication factor is changed from %d to %d", size, len(r.Replicas))
	}
	// Kafka keeps the old lists where the new target adds or removes nothing;
	// here the new target replaces the running one always.
	c := unchanged(p, electOnline)
	c.removing = without(p.Replicas, r.Replicas...)
	slices.Sort(c.removing)
	c.adding = without(r.Replicas, p.Replicas...)
	slices.Sort(c.adding)
	c.replicas = append(slices.Clone(r.Replicas), c.removing...)
	e.change(t, int(r.Partition), c, nil)
	return nil
}

// cancelReassignment goes back to the replicas before it
// (PartitionReassignmentRevert).
func (e *edit) cancelReassignment(t *Topic, i int, p *Partition) error {
	if !p.Reassigning() {
		return fail(ErrNoReassignment, "No partition reassignment is in progress.")
	}
	mode := e.mode(t)
	c := change{
		replicas: without(p.Replicas, p.Adding...), isr: without(p.ISR, p.Adding...),
		recovering: p.Recovering, mode: mode,
	}
	if len(c.isr) == 0 {
		if len(c.replicas) == 0 {
			return fail(ErrInvalidAssignment, "Invalid replica assignment: addingReplicas contains all replicas.")
		}
		if mode != electUnclean {
			return fail(ErrInvalidAssignment, "Unable to revert partition assignment for %s:%d because "+
				"it would require an unclean leader election.", t.Name, i)
		}
		c.isr = c.replicas[:1:1]
	}
	e.change(t, i, c, nil)
	return nil
}

// fail wraps a sentinel with the message for the client.
func fail(err error, format string, args ...any) error {
	return &Error{Err: err, Message: fmt.Sprintf(format, args...)}
}
