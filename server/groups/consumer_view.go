package groups

import (
	"cmp"
	"maps"
	"slices"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
)

// consumerView is what a group's members want, with one of them changed or some
// gone: what a heartbeat has to look at before its records are applied.
type consumerView struct {
	members []*consumerMember // by id
	regexes map[string]*resolvedRegex
}

// view are the members with one as it will be, unless that is nil; it takes the
// place of the one with its id, and of the one with its instance id.
func (g *consumerGroup) view(updated *consumerMember, without ...*consumerMember) consumerView {
	v := consumerView{regexes: map[string]*resolvedRegex{}}
	for _, m := range g.members.All() {
		if updated != nil && (m.id == updated.id || (m.instanceID != nil && same(m.instanceID, updated.instanceID))) {
			continue
		}
		if slices.Contains(without, m) {
			continue
		}
		v.members = append(v.members, m)
	}
	if updated != nil {
		v.members = append(v.members, updated)
	}
	slices.SortFunc(v.members, func(a, b *consumerMember) int { return cmp.Compare(a.id, b.id) })
	for _, m := range v.members {
		if r, ok := g.regexes.Get(m.subscribedRegex()); ok {
			v.regexes[m.subscribedRegex()] = r
		}
	}
	return v
}

// subscriptionCount says how often a topic is subscribed to (SubscriptionCount).
type subscriptionCount struct{ byName, byRegex int }

// topics are those that are subscribed to, whether they exist or not.
func (v consumerView) topics() map[string]subscriptionCount {
	counts := map[string]subscriptionCount{}
	for _, m := range v.members {
		for _, t := range m.topics {
			c := counts[t]
			c.byName++
			counts[t] = c
		}
	}
	for _, r := range v.regexes {
		for _, t := range r.topics {
			c := counts[t]
			c.byRegex++
			counts[t] = c
		}
	}
	return counts
}

// subscribers counts the members of each regular expression.
func (v consumerView) subscribers() map[string]int {
	counts := map[string]int{}
	for _, m := range v.members {
		if r := m.subscribedRegex(); r != "" {
			counts[r]++
		}
	}
	return counts
}

// homogeneous tells whether all members are subscribed to the same topics
// (ConsumerGroup.subscriptionType).
func (v consumerView) homogeneous() bool {
	regexes := v.subscribers()
	for _, c := range v.topics() {
		switch len(regexes) {
		case 0:
			if c.byName != len(v.members) {
				return false
			}
		default:
			if c.byRegex != 1 || c.byName > 0 {
				return false
			}
		}
	}
	for _, n := range regexes {
		if n != len(v.members) {
			return false
		}
	}
	return true
}

// assignor is the server assignor that most members would like, or def when nobody
// has said. Where both that there are have as many, it is uniform, which comes
// first in Kafka's hash map.
func (v consumerView) assignor(def string) string {
	counts := map[string]int{}
	for _, m := range v.members {
		if m.assignor != nil {
			counts[*m.assignor]++
		}
	}
	best, most := def, 0
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(counts))) {
		if counts[name] > most {
			best, most = name, counts[name]
		}
	}
	return best
}

// topicIDs are the topics that a member is subscribed to and that exist. A regular
// expression that is not resolved yet matches nothing.
func (v consumerView) topicIDs(m *consumerMember, image *election.Image) map[log.TopicID]struct{} {
	ids := map[log.TopicID]struct{}{}
	if image == nil {
		return ids
	}
	add := func(names []string) {
		for _, n := range names {
			if t := image.Topics[n]; t != nil {
				ids[t.ID] = struct{}{}
			}
		}
	}
	add(m.topics)
	if r := v.regexes[m.subscribedRegex()]; r != nil {
		add(r.topics)
	}
	return ids
}
