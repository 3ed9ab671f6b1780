package conformance_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicRows are about the members of groups of the classic protocol.
func classicRows() []row {
	return slices.Concat(joinRows(), rebalanceRows(), []row{
		{id: "G28", title: "a heartbeat in another generation", run: func(e *env) {
			m := e.member(e.group())
			e.stable(m)
			check(e, "this generation", m.heartbeat(), none)
			for _, generation := range []int32{m.generation - 1, m.generation + 1} {
				other := *m
				other.generation = generation
				check(e, "another generation", other.heartbeat(), illegalGeneration)
			}
		}},
		{id: "G31", title: "a static member that returns within its session takes its place without a rebalance; its old id is fenced", run: func(e *env) {
			g := e.group()
			m, other := e.member(g).static("one"), e.member(g)
			e.stable(m, other)
			again := e.member(g).static("one")
			got := again.join()
			check(e, "generation", got.generation, m.generation)
			check(e, "is the member id a new one", got.id != m.id, true)
			check(e, "skip the assignment", got.skipAssigned, true)
			check(e, "heartbeat of the other member", other.heartbeat(), none)
			check(e, "heartbeat of the old id", m.heartbeat(), fencedInstanceID)
			code, assignment := again.synced(again.syncLater())
			check(e, "SyncGroup", code, none)
			check(e, "assignment", assignment, "for "+m.id)
			check(e, "heartbeat of the new id", again.heartbeat(), none)
		}},
		{id: "G32", title: "a member that says nothing for its session timeout is taken out: the others rebalance", run: func(e *env) {
			g := e.group()
			m, silent := e.member(g), e.member(g)
			silent.session = 6 * time.Second // group.min.session.timeout.ms
			e.stable(m, silent)
			start := time.Now()
			e.waitFor("the others to rebalance", silent.session+e.target.Timing.Patience, func() error {
				return is("answer", m.heartbeat(), rebalanceInProgress)
			})
			check(e, "is it before the session timeout", time.Since(start) < silent.session-time.Second, false)
			check(e, "heartbeat of the silent one", silent.heartbeat(), unknownMemberID)
			got := m.join()
			check(e, "members", fmt.Sprint(got.members), fmt.Sprint([]string{m.id}))
		}},
		{id: "G35", title: "LeaveGroup of an unknown member tells it for that member alone", run: func(e *env) {
			m := e.member(e.group())
			stranger := e.member(m.group)
			stranger.id = "someone"
			check(e, "unknown group", stranger.leave(), unknownMemberID)
			e.stable(m)
			check(e, "unknown member", stranger.leave(), unknownMemberID)
			check(e, "unknown instance", e.member(m.group).static("nobody").leave(), unknownMemberID)
			check(e, "heartbeat of the member", m.heartbeat(), none)
			check(e, "LeaveGroup", m.leave(), none)
			check(e, "heartbeat after leaving", m.heartbeat(), unknownMemberID)
			req := request(kmsg.NewPtrLeaveGroupRequest(), 2)
			req.Group, req.MemberID = m.group.name, "someone"
			check(e, "v2", code(ask[*kmsg.LeaveGroupResponse](e, m.group.coordinator, req).ErrorCode), unknownMemberID)
		}},
	})
}

// joinRows are about what JoinGroup answers at once.
func joinRows() []row {
	return []row{
		{id: "G21", title: "JoinGroup without a member id: MEMBER_ID_REQUIRED, with one made of the client id; before v4 it joins", run: func(e *env) {
			m := e.member(e.group())
			got := m.tryJoin()
			check(e, "answer", got.code, memberIDRequired)
			check(e, "member id begins with the client id", got.id[:min(len(got.id), 12)], "conformance-")
			check(e, "generation", got.generation, -1)
			m.id = got.id
			m.join()
			old := e.member(e.group())
			joined := joiningOf(ask[*kmsg.JoinGroupResponse](e, old.group.coordinator, old.joinRequest(3)))
			check(e, "v3", joined.code, none)
			check(e, "v3: generation", joined.generation, 1)
		}},
		{id: "G22", title: "JoinGroup of an unknown member, of an unknown group too", run: func(e *env) {
			m := e.member(e.group())
			stranger := e.member(m.group)
			stranger.id = "someone"
			check(e, "unknown group", stranger.tryJoin().code, unknownMemberID)
			e.stable(m)
			check(e, "unknown member", stranger.tryJoin().code, unknownMemberID)
			check(e, "heartbeat of the member", m.heartbeat(), none)
		}},
		{id: "G23", title: "JoinGroup with a session timeout outside group.min and max.session.timeout.ms", run: func(e *env) {
			m := e.member(e.group())
			for _, session := range []time.Duration{time.Second, 6*time.Second - time.Millisecond, 30*time.Minute + time.Millisecond} {
				m.session = session
				check(e, "answer", m.tryJoin().code, invalidSessionTimeout)
			}
			m.session = 6 * time.Second
			check(e, "answer at the minimum", m.tryJoin().code, memberIDRequired)
		}},
		{id: "G24", title: "JoinGroup without a protocol in common, or of another protocol type", run: func(e *env) {
			m := e.member(e.group())
			bare := e.member(m.group)
			bare.protocols = nil
			check(e, "no protocol for a new group", bare.tryJoin().code, inconsistentGroupProtocol)
			e.stable(m)
			other := e.member(m.group)
			other.protocols = []string{"roundrobin"}
			check(e, "other protocol", other.tryJoin().code, inconsistentGroupProtocol)
			other = e.member(m.group)
			other.kind = "connect"
			check(e, "other type", other.tryJoin().code, inconsistentGroupProtocol)
			check(e, "heartbeat of the member", m.heartbeat(), none)
		}},
	}
}

// rebalanceRows are about what happens while members come and go.
func rebalanceRows() []row {
	return []row{
		{id: "G26", title: "a rebalance waits for a member until the longest rebalance timeout, and takes it out", run: func(e *env) {
			g := e.group()
			m, slow, late := e.member(g), e.member(g), e.member(g)
			const patience = 2 * time.Second
			m.rebalance, slow.rebalance, late.rebalance = time.Second, patience, time.Second
			e.stable(m, slow)
			start := time.Now()
			joining := late.joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			again := m.joinLater()
			late.joined(joining)
			took := time.Since(start)
			check(e, "did it wait as long", took > patience-100*time.Millisecond, true)
			check(e, "members", len(m.joined(again).members), 2)
			check(e, "generation", m.generation, 3)
			check(e, "heartbeat of the one that was late", slow.heartbeat(), unknownMemberID)
		}},
		{id: "G27", title: "a heartbeat while a rebalance waits for members: REBALANCE_IN_PROGRESS", run: func(e *env) {
			m := e.member(e.group())
			e.stable(m)
			joining := e.member(m.group).joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			check(e, "a second heartbeat", m.heartbeat(), rebalanceInProgress)
			check(e, "does the new member wait", joining.open(), true)
		}},
		{id: "G29", title: "SyncGroup while a rebalance waits for members", run: func(e *env) {
			m := e.member(e.group())
			e.stable(m)
			e.member(m.group).joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			code, assignment := m.synced(m.syncLater())
			check(e, "answer", code, rebalanceInProgress)
			check(e, "assignment", assignment, "")
		}},
		{id: "G48", title: "the first to join leads and alone learns of the members; the others' SyncGroup waits for its assignment", run: func(e *env) {
			g := e.group()
			m, other := e.member(g), e.member(g)
			e.stable(m)
			joining := other.joinLater()
			m.waitHeartbeat(rebalanceInProgress)
			led := m.joined(m.joinLater())
			followed := other.joined(joining)
			check(e, "leader", followed.leader, m.id)
			check(e, "leader, to itself", led.leader, m.id)
			check(e, "members for the leader", len(led.members), 2)
			check(e, "members for the other", len(followed.members), 0)
			check(e, "generation", fmt.Sprint(led.generation, followed.generation), "2 2")
			waiting := other.syncLater()
			check(e, "heartbeat meanwhile", other.heartbeat(), none)
			check(e, "does SyncGroup wait", waiting.open(), true)
			m.sync(m.id, other.id)
			code, assignment := other.synced(waiting)
			check(e, "SyncGroup", code, none)
			check(e, "assignment", assignment, "for "+other.id)
		}},
		{id: "G49", title: "in a stable group a follower that joins again as it was gets the same generation, a leader begins a rebalance", run: func(e *env) {
			g := e.group()
			m, other := e.member(g), e.member(g)
			e.stable(m, other)
			generation := m.generation
			check(e, "generation for the follower", other.join().generation, generation)
			check(e, "heartbeat of the leader", m.heartbeat(), none)
			joining := m.joinLater()
			other.waitHeartbeat(rebalanceInProgress)
			other.joined(other.joinLater())
			check(e, "generation for the leader", m.joined(joining).generation, generation+1)
		}},
	}
}
