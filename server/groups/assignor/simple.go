package assignor

import (
	"cmp"
	"maps"
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
// as that allows.
type Simple struct{}

// Name is the assignor's name in group.share.assignors.
func (Simple) Name() string { return "simple" }

// Assign makes an assignment.
func (Simple) Assign(g ShareGroup) map[string]Assignment {
	topics := slices.SortedFunc(maps.Keys(g.Partitions), compareTopics)
	result := make(map[string]Assignment, len(g.Members))
	for _, m := range g.Members {
		result[m.ID] = Assignment{}
	}
	if g.Homogeneous {
		topics = slices.DeleteFunc(topics, func(id log.TopicID) bool { return !anySubscribed(g.Members, id) })
		deal(g, topics, g.Members, result)
		return result
	}
	for _, id := range topics {
		var members []Member
		for _, m := range g.Members {
			if _, ok := m.Topics[id]; ok {
				members = append(members, m)
			}
		}
		deal(g, []log.TopicID{id}, members, result)
	}
	return result
}

func anySubscribed(members []Member, id log.TopicID) bool {
	for _, m := range members {
		if _, ok := m.Topics[id]; ok {
			return true
		}
	}
	return false
}

// place is a partition, and who has it.
type place struct {
	topic     log.TopicID
	partition int32
	members   []int
}

// deal gives the topics' partitions to members that are all subscribed to them.
func deal(g ShareGroup, topics []log.TopicID, members []Member, result map[string]Assignment) {
	var places []*place
	for _, id := range topics {
		for _, p := range g.Partitions[id] {
			places = append(places, &place{topic: id, partition: p})
		}
	}
	if len(places) == 0 || len(members) == 0 {
		return
	}
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	sharing := (len(members) + len(places) - 1) / len(places)
	total := sharing * len(places)
	quota := make([]int, len(members))
	for i := range members {
		quota[i] = total / len(members)
		if i < total%len(members) {
			quota[i]++
		}
	}
	for i, m := range members {
		for _, p := range places {
			if quota[i] > 0 && len(p.members) < sharing && slices.Contains(m.Assigned[p.topic], p.partition) {
				p.members = append(p.members, i)
				quota[i]--
			}
		}
	}
	fill(places, quota)
	for _, p := range places {
		for _, i := range p.members {
			a := result[members[i].ID]
			a[p.topic] = append(a[p.topic], p.partition)
		}
	}
}

// fill gives members partitions up to their quotas, those that few have first.
func fill(places []*place, quota []int) {
	for i := range quota {
		for ; quota[i] > 0; quota[i]-- {
			var best *place
			for _, p := range places {
				if !slices.Contains(p.members, i) && (best == nil || len(p.members) < len(best.members)) {
					best = p
				}
			}
			if best == nil {
				break
			}
			best.members = append(best.members, i)
		}
	}
}
