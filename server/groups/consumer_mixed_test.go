package groups

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// classicClient is a consumer of the classic protocol as clients are: it gives up
// what it has before it joins again, and assigns when it leads.
type classicClient struct {
	id         string
	generation int32
	synced     bool
	has        []int32 // of topic a
	joining    *Promise[*kmsg.JoinGroupResponse]
	syncing    *Promise[*kmsg.SyncGroupResponse]
}

// mixed is a world with classic clients beside the others. All of those read
// topic a.
type mixed struct {
	*world
	classics []*classicClient
}

func (w *mixed) joinClassic(c *classicClient) {
	w.t.Helper()
	q := joining(c.id, c.has, "a")
	p := NewPromise[*kmsg.JoinGroupResponse]()
	o, err := w.shard.JoinGroup(Client{ID: "classic", Host: "/127.0.0.1", Version: q.Version}, q, p)
	if err != nil {
		w.t.Fatal(err)
	}
	c.joining, c.syncing, c.synced = p, nil, false
	w.apply(o)
	w.say("classic %q joins with %v", c.id, c.has)
}

// act does what the client would do next.
func (w *mixed) act(c *classicClient) {
	w.t.Helper()
	switch {
	case c.joining != nil:
		if resp := now(c.joining); resp != nil {
			c.joining = nil
			w.joined(c, resp)
		}
	case c.syncing != nil:
		if resp := now(c.syncing); resp != nil {
			c.syncing = nil
			w.synced(c, resp)
		}
	case !c.synced:
		w.joinClassic(c)
	default:
		code := w.rig.heartbeat(c.id, c.generation)
		w.say("classic %s: heartbeat in %d: %d", c.id, c.generation, code)
		switch code {
		case 0:
		case kerr.RebalanceInProgress.Code:
			w.joinClassic(c)
		default:
			w.restart(c)
		}
	}
}

// restart begins again as somebody new.
func (w *mixed) restart(c *classicClient) { *c = classicClient{} }

func (w *mixed) joined(c *classicClient, resp *kmsg.JoinGroupResponse) {
	w.say("classic %q joined: %d as %s in %d, led by %s", c.id, resp.ErrorCode, resp.MemberID, resp.Generation, resp.LeaderID)
	switch resp.ErrorCode {
	case 0:
	case kerr.MemberIDRequired.Code:
		c.id = resp.MemberID
		w.joinClassic(c)
		return
	case kerr.RebalanceInProgress.Code:
		return // It joins again.
	default:
		w.restart(c)
		return
	}
	c.id, c.generation = resp.MemberID, resp.Generation
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 3, testGroup, c.id, c.generation
	if resp.LeaderID == c.id {
		n := len(w.image.Topics["a"].Partitions)
		for i, m := range resp.Members {
			var ps []int32
			for p := i; p < n; p += len(resp.Members) {
				ps = append(ps, int32(p))
			}
			q.GroupAssignment = append(q.GroupAssignment, assigned(m.MemberID, ps...))
		}
	}
	c.syncing = NewPromise[*kmsg.SyncGroupResponse]()
	o, err := w.shard.SyncGroup(q, c.syncing)
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(o)
}

func (w *mixed) synced(c *classicClient, resp *kmsg.SyncGroupResponse) {
	w.say("classic %s synced: %d", c.id, resp.ErrorCode)
	switch resp.ErrorCode {
	case 0:
	case kerr.RebalanceInProgress.Code:
		return // It joins again.
	default:
		w.restart(c)
		return
	}
	c.synced, c.has = true, nil
	var a kmsg.ConsumerMemberAssignment
	if len(resp.MemberAssignment) > 0 {
		if err := a.ReadFrom(resp.MemberAssignment); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, t := range a.Topics {
		if t.Topic == "a" {
			c.has = t.Partitions
		}
	}
}

func (w *mixed) leaveClassic(c *classicClient) {
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group, q.Members = testGroup, []kmsg.LeaveGroupRequestMember{{MemberID: c.id}}
	_, o, err := w.shard.LeaveGroup(q)
	w.say("classic %s leaves: %v", c.id, err)
	if err == nil {
		w.apply(o)
	}
	w.classics = slices.DeleteFunc(w.classics, func(o *classicClient) bool { return o == c })
}

func (w *mixed) step() {
	switch n := w.rand.IntN(100); {
	case n < 10 && len(w.classics) < 3:
		c := &classicClient{}
		w.classics = append(w.classics, c)
		w.joinClassic(c)
	case n < 60 && len(w.classics) > 0:
		c := w.classics[w.rand.IntN(len(w.classics))]
		if n < 13 && c.id != "" {
			w.leaveClassic(c)
		} else {
			w.act(c)
		}
	case n < 70 && len(w.clients) < 3:
		w.nextID++
		c := &client{id: fmt.Sprintf("m%d", w.nextID), topics: []string{"a"}}
		w.clients = append(w.clients, c)
		w.heartbeat(c)
	case len(w.clients) > 0:
		c := w.clients[w.rand.IntN(len(w.clients))]
		if n < 78 {
			w.leave(c)
		} else {
			w.heartbeat(c)
		}
		w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return c.gone })
	}
	w.pass(100 * time.Millisecond)
}

// settle lets everybody act until nothing changes, and looks whether each
// partition has one owner, who knows it.
func (w *mixed) settle() {
	w.t.Helper()
	for range 120 {
		for _, c := range w.classics {
			w.act(c)
		}
		for _, c := range w.clients {
			w.heartbeat(c)
		}
		w.pass(500 * time.Millisecond)
		w.check()
	}
	if len(w.classics)+len(w.clients) == 0 {
		return
	}
	owners := map[string][]string{}
	for _, c := range w.classics {
		for _, p := range c.has {
			owners[fmt.Sprintf("a %d", p)] = append(owners[fmt.Sprintf("a %d", p)], c.id)
		}
	}
	for _, c := range w.clients {
		for _, p := range c.has {
			owners[p] = append(owners[p], c.id)
		}
	}
	for p := range w.image.Topics["a"].Partitions {
		if name := fmt.Sprintf("a %d", p); len(owners[name]) != 1 {
			w.t.Fatalf("partition %d is used by %q at the end:\n%s", p, owners[name], dump(w.shard))
		}
	}
	g, _ := w.shard.groups.Get(testGroup)
	if state := g.state(timeline.Latest); state != consumerStable {
		w.t.Fatalf("the group is %s at the end:\n%s", state, dump(w.shard))
	}
	if wants := len(w.clients) > 0; wants != (g.kind() == consumer) && wants {
		w.t.Fatalf("a group with %d members of the consumer protocol is of type %s", len(w.clients), g.kind())
	}
}

// TestRandomMixedGroup has members of both protocols in one group, which changes
// its own with them.
func TestRandomMixedGroup(t *testing.T) {
	t.Parallel()
	r := randomOf(t)
	for round := range 50 {
		var static map[string]string
		if round%2 == 0 {
			static = atOnce()
		}
		w := &mixed{world: &world{rig: newRig(t, static), rand: r}}
		w.topics(map[string]int{"a": 4})
		t.Cleanup(func() {
			if t.Failed() && w.steps != nil {
				for _, s := range w.steps {
					t.Log(s)
				}
			}
		})
		for n := range 100 {
			w.step()
			w.check()
			if n%20 == 0 {
				w.checkReplay()
			}
		}
		w.settle()
		w.checkReplay()
		w.steps = nil
	}
}
