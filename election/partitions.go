package election

import (
	"slices"

	"github.com/minikafka/minikafka/log"
)

// rulesFor are the rules for a partition as things stand. acceptable, when not
// nil, replaces the question whether a broker is active.
func (e *edit) rulesFor(t *Topic, i int, acceptable func(broker int32) bool) rules {
	if acceptable == nil {
		acceptable = e.active
	}
	id := log.PartitionID{Topic: t.ID, Partition: int32(i)}
	return rules{
		elr:    e.elrOn(),
		minISR: e.effectiveMinISR(t),
		acceptable: func(replica int32) bool {
			return acceptable(replica) && !e.Offline[replica].holds(id)
		},
	}
}

// effectiveMinISR is min.insync.replicas, bounded by the replication factor of
// the topic's first partition (RCM.getTopicEffectiveMinIsr).
func (e *edit) effectiveMinISR(t *Topic) int {
	return min(e.minISR(t), len(t.Partitions[0].Replicas))
}

// mode is how a topic elects when a leader is lost.
func (e *edit) mode(t *Topic) electionMode {
	if e.uncleanAllowed(t) {
		return electUnclean
	}
	return electOnline
}

// change changes partition i of a topic, and tells whether anything changed.
func (e *edit) change(t *Topic, i int, c change, acceptable func(broker int32) bool) bool {
	next := e.rulesFor(t, i, acceptable).apply(t.Partitions[i], c)
	if next != nil {
		e.setPartition(t.ID, i, next)
	}
	return next != nil
}

// brokerChange is what happened to a broker, for the partitions it is in
// (the arguments of RCM.generateLeaderAndIsrUpdates); noLeader where not.
type brokerChange struct {
	remove, add, unclean int32
}

// eachPartition visits the partitions that match, topics by name. visit may
// change the partition.
func (e *edit) eachPartition(match func(*Partition) bool, visit func(t *Topic, i int, p *Partition)) {
	for _, t := range e.sortedTopics() {
		for i := range t.Partitions {
			// setPartition may have replaced the topic since.
			now := e.TopicsByID[t.ID]
			if p := now.Partitions[i]; match(p) {
				visit(now, i, p)
			}
		}
	}
}

// updateLeaders removes a broker from the ISRs of the matching partitions and
// elects where that is needed (RCM.generateLeaderAndIsrUpdates).
func (e *edit) updateLeaders(b brokerChange, match func(*Partition) bool) {
	acceptable := func(broker int32) bool {
		if broker == b.remove || broker == b.unclean {
			return false
		}
		return broker == b.add || e.active(broker)
	}
	e.eachPartition(match, func(t *Topic, i int, p *Partition) {
		c := unchanged(p, e.mode(t))
		c.isr = without(p.ISR, b.remove, b.unclean)
		if b.unclean != noLeader {
			c.unclean = []int32{b.unclean}
		}
		e.change(t, i, c, acceptable)
	})
}

func inISR(broker int32) func(*Partition) bool {
	return func(p *Partition) bool { return slices.Contains(p.ISR, broker) }
}

func inELR(broker int32) func(*Partition) bool {
	return func(p *Partition) bool { return slices.Contains(p.ELR, broker) }
}

func leaderless(p *Partition) bool { return p.Leader == noLeader }

// leads tells whether the broker leads any partition.
func (m *Image) leads(broker int32) bool {
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader == broker {
				return true
			}
		}
	}
	return false
}
