package groups

import (
	"cmp"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// harness runs a shard as the coordinators' runtime does, with a clock of its own
// and a log in memory. It is the shard's context.
type harness struct {
	t      testing.TB
	now    time.Time
	timers map[string]*testTimer
	count  int
	reg    *timeline.Registry
	image  *election.Image
	config Config
	shard  *Shard

	log       []coordinator.Record
	committed int64
	// held is set while nothing is committed; fail is how the next append fails.
	held    bool
	fail    error
	waiting []func(error)
}

type testTimer struct {
	key   string
	at    time.Time
	order int
	op    func() (coordinator.Outcome, error)
}

func newHarness(t testing.TB, set map[string]string) *harness {
	h := &harness{t: t, now: time.UnixMilli(1_700_000_000_000), config: Config{
		Settings: configs.BrokerValues{Static: set}.Settings(),
		Group:    func(string) configs.GroupValues { return configs.BrokerValues{Static: set}.Group(nil) },
	}}
	h.image = &election.Image{Topics: map[string]*election.Topic{}, TopicsByID: map[log.TopicID]*election.Topic{}}
	h.load(nil)
	return h
}

// load begins a new shard, with a log.
func (h *harness) load(log []coordinator.Record) {
	h.t.Helper()
	h.timers, h.reg = map[string]*testTimer{}, timeline.NewRegistry()
	h.log, h.held, h.fail, h.waiting = nil, false, nil, nil
	h.shard = New(h, h.config)
	for i, r := range log {
		if err := h.shard.Replay(coordinator.Position{Offset: int64(i), ProducerID: -1, ProducerEpoch: -1}, r); err != nil {
			h.t.Fatalf("replay record %d: %v", i, err)
		}
	}
	h.log = slices.Clone(log)
	h.commit()
	h.shard.Loaded()
}

// commit commits all that is written.
func (h *harness) commit() {
	h.committed = int64(len(h.log))
	h.reg.Snapshot(h.committed)
	h.reg.Release(h.committed)
	waiting := h.waiting
	h.waiting = nil
	for _, f := range waiting {
		f(nil)
	}
}

// timeOut tells those who wait that nothing was committed in time.
func (h *harness) timeOut() {
	waiting := h.waiting
	h.waiting = nil
	for _, f := range waiting {
		f(kerr.CoordinatorNotAvailable)
	}
}

// do runs an operation.
func (h *harness) do(op func(*Shard) (coordinator.Outcome, error)) error {
	h.t.Helper()
	out, refused := op(h.shard)
	if refused != nil {
		return refused
	}
	base := int64(len(h.log))
	done := func(err error) {
		if out.Done != nil {
			out.Done(err)
		}
	}
	for i, r := range out.Records {
		if out.Applied {
			continue
		}
		if err := h.shard.Replay(coordinator.Position{Offset: base + int64(i), ProducerID: -1, ProducerEpoch: -1}, r); err != nil {
			h.t.Fatalf("apply a record: %v", err)
		}
	}
	if len(out.Records) > 0 && h.fail != nil {
		failure := h.fail
		h.fail = nil
		h.reg.Revert(base)
		done(failure)
		return nil //nolint:nilerr // The operation did not fail: its append did, which Done is told.
	}
	h.log = append(h.log, out.Records...)
	h.waiting = append(h.waiting, done)
	if h.held {
		h.reg.Snapshot(int64(len(h.log)))
	} else {
		h.commit()
	}
	return nil
}

// pass lets time pass, and runs the timers that are due meanwhile.
func (h *harness) pass(d time.Duration) {
	h.t.Helper()
	end := h.now.Add(d)
	for {
		var next *testTimer
		for _, t := range h.timers {
			if !t.at.After(end) && (next == nil || cmp.Or(t.at.Compare(next.at), cmp.Compare(t.order, next.order)) < 0) {
				next = t
			}
		}
		if next == nil {
			break
		}
		if next.at.After(h.now) {
			h.now = next.at
		}
		delete(h.timers, next.key)
		if err := h.do(func(*Shard) (coordinator.Outcome, error) { return next.op() }); err != nil {
			h.t.Errorf("timer %s: %v", next.key, err)
		}
	}
	h.now = end
}

// Partition is coordinator.Context's, as are the others.
func (h *harness) Partition() int32 { return 0 }

// Now is the time in the test.
func (h *harness) Now() time.Time { return h.now }

// Logger says nothing.
func (h *harness) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Image is what the test says.
func (h *harness) Image() *election.Image { return h.image }

// Timeline is that of the shard.
func (h *harness) Timeline() *timeline.Registry { return h.reg }

// Schedule has pass run op.
func (h *harness) Schedule(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	h.count++
	h.timers[key] = &testTimer{key, h.now.Add(d), h.count, op}
}

// ScheduleRetried is Schedule: nothing is retried here.
func (h *harness) ScheduleRetried(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	h.Schedule(key, d, op)
}

// Cancel ends a timer.
func (h *harness) Cancel(key string) { delete(h.timers, key) }

// Scheduled tells of a timer.
func (h *harness) Scheduled(key string) bool { return h.timers[key] != nil }

// joinCall is a JoinGroup request that may wait.
type joinCall struct {
	*Promise[*kmsg.JoinGroupResponse]
	t testing.TB
}

// waits fails the test when there is an answer already.
func (j joinCall) waits() {
	j.t.Helper()
	select {
	case r := <-j.Answer():
		j.t.Fatalf("JoinGroup was answered: %+v", r)
	default:
	}
}

// answer is the answer that has to be there.
func (j joinCall) answer() *kmsg.JoinGroupResponse {
	j.t.Helper()
	select {
	case r := <-j.Answer():
		return r
	default:
		j.t.Fatal("JoinGroup was not answered")
		return nil
	}
}

func (j joinCall) code(want int16) *kmsg.JoinGroupResponse {
	j.t.Helper()
	r := j.answer()
	if r.ErrorCode != want {
		j.t.Fatalf("JoinGroup answers %d, want %d", r.ErrorCode, want)
	}
	return r
}

// syncCall is a SyncGroup request that may wait.
type syncCall struct {
	*Promise[*kmsg.SyncGroupResponse]
	t testing.TB
}

func (s syncCall) waits() {
	s.t.Helper()
	select {
	case r := <-s.Answer():
		s.t.Fatalf("SyncGroup was answered: %+v", r)
	default:
	}
}

func (s syncCall) code(want int16) *kmsg.SyncGroupResponse {
	s.t.Helper()
	select {
	case r := <-s.Answer():
		if r.ErrorCode != want {
			s.t.Fatalf("SyncGroup answers %d, want %d", r.ErrorCode, want)
		}
		return r
	default:
		s.t.Fatal("SyncGroup was not answered")
		return nil
	}
}

// Timeouts of members, in tests.
const (
	testSession   = 10 * time.Second
	testRebalance = 60 * time.Second
	// firstRebalance is how long the first rebalance of several members takes.
	firstRebalance = 6 * time.Second
)

// joinRequest is a consumer's request of the group g.
func joinRequest(memberID string, protocols ...string) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.MemberID, q.ProtocolType = "g", memberID, "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = int32(testSession.Milliseconds()), int32(testRebalance.Milliseconds())
	if len(protocols) == 0 {
		protocols = []string{"range"}
	}
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, subscribedTo("orders")
		q.Protocols = append(q.Protocols, p)
	}
	return q
}

func subscribedTo(topics ...string) []byte {
	s := kmsg.NewConsumerMemberMetadata()
	s.Topics = topics
	return s.AppendTo(nil)
}

func (h *harness) send(version int16, q *kmsg.JoinGroupRequest) joinCall {
	h.t.Helper()
	j := joinCall{NewPromise[*kmsg.JoinGroupResponse](), h.t}
	err := h.do(func(s *Shard) (coordinator.Outcome, error) {
		return s.JoinGroup(Client{ID: "client", Host: "/127.0.0.1", Version: version}, q, j.Promise)
	})
	if err != nil {
		h.t.Fatalf("JoinGroup: %v", err)
	}
	return j
}

// join joins with the newest version; a member without an id gets one first.
func (h *harness) join(memberID string, protocols ...string) (joinCall, string) {
	h.t.Helper()
	if memberID == "" {
		memberID = h.send(9, joinRequest("", protocols...)).code(kerr.MemberIDRequired.Code).MemberID
	}
	return h.send(9, joinRequest(memberID, protocols...)), memberID
}

func (h *harness) joinStatic(instance, memberID string, protocols ...string) joinCall {
	h.t.Helper()
	q := joinRequest(memberID, protocols...)
	q.InstanceID = &instance
	return h.send(9, q)
}

// sync sends a member's SyncGroup, with assignments if it leads.
func (h *harness) sync(memberID string, generation int32, assignments map[string]string) syncCall {
	h.t.Helper()
	q := kmsg.NewPtrSyncGroupRequest()
	q.Group, q.MemberID, q.Generation = "g", memberID, generation
	for id, a := range assignments {
		n := kmsg.NewSyncGroupRequestGroupAssignment()
		n.MemberID, n.MemberAssignment = id, []byte(a)
		q.GroupAssignment = append(q.GroupAssignment, n)
	}
	return h.syncWith(q)
}

func (h *harness) syncWith(q *kmsg.SyncGroupRequest) syncCall {
	h.t.Helper()
	s := syncCall{NewPromise[*kmsg.SyncGroupResponse](), h.t}
	err := h.do(func(shard *Shard) (coordinator.Outcome, error) { return shard.SyncGroup(q, s.Promise) })
	if err != nil {
		h.t.Fatalf("SyncGroup: %v", err)
	}
	return s
}

// heartbeat is the code that a member's heartbeat gets.
func (h *harness) heartbeat(memberID string, generation int32) int16 {
	h.t.Helper()
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group, q.MemberID, q.Generation = "g", memberID, generation
	var resp *kmsg.HeartbeatResponse
	err := h.do(func(s *Shard) (o coordinator.Outcome, err error) {
		resp, o, err = s.Heartbeat(q)
		return o, err
	})
	if err != nil {
		return clientError(err).Code
	}
	return resp.ErrorCode
}

// leave is the code that a member's LeaveGroup gets, or its group's.
func (h *harness) leave(memberID string, instanceID *string) int16 {
	h.t.Helper()
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = "g"
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID = memberID, instanceID
	q.Members = append(q.Members, m)
	var resp *kmsg.LeaveGroupResponse
	err := h.do(func(s *Shard) (o coordinator.Outcome, err error) {
		resp, o, err = s.LeaveGroup(q)
		return o, err
	})
	if err != nil {
		return clientError(err).Code
	}
	return cmp.Or(resp.ErrorCode, resp.Members[0].ErrorCode)
}

// stable makes a stable group of n dynamic members; the first one leads.
func (h *harness) stable(n int) (members []string, generation int32) {
	h.t.Helper()
	var waiting []joinCall
	for range n {
		j, id := h.join("")
		waiting, members = append(waiting, j), append(members, id)
	}
	h.pass(firstRebalance)
	for _, j := range waiting {
		generation = j.code(0).Generation
	}
	assignments := map[string]string{}
	for _, id := range members {
		assignments[id] = "of " + id
	}
	var syncs []syncCall
	for _, id := range members[1:] {
		syncs = append(syncs, h.sync(id, generation, nil))
	}
	syncs = append(syncs, h.sync(members[0], generation, assignments))
	for _, s := range syncs {
		s.code(0)
	}
	return members, generation
}

// classic is the group g.
func (h *harness) classic() *classicGroup {
	h.t.Helper()
	g := h.shard.classic("g")
	if g == nil {
		h.t.Fatal("there is no group g")
	}
	return g
}

func (h *harness) inState(want classicState) {
	h.t.Helper()
	if got := h.classic().state_; got != want {
		h.t.Fatalf("the group is %s, want %s", got, want)
	}
}
