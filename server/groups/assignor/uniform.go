package assignor

import (
	"slices"

	"github.com/minikafka/minikafka/log"
)

// Uniform spreads the partitions so that members differ by one at most where
// their subscriptions allow it, and members keep what they have as far as that
// allows (UniformAssignor).
type Uniform struct{}

// Name is "uniform".
func (Uniform) Name() string { return "uniform" }

// Assign implements [Assignor].
func (Uniform) Assign(g Group) (map[string]Assignment, error) {
	if len(g.Members) == 0 {
		return map[string]Assignment{}, nil
	}
	g.Members = hashOrder(g.Members)
	if g.Homogeneous {
		return assignHomogeneous(g)
	}
	b, err := newBalancer(g)
	if err != nil {
		return nil, err
	}
	return b.assign(), nil
}

type topicPartition struct {
	topic     log.TopicID
	partition int32
}

// homogeneous is a group whose members are all subscribed to the same topics
// (UniformHomogeneousAssignmentBuilder): everybody keeps what he has up to his
// quota, and what is left goes to those below theirs.
type homogeneous struct {
	topics     map[log.TopicID]struct{}
	quota      int // of every member
	extra      int // members that may still have one more
	unassigned []topicPartition
	unfilled   []unfilled
	out        map[string]Assignment
}

type unfilled struct {
	member string
	quota  int
}

func assignHomogeneous(g Group) (map[string]Assignment, error) {
	h := &homogeneous{topics: g.Members[0].Topics, out: map[string]Assignment{}}
	if len(h.topics) == 0 {
		return h.out, nil
	}
	taken := map[topicPartition]struct{}{}
	for _, m := range g.Members {
		for id, ps := range m.Assigned {
			for _, p := range ps {
				taken[topicPartition{id, p}] = struct{}{}
			}
		}
	}
	total := 0
	for _, id := range sortedTopics(h.topics) {
		n, err := g.partitions(id)
		if err != nil {
			return nil, err
		}
		for p := range n {
			if _, ok := taken[topicPartition{id, p}]; !ok {
				h.unassigned = append(h.unassigned, topicPartition{id, p})
			}
		}
		total += int(n)
	}
	h.quota, h.extra = total/len(g.Members), total%len(g.Members)
	for i, m := range g.Members {
		h.keep(m, len(g.Members)-i)
	}
	h.handOut()
	return h.out, nil
}

// keep leaves a member what is in its quota. left is the number of members from
// it on: who comes last must take the partitions beyond the quota.
func (h *homogeneous) keep(m Member, left int) {
	quota := h.quota
	extra := h.extra > 0
	if extra {
		quota++
	}
	kept := Assignment{}
	for _, id := range m.Assigned.Topics() {
		if _, ok := h.topics[id]; !ok {
			continue
		}
		ps := m.Assigned[id]
		n := min(len(ps), quota)
		quota -= n
		if n > 0 {
			kept[id] = ps[:n:n]
		}
		for _, p := range ps[n:] {
			h.unassigned = append(h.unassigned, topicPartition{id, p})
		}
	}
	if quota > 0 && extra && left > h.extra {
		quota--
		extra = false
	}
	if quota > 0 {
		h.unfilled = append(h.unfilled, unfilled{m.ID, quota})
	}
	if extra {
		h.extra--
	}
	h.out[m.ID] = kept
}

func (h *homogeneous) handOut() {
	for _, u := range h.unfilled {
		n := min(u.quota, len(h.unassigned))
		assigned := h.out[u.member]
		for _, tp := range h.unassigned[:n] {
			assigned[tp.topic] = append(slices.Clip(assigned[tp.topic]), tp.partition)
		}
		for id, ps := range assigned {
			assigned[id] = sorted(ps)
		}
		h.unassigned = h.unassigned[n:]
	}
}

func sorted(ps Partitions) Partitions {
	if slices.IsSorted(ps) {
		return ps
	}
	ps = slices.Clone(ps)
	slices.Sort(ps)
	return ps
}
