package groups

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

func TestMemberIDRequired(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	resp := h.send(4, joinRequest("")).code(kerr.MemberIDRequired.Code)
	if resp.MemberID == "" || resp.Generation != -1 {
		t.Fatalf("%+v", resp)
	}
	if len(h.log) != 1 {
		t.Errorf("a new group has %d records, want that it is there", len(h.log))
	}
	// The id is worth something for the session.
	h.pass(testSession)
	h.send(4, joinRequest(resp.MemberID)).code(kerr.UnknownMemberID.Code)

	h.send(4, joinRequest("nobody")).code(kerr.UnknownMemberID.Code)
	// Version 3 joins at once.
	j := h.send(3, joinRequest(""))
	j.waits()
	h.pass(3 * time.Second)
	if r := j.code(0); r.LeaderID != r.MemberID || len(r.Members) != 1 || r.Generation != 1 || *r.Protocol != "range" {
		t.Errorf("%+v", r)
	}
}

func TestInitialRebalanceDelay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		joins []time.Duration
		want  time.Duration
	}{
		{"one member", []time.Duration{0}, 3 * time.Second},
		{"another extends the delay", []time.Duration{0, time.Second}, 6 * time.Second},
		{"each one does", []time.Duration{0, time.Second, 4 * time.Second}, 9 * time.Second},
		{"up to the first member's rebalance timeout", []time.Duration{0, 2 * time.Second, 4 * time.Second, 8 * time.Second, 9 * time.Second}, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			begin := h.now
			var waiting []joinCall
			for _, at := range tc.joins {
				h.pass(at - h.now.Sub(begin))
				q := joinRequest("")
				q.RebalanceTimeoutMillis = 10_000
				waiting = append(waiting, h.send(2, q))
			}
			h.pass(tc.want - time.Millisecond - h.now.Sub(begin))
			for _, j := range waiting {
				j.waits()
			}
			h.pass(time.Millisecond)
			for _, j := range waiting {
				j.code(0)
			}
		})
	}
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	h := newHarness(t, map[string]string{"group.max.size": "2"})
	members, _ := h.stable(2)
	h.send(9, joinRequest("")).code(kerr.GroupMaxSizeReached.Code)
	h.leave(members[1], nil)
	other := joinRequest("")
	other.ProtocolType = "connect"
	h.send(9, other).code(kerr.InconsistentGroupProtocol.Code)
	h.send(9, joinRequest("", "sticky")).code(kerr.InconsistentGroupProtocol.Code)
	none := joinRequest("")
	none.Protocols = nil
	h.send(9, none).code(kerr.InconsistentGroupProtocol.Code)
	h.send(9, joinRequest("nobody")).code(kerr.UnknownMemberID.Code)

	empty := joinRequest("")
	empty.Group, empty.ProtocolType = "another", ""
	h.send(9, empty).code(kerr.InconsistentGroupProtocol.Code)
}

// TestRebalanceWaits holds who is waited for, and how long.
func TestRebalanceWaits(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, generation := h.stable(3)
	a, b, lazy := members[0], members[1], members[2]
	ja, _ := h.join(a)
	if code := h.heartbeat(b, generation); code != kerr.RebalanceInProgress.Code {
		t.Errorf("a heartbeat while a rebalance is prepared: %d", code)
	}
	h.sync(b, generation, nil).code(kerr.RebalanceInProgress.Code)
	jb, _ := h.join(b)
	ja.waits()
	// The third lives, and does not join.
	for range 11 {
		h.pass(5 * time.Second)
		h.heartbeat(lazy, generation)
	}
	ja.waits()
	h.pass(5 * time.Second)
	resp := ja.code(0)
	if resp.Generation != generation+1 || len(resp.Members) != 2 || jb.code(0).LeaderID != a {
		t.Errorf("%+v", resp)
	}
	if code := h.heartbeat(lazy, generation); code != kerr.UnknownMemberID.Code {
		t.Errorf("a heartbeat of who did not rejoin: %d", code)
	}
	// Everybody who is there ends the next one at once.
	h.sync(a, generation+1, nil).code(0)
	ja, _ = h.join(a)
	jb, _ = h.join(b)
	ja.code(0)
	jb.code(0)
}

// TestLeaderFailsToRejoin has another member lead.
func TestLeaderFailsToRejoin(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, generation := h.stable(2)
	q := joinRequest(members[1])
	q.Protocols[0].Metadata = subscribedTo("payments")
	j := h.send(9, q)
	for range 12 {
		h.pass(5 * time.Second)
		h.heartbeat(members[0], generation)
	}
	if r := j.code(0); r.LeaderID != members[1] || len(r.Members) != 1 || r.Generation != generation+1 {
		t.Errorf("%+v", r)
	}
}

// TestRejoinWithoutChange answers who has lost an answer with what is.
func TestRejoinWithoutChange(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j1, a := h.join("")
	j2, b := h.join("")
	h.pass(firstRebalance)
	g := j1.code(0).Generation
	j2.code(0)
	for _, m := range []string{a, b} { // completing
		again, _ := h.join(m)
		r := again.code(0)
		if r.Generation != g || (len(r.Members) == 2) != (m == a) || r.LeaderID != a {
			t.Errorf("%s: %+v", m, r)
		}
	}
	h.sync(a, g, nil).code(0)
	again, _ := h.join(b) // stable, a follower
	if r := again.code(0); r.Generation != g || len(r.Members) != 0 {
		t.Errorf("%+v", r)
	}
	h.inState(stateStable)
	leads, _ := h.join(a) // stable, the leader
	leads.waits()
	h.inState(statePreparing)
}

// TestChangedMetadata has a cooperative consumer, which rejoins with what it owns,
// begin a rebalance.
func TestChangedMetadata(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, generation := h.stable(2)
	q := joinRequest(members[1])
	q.Protocols[0].Metadata = append(q.Protocols[0].Metadata, 1)
	j := h.send(9, q)
	j.waits()
	h.inState(statePreparing)
	lead, _ := h.join(members[0])
	if r := lead.code(0); r.Generation != generation+1 || string(r.Members[1].ProtocolMetadata) != string(q.Protocols[0].Metadata) {
		t.Errorf("%+v", r)
	}
	// And so it does when the rebalance is not complete.
	q = joinRequest(members[1])
	q.Protocols[0].Metadata = append(q.Protocols[0].Metadata, 2)
	s := h.sync(members[1], generation+1, nil)
	h.send(9, q).waits()
	s.code(kerr.RebalanceInProgress.Code)
	h.inState(statePreparing)
}

// TestProtocolVotes selects what all support and the most like best.
func TestProtocolVotes(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j, _ := h.join("", "range", "roundrobin", "sticky")
	_, _ = h.join("", "sticky", "roundrobin")
	_, _ = h.join("", "roundrobin", "sticky", "range")
	_, _ = h.join("", "cooperative", "roundrobin", "sticky")
	h.pass(firstRebalance)
	if r := j.code(0); *r.Protocol != "roundrobin" {
		t.Errorf("selected %s", *r.Protocol)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, generation := h.stable(2)
	for range 3 {
		h.pass(testSession - time.Millisecond)
		for _, m := range members {
			if code := h.heartbeat(m, generation); code != 0 {
				t.Fatalf("heartbeat: %d", code)
			}
		}
	}
	if code := h.heartbeat(members[0], generation-1); code != kerr.IllegalGeneration.Code {
		t.Errorf("an old generation: %d", code)
	}
	h.pass(testSession - time.Millisecond)
	h.heartbeat(members[0], generation)
	h.pass(time.Millisecond)
	if code := h.heartbeat(members[0], generation); code != kerr.RebalanceInProgress.Code {
		t.Errorf("the other's session has ended: %d", code)
	}
	if code := h.heartbeat(members[1], generation); code != kerr.UnknownMemberID.Code {
		t.Errorf("heartbeat of who is removed: %d", code)
	}
	h.pass(testSession)
	h.inState(stateEmpty)
	if g := h.classic(); g.generation != generation+1 || g.protocolName != nil || g.leader != "" {
		t.Errorf("%+v", g)
	}
	if code := h.heartbeat(members[0], generation); code != kerr.UnknownMemberID.Code {
		t.Errorf("heartbeat to an empty group: %d", code)
	}
}

// TestNewMemberIsNotWaitedForWithoutEnd removes members whose client is gone
// after 5 minutes, whatever their session.
func TestNewMemberIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, generation := h.stable(1)
	h.classic().members[members[0]].rebalanceMs = int32((20 * time.Minute).Milliseconds())
	q := joinRequest("")
	q.SessionTimeoutMillis = int32((30 * time.Minute).Milliseconds())
	j := h.send(3, q)
	for begin := h.now; h.now.Sub(begin) < newMemberJoinTimeout-time.Second; {
		h.pass(time.Second)
		h.heartbeat(members[0], generation)
	}
	j.waits()
	h.pass(time.Second)
	j.code(kerr.UnknownMemberID.Code)
}

func TestPendingSync(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j1, a := h.join("")
	_, b := h.join("")
	h.pass(firstRebalance)
	g := j1.code(0).Generation
	h.sync(a, g, nil).code(0)
	h.inState(stateStable)
	for range 12 {
		h.pass(5 * time.Second)
		h.heartbeat(a, g)
		h.heartbeat(b, g)
	}
	h.inState(statePreparing)
	if h.classic().members[b] != nil {
		t.Error("who did not sync is still a member")
	}
}

// TestSyncIsPersisted has nobody get an assignment that is not in the log.
func TestSyncIsPersisted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j1, a := h.join("")
	_, b := h.join("")
	h.pass(firstRebalance)
	g := j1.code(0).Generation
	h.held = true
	sb := h.sync(b, g, nil)
	sa := h.sync(a, g, map[string]string{a: "1", b: "2"})
	sa.waits()
	sb.waits()
	h.inState(stateCompleting)
	h.held = false
	h.commit()
	if r := sb.code(0); string(r.MemberAssignment) != "2" || *r.Protocol != "range" || *r.ProtocolType != "consumer" {
		t.Errorf("%+v", r)
	}
	if r := sa.code(0); string(r.MemberAssignment) != "1" {
		t.Errorf("%+v", r)
	}
	h.inState(stateStable)
	if r := h.sync(b, g, nil).code(0); string(r.MemberAssignment) != "2" {
		t.Errorf("again: %+v", r)
	}
	h.sync("nobody", g, nil).code(kerr.UnknownMemberID.Code)
	h.sync(b, g-1, nil).code(kerr.IllegalGeneration.Code)
}

// TestSyncCannotBePersisted is row G30: everybody is told, and a rebalance begins.
func TestSyncCannotBePersisted(t *testing.T) {
	t.Parallel()
	for _, failure := range []string{"append", "time"} {
		h := newHarness(t, nil)
		j1, a := h.join("")
		_, b := h.join("")
		h.pass(firstRebalance)
		g := j1.code(0).Generation
		sb := h.sync(b, g, nil)
		want := kerr.CoordinatorNotAvailable
		if failure == "append" {
			want = kerr.NotCoordinator
			h.fail = want
		}
		h.held = true
		sa := h.sync(a, g, map[string]string{a: "1", b: "2"})
		h.timeOut()
		sa.code(want.Code)
		sb.code(want.Code)
		h.inState(statePreparing)
		if code := h.heartbeat(a, g); code != 0 && code != kerr.RebalanceInProgress.Code {
			t.Errorf("heartbeat: %d", code)
		}
		h.held = false
		h.commit()
		ja, _ := h.join(a)
		jb, _ := h.join(b)
		if r := ja.code(0); r.Generation != g+1 {
			t.Errorf("%s: %+v", failure, r)
		}
		jb.code(0)
	}
}

// TestLateSyncIsNotTaken has a rebalance begin while the assignment is stored: the
// assignment is of no generation then.
func TestLateSyncIsNotTaken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j1, a := h.join("")
	h.pass(firstRebalance)
	g := j1.code(0).Generation
	h.held = true
	s := h.sync(a, g, map[string]string{a: "1"})
	j2, _ := h.join("")
	j2.waits()
	s.code(kerr.RebalanceInProgress.Code)
	h.held = false
	h.commit()
	h.inState(statePreparing)
	ja, _ := h.join(a)
	ja.code(0)
	h.inState(stateCompleting)
	if m := h.classic().members[a]; m.assignment != nil {
		t.Errorf("it has the assignment %q", m.assignment)
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	if code := h.leave("a", nil); code != kerr.UnknownMemberID.Code {
		t.Errorf("of no group: %d", code)
	}
	members, generation := h.stable(2)
	if code := h.leave("nobody", nil); code != kerr.UnknownMemberID.Code {
		t.Errorf("nobody: %d", code)
	}
	instance := "i"
	if code := h.leave(members[0], &instance); code != kerr.UnknownMemberID.Code {
		t.Errorf("of an unknown instance: %d", code)
	}
	pending := h.send(9, joinRequest("")).code(kerr.MemberIDRequired.Code).MemberID
	if code := h.leave(pending, nil); code != 0 {
		t.Errorf("pending: %d", code)
	}
	h.send(9, joinRequest(pending)).code(kerr.UnknownMemberID.Code)
	h.inState(statePreparing) // As Kafka does, though no member is gone.
	j, _ := h.join(members[1])
	if code := h.leave(members[0], nil); code != 0 {
		t.Errorf("leave: %d", code)
	}
	if r := j.code(0); r.Generation != generation+1 || r.LeaderID != members[1] {
		t.Errorf("%+v", r)
	}
	h.sync(members[1], generation+1, nil).code(0)
	h.leave(members[1], nil)
	h.inState(stateEmpty)
}

// TestUnloaded tells those who wait that the coordinator is another one.
func TestUnloaded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j1, _ := h.join("")
	h.shard.Unloaded()
	j1.code(kerr.NotCoordinator.Code)

	h = newHarness(t, nil)
	j1, _ = h.join("")
	_, b := h.join("")
	h.pass(firstRebalance)
	g := j1.code(0).Generation
	s := h.sync(b, g, nil)
	h.shard.Unloaded()
	s.code(kerr.NotCoordinator.Code)
}

// TestLoaded has members keep the last complete generation, with a whole session.
func TestLoaded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, generation := h.stable(2)
	j, joiner := h.join("")
	j.waits()
	h.load(h.log)
	h.inState(stateStable)
	h.pass(testSession - time.Millisecond)
	for _, m := range members {
		if code := h.heartbeat(m, generation); code != 0 {
			t.Errorf("heartbeat: %d", code)
		}
		if r := h.sync(m, generation, nil).code(0); string(r.MemberAssignment) != "of "+m {
			t.Errorf("%q", r.MemberAssignment)
		}
	}
	joins, _ := h.join(joiner)
	joins.code(kerr.UnknownMemberID.Code)
	h.pass(testSession)
	h.inState(stateEmpty)
	h.load(h.log)
	h.inState(stateEmpty)
	if g := h.classic(); g.generation != generation+1 || g.protocolType != "consumer" {
		t.Errorf("%+v", g)
	}
}

// TestLoadedTooLarge has a group that is larger than it may be now rebalance.
func TestLoadedTooLarge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, _ := h.stable(3)
	log := h.log
	h = newHarness(t, map[string]string{"group.max.size": "2"})
	h.load(log)
	h.inState(statePreparing)
	var waiting []joinCall
	for _, m := range members {
		j, _ := h.join(m)
		waiting = append(waiting, j)
	}
	waiting[2].code(kerr.GroupMaxSizeReached.Code)
	waiting[0].waits() // As Kafka does: nobody looks whether all have joined now.
	h.pass(testRebalance)
	waiting[0].code(0)
}

// TestNewGroupIsTakenBack leaves nothing of a group whose first record failed.
func TestNewGroupIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.fail = kerr.NotCoordinator
	j := h.send(2, joinRequest(""))
	j.code(kerr.NotCoordinator.Code)
	if _, err := h.shard.group("g", int64(len(h.log))); err == nil || h.shard.classic("g") != nil {
		t.Error("the group is still there")
	}
	h.pass(10 * time.Minute) // Its timers do nothing.
}

var _ coordinator.Context = (*harness)(nil)
