package election

import (
	"fmt"
	"maps"
	"slices"
)

// placer assigns replicas to new partitions, as Kafka's StripedReplicaPlacer:
// one broker a rack in turn, unfenced brokers before fenced ones, and never a
// fenced leader.
//
// Kafka starts each topic at a random offset. Here partitions are numbered: the
// first topic's begin at 0, and each topic goes on where the one before it
// stopped. Partition n starts with rack n modulo the racks, and in each rack one
// broker further after each round of the racks. So leaders are evenly spread,
// over topics of one partition too, and placement is the same in each run: the
// leaders of three partitions on brokers 1, 2 and 3 are 1, 2 and 3. The brokers'
// own topics (two underscores in front) start at 0 and are not counted.
type placer struct{ racks []*rack }

// rack is one rack's brokers, by id.
type rack struct{ unfenced, fenced []int32 }

// newPlacer sorts the usable brokers into racks. Brokers in controlled shutdown
// are not usable.
func newPlacer(brokers map[int32]*Broker) (p *placer, unfenced, total int) {
	byName := map[string]*rack{}
	for _, id := range slices.Sorted(maps.Keys(brokers)) {
		b := brokers[id]
		if b.ShuttingDown {
			continue
		}
		r := byName[b.Rack]
		if r == nil {
			r = &rack{}
			byName[b.Rack] = r
		}
		total++
		if b.Fenced {
			r.fenced = append(r.fenced, id)
		} else {
			unfenced++
			r.unfenced = append(r.unfenced, id)
		}
	}
	p = &placer{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		p.racks = append(p.racks, byName[name])
	}
	return p, unfenced, total
}

// place assigns the replicas of partition number n. There are at least rf
// brokers, one of them unfenced.
func (p *placer) place(n int64, rf int) []int32 {
	count := len(p.racks)
	round := n / int64(count)
	rings := make([][]int32, count)
	for i, r := range p.racks {
		rings[i] = append(rotated(r.unfenced, round), rotated(r.fenced, round)...)
	}
	start := int(n % int64(count))
	first := start
	for len(p.racks[first].unfenced) == 0 {
		first = (first + 1) % count
	}
	take := func(rack int) int32 {
		b := rings[rack][0]
		rings[rack] = rings[rack][1:]
		return b
	}
	replicas := append(make([]int32, 0, rf), take(first))
	skip := true // The leader's rack has had its turn in the first pass.
	for i := start; len(replicas) < rf; i = (i + 1) % count {
		switch {
		case i == first && skip:
			skip = false
		case len(rings[i]) > 0:
			replicas = append(replicas, take(i))
		}
	}
	return replicas
}

// rotated is the ring begun at place n.
func rotated(ring []int32, n int64) []int32 {
	if len(ring) == 0 {
		return nil
	}
	at := int(n % int64(len(ring)))
	return append(slices.Clone(ring[at:]), ring[:at]...)
}

// placedPartitions are count new partitions of a topic, placed automatically.
func (e *edit) placedPartitions(topic string, count, rf int) ([]*Partition, error) {
	start := int64(0)
	if !internalName(topic) {
		start = e.Placed
	}
	p, unfenced, total := newPlacer(e.Brokers)
	switch {
	case unfenced == 0:
		return nil, unplaceable(rf, "All brokers are currently fenced.")
	case rf > total:
		return nil, unplaceable(rf, fmt.Sprintf("The target replication factor of %d cannot be reached "+
			"because only %d broker(s) are registered.", rf, total))
	}
	partitions := make([]*Partition, 0, count)
	for i := range int64(count) {
		next := e.newPartition(p.place(start+i, rf))
		if next == nil {
			return nil, unplaceable(rf, "All brokers are currently fenced or in controlled shutdown.")
		}
		partitions = append(partitions, next)
	}
	if !internalName(topic) {
		e.Placed += int64(count)
	}
	return partitions, nil
}

func unplaceable(rf int, why string) error {
	return fail(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): %s", rf, why)
}

// validAssignment checks replicas that somebody named; rf -1 when there is
// nothing to compare their number with (RCM.validateManualPartitionAssignment).
func (e *edit) validAssignment(replicas []int32, rf int) error {
	if len(replicas) == 0 {
		return fail(ErrInvalidAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		if e.Brokers[id] == nil {
			return fail(ErrInvalidAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return fail(ErrInvalidAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	if rf >= 0 && len(replicas) != rf {
		return fail(ErrInvalidAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is "+
			"not consistent with previous partitions, which have %d replica(s).", len(replicas), rf)
	}
	return nil
}
