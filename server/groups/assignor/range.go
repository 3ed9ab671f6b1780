package assignor

import (
	"cmp"
	"slices"

	"github.com/minikafka/minikafka/log"
)

// Range gives each member a run of neighbouring partitions of every topic that it
// is subscribed to, so that members with the same subscriptions get the same
// partitions of topics with the same number of them (co-partitioning). Static
// members come first, by instance id, then the others by member id. It is not
// sticky: what a member had plays no part (RangeAssignor).
type Range struct{}

// Name is "range".
func (Range) Name() string { return "range" }

// rangeTopic is a topic that is being handed out.
type rangeTopic struct {
	partitions, subscribers int32
	next, handed            int32
}

// Assign implements [Assignor].
func (Range) Assign(g Group) (map[string]Assignment, error) {
	members := slices.Clone(g.Members)
	slices.SortFunc(members, compareMembers)
	topics := map[log.TopicID]*rangeTopic{}
	for i := range members {
		for id := range subscribedTo(g, members, i) {
			if topics[id] == nil {
				n, err := g.partitions(id)
				if err != nil {
					return nil, err
				}
				topics[id] = &rangeTopic{partitions: n}
			}
			topics[id].subscribers++
		}
	}
	out := make(map[string]Assignment, len(members))
	for i, m := range members {
		assigned := Assignment{}
		for id := range subscribedTo(g, members, i) {
			if run := topics[id].run(); len(run) > 0 {
				assigned[id] = run
			}
		}
		out[m.ID] = assigned
	}
	return out, nil
}

// subscribedTo are the topics of a member; in a homogeneous group those of the
// first one count for all.
func subscribedTo(g Group, members []Member, i int) map[log.TopicID]struct{} {
	if g.Homogeneous {
		i = 0
	}
	return members[i].Topics
}

// run are the partitions of the next member: the first members get one more when
// the number cannot be divided.
func (t *rangeTopic) run() Partitions {
	n := t.partitions / t.subscribers
	if t.handed < t.partitions%t.subscribers {
		n++
	}
	t.handed++
	run := make(Partitions, 0, n)
	for range n {
		run = append(run, t.next)
		t.next++
	}
	return run
}

func compareMembers(a, b Member) int {
	switch {
	case a.InstanceID != nil && b.InstanceID != nil:
		return cmp.Compare(*a.InstanceID, *b.InstanceID)
	case a.InstanceID != nil:
		return -1
	case b.InstanceID != nil:
		return 1
	}
	return cmp.Compare(a.ID, b.ID)
}
