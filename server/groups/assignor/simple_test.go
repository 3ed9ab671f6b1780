package assignor_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

func TestSimpleSharesPartitions(t *testing.T) {
	t.Parallel()
	for members := 1; members <= 7; members++ {
		for partitions := int32(0); partitions <= 7; partitions++ {
			t.Run(fmt.Sprintf("%d members of %d partitions", members, partitions), func(t *testing.T) {
				t.Parallel()
				g := assignor.ShareGroup{Homogeneous: true, Partitions: map[log.TopicID][]int32{}}
				for p := range partitions {
					g.Partitions[topic(1)] = append(g.Partitions[topic(1)], p)
				}
				for m := range members {
					g.Members = append(g.Members, assignor.Member{ID: fmt.Sprint(m), Topics: subscribed(1)})
				}
				first := assignor.Simple{}.Assign(g)
				checkShares(t, g, first)
				// Nothing moves by itself, and one who leaves takes nothing from others.
				for i := range g.Members {
					g.Members[i].Assigned = first[g.Members[i].ID]
				}
				if again := (assignor.Simple{}).Assign(g); !maps.EqualFunc(first, again, func(a, b assignor.Assignment) bool { return a.Equal(b) }) {
					t.Errorf("assigned %v, and then %v", first, again)
				}
				g.Members = g.Members[1:]
				if len(g.Members) > 0 {
					checkShares(t, g, assignor.Simple{}.Assign(g))
				}
			})
		}
	}
}

func checkShares(t *testing.T, g assignor.ShareGroup, got map[string]assignor.Assignment) {
	t.Helper()
	least, most, all := 1<<30, 0, map[int32]int{}
	for _, m := range g.Members {
		ps := got[m.ID][topic(1)]
		if len(slices.Compact(slices.Sorted(slices.Values(ps)))) != len(ps) {
			t.Errorf("%s has a partition twice: %v", m.ID, ps)
		}
		least, most = min(least, len(ps)), max(most, len(ps))
		for _, p := range ps {
			all[p]++
		}
	}
	n := len(g.Partitions[topic(1)])
	if len(all) != n {
		t.Errorf("%d of %d partitions are assigned: %v", len(all), n, got)
	}
	if n > 0 && (least == 0 || most-least > 1) {
		t.Errorf("members have %d to %d partitions: %v", least, most, got)
	}
}

func TestSimpleHeedsSubscriptions(t *testing.T) {
	t.Parallel()
	g := assignor.ShareGroup{
		Partitions: map[log.TopicID][]int32{topic(1): {0, 1}, topic(2): {0}, topic(3): {0}},
		Members: []assignor.Member{
			{ID: "A", Topics: subscribed(1)}, {ID: "B", Topics: subscribed(1, 2)}, {ID: "C", Topics: subscribed(2)},
		},
	}
	got := assignor.Simple{}.Assign(g)
	expect(t, got, map[string]assignor.Assignment{
		"A": {topic(1): parts{0}}, "B": {topic(1): parts{1}, topic(2): parts{0}}, "C": {topic(2): parts{0}},
	})
}
