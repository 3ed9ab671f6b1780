package assignor

import (
	"maps"
	"math"
	"slices"

	"github.com/minikafka/minikafka/log"
)

// ShareGroup is a share group as its assignor sees it.
type ShareGroup struct {
	// Homogeneous says that all members are subscribed to the same topics.
	Homogeneous bool
	Members     []Member
	// Partitions are those that may be assigned, ascending.
	Partitions map[log.TopicID][]int32
}

// Simple is the assignor of share groups (SimpleAssignor): a partition may go to
// several members. Every partition has a member, and every member a partition, if
// there is any that it is subscribed to; loads differ by one at most where all
// members are subscribed to the same topics. Members keep what they have as far
// as that allows. Who gets what follows from the order in which Java's hash tables
// are gone through, as in Kafka.
type Simple struct{}

// Name is the assignor's name in group.share.assignors.
func (Simple) Name() string { return "simple" }

// Assign makes an assignment.
func (Simple) Assign(g ShareGroup) map[string]Assignment {
	members := hashOrder(g.Members)
	result := make(map[string]Assignment, len(members))
	for _, m := range members {
		result[m.ID] = Assignment{}
	}
	all := newHashSet(hashUUID, 16)
	for _, id := range slices.SortedFunc(maps.Keys(g.Partitions), compareTopics) {
		all.add(id)
	}
	topics := all.order()
	if g.Homogeneous {
		deal(g, anybodys(topics, members), members, result, hashPlace)
		return result
	}
	for _, id := range topics {
		deal(g, anybodys([]log.TopicID{id}, members), members, result, func(p place) int32 { return p.partition })
	}
	return result
}

func anybodys(topics []log.TopicID, members []Member) []log.TopicID {
	return slices.DeleteFunc(slices.Clone(topics), func(id log.TopicID) bool {
		return !slices.ContainsFunc(members, func(m Member) bool { return m.subscribed(id) })
	})
}

func (m Member) subscribed(id log.TopicID) bool {
	_, ok := m.Topics[id]
	return ok
}

// place is a partition of a topic.
type place struct {
	topic     log.TopicID
	partition int32
}

func hashPlace(p place) int32 { return 31*hashUUID(p.topic) + p.partition }

// dealer gives the partitions of some topics to members, who are known by their
// place in the list (SimpleHomogeneousAssignmentBuilder, and
// TopicAssignmentPartialBuilder of SimpleHeterogeneousAssignmentBuilder).
type dealer struct {
	targets []place
	// sharing is how many members a partition is to have, quota how many
	// partitions a member is to have.
	sharing int
	quota   []int
	// places are the partitions with members; has and of are who has what.
	places *hashSet[place]
	of     map[place]*hashSet[int]
	has    []*hashSet[place]
	// unfilled are members with less than their quota.
	unfilled *hashSet[int]
}

func hashIndex(i int) int32 { return int32(i) }

// deal assigns the topics' partitions to those members that are subscribed.
func deal(g ShareGroup, topics []log.TopicID, members []Member, result map[string]Assignment, hash func(place) int32) {
	if len(topics) == 0 {
		return
	}
	d := &dealer{
		of: map[place]*hashSet[int]{}, has: make([]*hashSet[place], len(members)), quota: make([]int, len(members)),
		unfilled: newHashSet(hashIndex, capacityFor(len(members))),
	}
	for _, id := range topics {
		for _, p := range g.Partitions[id] {
			d.targets = append(d.targets, place{id, p})
		}
	}
	d.places = newHashSet(hash, capacityFor(len(d.targets)))
	d.places.prepends = true
	d.setQuotas(topics, members)
	for i, m := range members {
		d.has[i] = newHashSet(hash, 16)
		for _, id := range topics {
			for _, p := range m.Assigned[id] {
				d.give(i, place{id, p})
			}
		}
	}
	d.takeFromOverfilled()
	d.takeFromOvershared()
	for _, p := range d.targets {
		d.place(p)
	}
	d.assignRest()
	for i, m := range members {
		for _, p := range d.has[i].keys {
			result[m.ID][p.topic] = append(result[m.ID][p.topic], p.partition)
		}
		for _, ps := range result[m.ID] {
			slices.Sort(ps)
		}
	}
}

// setQuotas spreads the assignments over the members that are subscribed.
func (d *dealer) setQuotas(topics []log.TopicID, members []Member) {
	var subscribed []int
	for i, m := range members {
		if slices.ContainsFunc(topics, m.subscribed) {
			subscribed = append(subscribed, i)
		}
	}
	if n := len(d.targets); n > 0 {
		d.sharing = (len(subscribed) + n - 1) / n
	}
	each := float64(d.sharing*len(d.targets)) / float64(len(subscribed))
	for k, i := range subscribed {
		d.quota[i] = int(math.Ceil(each*float64(k+1))) - int(math.Ceil(each*float64(k)))
	}
}

func (d *dealer) place(p place) *hashSet[int] {
	if d.of[p] == nil {
		d.places.add(p)
		d.of[p] = newHashSet(hashIndex, 16)
	}
	return d.of[p]
}

func (d *dealer) give(member int, p place) {
	d.place(p).add(member)
	d.has[member].add(p)
}

func (d *dealer) takeFromOverfilled() {
	for i, has := range d.has {
		for _, p := range has.order() {
			if len(has.keys) <= d.quota[i] {
				break
			}
			has.remove(p)
			d.of[p].remove(i)
		}
	}
}

func (d *dealer) takeFromOvershared() {
	for _, p := range d.places.order() {
		for _, i := range d.of[p].order() {
			if len(d.of[p].keys) <= d.sharing {
				break
			}
			d.of[p].remove(i)
			d.has[i].remove(p)
		}
	}
	for i, has := range d.has {
		if len(has.keys) < d.quota[i] {
			d.unfilled.add(i)
		}
	}
}

// assignRest gives partitions that have too few members to those with too few
// partitions, in turn.
func (d *dealer) assignRest() {
	turn, given := d.unfilled.order(), false
	for _, p := range d.places.order() {
		for len(d.of[p].keys) < d.sharing && len(d.unfilled.keys) > 0 {
			if len(turn) == 0 {
				if !given {
					break
				}
				turn, given = d.unfilled.order(), false
			}
			i := turn[0]
			turn = turn[1:]
			if slices.Contains(d.of[p].keys, i) {
				continue
			}
			d.give(i, p)
			given = true
			if len(d.has[i].keys) >= d.quota[i] {
				d.unfilled.remove(i)
			}
		}
	}
}
