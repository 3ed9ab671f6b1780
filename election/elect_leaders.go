package election

import "errors"

// apply elects leaders on request (RCM.electLeaders).
func (c *ElectLeaders) apply(e *edit) (any, error) {
	var results []ElectResult
	if c.Partitions == nil {
		for _, t := range e.sortedTopics() {
			for i := range t.Partitions {
				ref := PartitionRef{t.Name, int32(i)}
				if err := e.electLeader(ref, c.Unclean); !errors.Is(err, ErrElectionNotNeeded) {
					results = append(results, ElectResult{ref, err})
				}
			}
		}
		return results, nil
	}
	for _, ref := range c.Partitions {
		results = append(results, ElectResult{ref, e.electLeader(ref, c.Unclean)})
	}
	return results, nil
}

// electLeader elects for one partition. An unclean election asked for by name
// needs no config that allows it.
func (e *edit) electLeader(ref PartitionRef, unclean bool) error {
	t := e.Topics[ref.Topic]
	if t == nil {
		return fail(ErrUnknownTopicOrPartition, "No such topic as %s", ref.Topic)
	}
	if ref.Partition < 0 || int(ref.Partition) >= len(t.Partitions) {
		return fail(ErrUnknownTopicOrPartition, "No such partition as %s-%d", ref.Topic, ref.Partition)
	}
	p := t.Partitions[ref.Partition]
	mode, unavailable := electPreferred, fail(ErrPreferredNotAvailable, "The preferred leader was not available.")
	if unclean {
		mode, unavailable = electUnclean, fail(ErrEligibleNotAvailable, "Eligible topic partition leaders are not available.")
	}
	if (!unclean && !imbalanced(p)) || (unclean && p.Leader != noLeader) {
		return fail(ErrElectionNotNeeded, "Leader election not needed for topic partition.")
	}
	if !e.change(t, int(ref.Partition), unchanged(p, mode), nil) {
		return unavailable
	}
	return nil
}
