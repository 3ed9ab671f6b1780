package conformance_test

// shareLeaderRows are about share groups when leaders and coordinators change.
func shareLeaderRows() []row {
	return []row{
		{id: "S35", title: "a new leader knows what is accepted, and how often records were released; what is in flight is delivered again", run: func(e *env) {
			g := e.shareGroup(fromEarliest())
			t := e.topic(on(e.A, e.B))
			s := e.sharer(g, t).waitPartitions(t, 1)
			e.put(t, "a", "b", "c", "d")
			s.gets(e.A, shareFetch{topic: t}, "0-3 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 0, 0), acking(ackRelease, 1, 1), acking(ackAccept, 2, 2))
			e.prefer(t, e.B, e.A)
			check(e, "electing B", e.elect(t, preferred), none)
			e.waitLeader(t, e.B)
			check(e, "an acknowledgement at the old leader", s.acks(e.A, t, acking(ackAccept, 3, 3)) != none, true)
			s.session = nil
			s.gets(e.B, shareFetch{topic: t}, "1-1 x2, 3-3 x1")
		}},
		{id: "S36", title: "when leader and share coordinator are killed, what was accepted is so", during: aBrokerIsKilled, run: func(e *env) {
			g := e.shareGroup(fromEarliest())
			t := e.topic(on(e.C, e.A))
			s := e.sharer(g, t).waitPartitions(t, 1)
			e.put(t, "a", "b")
			s.gets(e.C, shareFetch{topic: t}, "0-1 x1")
			s.acknowledges(e.C, t, acking(ackAccept, 0, 0))
			e.next("C is killed")
			e.next("C is fenced")
			e.waitLeader(t, e.A)
			s.session = nil
			s.gets(e.A, shareFetch{topic: t}, "1-1 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 1, 1))
			e.next("C is back")
		}},
	}
}
