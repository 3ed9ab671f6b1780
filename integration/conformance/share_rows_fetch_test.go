package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareFetchRows are about what the members of share groups get.
func shareFetchRows() []row {
	return []row{
		{id: "S10", title: "a share group begins at the end of the log", run: func(e *env) {
			g := e.group()
			t := e.topic(on(e.A))
			e.put(t, "before")
			s := e.sharer(g, t).waitPartitions(t, 1).opened(e.A, t)
			// Where the end is is asked a little after the session has begun.
			e.wait("a record after the beginning", func() error {
				offset := e.put(t, "after")
				got := s.fetch(e.A, shareFetch{none: true})
				check(e, "is an older record among them", slices.Contains(got.values, "before"), false)
				return is("acquired records", got.String(), fmt.Sprintf("%d-%d x1", offset, offset))
			})
		}},
		{id: "S11", title: "with share.auto.offset.reset=earliest a share group begins at the start of the log", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b")
			e.put(t, "c")
			got := s.gets(e.A, shareFetch{topic: t}, "0-2 x1")
			check(e, "records", fmt.Sprint(got.values), "[a b c]")
			check(e, "lock timeout", got.lockMs, 30000)
		}},
		{id: "S12", title: "ShareFetch of an unknown topic or partition, or at a broker that does not lead", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a")
			got := s.fetchAs(e.A, shareFetch{topic: unknown()}, 0)
			check(e, "unknown topic", got.code, unknownTopicID)
			got = s.fetchAs(e.A, shareFetch{topic: t, partition: 9}, 0)
			check(e, "unknown partition", got.code, unknownTopicOrPartition)
			other := e.sharer(s.group, t)
			got = other.fetchAs(e.B, shareFetch{topic: t, wait: e.target.Timing.Patience}, 0)
			check(e, "at another broker", got.code, notLeaderOrFollower)
			check(e, "the leader it names", e.name(got.hintLeader), "A")
		}},
		{id: "S13", title: "the epochs of a share session: 0 begins one anew, the next one continues it, -1 ends it, all others are refused", run: func(e *env) {
			s, t := e.shared()
			f := shareFetch{topic: t}
			check(e, "without a session", s.fetchAs(e.A, f, 1).top, shareSessionNotFound)
			check(e, "ending none", s.fetchAs(e.A, shareFetch{none: true}, -1).top, shareSessionNotFound)
			check(e, "0", s.fetchAs(e.A, f, 0).top, none)
			check(e, "a gap", s.fetchAs(e.A, f, 2).top, invalidShareSessionEpoch)
			check(e, "1", s.fetchAs(e.A, shareFetch{none: true}, 1).top, none)
			check(e, "1 again", s.fetchAs(e.A, f, 1).top, invalidShareSessionEpoch)
			check(e, "2", s.fetchAs(e.A, shareFetch{none: true}, 2).top, none)
			check(e, "0 again", s.fetchAs(e.A, f, 0).top, none)
			check(e, "the next one of the session before", s.fetchAs(e.A, f, 3).top, invalidShareSessionEpoch)
			check(e, "-1", s.fetchAs(e.A, shareFetch{none: true}, -1).top, none)
			check(e, "after its end", s.fetchAs(e.A, f, 1).top, shareSessionNotFound)
		}},
		{id: "S14", title: "in a share session an answer names the partitions that have something to tell", run: func(e *env) {
			s, t := e.shared()
			check(e, "partitions in the first answer", s.fetch(e.A, shareFetch{topic: t, wait: time.Second}).partitions, 1)
			check(e, "partitions without records", s.fetch(e.A, shareFetch{none: true}).partitions, 0)
			e.put(t, "a")
			check(e, "partitions with records", s.gets(e.A, shareFetch{topic: t}, "0-0 x1").partitions, 1)
			check(e, "partitions after that", s.fetch(e.A, shareFetch{none: true}).partitions, 0)
		}},
		{id: "S15", title: "records that a member has got are no other member's", run: func(e *env) {
			first, t := e.shared()
			second := first.another(t)
			e.put(t, "a", "b")
			first.gets(e.A, shareFetch{topic: t}, "0-1 x1")
			second.getsNothing(e.A, shareFetch{topic: t})
			e.put(t, "c")
			got := second.gets(e.A, shareFetch{topic: t}, "2-2 x1")
			check(e, "records", fmt.Sprint(got.values), "[c]")
		}},
		{id: "S16", title: "MaxRecords cuts no batch, but for where a member asks for no more (KIP-1206)", run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b", "c")
			e.put(t, "d")
			s.gets(e.A, shareFetch{topic: t, records: 1, limit: true}, "0-0 x1")
			s.gets(e.A, shareFetch{topic: t, records: 1, limit: true}, "1-1 x1")
			first, u := e.shared()
			e.put(u, "a", "b", "c")
			e.put(u, "d")
			first.gets(e.A, shareFetch{topic: u, records: 1}, "0-2 x1")
			first.gets(e.A, shareFetch{topic: u, records: 1, version: 1}, "3-3 x1")
		}},
		{id: "S17", title: "BatchSize cuts what is acquired between batches", run: func(e *env) {
			s, t := e.shared()
			for range 3 {
				e.put(t, "a", "b")
			}
			s.gets(e.A, shareFetch{topic: t, batchSize: 2}, "0-1 x1, 2-3 x1, 4-5 x1")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 5))
			s.gets(e.A, shareFetch{topic: t, batchSize: 1}, "0-1 x2, 2-3 x2, 4-5 x2")
			for range 3 {
				e.put(t, "a", "b")
			}
			s.gets(e.A, shareFetch{topic: t, batchSize: 3}, "6-9 x1, 10-11 x1")
		}},
		{id: "S18", title: "no more than share.partition.max.record.locks records are in flight", run: func(e *env) {
			s, t := e.shared([2]string{"share.partition.max.record.locks", "100"})
			for range 12 {
				e.put(t, strings.Split("0123456789", "")...)
			}
			s.gets(e.A, shareFetch{topic: t}, "0-99 x1")
			s.getsNothing(e.A, shareFetch{topic: t})
			s.acknowledges(e.A, t, acking(ackAccept, 0, 49))
			s.gets(e.A, shareFetch{topic: t}, "100-119 x1")
		}},
		{id: "S19", title: "with share.isolation.level=read_committed a share group gets nothing of transactions that are open or aborted", apis: append(shareAPIs(), transactionAPIs()...), run: func(e *env) {
			tx := e.transaction()
			leader := e.partition(tx.topic).leader
			g := e.shareGroup(fromEarliest(), [2]string{"share.isolation.level", "read_committed"})
			all := e.shareGroup(fromEarliest())
			e.topic() // Whoever serves it knows the configs.
			tx.write("aborted")
			s := e.sharer(g, tx.topic).waitPartitions(tx.topic, 1).opened(leader, tx.topic)
			e.sharer(all, tx.topic).waitPartitions(tx.topic, 1).gets(leader, shareFetch{topic: tx.topic}, "0-0 x1")
			s.getsNothing(leader, shareFetch{topic: tx.topic})
			tx.end(false)
			e.put(tx.topic, "plain")
			var got sharedRecords
			e.wait("a record", func() error {
				got = s.fetch(leader, shareFetch{none: true})
				return is("are there records", len(got.values) > 0, true)
			})
			check(e, "records", fmt.Sprint(got.values), "[plain]")
		}},
		{id: "S20", title: "a share session ends with its connection, and its records are the next member's", run: func(e *env) {
			first, t := e.shared()
			second := first.another(t).opened(e.A, t)
			e.put(t, "a")
			first.gets(e.A, shareFetch{topic: t}, "0-0 x1")
			first.disconnect()
			second.gets(e.A, shareFetch{topic: t}, "0-0 x2")
		}},
		{id: "S21", title: "the end of a share session gives back what has not been acknowledged", run: func(e *env) {
			first, t := e.shared()
			second := first.another(t).opened(e.A, t)
			e.put(t, "a", "b", "c")
			first.gets(e.A, shareFetch{topic: t}, "0-2 x1")
			got := first.fetchAs(e.A, shareFetch{topic: t, acks: []acked{acking(ackAccept, 0, 0)}}, -1)
			check(e, "answer", got.top, none)
			check(e, "acknowledgement", got.ack, none)
			second.gets(e.A, shareFetch{topic: t}, "1-2 x2")
		}},
		{id: "S22", title: "records that are deleted are not delivered, but for those of a batch that is not deleted as a whole", apis: append(shareAPIs(), kmsg.DeleteRecords), run: func(e *env) {
			s, t := e.shared()
			e.put(t, "a", "b")
			e.put(t, "c", "d")
			s.gets(e.A, shareFetch{topic: t, records: 2}, "0-1 x1")
			s.acknowledges(e.A, t, acking(ackRelease, 0, 1))
			check(e, "deleting records", e.deleteRecords(e.A, t, 3, 30*time.Second).code, none)
			var got sharedRecords
			e.wait("records", func() error {
				got = s.fetch(e.A, shareFetch{none: true})
				return is("are there records", len(got.values) > 0, true)
			})
			check(e, "acquired", got.String(), "2-3 x1")
			check(e, "records", fmt.Sprint(got.values), "[c d]")
		}},
	}
}
