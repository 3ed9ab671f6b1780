package election

import "slices"

// electionMode is PartitionChangeBuilder's Election.
type electionMode uint8

const (
	// electOnline elects from the ISR, or the ELR when the ISR is empty.
	electOnline electionMode = iota
	// electUnclean takes any live replica when there is no clean one.
	electUnclean
	// electPreferred moves leadership to the first replica of the assignment.
	electPreferred
)

const noLeader int32 = -1

// rules are the circumstances under which a partition is changed.
type rules struct {
	// elr is whether eligible leader replicas are on (KIP-966).
	elr bool
	// minISR is the effective min.insync.replicas.
	minISR int
	// acceptable tells whether a replica is able to lead.
	acceptable func(replica int32) bool
}

// change is what a partition shall become, before reassignment, ELR and
// election have had their say (PartitionChangeBuilder's targets).
type change struct {
	isr, replicas, adding, removing []int32
	recovering                      bool
	mode                            electionMode
	// unclean are replicas that came back from an unclean shutdown: they may
	// have lost records, and are eligible no more.
	unclean []int32
}

// unchanged is the change that only elects.
func unchanged(p *Partition, mode electionMode) change {
	return change{
		isr: p.ISR, replicas: p.Replicas, adding: p.Adding, removing: p.Removing,
		recovering: p.Recovering, mode: mode,
	}
}

// apply works the change out. It returns nil when the partition stays as it is
// (PartitionChangeBuilder.build).
//
// leaderEpoch grows with each record that names a leader: another one, none, or
// the same one when a replica was taken from the assignment. partitionEpoch
// grows with each record.
func (r rules) apply(p *Partition, c change) *Partition {
	c = completeReassignment(c)
	next := &Partition{
		Replicas: c.replicas, Adding: c.adding, Removing: c.removing,
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Recovering: c.recovering,
	}
	elr := r.targetELR(p, c)
	leader, unclean := r.elect(p, c, elr)
	isr := c.isr
	named := leader != p.Leader
	switch {
	case !named:
	case slices.Contains(elr, leader):
		isr, elr = []int32{leader}, without(elr, leader)
	case unclean:
		isr, elr = []int32{leader}, nil
		next.Recovering = true
	}
	if len(isr) == 0 && !r.elr {
		// Without ELR the last ISR is kept: it says who may lead next.
		isr = p.ISR
	}
	if !containsAll(c.replicas, p.Replicas) {
		named = true
	}
	next.Leader, next.ISR, next.ELR = leader, isr, elr
	next.LastKnownELR = r.lastKnown(p, named, leader)
	if named {
		next.LeaderEpoch++
	}
	if !named && samePartition(p, next) {
		return nil
	}
	next.PartitionEpoch++
	return next
}

// elect chooses the leader of the change, and tells whether that is an unclean
// choice (PartitionChangeBuilder.electLeader).
func (r rules) elect(p *Partition, c change, elr []int32) (leader int32, unclean bool) {
	valid := func(replica int32) bool {
		in := slices.Contains(c.isr, replica) || (len(c.isr) == 0 && slices.Contains(elr, replica))
		return in && r.acceptable(replica)
	}
	if c.mode == electPreferred && valid(c.replicas[0]) {
		return c.replicas[0], false
	}
	if valid(p.Leader) {
		return p.Leader, false
	}
	// The order is the assignment's, not the ISR's.
	if i := slices.IndexFunc(c.replicas, valid); i >= 0 {
		return c.replicas[i], false
	}
	if last, ok := r.lastKnownLeader(p, c, elr); ok {
		return last, true
	}
	if c.mode == electUnclean {
		// The ends of the logs are not compared: nobody knows them here.
		if i := slices.IndexFunc(c.replicas, r.acceptable); i >= 0 {
			return c.replicas[i], true
		}
	}
	return noLeader, false
}

// without is list less the values, in a slice of its own.
func without(list []int32, values ...int32) []int32 {
	var out []int32
	for _, v := range list {
		if !slices.Contains(values, v) {
			out = append(out, v)
		}
	}
	return out
}

func containsAll(list, values []int32) bool {
	for _, v := range values {
		if !slices.Contains(list, v) {
			return false
		}
	}
	return true
}

// samePartition compares all but the epochs.
func samePartition(a, b *Partition) bool {
	return a.Leader == b.Leader && a.Recovering == b.Recovering &&
		slices.Equal(a.ISR, b.ISR) && slices.Equal(a.Replicas, b.Replicas) &&
		slices.Equal(a.ELR, b.ELR) && slices.Equal(a.LastKnownELR, b.LastKnownELR) &&
		slices.Equal(a.Adding, b.Adding) && slices.Equal(a.Removing, b.Removing)
}
