package groups

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// TestRandomRequests sends random requests, sensible and senseless ones, and holds
// what must be true of classic groups and of offsets whatever happens.
func TestRandomRequests(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	rounds, steps := 25, 400
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		m := &model{
			harness: newHarness(t, map[string]string{"group.max.size": "5"}),
			rand:    rand.New(rand.NewPCG(seed, uint64(round))), generations: map[*classicGroup]int32{},
			acked: map[groupPlace]int64{}, failed: map[string]bool{}, ids: []string{"", "nobody"},
		}
		for step := range steps {
			m.step()
			if m.check(); t.Failed() {
				t.Fatalf("round %d, step %d: %v", round, step, m.steps)
			}
		}
		m.end()
		if t.Failed() {
			t.Fatalf("round %d: %v", round, m.steps)
		}
	}
}

type model struct {
	*harness
	rand        *rand.Rand
	ids         []string // of members, that were given out at some time
	generations map[*classicGroup]int32
	acked       map[groupPlace]int64 // offsets whose commits were answered
	failed      map[string]bool      // groups of which a record was not stored
	joins       []joinCall
	syncs       []syncCall
	steps       []string
}

func (m *model) pick(from ...string) string { return from[m.rand.IntN(len(from))] }
func (m *model) group() string              { return m.pick("g", "h", "") }

// member is mostly one of the group's.
func (m *model) member(group string) string {
	if g := m.shard.classic(group); g != nil && len(g.order) > 0 && m.rand.IntN(4) > 0 {
		return m.pick(g.order...)
	}
	return m.pick(m.ids...)
}

// generation is mostly the group's.
func (m *model) generation(group string) int32 {
	n := int32(m.rand.IntN(4) - 1)
	if g := m.shard.classic(group); g != nil && m.rand.IntN(5) > 0 {
		n = g.generation
	}
	return n
}

func (m *model) instance() *string {
	if m.rand.IntN(3) > 0 {
		return nil
	}
	s := m.pick("i1", "i2", "i3")
	return &s
}

// steps that change nothing but the time, or what is committed, are rarer.
func (m *model) step() {
	ops := []struct {
		name string
		f    func(group string)
	}{
		{"join", m.randomJoin},
		{"join", m.randomJoin},
		{"join", m.randomJoin},
		{"sync", m.randomSync},
		{"sync", m.randomSync},
		{"heartbeat", m.randomHeartbeat},
		{"leave", m.randomLeave},
		{"commit", m.randomCommit},
		{"commit", m.randomCommit},
		{"delete", m.randomDelete},
		{"pass", func(string) { m.pass(time.Duration(m.rand.IntN(8000)) * time.Millisecond) }},
		{"hold", func(string) { m.held = !m.held; m.settle() }},
		{"fail", func(group string) {
			m.fail = kerr.NotCoordinator
			m.randomSync(group)
			m.fail = nil
			m.failed[group] = true
		}},
		{"load", func(string) { m.reload() }},
	}
	if m.rand.IntN(4) > 0 {
		ops = ops[:11] // loads, and the like, are rarer
	}
	op := ops[m.rand.IntN(len(ops))]
	group := m.group()
	m.steps = append(m.steps, op.name+" "+group)
	op.f(group)
}

// settle commits what is written, if nothing is held.
func (m *model) settle() {
	if !m.held {
		m.commit()
	}
}

// reload is a failover: all that is written is there.
func (m *model) reload() {
	log := slices.Clone(m.log)
	m.shard.Unloaded()
	m.allAnswered()
	m.load(log)
	clear(m.generations)
	clear(m.failed)
}

func (m *model) randomJoin(group string) {
	q := joinRequest(m.member(group), m.pick("a", "b"), m.pick("a", "b", "c"))
	q.Group, q.InstanceID = group, m.instance()
	if m.rand.IntN(2) > 0 {
		q.MemberID = ""
	}
	if m.rand.IntN(8) == 0 {
		q.ProtocolType = m.pick("consumer", "connect", "")
	}
	if m.rand.IntN(8) == 0 {
		q.Protocols[0].Metadata = []byte(m.pick("x", "y"))
	}
	q.RebalanceTimeoutMillis = int32(m.rand.IntN(20_000))
	q.SessionTimeoutMillis = int32(6000 + m.rand.IntN(10_000))
	j := m.send(int16(m.rand.IntN(10)), q)
	m.joins = append(m.joins, j)
	if g := m.shard.classic(group); g != nil {
		m.ids = append(m.ids, g.order...)
		m.ids = slices.AppendSeq(m.ids, maps.Keys(g.pending))
		slices.Sort(m.ids)
		m.ids = slices.Compact(m.ids)
	}
}

func (m *model) randomSync(group string) {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Group, q.MemberID, q.Generation, q.InstanceID = group, m.member(group), m.generation(group), m.instance()
	if g := m.shard.classic(group); g != nil && m.rand.IntN(2) > 0 {
		q.MemberID, q.InstanceID = g.leader, nil
		for _, id := range append(g.order, "nobody") {
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID, a.MemberAssignment = id, fmt.Append(nil, id, " ", g.generation)
			q.GroupAssignment = append(q.GroupAssignment, a)
		}
	}
	m.syncs = append(m.syncs, m.syncWith(q))
}

func (m *model) randomHeartbeat(group string) {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group, q.MemberID, q.Generation, q.InstanceID = group, m.member(group), m.generation(group), m.instance()
	_ = m.do(func(s *Shard) (coordinator.Outcome, error) {
		_, o, err := s.Heartbeat(q)
		return o, err
	})
}

func (m *model) randomLeave(group string) {
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = group
	for range 1 + m.rand.IntN(2) {
		n := kmsg.NewLeaveGroupRequestMember()
		n.MemberID, n.InstanceID = m.member(group), m.instance()
		q.Members = append(q.Members, n)
	}
	_ = m.do(func(s *Shard) (coordinator.Outcome, error) {
		_, o, err := s.LeaveGroup(q)
		return o, err
	})
}

func (m *model) randomCommit(group string) {
	at := groupPlace{group, place{m.pick("orders", "payments"), 0}}
	before := m.offsetAt(group, at.place.topic, timeline.Latest)
	q := commitRequest(group, m.member(group), m.generation(group), at.place.topic, max(before, m.acked[at])+1)
	if m.rand.IntN(2) > 0 {
		q.MemberID, q.Generation = "", -1
	}
	_ = m.do(func(s *Shard) (coordinator.Outcome, error) {
		_, o, err := s.CommitOffsets(Client{Version: 9}, q)
		if err == nil {
			o.Done = func(err error) {
				if err == nil {
					m.acked[at] = q.Topics[0].Partitions[0].Offset
				}
			}
		}
		return o, err
	})
}

func (m *model) randomDelete(group string) {
	_ = m.do(func(s *Shard) (coordinator.Outcome, error) {
		answers, o, err := s.DeleteGroups([]string{group})
		if answers[0].ErrorCode == 0 {
			maps.DeleteFunc(m.acked, func(at groupPlace, _ int64) bool { return at.group == group })
			o.Done = func(error) {
				maps.DeleteFunc(m.acked, func(at groupPlace, _ int64) bool { return at.group == group })
			}
		}
		return o, err
	})
}

// check holds what is true after every request.
func (m *model) check() {
	m.t.Helper()
	for id, g := range m.shard.groups.All() {
		if g, ok := g.(*classicGroup); ok {
			if g.generation < m.generations[g] {
				m.t.Errorf("%s: generation %d after %d", id, g.generation, m.generations[g])
			}
			m.generations[g] = g.generation
			if err := g.check(); err != nil {
				m.t.Errorf("%s: %v", id, err)
			}
		}
	}
	for at, want := range m.acked {
		if got := m.offsetAt(at.group, at.place.topic, m.committed); got < want {
			m.t.Errorf("%v: offset %d after %d was answered", at, got, want)
		}
	}
	if !m.held {
		m.compare()
	}
}

// check holds what a classic group counts against what it counts.
func (g *classicGroup) check() error {
	joining, supported, static := 0, map[string]int{}, map[string]string{}
	for id, m := range g.members {
		if id != m.id || !slices.Contains(g.order, id) {
			return fmt.Errorf("member %s is kept as %s", m.id, id)
		}
		if m.join != nil {
			joining++
		}
		for name := range m.protocolNames() {
			supported[name]++
		}
		if m.instanceID != nil {
			static[*m.instanceID] = id
		}
		if m.join != nil && g.in(stateCompleting, stateEmpty) {
			return fmt.Errorf("%s joins in state %s", id, g.state_)
		}
		if m.sync != nil && !g.in(stateCompleting) {
			return fmt.Errorf("%s syncs in state %s", id, g.state_)
		}
	}
	switch {
	case joining != g.joining || len(g.order) != len(g.members):
		return fmt.Errorf("%d join, %d are counted; %d members, %d in order", joining, g.joining, len(g.members), len(g.order))
	case !maps.Equal(supported, g.supported) || !maps.Equal(static, g.static):
		return fmt.Errorf("protocols %v are %v; static members %v are %v", g.supported, supported, g.static, static)
	case (g.leader == "") != (len(g.members) == 0) || g.leader != "" && g.members[g.leader] == nil:
		return fmt.Errorf("leader %q of %v", g.leader, g.order)
	case g.in(stateEmpty) != (len(g.members) == 0) && !g.in(statePreparing):
		return fmt.Errorf("%s with %d members", g.state_, len(g.members))
	case g.in(stateStable, stateCompleting) && g.supported[g.protocolOrNone()] != len(g.members):
		return fmt.Errorf("not all support %s: %v", g.protocolOrNone(), g.supported)
	}
	return nil
}

// compare holds a shard that has loaded the log against the one that wrote it.
func (m *model) compare() {
	m.t.Helper()
	fresh := &harness{t: m.t, now: m.now, image: m.image, config: m.config}
	fresh.load(m.log)
	want, got := m.offsets(m.harness), m.offsets(fresh)
	if !maps.Equal(want, got) {
		m.t.Errorf("offsets %v are loaded as %v", want, got)
	}
	for id, g := range m.shard.groups.All() {
		g := g.(*classicGroup)
		loaded := fresh.shard.classic(id)
		if loaded == nil {
			if !m.failed[id] && (len(g.members) > 0 || g.generation > 0) {
				m.t.Errorf("%s is not loaded: %+v", id, g)
			}
			continue
		}
		if m.failed[id] || !g.in(stateStable, stateEmpty) {
			continue
		}
		if loaded.state_ != g.state_ || loaded.generation != g.generation || loaded.leader != g.leader || !slices.Equal(loaded.order, g.order) {
			m.t.Errorf("%s: %s %d %q %v is loaded as %s %d %q %v", id, g.state_, g.generation, g.leader, g.order,
				loaded.state_, loaded.generation, loaded.leader, loaded.order)
			continue
		}
		for i, member := range g.all() {
			other := loaded.all()[i]
			if !bytes.Equal(member.assignment, other.assignment) || member.sessionMs != other.sessionMs || member.rebalanceMs != other.rebalanceMs {
				m.t.Errorf("%s: %+v is loaded as %+v", id, member, other)
			}
		}
	}
	for id := range fresh.shard.groups.All() {
		if _, ok := m.shard.groups.Get(id); !ok {
			m.t.Errorf("%s is loaded, and was not there", id)
		}
	}
}

func (m *model) offsets(h *harness) map[groupPlace]int64 {
	all := map[groupPlace]int64{}
	for id, offsets := range h.shard.offsets.groups.All() {
		for p, c := range offsets.All() {
			all[groupPlace{id, p}] = c.offset
		}
	}
	return all
}

// end has every session end, and then nobody may wait any more.
func (m *model) end() {
	m.t.Helper()
	m.held = false
	m.commit()
	m.pass(time.Hour)
	m.check()
	for _, g := range m.shard.groups.All() {
		if !g.empty() {
			m.t.Errorf("a group without clients is not empty: %+v", g)
		}
	}
	m.allAnswered()
}

func (m *model) allAnswered() {
	m.t.Helper()
	for _, j := range m.joins {
		j.answer()
	}
	for _, s := range m.syncs {
		select {
		case <-s.Answer():
		default:
			m.t.Error("a SyncGroup was not answered")
		}
	}
	m.joins, m.syncs = nil, nil
}
