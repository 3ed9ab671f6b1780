package election

import "testing"

// The rows carry the numbers of Kafka's behaviour that they hold; the words in
// the script are in script_test.go. A state is: leader, leader epoch, partition
// epoch, ISR, ELR, last known leader.
func TestElection(t *testing.T) {
	t.Parallel()
	var rows []row
	add := func(name, script, on, off string, err error) {
		rows = append(rows, row{name: name, script: script, on: on, off: off, err: err})
	}
	both := func(name, script, want string, err error) {
		add(name, script, want, want, err)
	}
	both("new partition", "", "1 e0 p0 isr[1 2 3]", nil)
	both("E01 follower fenced", "fence 3", "1 e0 p1 isr[1 2]", nil)
	both("fenced twice", "fence 3; fence 3", "1 e0 p1 isr[1 2]", nil)
	both("E04 unfencing does not bring a follower back", "fence 3; unfence 3", "1 e0 p1 isr[1 2]", nil)
	both("E04 the leader does", "fence 3; unfence 3; isr 1 2 3", "1 e0 p2 isr[1 2 3]", nil)
	both("E05 leader fenced", "fence 1", "2 e1 p1 isr[2 3]", nil)
	both("E06 controlled shutdown of the leader", "shutdown 1", "2 e1 p1 isr[2 3]", nil)
	both("E06 controlled shutdown of a follower", "shutdown 2", "1 e0 p1 isr[1 3]", nil)
	both("fenced after its shutdown", "shutdown 1; fence 1", "2 e1 p1 isr[2 3]", nil)
	both("E07 old leader back is a follower", "fence 1; unfence 1", "2 e1 p1 isr[2 3]", nil)
	both("E07 even when in the ISR", "fence 1; unfence 1; isr 2 3 1", "2 e1 p2 isr[2 3 1]", nil)
	both("ISR order does not matter", "isr 1 3 2; fence 1", "2 e1 p2 isr[3 2]", nil)
	both("a broker in shutdown is not elected", "shutdown 2; fence 1", "3 e1 p2 isr[3]", nil)
	both("unregistered leader", "unregister 1", "2 e1 p1 isr[2 3]", nil)
	both("offline leader", "offline 1", "2 e1 p1 isr[2 3]", nil)
	both("an offline replica is not elected", "offline 1; isr 2; fence 2; unclean", "3 e3 p4 isr[3] recovering", nil)
	both("an offline replica joins no ISR", "offline 1; isr 2 3 1", "2 e1 p1 isr[2 3]", ErrIneligibleReplica)
	both("until it registers again", "offline 1; crashed 1; unfence 1; isr 2 3 1", "2 e1 p2 isr[2 3 1]", nil)

	// E08: the last member dies.
	add("E08 all dead but one that fell behind", "isr 1; fence 1",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	add("E08 ends when it returns after a pause", "isr 1; fence 1; unfence 1",
		"1 e2 p3 isr[1]", "1 e2 p3 isr[1]", nil)
	add("E09 after kill -9", "isr 1; fence 1; crashed 1",
		"-1 e1 p3 isr[] last[1]", "-1 e1 p2 isr[1]", nil)
	add("E09 after kill -9, unfenced", "isr 1; fence 1; crashed 1; unfence 1",
		"1 e2 p4 isr[1] recovering", "1 e2 p3 isr[1]", nil)
	add("E09 after a clean shutdown", "isr 1; shutdown 1; fence 1; stopped 1; unfence 1",
		"1 e2 p3 isr[1]", "1 e2 p3 isr[1]", nil)
	add("others do not lead meanwhile", "isr 1; fence 1; fence 2; unfence 2",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	add("the last member shuts down", "isr 1; shutdown 1",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)

	// Unclean elections.
	both("E10 unclean allowed", "allow-unclean true; isr 1; fence 1", "2 e1 p2 isr[2] recovering", nil)
	both("E10 allowed for the cluster", "cluster-allow-unclean true; isr 1; fence 1", "2 e1 p2 isr[2] recovering", nil)
	both("E10 allowed by static config", "static-allow-unclean TRUE; isr 1; fence 1", "2 e1 p2 isr[2] recovering", nil)
	add("E10 the cluster's goes before the static one", "static-allow-unclean true; cluster-allow-unclean false; isr 1; fence 1",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	add("E10 the topic's goes before the cluster's", "cluster-allow-unclean true; allow-unclean false; isr 1; fence 1",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	both("E10 takes the first live one of the assignment", "allow-unclean true; isr 1; fence 2; fence 1", "3 e1 p2 isr[3] recovering", nil)
	both("E10 not while a clean one lives", "allow-unclean true; fence 1", "2 e1 p1 isr[2 3]", nil)
	both("E10 none alive", "allow-unclean true; fence 1 2 3", "-1 e3 p3 isr[3]", nil)
	rows[len(rows)-1].on = "-1 e3 p3 isr[] elr[3] last[3]"
	add("E11 allowed later", "isr 1; fence 1; allow-unclean true",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	both("E11 elected by the periodic round", "isr 1; fence 1; allow-unclean true; sweep unclean", "2 e2 p3 isr[2] recovering", nil)
	add("the periodic round asks for the config", "isr 1; fence 1; sweep unclean",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	both("recovered by the leader's next change", "allow-unclean true; isr 1; fence 1; unfence 1; isr 2 1", "2 e1 p3 isr[2 1]", nil)
	add("unclean allowed and a clean one back", "isr 1; fence 1; unfence 1; allow-unclean true",
		"1 e2 p3 isr[1]", "1 e2 p3 isr[1]", nil)
	both("E10 a returning replica is elected uncleanly", "allow-unclean true; isr 1; fence 2 3; fence 1; unfence 3", "3 e2 p3 isr[3] recovering", nil)

	// Elections that were asked for.
	both("E22 preferred already", "preferred", "1 e0 p0 isr[1 2 3]", ErrElectionNotNeeded)
	both("preferred", "fence 1; unfence 1; isr 1 2 3; preferred", "1 e2 p3 isr[1 2 3]", nil)
	both("E23 preferred dead", "fence 1; preferred", "2 e1 p1 isr[2 3]", ErrPreferredNotAvailable)
	both("E23 preferred out of the ISR", "fence 1; unfence 1; preferred", "2 e1 p1 isr[2 3]", ErrPreferredNotAvailable)
	both("E24 unclean with a leader", "unclean", "1 e0 p0 isr[1 2 3]", ErrElectionNotNeeded)
	add("E25 unclean, none alive", "fence 1 2 3; unclean",
		"-1 e3 p3 isr[] elr[3] last[3]", "-1 e3 p3 isr[3]", ErrEligibleNotAvailable)
	both("unclean needs no config", "isr 1; fence 1; unclean", "2 e2 p3 isr[2] recovering", nil)
	both("rebalance", "fence 1; unfence 1; isr 2 3 1; sweep preferred", "1 e2 p3 isr[2 3 1]", nil)
	both("rebalance leaves who is not in the ISR", "fence 1; unfence 1; sweep preferred", "2 e1 p1 isr[2 3]", nil)

	// A new incarnation strips the old one (KAFKA-18106).
	both("follower registers again", "crashed 2", "1 e0 p1 isr[1 3]", nil)
	both("leader registers again", "crashed 1", "2 e1 p1 isr[2 3]", nil)
	both("leader registers again after a clean shutdown", "stopped 1", "2 e1 p1 isr[2 3]", nil)
	add("the only member registers again", "isr 1; crashed 1",
		"-1 e1 p2 isr[] last[1]", "-1 e1 p2 isr[1]", nil)
	add("the only member registers again after a clean shutdown", "isr 1; stopped 1",
		"-1 e1 p2 isr[] elr[1] last[1]", "-1 e1 p2 isr[1]", nil)
	runRows(t, rows)
}

func TestElectionOrder(t *testing.T) {
	t.Parallel()
	runRows(t, []row{
		{name: "assignment's, not the ISR's", replicas: []int32{1, 3, 2}, script: "isr 1 2 3; fence 1", on: "3 e1 p2 isr[2 3]", off: "3 e1 p2 isr[2 3]"},
		{name: "not the ids'", replicas: []int32{3, 2, 1}, script: "fence 3", on: "2 e1 p1 isr[2 1]", off: "2 e1 p1 isr[2 1]"},
	})
}

// TestELR is KIP-966's part, with min.insync.replicas 2.
func TestELR(t *testing.T) {
	t.Parallel()
	rows := []row{
		{name: "E28 ISR 2", script: "fence 3", on: "1 e0 p1 isr[1 2]"},
		{name: "E28 ISR 1", script: "fence 3; fence 2", on: "1 e0 p2 isr[1] elr[2]", off: "1 e0 p2 isr[1]"},
		{name: "E28 ISR 0", script: "fence 3 2 1", on: "-1 e1 p3 isr[] elr[1 2] last[1]", off: "-1 e1 p3 isr[1]"},
		{name: "E28 the first to return leads", script: "fence 3 2 1; unfence 2", on: "2 e2 p4 isr[2] elr[1]", off: "-1 e1 p3 isr[1]"},
		{name: "E28 a stranger does not", script: "fence 3 2 1; unfence 3", on: "-1 e1 p3 isr[] elr[1 2] last[1]"},
		{name: "the ELR ends with the minimum", script: "fence 3 2 1; unfence 2; unfence 1; isr 2 1", on: "2 e2 p5 isr[2 1]"},
		{name: "an ELR member joins the ISR below the minimum", min: "3", script: "fence 3 2; unfence 2; isr 1 2", on: "1 e0 p3 isr[1 2] elr[3]"},
		{name: "the ELR is not used while the ISR has a member", script: "fence 3 2; unfence 2", on: "1 e0 p2 isr[1] elr[2]"},
		{name: "E29 unclean return leaves the ELR", script: "fence 3 2; crashed 2", on: "1 e0 p3 isr[1]"},
		{name: "E29 and cannot be elected", script: "fence 3 2 1; crashed 2; unfence 2", on: "-1 e1 p4 isr[] elr[1] last[1]"},
		{name: "a clean return stays", script: "fence 3 2; stopped 2", on: "1 e0 p2 isr[1] elr[2]"},
		{name: "a clean return can be elected", script: "fence 3 2 1; stopped 2; unfence 2", on: "2 e2 p4 isr[2] elr[1]"},
		{name: "a clean return of another epoch is unclean", script: "fence 3 2 1; stopped 2; crashed 2; unfence 2", on: "-1 e1 p4 isr[] elr[1] last[1]"},
		{name: "E30 last known leader first, elected when the other registers", script: "fence 3 2 1; crashed 1; unfence 1", on: "-1 e1 p4 isr[] elr[2] last[1]"},
		{name: "E30 then", script: "fence 3 2 1; crashed 1; unfence 1; crashed 2", on: "1 e2 p5 isr[1] recovering"},
		{name: "E30 preferred has none", script: "fence 3 2 1; crashed 1; unfence 1; preferred", on: "-1 e1 p4 isr[] elr[2] last[1]", err: ErrPreferredNotAvailable},
		{name: "E30 last known leader returns last", script: "fence 3 2 1; crashed 2; unfence 2; crashed 1; unfence 1", on: "1 e2 p6 isr[1] recovering"},
		{name: "E30 none but the last known leader", script: "fence 3 2 1; crashed 2 1; unfence 2 3", on: "-1 e1 p5 isr[] last[1]"},
		{name: "E30 preferred elects the last known leader only", script: "fence 3 2 1; crashed 2 1; unfence 2; preferred", on: "-1 e1 p5 isr[] last[1]", err: ErrPreferredNotAvailable},
		{name: "unclean election clears the ELR", script: "fence 3 2 1; unfence 3; unclean", on: "3 e2 p4 isr[3] recovering"},
		{name: "unclean election prefers the ELR", script: "allow-unclean true; fence 3 2 1; unfence 2", on: "2 e2 p4 isr[2] elr[1]"},
		{name: "the last known leader stays known", script: "fence 3 2 1; crashed 2; crashed 1", on: "-1 e1 p5 isr[] last[1]"},
		{name: "unregistered from the ISR stays eligible", script: "fence 3; unregister 2", on: "1 e0 p2 isr[1] elr[2]"},
		{name: "turned off", script: "fence 3 2; elr off; unfence 2; isr 1 2", on: "1 e0 p3 isr[1 2]"},
		{name: "turned off, the next change clears it", script: "fence 3 2 1; elr off; unfence 2", on: "-1 e1 p4 isr[]"},
		{name: "turned off while leaderless, and the last member back", script: "fence 3 2 1; elr off; unfence 1", on: "-1 e1 p4 isr[]"},
		{name: "turned on", script: "fence 3; elr on; fence 2", off: "1 e0 p2 isr[1] elr[2]"},
		{name: "turned on while leaderless", script: "fence 3 2 1; elr on; unfence 1", off: "1 e2 p4 isr[1]"},
	}
	for i := range rows {
		if rows[i].min == "" {
			rows[i].min = "2"
		}
	}
	runRows(t, rows)
}

// TestELRWaitsForTheISR: while the ISR has a member, dead as it may be, nobody is
// elected from the ELR.
func TestELRWaitsForTheISR(t *testing.T) {
	t.Parallel()
	p := &Partition{Replicas: []int32{1, 2, 3}, ISR: []int32{1}, ELR: []int32{2}, Leader: noLeader}
	r := rules{elr: true, minISR: 2, acceptable: func(replica int32) bool { return replica == 2 }}
	if next := r.apply(p, unchanged(p, electOnline)); next != nil {
		t.Error(show(next))
	}
	p.ISR = nil
	if next := r.apply(p, unchanged(p, electOnline)); next == nil || next.Leader != 2 {
		t.Error("nobody was elected from the ELR")
	}
}

// TestMinISRConfig is what changes of min.insync.replicas do to the ELR.
func TestMinISRConfig(t *testing.T) {
	t.Parallel()
	runRows(t, []row{
		{name: "raising leaves the ELR empty", script: "isr 1; min 2", on: "1 e0 p1 isr[1]"},
		{name: "raising counts at the next change", script: "isr 1 2; min 2; fence 2", on: "1 e0 p2 isr[1] elr[2]"},
		{name: "lowering clears the ELR", min: "2", script: "isr 1; min 1", on: "1 e0 p2 isr[1]"},
		{name: "setting the same keeps it", min: "2", script: "isr 1; min 2", on: "1 e0 p1 isr[1] elr[2 3]"},
		{name: "setting the cluster's clears it", min: "2", script: "isr 1; cluster-min 3", on: "1 e0 p2 isr[1]"},
		{name: "setting the cluster's same clears it", min: "2", script: "isr 1; cluster-min 1", on: "1 e0 p2 isr[1]"},
		{name: "the cluster's counts", script: "cluster-min 2; isr 1", on: "1 e0 p1 isr[1] elr[2 3]"},
		{name: "the topic's goes first", script: "cluster-min 2; min 1; isr 1", on: "1 e0 p1 isr[1]"},
		{name: "removing the topic's", min: "2", script: "min; isr 1", on: "1 e0 p1 isr[1]"},
		{name: "bounded by the replication factor", min: "5", script: "isr 1 2 3", on: "1 e0 p0 isr[1 2 3]"},
		{name: "bounded, one lost", min: "5", script: "isr 1 2", on: "1 e0 p1 isr[1 2] elr[3]"},
		{name: "off", min: "2", script: "isr 1; min 1", off: "1 e0 p1 isr[1]"},
	})
}

func TestEffectiveMinISR(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	for _, c := range []struct {
		min, rf string
		want    int
	}{{"5", "1 2", 2}, {"2", "1 2 3", 2}, {"1", "1", 1}} {
		w.create(numbers(c.rf), map[string]string{minISRConfig: c.min})
		e := newEdit(w.image, w.hidden, w.rules)
		if got := e.effectiveMinISR(e.Topics["t"]); got != c.want {
			t.Errorf("min.insync.replicas %s on %s: %d", c.min, c.rf, got)
		}
		w.must(&DeleteTopics{Topics: []TopicRef{{Name: "t"}}})
	}
}

// TestMinISROfOneTopic leaves the other topic's ELR alone.
func TestMinISROfOneTopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	w.create([]int32{1, 2, 3}, map[string]string{minISRConfig: "2"})
	w.createTopics(NewTopic{
		Name: "other", Partitions: -1, ReplicationFactor: -1, Assignment: map[int32][]int32{0: {1, 2, 3}},
		Configs: map[string]string{minISRConfig: "2"},
	})
	if err := w.run("fence 3 2; min 1"); err != nil {
		t.Fatal(err)
	}
	if got := show(w.partition()); got != "1 e0 p3 isr[1]" {
		t.Error(got)
	}
	if got := show(w.image.Topics["other"].Partitions[0]); got != "1 e0 p2 isr[1] elr[2]" {
		t.Error(got)
	}
}

func TestReassignment(t *testing.T) {
	t.Parallel()
	two := []int32{1, 2}
	both := func(name, script, want string, err error) row {
		return row{name: name, replicas: two, script: script, on: want, off: want, err: err}
	}
	runRows(t, []row{
		both("begin", "reassign 2 3", "1 e0 p1 isr[1 2] of[2 3 1] adding[3] removing[1]", nil),
		both("not before all targets are in sync", "reassign 2 3; isr 1 2", "1 e0 p1 isr[1 2] of[2 3 1] adding[3] removing[1]", nil),
		both("complete, the leader leaves", "reassign 2 3; isr 1 2 3", "2 e1 p2 isr[2 3]", ErrNewLeaderElected),
		both("complete, the leader stays", "reassign 1 3; isr 1 2 3", "1 e1 p2 isr[1 3]", nil),
		both("add only", "reassign 1 2 3; isr 1 2 3", "1 e0 p2 isr[1 2 3]", nil),
		both("remove only, at once", "reassign 1", "1 e1 p1 isr[1]", nil),
		both("remove the leader, at once", "reassign 2", "2 e1 p1 isr[2]", nil),
		both("reorder changes neither leader nor epoch", "reassign 2 1", "1 e0 p1 isr[1 2]", nil),
		both("reordered leaders can be elected", "reassign 2 1; preferred", "2 e1 p2 isr[1 2]", nil),
		both("the same", "reassign 1 2", "1 e0 p0 isr[1 2]", nil),
		both("another target replaces it", "reassign 2 3; reassign 1 3", "1 e0 p2 isr[1 2] of[1 3 2] adding[] removing[2]", nil),
		both("cancel", "reassign 2 3; cancel", "1 e1 p2 isr[1 2]", nil),
		both("A20 cancel nothing", "cancel", "1 e0 p0 isr[1 2]", ErrNoReassignment),
		{
			name: "cancel would lose all", replicas: two[:1], script: "reassign 2 3; isr 1 2; fence 1; cancel", err: ErrInvalidAssignment,
			on:  "2 e1 p3 isr[2] of[2 3 1] adding[2 3] removing[1]",
			off: "2 e1 p3 isr[2] of[2 3 1] adding[2 3] removing[1]",
		},
		{
			name: "cancel may lose all where unclean elections are allowed", replicas: two[:1],
			script: "allow-unclean true; reassign 2 3; isr 1 2; fence 1; unfence 1; cancel",
			on:     "1 e2 p4 isr[1]", off: "1 e2 p4 isr[1]",
		},
		both("empty", "reassign", "1 e0 p0 isr[1 2]", ErrInvalidAssignment),
		both("unknown broker", "reassign 1 9", "1 e0 p0 isr[1 2]", ErrInvalidAssignment),
		both("twice the same broker", "reassign 1 1", "1 e0 p0 isr[1 2]", ErrInvalidAssignment),
		both("the leader dies on the way", "reassign 2 3; fence 1", "2 e1 p2 isr[2] of[2 3 1] adding[3] removing[1]", nil),
	})
}
