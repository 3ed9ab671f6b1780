package assignor

import (
	"cmp"
	"slices"

	"github.com/minikafka/minikafka/log"
)

// maxRounds bounds how often balance goes through the topics
// (UniformHeterogeneousAssignmentBuilder's MAX_ITERATION_COUNT).
const maxRounds = 16

// balancer assigns to members that are subscribed to different topics
// (UniformHeterogeneousAssignmentBuilder): members keep what they are still
// subscribed to, free partitions go to the member with the fewest, and then
// partitions of one topic after another move from who has most to who has least
// until that changes nothing.
type balancer struct {
	members     []Member
	partitions  map[log.TopicID]int32
	subscribers map[log.TopicID][]int // indices of members
	owners      map[log.TopicID][]int // index of each partition's member, -1 for none
	sizes       []int                 // partitions of each member
	topics      []log.TopicID         // in the order in which they are assigned
}

func newBalancer(g Group) (*balancer, error) {
	b := &balancer{
		members:     g.Members,
		partitions:  g.NumPartitions,
		subscribers: map[log.TopicID][]int{},
		owners:      map[log.TopicID][]int{},
		sizes:       make([]int, len(g.Members)),
	}
	for i, m := range g.Members {
		for id := range m.Topics {
			n, err := g.partitions(id)
			if err != nil {
				return nil, err
			}
			b.subscribers[id] = append(b.subscribers[id], i)
			if b.owners[id] == nil {
				b.owners[id] = slices.Repeat([]int{-1}, int(n))
				b.topics = append(b.topics, id)
			}
		}
	}
	slices.SortFunc(b.topics, b.compareTopics)
	return b, nil
}

// compareTopics puts first the topics with the most partitions for each
// subscriber, since they can be balanced least.
func (b *balancer) compareTopics(x, y log.TopicID) int {
	load := func(id log.TopicID) float64 { return float64(b.partitions[id]) / float64(len(b.subscribers[id])) }
	return cmp.Or(
		cmp.Compare(load(y), load(x)),
		cmp.Compare(len(b.subscribers[x]), len(b.subscribers[y])),
		compareTopics(x, y),
	)
}

func (b *balancer) assign() map[string]Assignment {
	out := make(map[string]Assignment, len(b.members))
	if len(b.topics) == 0 {
		return out
	}
	b.keep()
	for _, id := range b.topics {
		b.assignFree(id)
	}
	b.balance()
	for _, m := range b.members {
		out[m.ID] = Assignment{}
	}
	for id, owners := range b.owners {
		for p, owner := range owners {
			if owner >= 0 {
				assigned := out[b.members[owner].ID]
				assigned[id] = append(assigned[id], int32(p))
			}
		}
	}
	return out
}

// keep leaves the members what they have and are subscribed to.
func (b *balancer) keep() {
	for i, m := range b.members {
		for id, ps := range m.Assigned {
			if _, ok := m.Topics[id]; !ok {
				continue
			}
			for _, p := range ps {
				if int(p) < len(b.owners[id]) {
					b.give(id, p, i)
				}
			}
		}
	}
}

func (b *balancer) give(id log.TopicID, p int32, to int) {
	if old := b.owners[id][p]; old >= 0 {
		b.sizes[old]--
	}
	b.owners[id][p] = to
	b.sizes[to]++
}

// byLoad are the subscribers of a topic, those with the fewest partitions first.
func (b *balancer) byLoad(id log.TopicID) []int {
	order := slices.Clone(b.subscribers[id])
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.sizes[x], b.sizes[y]), cmp.Compare(x, y))
	})
	return order
}

// least is the member with the fewest partitions, the first such in order.
func (b *balancer) least(order []int) int {
	return slices.MinFunc(order, func(x, y int) int { return cmp.Compare(b.sizes[x], b.sizes[y]) })
}

func (b *balancer) assignFree(id log.TopicID) {
	order := b.byLoad(id)
	for p, owner := range b.owners[id] {
		if owner < 0 {
			b.give(id, int32(p), b.least(order))
		}
	}
}

// balance goes through the topics until a whole round has moved nothing.
func (b *balancer) balance() {
	topics := slices.DeleteFunc(slices.Clone(b.topics), func(id log.TopicID) bool { return len(b.subscribers[id]) < 2 })
	last := -1 // the topic that was moved last
	for range maxRounds {
		for i, id := range topics {
			if i == last {
				return
			}
			if moved := b.balanceTopic(id); moved > 0 || last < 0 {
				last = i
			}
		}
	}
}

// balanceTopic moves partitions of a topic from the member with most to the one
// with least, until they differ by one at most or nobody with more has any.
func (b *balancer) balanceTopic(id log.TopicID) int {
	order := b.byLoad(id)
	owned := map[int][]int32{}
	for p, owner := range b.owners[id] {
		owned[owner] = append(owned[owner], int32(p))
	}
	givers := slices.Clone(order)
	slices.Reverse(givers) // of members with equally many the last one in order gives
	moved := 0
	for {
		givers = slices.DeleteFunc(givers, func(i int) bool { return len(owned[i]) == 0 })
		if len(givers) == 0 {
			return moved
		}
		most := slices.MinFunc(givers, func(x, y int) int { return cmp.Compare(b.sizes[y], b.sizes[x]) })
		least := b.least(order)
		if b.sizes[most]-b.sizes[least] <= 1 {
			return moved
		}
		ps := owned[most]
		owned[most] = ps[:len(ps)-1]
		b.give(id, ps[len(ps)-1], least)
		moved++
	}
}
