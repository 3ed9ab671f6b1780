package conformance_test

import "fmt"

// lastReplicaRows are the rows of part E in which all in-sync replicas are gone: who may lead then, and what is lost.
func lastReplicaRows() []row {
	return append(eligibleRows(), []row{
		{id: "E08", title: "all in-sync replicas are dead and another is alive: nobody leads, the last one is eligible", during: allBrokersAreKilled, run: func(e *env) {
			t := e.alone()
			p := e.waitLeader(t, -1)
			check(e, "error in Metadata", p.code, leaderNotAvailable)
			described := e.waitEligible(t, nil, []int32{e.C})
			checkSet(e, "last known leader", described.LastKnownELR, e.C)
			e.refused(e.produce(e.A, writing(t, "x")), notLeaderOrFollower)
		}},
		{id: "E08-off", title: "the same without eligible leader replicas: the ISR keeps the last one", during: allBrokersAreKilled, withoutELR: true, run: func(e *env) {
			t := e.alone()
			p := e.waitLeader(t, -1)
			check(e, "error in Metadata", p.code, leaderNotAvailable)
			e.waitEligible(t, []int32{e.C}, nil)
			e.refused(e.produce(e.A, writing(t, "x")), notLeaderOrFollower)
		}},
		{id: "E09", title: "the last in-sync replica returns from its crash, is the last known leader, and leads again; nothing is lost", during: allBrokersAreKilled, run: lastReplicaReturns},
		{id: "E09-off", title: "the same without eligible leader replicas", during: allBrokersAreKilled, withoutELR: true, run: lastReplicaReturns},
		{id: "E10", title: "with unclean.leader.election.enable the live replica leads at once, and what it had not copied is lost", during: allBrokersAreKilled, run: func(e *env) {
			t := e.alone(with("unclean.leader.election.enable", "true"))
			checkSet(e, "in-sync replicas", e.waitLeader(t, e.A).isr, e.A)
			e.holds(t, "first")
			e.next("C is back")
			e.waitISR(t, e.A, e.C)
			e.holds(t, "first")
			check(e, "log end of the old leader", e.end(e.C, t), 1)
		}},
		{id: "E11", title: "unclean election is switched on, or asked for, when nobody leads already", during: allBrokersAreKilled, run: func(e *env) {
			asked := e.topic(on(e.C, e.A))
			t := e.alone()
			e.waitLeader(t, -1)
			e.waitLeader(asked, -1)
			check(e, "asking for an unclean election", e.elect(asked, unclean), none)
			checkSet(e, "in-sync replicas", e.waitLeader(asked, e.A).isr, e.A)
			e.setConfig(t, "unclean.leader.election.enable", "true")
			checkSet(e, "in-sync replicas", e.waitLeader(t, e.A).isr, e.A)
			e.holds(t, "first")
		}},
		{id: "E12", title: "after an unclean election below the minimum ISR: acks=all is refused, acks=1 is stored and cannot be read", during: allBrokersAreKilled, run: func(e *env) {
			t := e.alone(with("unclean.leader.election.enable", "true"), with("min.insync.replicas", "2"))
			e.waitLeader(t, e.A)
			e.waitShort(e.A, t)
			w := writing(t, "unseen")
			w.acks = acksLeader
			got := e.produce(e.A, w)
			check(e, "acks=1: answer", got.code, none)
			hidden := e.fetch(e.A, read{topic: t, offset: got.base})
			check(e, "reading it: answer", hidden.code, none)
			check(e, "reading it: records", len(hidden.batches), 0)
			e.next("C is back")
			e.waitISR(t, e.A, e.C)
			e.wait("the record to be readable", func() error {
				return is("records", fmt.Sprint(e.fetch(e.A, read{topic: t, offset: got.base}).values()), "[unseen]")
			})
		}},
		{id: "E13", title: "a consumer that read further than the unclean leader's log is out of range, or is told where the logs diverged", during: allBrokersAreKilled, run: func(e *env) {
			t := e.topic(on(e.C, e.A), with("unclean.leader.election.enable", "true"))
			e.put(t, "first")
			e.next("A is killed")
			e.waitISR(t, e.C)
			e.put(t, "second")
			old := e.partition(t).epoch
			e.next("A alone is back")
			e.waitLeader(t, e.A)
			check(e, "answer without an epoch", e.fetch(e.A, read{topic: t, offset: 2}).code, offsetOutOfRange)
			got := e.fetch(e.A, read{topic: t, offset: 2, lastEpoch: old + 1})
			check(e, "answer with the epoch of the last record", got.code, none)
			check(e, "records", len(got.batches), 0)
			check(e, "diverging epoch", got.divergingEpoch, old)
			check(e, "its end", got.divergingEnd, 1)
		}},
	}...)
}

// alone makes a topic on C and A with the record "first" on both and "second" on C alone, and brings the row to the point where only
// A is alive.
func (e *env) alone(opts ...topicOption) topic {
	t := e.topic(append([]topicOption{on(e.C, e.A)}, opts...)...)
	e.put(t, "first")
	e.next("A is killed")
	e.waitISR(t, e.C)
	w := writing(t, "second")
	w.acks = acksLeader
	check(e, "writing to C alone", e.produce(e.C, w).code, none)
	e.next("A alone is back")
	return t
}

func lastReplicaReturns(e *env) {
	t := e.alone()
	before := e.waitLeader(t, -1)
	e.next("C is back")
	after := e.waitLeader(t, e.C)
	check(e, "leader epoch", after.epoch, before.epoch+1)
	e.waitISR(t, e.A, e.C)
	e.holds(t, "first", "second")
	check(e, "log end of the other replica", e.end(e.A, t), 2)
}

// eligibleRows are about eligible leader replicas (KIP-966).
func eligibleRows() []row {
	return []row{
		{id: "E28", title: "replicas that leave an ISR of the minimum size stay eligible, and the first of them to return leads cleanly", during: twoBrokersStop, run: func(e *env) {
			three := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			two := e.topic(on(e.B, e.C), with("min.insync.replicas", "2"))
			e.put(two, "a")
			e.next("C is shut down")
			e.waitEligible(three, []int32{e.A, e.B}, nil)
			e.waitEligible(two, []int32{e.B}, []int32{e.C})
			e.next("B is shut down")
			e.waitEligible(three, []int32{e.A}, []int32{e.B})
			check(e, "last known leader", fmt.Sprint(e.names(e.waitEligible(two, nil, []int32{e.B, e.C}).LastKnownELR)), "[B]")
			before := e.waitLeader(two, -1)
			e.next("C is back")
			after := e.waitLeader(two, e.C)
			check(e, "leader epoch", after.epoch, before.epoch+1)
			p := e.waitEligible(two, []int32{e.C}, []int32{e.B})
			check(e, "last known leader once there is a leader", len(p.LastKnownELR), 0)
			e.next("B is back")
			e.waitEligible(two, []int32{e.B, e.C}, nil)
			e.holds(two, "a")
		}},
		{id: "E29", title: "an eligible replica that returns from a crash is eligible no longer: it may have lost what it had not flushed", during: twoBrokersAreKilled, run: func(e *env) {
			t := e.topic(on(e.B, e.C), with("min.insync.replicas", "2"))
			e.next("C is killed")
			e.waitEligible(t, []int32{e.B}, []int32{e.C})
			e.next("B is killed")
			e.waitEligible(t, nil, []int32{e.B, e.C})
			e.next("C is back")
			e.waitEligible(t, nil, []int32{e.B})
			check(e, "leader", e.name(e.partition(t).leader), "nobody")
		}},
		{id: "E30", title: "when all eligible replicas have returned from crashes, the last known leader leads", during: twoBrokersAreKilled, run: func(e *env) {
			t := e.topic(on(e.B, e.C), with("min.insync.replicas", "2"))
			e.put(t, "a")
			e.next("C is killed")
			e.next("B is killed")
			checkSet(e, "last known leader", e.waitEligible(t, nil, []int32{e.B, e.C}).LastKnownELR, e.B)
			e.next("C is back")
			e.next("B is back")
			e.waitLeader(t, e.B)
			e.waitISR(t, e.B, e.C)
			e.holds(t, "a")
		}},
	}
}
