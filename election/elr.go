package election

import "slices"

// elrFeature switches eligible leader replicas (KIP-966).
const elrFeature = "eligible.leader.replicas.version"

// elrOn tells whether eligible leader replicas are finalized in the cluster.
func (m *Image) elrOn() bool { return m.Features[elrFeature] >= 1 }

// targetELR is the ELR that goes with the change's ISR: empty while the ISR has
// the minimum size, else all that have been in sync since it had, less those
// that are in sync and those that may have lost records
// (PartitionChangeBuilder.maybePopulateTargetElr).
//
// It is safe to elect from it because the high watermark stands still below
// min.insync.replicas: whoever was in the ISR while it was large enough holds
// every committed record.
func (r rules) targetELR(p *Partition, c change) []int32 {
	if !r.elr || len(c.isr) >= r.minISR {
		return nil
	}
	elr := without(append(slices.Clone(p.ELR), p.ISR...), append(slices.Clone(c.isr), c.unclean...)...)
	slices.Sort(elr)
	elr = slices.Compact(elr)
	// Kafka leaves a replica here that a reassignment has removed. It can never
	// lead, and would keep the last known leader from it.
	return slices.DeleteFunc(elr, func(replica int32) bool { return !slices.Contains(c.replicas, replica) })
}

// lastKnownLeader is the leader of last resort: with nobody left in the ISR and
// the ELR, the one that led last, once it is alive
// (PartitionChangeBuilder.canElectLastKnownLeader).
func (r rules) lastKnownLeader(p *Partition, c change, elr []int32) (int32, bool) {
	if !r.elr || len(elr) > 0 || len(c.isr) > 0 || len(p.LastKnownELR) != 1 {
		return noLeader, false
	}
	last := p.LastKnownELR[0]
	return last, slices.Contains(c.replicas, last) && r.acceptable(last)
}

// lastKnown is the LastKnownELR after a change: the leader that was lost when
// the partition becomes leaderless, empty once there is a leader again
// (PartitionChangeBuilder.maybeUpdateLastKnownLeader).
func (r rules) lastKnown(p *Partition, named bool, leader int32) []int32 {
	switch {
	case !r.elr:
		// Kafka keeps what stood there before the feature was turned off. It
		// would name the wrong leader after it is turned on again.
		return nil
	case named && leader == noLeader && len(p.LastKnownELR) == 0 && p.Leader != noLeader:
		return []int32{p.Leader}
	case named && leader != noLeader:
		return nil
	}
	return p.LastKnownELR
}
