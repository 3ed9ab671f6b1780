package assignor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

func topic(n byte) log.TopicID { return log.TopicID{15: n} }

func subscribed(topics ...byte) map[log.TopicID]struct{} {
	out := map[log.TopicID]struct{}{}
	for _, t := range topics {
		out[topic(t)] = struct{}{}
	}
	return out
}

func assign(t *testing.T, a assignor.Assignor, g assignor.Group) map[string]assignor.Assignment {
	t.Helper()
	out, err := a.Assign(g)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// expect compares an assignment with what Kafka's tests of its assignors expect.
func expect(t *testing.T, got, want map[string]assignor.Assignment) {
	t.Helper()
	for id, w := range want {
		if !got[id].Equal(w) {
			t.Errorf("%s has %v, want %v", id, got[id], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d members have an assignment, want %d", len(got), len(want))
	}
}

type (
	parts   = assignor.Partitions
	members = []assignor.Member
)

func TestRangeAssignsRuns(t *testing.T) {
	t.Parallel()
	instance := "a-static"
	numbers := map[log.TopicID]int32{topic(1): 3, topic(2): 2, topic(3): 2}
	cases := []struct {
		what  string
		group assignor.Group
		want  map[string]assignor.Assignment
	}{
		{
			"the first members get what cannot be divided",
			assignor.Group{
				Homogeneous: true, NumPartitions: numbers,
				Members: members{{ID: "B", Topics: subscribed(1, 3)}, {ID: "A", Topics: subscribed(1, 3)}},
			},
			map[string]assignor.Assignment{
				"A": {topic(1): parts{0, 1}, topic(3): parts{0}},
				"B": {topic(1): parts{2}, topic(3): parts{1}},
			},
		},
		{
			"different subscriptions",
			assignor.Group{
				NumPartitions: numbers,
				Members: members{
					{ID: "A", Topics: subscribed(1, 2)},
					{ID: "B", Topics: subscribed(3)},
					{ID: "C", Topics: subscribed(2, 3)},
				},
			},
			map[string]assignor.Assignment{
				"A": {topic(1): parts{0, 1, 2}, topic(2): parts{0}},
				"B": {topic(3): parts{0}},
				"C": {topic(2): parts{1}, topic(3): parts{1}},
			},
		},
		{
			"static members come first",
			assignor.Group{
				Homogeneous: true, NumPartitions: numbers,
				Members: members{{ID: "A", Topics: subscribed(1)}, {ID: "Z", InstanceID: &instance, Topics: subscribed(1)}},
			},
			map[string]assignor.Assignment{"Z": {topic(1): parts{0, 1}}, "A": {topic(1): parts{2}}},
		},
		{
			"more members than partitions",
			assignor.Group{
				Homogeneous: true, NumPartitions: numbers,
				Members: members{{ID: "A", Topics: subscribed(2)}, {ID: "B", Topics: subscribed(2)}, {ID: "C", Topics: subscribed(2)}},
			},
			map[string]assignor.Assignment{"A": {topic(2): parts{0}}, "B": {topic(2): parts{1}}, "C": {}},
		},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			expect(t, assign(t, assignor.Range{}, c.group), c.want)
		})
	}
}

func TestUniformKeepsWhatMembersHave(t *testing.T) {
	t.Parallel()
	numbers := map[log.TopicID]int32{topic(1): 3, topic(2): 3}
	cases := []struct {
		what  string
		group assignor.Group
		want  map[string]assignor.Assignment
	}{
		{
			"nobody has anything",
			assignor.Group{
				Homogeneous: true, NumPartitions: numbers,
				Members: members{{ID: "A", Topics: subscribed(1, 2)}, {ID: "B", Topics: subscribed(1, 2)}},
			},
			map[string]assignor.Assignment{"A": {topic(1): parts{0, 1, 2}}, "B": {topic(2): parts{0, 1, 2}}},
		},
		{
			"a member joins",
			assignor.Group{
				Homogeneous: true, NumPartitions: numbers,
				Members: members{
					{ID: "A", Topics: subscribed(1, 2), Assigned: assignor.Assignment{topic(1): parts{0, 2}, topic(2): parts{0}}},
					{ID: "B", Topics: subscribed(1, 2), Assigned: assignor.Assignment{topic(1): parts{1}, topic(2): parts{1, 2}}},
					{ID: "C", Topics: subscribed(1, 2)},
				},
			},
			map[string]assignor.Assignment{
				"A": {topic(1): parts{0, 2}}, "B": {topic(1): parts{1}, topic(2): parts{1}}, "C": {topic(2): parts{0, 2}},
			},
		},
		{
			"a topic is no longer subscribed to",
			assignor.Group{
				Homogeneous: true, NumPartitions: numbers,
				Members: members{
					{ID: "A", Topics: subscribed(2), Assigned: assignor.Assignment{topic(1): parts{0, 1, 2}}},
					{ID: "B", Topics: subscribed(2), Assigned: assignor.Assignment{topic(2): parts{0, 1, 2}}},
				},
			},
			map[string]assignor.Assignment{"A": {topic(2): parts{2}}, "B": {topic(2): parts{0, 1}}},
		},
		{
			"nobody is subscribed to anything", assignor.Group{
				Homogeneous: true, Members: members{{ID: "A"}},
			}, map[string]assignor.Assignment{},
		},
		{
			"different subscriptions",
			assignor.Group{
				NumPartitions: map[log.TopicID]int32{topic(1): 3, topic(2): 3, topic(3): 2},
				Members: members{
					{ID: "A", Topics: subscribed(1, 3)}, {ID: "B", Topics: subscribed(2)}, {ID: "C", Topics: subscribed(2, 3)},
				},
			},
			map[string]assignor.Assignment{
				"A": {topic(1): parts{0, 1, 2}}, "B": {topic(2): parts{0, 2}}, "C": {topic(2): parts{1}, topic(3): parts{0, 1}},
			},
		},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			expect(t, assign(t, assignor.Uniform{}, c.group), c.want)
		})
	}
}

func TestUnknownTopic(t *testing.T) {
	t.Parallel()
	for _, homogeneous := range []bool{true, false} {
		for _, name := range []string{"uniform", "range"} {
			a, ok := assignor.ByName(name)
			if !ok {
				t.Fatalf("there is no %s", name)
			}
			g := assignor.Group{Homogeneous: homogeneous, Members: members{{ID: "A", Topics: subscribed(9)}}}
			if _, err := a.Assign(g); err == nil {
				t.Errorf("%s, homogeneous %v: no error", name, homogeneous)
			}
		}
	}
}

func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestRandomGroups lets groups live: members come and go, topics grow. After each
// change every partition has one owner, who is subscribed to it; nobody could
// have less to somebody's good; and to assign once more changes nothing.
func TestRandomGroups(t *testing.T) {
	t.Parallel()
	r := random(t)
	for round := range 300 {
		g := assignor.Group{Homogeneous: round%2 == 0, NumPartitions: map[log.TopicID]int32{}}
		for i := range byte(1 + r.IntN(5)) {
			g.NumPartitions[topic(i)] = r.Int32N(20)
		}
		name := []string{"uniform", "range"}[round/2%2]
		a, _ := assignor.ByName(name)
		for step := range 8 {
			change(r, &g, step)
			out := assign(t, a, g)
			checkOwners(t, g, out)
			if name == "uniform" {
				checkBalance(t, g, out)
				checkSticky(t, g, out)
			}
			for i := range g.Members {
				g.Members[i].Assigned = out[g.Members[i].ID]
			}
			for id, again := range assign(t, a, g) {
				if !again.Equal(out[id]) {
					t.Fatalf("round %d, step %d, %s: %s has %v, and then %v", round, step, name, id, out[id], again)
				}
			}
			if t.Failed() {
				t.Fatalf("round %d, step %d, %s: %+v gave %v", round, step, name, g, out)
			}
		}
	}
}

func change(r *rand.Rand, g *assignor.Group, step int) {
	if len(g.Members) > 1 && r.IntN(3) == 0 {
		i := r.IntN(len(g.Members))
		g.Members = slices.Delete(g.Members, i, i+1)
	}
	for range 1 + r.IntN(3) {
		g.Members = append(g.Members, assignor.Member{ID: fmt.Sprintf("%d-%d", step, r.Uint32())})
	}
	grown := topic(byte(r.IntN(len(g.NumPartitions))))
	g.NumPartitions[grown] += r.Int32N(3)
	for i := range g.Members {
		m := &g.Members[i]
		if m.Topics != nil && !g.Homogeneous && r.IntN(4) > 0 {
			continue
		}
		m.Topics = map[log.TopicID]struct{}{}
		for id := range g.NumPartitions {
			if g.Homogeneous || r.IntN(2) == 0 {
				m.Topics[id] = struct{}{}
			}
		}
	}
}

func checkOwners(t *testing.T, g assignor.Group, out map[string]assignor.Assignment) {
	t.Helper()
	owners := map[log.PartitionID]string{}
	anybody := map[log.TopicID]bool{}
	for _, m := range g.Members {
		for id := range m.Topics {
			anybody[id] = true
		}
		for id, ps := range out[m.ID] {
			if _, ok := m.Topics[id]; !ok {
				t.Errorf("%s has %x and is not subscribed to it", m.ID, id)
			}
			if len(ps) == 0 || !slices.IsSorted(ps) {
				t.Errorf("%s has %v of %x", m.ID, ps, id)
			}
			for _, p := range ps {
				if other, ok := owners[log.PartitionID{Topic: id, Partition: p}]; ok {
					t.Errorf("%x-%d is given to %s and to %s", id, p, other, m.ID)
				}
				owners[log.PartitionID{Topic: id, Partition: p}] = m.ID
			}
		}
	}
	for id, n := range g.NumPartitions {
		for p := range n {
			if _, ok := owners[log.PartitionID{Topic: id, Partition: p}]; !ok && anybody[id] {
				t.Errorf("%x-%d is given to nobody", id, p)
			}
		}
	}
}

// checkBalance: nobody has two more than somebody who could take one of them.
func checkBalance(t *testing.T, g assignor.Group, out map[string]assignor.Assignment) {
	t.Helper()
	for _, rich := range g.Members {
		for _, poor := range g.Members {
			if out[rich.ID].Len()-out[poor.ID].Len() < 2 {
				continue
			}
			for id := range out[rich.ID] {
				if _, ok := poor.Topics[id]; ok {
					t.Errorf("%s has %d, %s has %d and could take %x", rich.ID, out[rich.ID].Len(), poor.ID, out[poor.ID].Len(), id)
				}
			}
		}
	}
}

// checkSticky: in a homogeneous group a member keeps what it had, up to the
// quota.
func checkSticky(t *testing.T, g assignor.Group, out map[string]assignor.Assignment) {
	t.Helper()
	if !g.Homogeneous {
		return
	}
	total := 0
	for _, n := range g.NumPartitions {
		total += int(n)
	}
	for _, m := range g.Members {
		kept := 0
		for id, ps := range m.Assigned {
			for _, p := range ps {
				if slices.Contains(out[m.ID][id], p) {
					kept++
				}
			}
		}
		if kept < min(m.Assigned.Len(), total/len(g.Members)) {
			t.Errorf("%s had %d, kept %d of %d", m.ID, m.Assigned.Len(), kept, out[m.ID].Len())
		}
	}
}
