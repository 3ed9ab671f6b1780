package conformance_test

import (
	"fmt"
	"time"
)

// lockOf is how long records are locked in rows that wait for the end of a lock.
func lockOf(d time.Duration) [2]string {
	return [2]string{"share.record.lock.duration.ms", fmt.Sprint(d.Milliseconds())}
}

// shareAckRows are about what members do with records.
func shareAckRows() []row {
	return []row{
		{id: "S25", title: "records that are accepted or rejected are not delivered again, those that are released are, and count as delivered", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b", "c", "d", "e")
			s.gets(e.A, shareFetch{topic: t}, "0-4 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 0, 0), acking(ackRelease, 1, 2), acking(ackReject, 3, 3), acking(ackRelease, 4, 4))
			got := s.gets(e.A, shareFetch{topic: t}, "1-2 x2, 4-4 x2")
			check(e, "records", fmt.Sprint(got.values), "[b c e]")
			s.acknowledges(e.A, t, acked{1, 2, []int8{ackGap, ackAccept}}, acked{4, 4, []int8{ackReject}})
			e.put(t, "f")
			s.gets(e.A, shareFetch{topic: t}, "5-5 x1")
			check(e, "lag", e.shareLag(s, t), 1)
		}},
		{id: "S26", title: "when the lock of a record expires others get it, and the delivery counts", run: func(e *env) {
			first, t := e.shared(lockOf(time.Second))
			second := first.another(t).opened(e.A, t)
			e.put(t, "a", "b")
			check(e, "lock timeout", first.gets(e.A, shareFetch{topic: t}, "0-1 x1").lockMs, 1000)
			second.gets(e.A, shareFetch{topic: t}, "0-1 x2")
			check(e, "an acknowledgement by the first", first.acks(e.A, t, acking(ackAccept, 0, 1)), invalidRecordState)
			second.acknowledges(e.A, t, acking(ackAccept, 0, 1))
		}},
		{id: "S27", title: "a member may acknowledge what it holds, once", run: func(e *env) {
			first, t := e.shared()
			second := first.another(t).opened(e.A, t)
			e.put(t, "a", "b", "c")
			first.gets(e.A, shareFetch{topic: t}, "0-2 x1")
			check(e, "another member's", second.acks(e.A, t, acking(ackAccept, 0, 0)), invalidRecordState)
			first.acknowledges(e.A, t, acking(ackAccept, 1, 1))
			check(e, "again", first.acks(e.A, t, acking(ackAccept, 1, 1)), invalidRecordState)
			check(e, "with one that is done with", first.acks(e.A, t, acking(ackAccept, 0, 2)), invalidRecordState)
			check(e, "beyond what was acquired", first.acks(e.A, t, acking(ackAccept, 2, 9)), invalidRequest)
			check(e, "of nothing that was acquired", first.acks(e.A, t, acking(ackAccept, 20, 21)), invalidRequest)
			first.acknowledges(e.A, t, acking(ackAccept, 0, 0), acking(ackAccept, 2, 2))
			first.acknowledges(e.A, t, acking(ackAccept, 0, 2)) // They are all before the start offset.
			check(e, "lag", e.shareLag(first, t), 0)
		}},
		{id: "S28", title: "acknowledgements that are malformed change nothing", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b", "c")
			s.gets(e.A, shareFetch{topic: t}, "0-2 x1")
			check(e, "backwards", s.acks(e.A, t, acking(ackAccept, 2, 1)), invalidRequest)
			check(e, "out of order", s.acks(e.A, t, acking(ackAccept, 2, 2), acking(ackAccept, 0, 0)), invalidRequest)
			check(e, "without a type", s.acks(e.A, t, acked{0, 2, nil}), invalidRequest)
			check(e, "with too few types", s.acks(e.A, t, acked{0, 2, []int8{1, 1}}), invalidRequest)
			check(e, "of an unknown type", s.acks(e.A, t, acking(7, 0, 2)), invalidRequest)
			check(e, "a renewal that is not said to be one", s.acks(e.A, t, acking(ackRenew, 0, 2)), invalidRequest)
			_, got := s.acksAs(e.A, t, 1, s.session.epoch, false, acking(ackRenew, 0, 2))
			check(e, "a renewal in v1", got, invalidRequest)
			s.session.epoch++
			check(e, "of an unknown topic", s.acks(e.A, unknown(), acking(ackAccept, 0, 0)), unknownTopicID)
			s.acknowledges(e.A, t, acking(ackAccept, 0, 2))
		}},
		{id: "S29", title: "a lock that is renewed lasts anew (KIP-1222)", run: func(e *env) {
			first, t := e.shared(lockOf(3 * time.Second))
			second := first.another(t).opened(e.A, t)
			e.put(t, "a", "b")
			first.gets(e.A, shareFetch{topic: t}, "0-1 x1")
			e.pause(2 * time.Second)
			top, got := first.acksAs(e.A, t, 2, first.session.epoch, true, acked{0, 1, []int8{ackRenew, ackAccept}})
			check(e, "ShareAcknowledge", top, none)
			check(e, "renewal", got, none)
			first.session.epoch++
			e.pause(1500 * time.Millisecond)
			second.getsNothing(e.A, shareFetch{topic: t})
			first.acknowledges(e.A, t, acking(ackAccept, 0, 0))
		}},
		{id: "S30", title: "a record that was delivered share.delivery.count.limit times is not delivered again", run: func(e *env) {
			s, t := e.shared([2]string{"share.delivery.count.limit", "2"})
			e.put(t, "a")
			s.gets(e.A, shareFetch{topic: t}, "0-0 x1")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 0))
			s.gets(e.A, shareFetch{topic: t}, "0-0 x2")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 0))
			e.put(t, "b")
			s.gets(e.A, shareFetch{topic: t}, "1-1 x1")
			s.acknowledges(e.A, t, acking(ackAccept, 1, 1))
			check(e, "lag", e.shareLag(s, t), 0)
		}},
		{id: "S31", title: "records that are delivered often come in ever smaller portions", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "0", "1", "2", "3", "4", "5", "6", "7")
			s.gets(e.A, shareFetch{topic: t}, "0-7 x1")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 7))
			s.gets(e.A, shareFetch{topic: t}, "0-7 x2")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 7))
			s.gets(e.A, shareFetch{topic: t}, "0-7 x3")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 7))
			s.gets(e.A, shareFetch{topic: t}, "0-3 x4")
			s.gets(e.A, shareFetch{topic: t}, "4-7 x4")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 7))
			s.gets(e.A, shareFetch{topic: t}, "0-0 x5")
			s.gets(e.A, shareFetch{topic: t}, "1-1 x5")
		}},
		{id: "S32", title: "ShareAcknowledge continues a share session, and begins none", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b")
			ack := func(epoch int32) code {
				top, _ := s.acksAs(e.A, t, 1, epoch, false, acking(ackAccept, 0, 0))
				return top
			}
			check(e, "in epoch 0", ack(0), invalidShareSessionEpoch)
			check(e, "without a session", ack(1), shareSessionNotFound)
			check(e, "ending none", ack(-1), shareSessionNotFound)
			got := s.fetchAs(e.A, shareFetch{topic: t, acks: []acked{acking(ackAccept, 0, 0)}}, 0)
			check(e, "ShareFetch that begins with an acknowledgement", got.top, invalidRequest)
			s.gets(e.A, shareFetch{topic: t}, "0-1 x1")
			check(e, "a gap", ack(2), invalidShareSessionEpoch)
			s.acknowledges(e.A, t, acking(ackAccept, 0, 0))
			check(e, "the same epoch again", ack(1), invalidShareSessionEpoch)
			top, code := s.acksAs(e.A, t, 2, -1, false, acking(ackAccept, 1, 1))
			check(e, "ending the session", top, none)
			check(e, "with an acknowledgement", code, none)
			check(e, "after its end", ack(3), shareSessionNotFound)
			check(e, "lag", e.shareLag(s, t), 0)
		}},
		{id: "S33", title: "ShareFetch acknowledges, and gets more", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b")
			s.gets(e.A, shareFetch{topic: t}, "0-1 x1")
			e.put(t, "c")
			got := s.gets(e.A, shareFetch{topic: t, acks: []acked{acking(ackAccept, 0, 1)}}, "2-2 x1")
			check(e, "acknowledgement", got.ack, none)
			got = s.fetch(e.A, shareFetch{topic: t, acks: []acked{acking(ackAccept, 2, 9)}})
			check(e, "a bad acknowledgement", got.ack, invalidRequest)
			check(e, "lag", e.shareLag(s, t), 1)
		}},
	}
}
