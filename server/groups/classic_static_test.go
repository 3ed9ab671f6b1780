package groups

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stableStatic is a stable group of the static members i1 (which leads) and i2.
func (h *harness) stableStatic() (members []string, generation int32) {
	h.t.Helper()
	j1, j2 := h.joinStatic("i1", ""), h.joinStatic("i2", "")
	h.pass(firstRebalance)
	r1, r2 := j1.code(0), j2.code(0)
	members = []string{r1.MemberID, r2.MemberID}
	s2 := h.sync(members[1], r1.Generation, nil)
	h.sync(members[0], r1.Generation, map[string]string{members[0]: "1", members[1]: "2"}).code(0)
	s2.code(0)
	return members, r1.Generation
}

// TestStaticMemberReturns is row G31: a static member that starts again keeps its
// assignment, and nobody rebalances.
func TestStaticMemberReturns(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stableStatic()
	before := len(h.log)
	r := h.joinStatic("i2", "").code(0)
	if r.MemberID == members[1] || r.MemberID[:3] != "i2-" || r.Generation != g || r.LeaderID != members[0] || r.SkipAssignment || len(r.Members) != 0 {
		t.Errorf("a follower: %+v", r)
	}
	if len(h.log) != before+1 {
		t.Errorf("%d records were written, want 1", len(h.log)-before)
	}
	if s := h.sync(r.MemberID, g, nil).code(0); string(s.MemberAssignment) != "2" {
		t.Errorf("its assignment is %q", s.MemberAssignment)
	}
	h.inState(stateStable)
	if code := h.heartbeat(members[1], g); code != kerr.UnknownMemberID.Code {
		t.Errorf("heartbeat of the old id: %d", code)
	}
	q := kmsg.NewPtrSyncGroupRequest()
	instance := "i2"
	q.Group, q.MemberID, q.InstanceID, q.Generation = "g", members[1], &instance, g
	h.syncWith(q).code(kerr.FencedInstanceID.Code)
	h.joinStatic("i2", members[1]).code(kerr.FencedInstanceID.Code)
	h.joinStatic("i3", members[1]).code(kerr.UnknownMemberID.Code)

	lead := h.joinStatic("i1", "").code(0)
	if lead.LeaderID != lead.MemberID || !lead.SkipAssignment || len(lead.Members) != 2 {
		t.Errorf("the leader: %+v", lead)
	}
	// Version 8 knows no skipping: it is told the leader that was.
	q8 := joinRequest("")
	instance1 := "i1"
	q8.InstanceID = &instance1
	if r := h.send(8, q8).code(0); r.LeaderID != lead.MemberID || r.MemberID == lead.MemberID || len(r.Members) != 0 {
		t.Errorf("version 8: %+v", r)
	}
	h.load(h.log)
	if code := h.heartbeat(r.MemberID, g); code != 0 {
		t.Errorf("heartbeat after a failover: %d", code)
	}
}

// TestStaticMemberIsFencedAtOnce answers who waits under the old id.
func TestStaticMemberIsFencedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stableStatic()
	j := h.joinStatic("i1", members[0])
	h.inState(statePreparing)
	again := h.joinStatic("i1", "")
	if r := j.code(kerr.FencedInstanceID.Code); r.MemberID != members[0] {
		t.Errorf("%+v", r)
	}
	again.waits()
	other := h.joinStatic("i2", members[1])
	r := again.code(0)
	other.code(0)
	s := h.sync(members[1], r.Generation, nil)
	third := h.joinStatic("i2", "") // while the leader assigns
	s.code(kerr.FencedInstanceID.Code)
	h.inState(statePreparing)
	third.waits()
	if r.Generation != g+1 {
		t.Errorf("generation %d", r.Generation)
	}
}

func TestStaticMemberChangesTheProtocol(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	j1 := h.joinStatic("i1", "", "range", "sticky")
	j2 := h.joinStatic("i2", "", "range", "sticky")
	h.pass(firstRebalance)
	g := j1.code(0).Generation
	follower := j2.code(0).MemberID
	h.sync(h.classic().leader, g, nil).code(0)
	j := h.joinStatic("i1", "", "sticky")
	j.waits()
	h.inState(statePreparing)
	other := h.joinStatic("i2", follower, "range", "sticky")
	if r := j.code(0); *r.Protocol != "sticky" || r.Generation != g+1 {
		t.Errorf("%+v", r)
	}
	other.code(0)
}

// TestStaticMemberIsNotPersisted takes the old id back.
func TestStaticMemberIsNotPersisted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stableStatic()
	h.fail = kerr.NotCoordinator
	q := joinRequest("")
	instance := "i2"
	q.InstanceID, q.SessionTimeoutMillis = &instance, 20_000
	h.send(9, q).code(kerr.NotCoordinator.Code)
	if code := h.heartbeat(members[1], g); code != 0 {
		t.Errorf("heartbeat of the old id: %d", code)
	}
	m := h.classic().members[members[1]]
	if m.sessionMs != int32(testSession.Milliseconds()) || len(h.classic().members) != 2 {
		t.Errorf("%+v", m)
	}
	h.inState(stateStable)
}

// TestStaticMemberStays has a static member that does not rejoin be waited for
// until its session ends.
func TestStaticMemberStays(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stableStatic()
	q := joinRequest(members[0])
	instance := "i1"
	q.InstanceID, q.RebalanceTimeoutMillis = &instance, 5000
	h.classic().members[members[1]].rebalanceMs = 5000
	j := h.send(9, q)
	h.pass(5_000_000_000)
	if r := j.code(0); r.Generation != g+1 || len(r.Members) != 2 {
		t.Errorf("%+v", r)
	}
	h.sync(members[0], g+1, nil).code(0)
	h.pass(testSession)
	if h.classic().members[members[1]] != nil {
		t.Error("it is a member without end")
	}

	instance = "i1"
	if code := h.leave("", &instance); code != 0 && code != kerr.UnknownMemberID.Code {
		t.Errorf("an admin removes an instance: %d", code)
	}
}

// TestStaticMembersWithoutRebalanceTimeout has the coordinator not look for them
// all the time: members say how long they are waited for.
func TestStaticMembersWithoutRebalanceTimeout(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	members, g := h.stableStatic()
	for _, m := range members {
		h.classic().members[m].rebalanceMs = 0
	}
	instance := "i1"
	if code := h.leave("", &instance); code != 0 {
		t.Fatal(code)
	}
	before := h.count
	h.pass(testSession / 2)
	h.inState(statePreparing)
	if n := h.count - before; n > 100 {
		t.Errorf("timers were set %d times in 5 s", n)
	}
	if code := h.heartbeat(members[1], g); code != kerr.RebalanceInProgress.Code {
		t.Errorf("heartbeat: %d", code)
	}
	h.pass(testSession)
	h.inState(stateEmpty)
}
