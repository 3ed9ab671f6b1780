package conformance_test

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// electionRows is part E of the table, but for the last replica: the ISR, the high watermark and who leads.
func electionRows() []row {
	return append(append(deathRows(), staleLeaderRows()...), append(splitRows(), []row{
		{id: "E19", title: "while an ISR expansion is in flight the high watermark waits for the candidate too", during: anExpansionHangs, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.put(t, "a")
			e.next("C copies nothing")
			e.put(t, "b") // Acknowledged when C is out of the ISR.
			e.waitISR(t, e.A)
			e.next("the controller is killed")
			e.next("C copies again")
			e.wait("C to copy, and to be told of it", func() error { // A has seen by then that C is in sync.
				got := e.fetch(e.C, read{topic: t})
				return is("answer and high watermark", fmt.Sprint(got.code, got.highWatermark), fmt.Sprint(none, 2))
			})
			checkSet(e, "in-sync replicas", e.partition(t).isr, e.A)
			e.next("C copies nothing once more")
			w := writing(t, "c")
			w.timeout = e.target.Timing.Lag * 3 / 2 // Until then it would wait for C anyway, which has been in sync.
			check(e, "acks=all", e.produce(e.A, w).code, requestTimedOut)
			check(e, "records that can be read", fmt.Sprint(e.fetch(e.A, read{topic: t}).values()), "[a b]")
			e.next("the controller is back")
			e.waitISR(t, e.A, e.C)
			e.holds(t, "a", "b", "c")
		}},
		{id: "E20", title: "no controller and a dead follower: acks=all times out, acks=1 goes on", during: noController, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.put(t, "a")
			e.next("the controller is killed")
			e.next("C is killed")
			w := writing(t, "b")
			w.timeout = 100 * time.Millisecond
			got := e.produce(e.A, w)
			check(e, "acks=all: answer", got.code, requestTimedOut)
			check(e, "acks=all: base offset", got.base, 1)
			w.acks = acksLeader
			check(e, "acks=1: answer", e.produce(e.A, w).code, none)
			checkSet(e, "in-sync replicas", e.partition(t).isr, e.A, e.C)
			e.next("the controller is back")
			e.waitISR(t, e.A)
			e.put(t, "c")
		}},
		{id: "E21", title: "min.insync.replicas is raised above the ISR: acks=all is refused and the high watermark stands still", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C), with("min.insync.replicas", "2"))
			e.next("C is killed")
			e.next("C is fenced")
			e.waitISR(t, e.A, e.B)
			before := e.put(t, "a")
			e.setConfig(t, "min.insync.replicas", "3")
			e.waitShort(e.A, t)
			e.refused(e.produce(e.A, writing(t, "b")), notEnoughReplicas)
			end := e.putUnseen(t, "c")
			got := e.fetch(e.A, read{topic: t, offset: end})
			check(e, "has the high watermark moved past what acks=1 stored", got.highWatermark == end, false)
			check(e, "is it where it was or later", got.highWatermark > before, true)
		}},
		{id: "E22", title: "a preferred election of the leader that leads", run: func(e *env) {
			check(e, "answer", e.elect(e.topic(on(e.A, e.B)), preferred), electionNotNeeded)
		}},
		{id: "E23", title: "a preferred election of a dead replica", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.C, e.A))
			e.next("C is killed")
			e.next("C is fenced")
			e.waitLeader(t, e.A)
			check(e, "answer", e.elect(t, preferred), preferredLeaderNotAvail)
		}},
		{id: "E24", title: "an unclean election where there is a leader", run: func(e *env) {
			check(e, "answer", e.elect(e.topic(on(e.A, e.B)), unclean), electionNotNeeded)
		}},
		{id: "E25", title: "an unclean election without a live replica", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.C))
			e.next("C is killed")
			e.next("C is fenced")
			e.waitLeader(t, -1)
			check(e, "answer", e.elect(t, unclean), eligibleLeadersNotAvail)
		}},
		{id: "E26", title: "a new leader cannot move the high watermark before every in-sync replica has fetched from it", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C))
			e.put(t, "a")
			e.prefer(t, e.B, e.A, e.C)
			conn := e.conn(e.B)
			e.next("C is paused")
			w := writing(t, "b")
			w.acks = acksLeader
			check(e, "producing with acks=1", e.produce(e.A, w).code, none)
			e.waitEnd(e.B, t, 2)
			check(e, "election of B", e.elect(t, preferred), none)
			e.waitLeader(t, e.B)
			waiting := e.send(conn, writing(t, "c").request())
			e.waitEnd(e.A, t, 3)
			check(e, "is acks=all unanswered while C is in the ISR", waiting.open(), true)
			check(e, "records that can be read", fmt.Sprint(e.fetch(e.B, read{topic: t}).values()), "[a]")
			check(e, "latest", e.listOffsets(e.B, listed{topic: t, time: latest}).code, offsetNotAvailable)
			e.next("C is fenced")
			check(e, "answer to acks=all", e.produced(answer[*kmsg.ProduceResponse](e, waiting)).code, none)
			e.holds(t, "a", "b", "c")
			e.next("C goes on")
		}},
		{id: "E27", title: "a follower learns of a higher high watermark a little later", run: func(e *env) {
			t, follower := e.followed()
			e.wait("the follower's high watermark", func() error {
				return is("it", e.fetch(follower, read{topic: t, offset: 1}).highWatermark, 1)
			})
		}},
		{id: "E34", title: "a follower's fetch with an older broker epoch than the controller gave it is refused", run: func(e *env) {
			t := e.topic(on(e.A, e.B))
			r := read{topic: t, version: 15}.request()
			r.ReplicaState.ID, r.ReplicaState.Epoch = e.B, 0
			check(e, "answer", e.fetched(ask[*kmsg.FetchResponse](e, e.A, r)).code, notLeaderOrFollower)
		}},
	}...)...)
}

// deathRows are about brokers that die, stop, or fall silent, and come back.
func deathRows() []row {
	return []row{
		{id: "E01", title: "a dead follower leaves the ISR when it is fenced; the leader epoch stays", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C))
			before := e.partition(t)
			e.next("C is killed")
			e.put(t, "a")
			e.next("C is fenced")
			after := e.waitISR(t, e.A, e.B)
			check(e, "leader", e.name(after.leader), e.name(before.leader))
			check(e, "leader epoch", after.epoch, before.epoch)
			checkSet(e, "offline replicas", after.offline, e.C)
		}},
		{id: "E02", title: "a silent follower of an idle partition leaves the ISR by fencing alone", during: aBrokerIsPaused, run: func(e *env) {
			t := e.topic(on(e.A, e.B, e.C))
			before := e.partition(t)
			e.next("C is paused")
			checkSet(e, "in-sync replicas at first", e.partition(t).isr, e.A, e.B, e.C)
			e.next("C is fenced")
			check(e, "leader epoch", e.waitISR(t, e.A, e.B).epoch, before.epoch)
			e.next("C goes on")
			e.waitISR(t, e.A, e.B, e.C)
		}},
		{id: "E03", title: "a live follower that stops copying leaves the ISR after replica.lag.time.max.ms", during: noReplication, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.put(t, "a")
			e.next("C copies nothing")
			w := writing(t, "b")
			w.timeout = 3 * (e.target.Timing.Lag + e.target.Timing.Session)
			check(e, "answer to acks=all", e.produced(answer[*kmsg.ProduceResponse](e, e.send(e.conn(e.A), w.request()))).code, none)
			e.waitISR(t, e.A)
			check(e, "is C alive all the same", e.liveBrokers()[e.C], true)
			e.next("C copies again")
			e.waitISR(t, e.A, e.C)
		}},
		{id: "E04", title: "a follower that has caught up is taken into the ISR again", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.A, e.C))
			e.next("C is killed")
			e.next("C is fenced")
			before := e.waitISR(t, e.A)
			e.put(t, "a", "b", "c")
			e.next("C is back")
			check(e, "leader epoch", e.waitISR(t, e.A, e.C).epoch, before.epoch)
			check(e, "log end of the follower", e.end(e.C, t), 3)
		}},
		{id: "E05", title: "a dead leader is followed by the first live in-sync replica in assignment order, with the next epoch", during: aBrokerIsKilled, run: func(e *env) {
			t, reordered := e.topic(on(e.C, e.B, e.A)), e.topic(on(e.C, e.A, e.B))
			e.prefer(reordered, e.C, e.B, e.A) // The ISR keeps its order.
			before := e.partition(t)
			check(e, "leader", e.name(before.leader), "C")
			e.put(t, "a")
			e.next("C is killed")
			if _, err := e.dial(e.C); err == nil {
				e.fatalf("the dead broker accepts connections")
			}
			if !e.target.Timing.CrashSeen {
				check(e, "leader until the broker is fenced", e.name(e.partition(t).leader), "C")
			}
			e.next("C is fenced")
			e.waitLeader(reordered, e.B)
			after := e.waitLeader(t, e.B)
			check(e, "leader epoch", after.epoch, before.epoch+1)
			checkSet(e, "in-sync replicas", after.isr, e.A, e.B)
			e.holds(t, "a")
		}},
		{id: "E06", title: "a leader that is shut down in an orderly way hands over at once, without waiting for its session to end", during: twoBrokersStop, run: func(e *env) {
			t := e.topic(on(e.C, e.A, e.B))
			before := e.partition(t)
			e.put(t, "a")
			e.next("C is shut down")
			start := time.Now()
			after := e.waitLeader(t, e.A)
			check(e, "did it take a session", time.Since(start) > e.target.Timing.Session/2, false)
			check(e, "leader epoch", after.epoch, before.epoch+1)
			checkSet(e, "in-sync replicas", after.isr, e.A, e.B)
			e.holds(t, "a")
		}},
		{id: "E07", title: "an old leader returns as a follower, and leads again only when it is elected", during: aBrokerIsKilled, run: func(e *env) {
			t := e.topic(on(e.C, e.A))
			e.next("C is killed")
			e.next("C is fenced")
			before := e.waitLeader(t, e.A)
			e.put(t, "a")
			e.next("C is back")
			after := e.waitISR(t, e.A, e.C)
			check(e, "leader", e.name(after.leader), "A")
			check(e, "leader epoch", after.epoch, before.epoch)
			check(e, "preferred election", e.elect(t, preferred), none)
			check(e, "leader epoch after the election", e.waitLeader(t, e.C).epoch, before.epoch+1)
			e.holds(t, "a")
		}},
		{id: "E18", title: "a broker that crashes and starts at once does not keep its leaderships", during: aBrokerIsKilled, run: func(e *env) {
			e.next("C is killed")
			e.next("C is fenced")
			e.next("C is back")
			t := e.topic(on(e.C, e.A))
			before := e.partition(t)
			e.put(t, "a")
			start := time.Now()
			e.next("C crashes and starts at once")
			if !e.target.Timing.CrashSeen {
				check(e, "was it back before its old session had ended", time.Since(start) < e.target.Timing.Session/2, false)
			}
			e.waitLeader(t, e.A)
			check(e, "leader epoch", e.waitISR(t, e.A, e.C).epoch, before.epoch+1)
			e.holds(t, "a")
		}},
	}
}

// staleLeaderRows are about a leader that was frozen while another was elected: what it answers before it knows.
func staleLeaderRows() []row {
	return []row{
		{id: "E31", title: "a paused leader goes on and acknowledges an acks=1 that was in its socket; the record is lost", during: aBrokerIsPaused, run: func(e *env) {
			got := e.stale(func(t topic) kmsg.Request {
				w := writing(t, "lost")
				w.acks = acksLeader
				return w.request()
			})
			answered := e.produced(answer[*kmsg.ProduceResponse](e, got))
			check(e, "answer", answered.code, none)
			check(e, "base offset", answered.base, 1)
		}},
		{id: "E32", title: "a paused leader goes on and does not acknowledge an acks=all that was in its socket, though it stored it", during: aBrokerIsPaused, run: func(e *env) {
			got := e.stale(func(t topic) kmsg.Request {
				w := writing(t, "lost")
				w.timeout = e.target.Timing.Session
				return w.request()
			})
			answered := e.produced(answer[*kmsg.ProduceResponse](e, got))
			check(e, "was it refused with 6 or 7", answered.code == notLeaderOrFollower || answered.code == requestTimedOut, true)
			check(e, "base offset", answered.base, 1)
		}},
		{id: "E33", title: "a paused leader goes on and answers a fetch that was in its socket from what was committed", during: aBrokerIsPaused, run: func(e *env) {
			got := e.stale(func(t topic) kmsg.Request { return read{topic: t}.request() })
			answered := e.fetched(answer[*kmsg.FetchResponse](e, got))
			check(e, "answer", answered.code, none)
			check(e, "records", fmt.Sprint(answered.values()), "[a]")
			check(e, "high watermark", answered.highWatermark, 1)
		}},
	}
}

// stale sends a request to C, which leads a partition with one record, while C is paused, lets another broker be elected and
// write a second record, and lets C go on. Whatever C stored by the request is gone in the end.
func (e *env) stale(req func(topic) kmsg.Request) *later {
	t := e.topic(on(e.C, e.A, e.B))
	e.put(t, "a")
	conn := e.conn(e.C)
	e.next("C is paused")
	sent := e.send(conn, req(t))
	e.next("C is fenced")
	e.waitLeader(t, e.A)
	e.put(t, "b")
	e.next("C goes on")
	<-sent.answered // The connection's deadline bounds this.
	e.waitISR(t, e.A, e.B, e.C)
	e.holds(t, "a", "b")
	e.waitEnd(e.C, t, 2)
	check(e, "records on the old leader", fmt.Sprint(e.fetch(e.C, read{topic: t}).values()), "[a b]")
	return sent
}

// splitRows are about a leader on the wrong side of a network split, which clients still reach.
func splitRows() []row {
	return []row{
		{id: "E14", title: "an isolated leader goes on acknowledging acks=1; these records vanish when the split heals", during: aBrokerIsIsolated, run: func(e *env) {
			t := e.topic(on(e.C, e.A, e.B))
			e.put(t, "a")
			e.next("C is cut off")
			w := writing(t, "lost")
			w.acks = acksLeader
			check(e, "answer before another leads", e.produce(e.C, w).code, none)
			e.next("C is fenced")
			e.waitLeader(t, e.A)
			e.put(t, "b")
			check(e, "answer after another leads", e.produce(e.C, w).code, none)
			e.next("C is connected again")
			e.waitISR(t, e.A, e.B, e.C)
			e.holds(t, "a", "b")
			e.waitEnd(e.C, t, 2)
		}},
		{id: "E15", title: "an isolated leader cannot acknowledge acks=all: it cannot shrink the ISR", during: aBrokerIsIsolated, run: func(e *env) {
			t := e.topic(on(e.C, e.A, e.B))
			conn := e.conn(e.C)
			e.next("C is cut off")
			w := writing(t, "lost")
			w.timeout = 100 * time.Millisecond
			got := e.produce(e.C, w)
			check(e, "answer at the timeout", got.code, requestTimedOut)
			check(e, "base offset", got.base, 0)
			w.timeout = 2*e.target.Timing.Session + e.target.Timing.Patience
			waiting := e.send(conn, w.request())
			e.next("C is fenced")
			e.waitLeader(t, e.A)
			check(e, "is the patient request unanswered before the split heals", waiting.open(), true)
			e.next("C is connected again")
			got = e.produced(answer[*kmsg.ProduceResponse](e, waiting))
			check(e, "answer when the split has healed", got.code, notLeaderOrFollower)
			check(e, "base offset", got.base, 1)
			e.waitISR(t, e.A, e.B, e.C)
			e.holds(t)
		}},
		{id: "E16", title: "a leader cut off from the controllers alone acknowledges acks=all until its followers leave it", during: noHeartbeats, run: func(e *env) {
			t := e.topic(on(e.C, e.A, e.B))
			e.next("C is cut off")
			check(e, "answer to acks=all before another leads", e.produce(e.C, writing(t, "kept")).code, none)
			e.next("C is fenced")
			e.waitLeader(t, e.A)
			w := writing(t, "lost")
			w.timeout = 100 * time.Millisecond
			check(e, "answer to acks=all after another leads", e.produce(e.C, w).code, requestTimedOut)
			w.acks = acksLeader
			check(e, "answer to acks=1 after another leads", e.produce(e.C, w).code, none)
			check(e, "what a consumer of the old leader reads", fmt.Sprint(e.fetch(e.C, read{topic: t}).values()), "[kept]")
			e.next("C is connected again")
			e.waitISR(t, e.A, e.B, e.C)
			e.holds(t, "kept")
		}},
		{id: "E17", title: "a consumer of an isolated old leader reads what was committed, without an error, until it knows the newer epoch", during: aBrokerIsIsolated, run: func(e *env) {
			t := e.topic(on(e.C, e.A, e.B))
			e.put(t, "a")
			before := e.partition(t)
			e.next("C is cut off")
			e.next("C is fenced")
			after := e.waitLeader(t, e.A)
			e.put(t, "b")
			got := e.fetch(e.C, read{topic: t, epoch: before.epoch + 1})
			check(e, "answer with the old epoch", got.code, none)
			check(e, "records", fmt.Sprint(got.values()), "[a]")
			check(e, "answer with the new epoch", e.fetch(e.C, read{topic: t, epoch: after.epoch + 1}).code, unknownLeaderEpoch)
			e.next("C is connected again")
			e.waitISR(t, e.A, e.B, e.C)
			e.holds(t, "a", "b")
		}},
	}
}
