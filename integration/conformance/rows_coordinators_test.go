package conformance_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitTimeout is offsets.commit.timeout.ms: how long a coordinator waits for what it wrote to be committed.
const commitTimeout = 5 * time.Second

// tookCommitTimeout ends the row unless the answer took as long.
func (e *env) tookCommitTimeout(start time.Time) {
	took := time.Since(start)
	check(e, "did the answer take offsets.commit.timeout.ms", took > commitTimeout-200*time.Millisecond && took < commitTimeout+e.target.Timing.Patience/2, true)
}

// coordinatorRows are about where a group's coordinator is, and about what it cannot get committed.
func coordinatorRows() []row {
	members := []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat}
	return []row{
		{id: "G25", title: "the first member of an empty group waits group.initial.rebalance.delay.ms, and longer when another joins", during: aNewCluster, defaults: true, apis: members, run: func(e *env) {
			e.next("B and C are gone for good")
			e.next("B and C are back")
			e.next("the offsets topic is there")
			const delay = 3 * time.Second
			alone, first, second := e.member(e.group()), e.member(e.group()), (*member)(nil)
			start := time.Now()
			joiningAlone, joiningFirst := alone.joinLater(), first.joinLater()
			second = e.member(first.group)
			e.pause(delay / 2)
			joiningSecond := second.joinLater()
			alone.joined(joiningAlone)
			took := time.Since(start)
			check(e, "did it wait for the delay", took > delay-100*time.Millisecond && took < 2*delay-500*time.Millisecond, true)
			check(e, "does the first of two wait longer", joiningFirst.open(), true)
			first.joined(joiningFirst)
			second.joined(joiningSecond)
			took = time.Since(start)
			check(e, "did both wait for another delay", took > 2*delay-500*time.Millisecond, true)
			check(e, "generation", fmt.Sprint(first.generation, second.generation), "1 1")
		}},
		{id: "G07", title: "a commit that cannot be replicated: COORDINATOR_NOT_AVAILABLE after offsets.commit.timeout.ms; it counts when it can be", during: offsetsAreShort, run: func(e *env) {
			e.next("C is killed")
			g, t := e.group(), e.topic()
			e.next("the offsets topic is below its minimum")
			start := time.Now()
			check(e, "OffsetCommit", e.commitOffset(g, t, simple(5)), coordinatorNotAvailable)
			e.tookCommitTimeout(start)
			e.next("the minimum is met")
			e.wait("the commit to count", func() error {
				return is("offset", e.fetchOffset(g, t, offsetQuery{}).offset, 5)
			})
		}},
		{id: "G08", title: "OffsetFetch beside a commit that is not replicated knows the offset before it", during: offsetsAreShort, run: func(e *env) {
			e.next("C is killed")
			g, t := e.group(), e.topic()
			check(e, "OffsetCommit", e.commitOffset(g, t, simple(4)), none)
			e.next("the offsets topic is below its minimum")
			waiting := e.send(e.conn(g.coordinator), simple(5).request(g, t))
			e.hasOffset(g, t, 4)
			check(e, "OffsetCommit", e.committed(answer[*kmsg.OffsetCommitResponse](e, waiting)), coordinatorNotAvailable)
			e.hasOffset(g, t, 4)
			e.next("the minimum is met")
		}},
		{id: "G30", title: "an assignment that cannot be replicated: all members get COORDINATOR_NOT_AVAILABLE, and rebalance", during: offsetsAreShort, apis: members, run: func(e *env) {
			e.next("C is killed")
			g := e.group()
			m, other := e.member(g), e.member(g)
			e.stable(m)
			joining := other.joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			m.joined(m.joinLater())
			other.joined(joining)
			generation := m.generation
			e.next("the offsets topic is below its minimum")
			start := time.Now()
			waiting := []*later{other.syncLater(), m.syncLater(m.id, other.id)}
			for _, l := range waiting {
				code, assignment := m.synced(l)
				check(e, "SyncGroup", code, coordinatorNotAvailable)
				check(e, "assignment", assignment, "")
			}
			e.tookCommitTimeout(start)
			e.next("the minimum is met")
			m.waitHeartbeat(rebalanceInProgress)
			joining = other.joinLater()
			m.joined(m.joinLater())
			other.joined(joining)
			check(e, "generation", m.generation, generation+1)
			e.assign(m, other)
		}},
		{id: "G44", title: "a heartbeat behind a write that cannot be replicated: COORDINATOR_NOT_AVAILABLE, later; the member stays", during: offsetsAreShort, apis: members, run: func(e *env) {
			e.next("C is killed")
			m, t := e.member(e.groupOn(0)), e.topic()
			e.stable(m)
			e.next("the offsets topic is below its minimum")
			commit := e.send(e.conn(m.group.coordinator), m.commit().request(m.group, t))
			e.wait("a heartbeat to wait", func() error {
				start := time.Now()
				got := m.heartbeat()
				if got == none {
					return errors.New("it was answered")
				}
				check(e, "Heartbeat", got, coordinatorNotAvailable)
				e.tookCommitTimeout(start)
				return nil
			})
			check(e, "OffsetCommit", e.committed(answer[*kmsg.OffsetCommitResponse](e, commit)), coordinatorNotAvailable)
			e.next("the minimum is met")
			m.waitHeartbeat(none)
		}},
		{id: "G45", title: "a heartbeat in a wrong generation is refused at once, even behind such a write", during: offsetsAreShort, apis: members, run: func(e *env) {
			e.next("C is killed")
			m, t := e.member(e.groupOn(0)), e.topic()
			e.stable(m)
			e.next("the offsets topic is below its minimum")
			commit := e.send(e.conn(m.group.coordinator), m.commit().request(m.group, t))
			other := *m
			other.generation++
			check(e, "Heartbeat", other.heartbeat(), illegalGeneration)
			check(e, "does the commit wait", commit.open(), true)
			e.next("the minimum is met")
		}},
		{id: "G46", title: "OffsetFetch of stable offsets behind such a write: NOT_COORDINATOR, later", during: offsetsAreShort, run: func(e *env) {
			e.next("C is killed")
			g, t := e.groupOn(1), e.topic()
			e.next("the offsets topic is below its minimum")
			waiting := e.send(e.conn(g.coordinator), simple(5).request(g, t))
			e.wait("a stable fetch to wait", func() error {
				start := time.Now()
				got := e.fetchOffset(g, t, offsetQuery{stable: true})
				if got.code == none {
					return errors.New("it was answered")
				}
				check(e, "OffsetFetch", got.code, notCoordinator)
				e.tookCommitTimeout(start)
				return nil
			})
			check(e, "OffsetCommit", e.committed(answer[*kmsg.OffsetCommitResponse](e, waiting)), coordinatorNotAvailable)
			e.next("the minimum is met")
		}},
		{id: "G47", title: "heartbeats of a group are answered well while another one in the same partition commits", apis: members, run: func(e *env) {
			m, g, t := e.member(e.groupOn(2)), e.groupOn(2), e.topic()
			e.stable(m)
			conn := e.conn(g.coordinator)
			for offset := range int64(20) {
				commit := e.send(conn, simple(offset).request(g, t))
				check(e, "Heartbeat", m.heartbeat(), none)
				check(e, "OffsetCommit", e.committed(answer[*kmsg.OffsetCommitResponse](e, commit)), none)
			}
			e.hasOffset(g, t, 19)
		}},
	}
}

// newClusterRows are about the first group of a cluster.
func newClusterRows() []row {
	return []row{
		{id: "G01", title: "the first FindCoordinator of a cluster: COORDINATOR_NOT_AVAILABLE, while __consumer_offsets is created", during: aNewCluster, defaults: true, run: func(e *env) {
			e.next("B and C are gone for good")
			e.next("B and C are back")
			name := e.freshName()
			first, _ := e.findCoordinator(e.A, name)
			e.wait("a coordinator", func() error {
				got, broker := e.findCoordinator(e.A, name)
				if got == none {
					check(e, "is the coordinator a broker", e.liveBrokers()[broker], true)
				}
				return is("answer", got, none)
			})
			meta, err := e.tryMetadata(e.A, offsetsTopic)
			if err != nil {
				e.fatalf("%s: %v", offsetsTopic, err)
			}
			check(e, "partitions", len(meta.Partitions), 50)
			check(e, "replicas", len(meta.Partitions[0].Replicas), 3)
			check(e, "is the topic internal", meta.IsInternal, true)
			e.next("the offsets topic is there")
			check(e, "first answer", first, coordinatorNotAvailable)
		}},
		{id: "G02", title: "fewer brokers than offsets.topic.replication.factor: COORDINATOR_NOT_AVAILABLE for good", during: aNewCluster, defaults: true, run: func(e *env) {
			e.next("B and C are gone for good")
			for range 5 {
				got, broker := e.findCoordinator(e.A, e.freshName())
				check(e, "answer", got, coordinatorNotAvailable)
				check(e, "coordinator", broker, -1)
				e.pause(200 * time.Millisecond)
			}
			_, err := e.tryMetadata(e.A, offsetsTopic)
			check(e, "is there an offsets topic", err == nil, false)
		}},
	}
}

// failoverRows are about a coordinator that dies. C coordinates the groups in partition 0 of the offsets topic, which A and B have
// too, and is the only one to have partition 1.
func failoverRows() []row {
	return []row{
		{id: "G03", title: "nobody leads the group's partition: COORDINATOR_NOT_AVAILABLE", during: aCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			g, t := e.groupOn(1), e.topic()
			check(e, "coordinator", e.name(g.coordinator), "C")
			e.next("C is killed")
			e.next("C is fenced")
			e.wait("FindCoordinator to know", func() error {
				got, _ := e.findCoordinator(e.A, g.name)
				return is("answer", got, coordinatorNotAvailable)
			})
			g.coordinator = e.A
			check(e, "OffsetFetch at another broker", e.fetchOffset(g, t, offsetQuery{}).code, notCoordinator)
			e.next("C is back")
			e.coordinated(g.name)
		}},
		{id: "G05", title: "until the next coordinator has loaded: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR or COORDINATOR_NOT_AVAILABLE; then the offsets are there", during: aCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			g, t := e.groupOn(0), e.topic()
			check(e, "OffsetCommit", e.commitOffset(g, t, simple(5)), none)
			m := e.member(g)
			e.next("C is killed")
			m.group.coordinator, g.coordinator = e.A, e.A
			e.waitSession("A to coordinate", func() error {
				got := e.fetchOffset(g, t, offsetQuery{stable: true})
				switch got.code {
				case coordinatorLoadInProgress, coordinatorNotAvailable, notCoordinator:
				case none:
					check(e, "offset", got.offset, 5)
				default:
					e.fatalf("OffsetFetch meanwhile: got %v", got.code)
				}
				if m.heartbeat() == coordinatorLoadInProgress {
					e.fatalf("Heartbeat meanwhile: got %v, want none", coordinatorLoadInProgress)
				}
				return is("answer", got.code, none)
			})
			e.next("C is fenced")
		}},
		{id: "G09", title: "a coordinator dies with commits under way: what it acknowledged is kept, and the last one may be", during: aCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			g, t := e.groupOn(0), e.topic()
			var sent, acknowledged atomic.Int64
			conn, stopped := e.conn(g.coordinator), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					offset := sent.Add(1)
					resp, err := conn.Request(simple(offset).request(g, t))
					if err != nil {
						return // The coordinator is dead.
					}
					if resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode == 0 {
						acknowledged.Store(offset)
					}
				}
			}()
			e.wait("some commits", func() error { return is("are there any", acknowledged.Load() > 0, true) })
			e.next("C is killed")
			<-stopped // Its connection is gone.
			e.next("C is fenced")
			g = e.coordinated(g.name)
			check(e, "coordinator", e.name(g.coordinator), "A")
			got := e.fetchOffset(g, t, offsetQuery{stable: true})
			check(e, "OffsetFetch", got.code, none)
			if low, high := acknowledged.Load(), sent.Load(); got.offset < low || got.offset > high {
				e.fatalf("offset: got %d, want one of %d to %d", got.offset, low, high)
			}
		}},
		{id: "G33", title: "a stable group goes on with the next coordinator in its generation", during: aCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			g, t := e.groupOn(0), e.topic()
			m, other := e.member(g), e.member(g)
			e.stable(m, other)
			e.next("C is killed")
			e.next("C is fenced")
			g = e.coordinated(g.name)
			check(e, "coordinator", e.name(g.coordinator), "A")
			m.group, other.group = g, g
			m.waitHeartbeat(none)
			other.waitHeartbeat(none)
			check(e, "OffsetCommit", e.commitOffset(g, t, m.commit()), none)
			code, assignment := other.synced(other.syncLater())
			check(e, "SyncGroup", code, none)
			check(e, "assignment", assignment, "for "+other.id)
		}},
		{id: "G34", title: "a rebalance under way is forgotten: the next coordinator has the generation before it", during: aCoordinatorIsKilled, run: func(e *env) {
			e.next("C coordinates")
			g := e.groupOn(0)
			m, late := e.member(g), e.member(g)
			e.stable(m)
			generation := m.generation
			late.introduce()
			joining := late.joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			e.next("C is killed")
			<-joining.answered
			check(e, "did the coordinator answer", joining.err == nil, false)
			e.next("C is fenced")
			g = e.coordinated(g.name)
			m.group, late.group = g, g
			m.waitHeartbeat(none)
			check(e, "JoinGroup of the new member", late.tryJoin().code, unknownMemberID)
			check(e, "generation", m.join().generation, generation+1)
		}},
	}
}
