package conformance_test

import "fmt"

// shareStateRows are about share coordinators, which keep what leaders know of share groups.
func shareStateRows() []row {
	rows := []row{
		{id: "S50", title: "the share coordinator refuses unknown and uninitialized partitions, and negative numbers", run: func(e *env) {
			t := e.topic()
			p := e.sharePart(e.group(), t)
			check(e, "reading what is not initialized", p.read(0).code, invalidRequest)
			check(e, "writing what is not initialized", p.write(0, 0, 0), invalidRequest)
			check(e, "the summary of what is not initialized", fmt.Sprint(p.summary()), "{0 0 0 -1  -1}")
			check(e, "deleting what is not initialized", p.delete(), none)
			check(e, "a negative state epoch", p.initialize(-1, 0), invalidRequest)
			check(e, "initializing", p.initialize(0, 5), none)
			check(e, "reading with a negative leader epoch", p.read(-1).code, invalidRequest)
			check(e, "writing with a negative leader epoch", p.write(0, -1, 0), invalidRequest)
			check(e, "writing with a negative state epoch", p.write(-1, 0, 0), invalidRequest)
			for what, bad := range map[string]*sharePart{"a topic": p.of(unknown(), 0), "a partition": p.of(t, 9)} {
				check(e, "initializing "+what, bad.initialize(0, 0), unknownTopicOrPartition)
				check(e, "summary of "+what, bad.summary().code, unknownTopicOrPartition)
				check(e, "deleting "+what, bad.delete(), unknownTopicOrPartition)
				check(e, "reading "+what, bad.read(0).code, invalidRequest)
			}
			bad := p.of(t, -1)
			check(e, "initializing partition -1", bad.initialize(0, 0), invalidRequest)
			check(e, "summary of partition -1", bad.summary().code, invalidRequest)
			check(e, "deleting partition -1", bad.delete(), invalidRequest)
		}},
		{id: "S51", title: "the share coordinator fences older state epochs and leader epochs", run: func(e *env) {
			p := e.sharePart(e.group(), e.topic())
			check(e, "initializing", p.initialize(3, 5), none)
			check(e, "initializing in an older epoch", p.initialize(2, 7), fencedStateEpoch)
			check(e, "writing in an older state epoch", p.write(2, 0, 6), fencedStateEpoch)
			check(e, "reading", fmt.Sprint(p.read(4)), "{0 3 0 5  0}")
			check(e, "reading in an older leader epoch", p.read(3).code, fencedLeaderEpoch)
			check(e, "writing in an older leader epoch", p.write(3, 3, 6), fencedLeaderEpoch)
			check(e, "writing", p.write(3, 4, 6), none)
			check(e, "summary", fmt.Sprint(p.summary()), "{0 3 4 6  1}")
			check(e, "writing in a newer state epoch", p.write(4, 4, 7), none)
			check(e, "summary after that", fmt.Sprint(p.summary()), "{0 3 4 7  1}")
			check(e, "initializing anew", p.initialize(3, 2), none)
			check(e, "summary after that", fmt.Sprint(p.summary()), "{0 3 0 2  0}")
			check(e, "reading in an older leader epoch than ever", p.read(3).code, fencedLeaderEpoch)
		}},
		{id: "S52", title: "the share coordinator puts batches together, and its start offset does not go back", run: func(e *env) {
			p := e.sharePart(e.group(), e.topic())
			check(e, "initializing", p.initialize(0, 0), none)
			check(e, "writing", p.write(0, 0, 0, stateBatch{0, 9, 0, 1}), none)
			check(e, "writing a part", p.write(0, 0, 0, stateBatch{3, 4, 2, 1}, stateBatch{5, 6, 0, 2}), none)
			check(e, "state", p.read(0).batches, "0-2 state 0 x1, 3-4 state 2 x1, 5-6 state 0 x2, 7-9 state 0 x1, ")
			check(e, "writing what is older", p.write(0, 0, 0, stateBatch{5, 6, 0, 1}), none)
			check(e, "moving the start", p.write(0, 0, 4, stateBatch{10, 11, 4, 1}), none)
			check(e, "moving the start back", p.write(0, 0, 2, stateBatch{12, 12, 4, 1}), none)
			got := p.read(0)
			check(e, "start", got.start, 4)
			check(e, "state", got.batches, "4-4 state 2 x1, 5-6 state 0 x2, 7-9 state 0 x1, 10-12 state 4 x1, ")
			check(e, "deleting", p.delete(), none)
			check(e, "reading after that", p.read(0).code, invalidRequest)
		}},
		{id: "S53", title: "a share coordinator is found by group, topic id and partition, and others refuse its partitions", run: func(e *env) {
			p := e.sharePart(e.group(), e.topic())
			for _, bad := range []string{"", "group", "group:topic", "group:topic:0", p.group + ":AAAAAAAAAAAAAAAAAAAAAA:x"} {
				got, broker := e.findShareCoordinator(bad)
				check(e, "a key of "+bad, got, invalidRequest)
				check(e, "the coordinator of "+bad, broker, -1)
			}
			for _, broker := range []int32{e.A, e.B, e.C} {
				if broker == p.coordinator {
					continue
				}
				other := *p
				other.coordinator = broker
				check(e, "initializing at another broker", other.initialize(0, 0), notCoordinator)
				check(e, "reading at another broker", other.read(0).code, notCoordinator)
				check(e, "writing at another broker", other.write(0, 0, 0), notCoordinator)
				check(e, "summary at another broker", other.summary().code, notCoordinator)
				check(e, "deleting at another broker", other.delete(), notCoordinator)
			}
		}},
	}
	for i := range rows {
		rows[i].apis = stateAPIs()
	}
	return rows
}
