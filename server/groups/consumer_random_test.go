package groups

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

func randomOf(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// client is a consumer of the new protocol as clients are: it gives up what is
// taken from it, sooner or later, and then takes what it is given.
type client struct {
	id       string
	instance *string
	epoch    int32
	has      []string // partitions, as has wants them
	target   []string
	topics   []string
	regex    string
	gone     bool // left for a while, or silent
	full     bool // An answer was lost: all is told again.
}

// world is a group, its clients, and the topics they use. Partitions are told by the
// id of their topic, which is a text here.
type world struct {
	*rig
	rand    *rand.Rand
	clients []*client
	nextID  int
	deleted map[string]int
	calm    bool // Nothing is lost or late any more, and nothing fails.
	steps   []string
}

func (w *world) say(format string, args ...any) {
	w.steps = append(w.steps, fmt.Sprintf(format, args...))
}

// heartbeat sends one; the answer may be lost, and the append may fail.
func (w *world) heartbeat(c *client) {
	w.t.Helper()
	var options []beatOption
	if c.epoch == joinEpoch || c.full {
		options = append(options, topics(c.topics...), func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.RebalanceTimeoutMillis = 10_000 })
		if c.regex != "" {
			options = append(options, matching(c.regex))
		}
	}
	if c.epoch == joinEpoch {
		c.has, c.target = nil, nil
	} else {
		options = append(options, has(c.has...))
	}
	if c.instance != nil {
		options = append(options, instance(*c.instance))
	}
	if !w.calm && w.rand.IntN(10) == 0 {
		w.failing(c, options)
		return
	}
	resp, err := w.try(c.id, c.epoch, options...)
	w.say("%s in %d with %v: %v %v", c.id, c.epoch, c.has, show(resp), err)
	switch {
	case errors.Is(err, kerr.FencedMemberEpoch), errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.GroupIDNotFound):
		c.epoch, c.has = joinEpoch, nil
		return
	case errors.Is(err, kerr.UnreleasedInstanceID), errors.Is(err, kerr.FencedInstanceID):
		c.gone = true // Another has its place.
		return
	case errors.Is(err, kerr.UnknownServerError):
		return // A classic group in its first rebalance: later.
	case err != nil:
		w.t.Fatal(err)
	}
	if !w.calm && w.rand.IntN(8) == 0 {
		w.say("%s does not hear of it", c.id)
		c.full = true
		return
	}
	c.full = false
	c.epoch = resp.MemberEpoch
	if resp.Assignment != nil {
		c.target = nil
		for _, t := range resp.Assignment.Topics {
			for _, p := range t.Partitions {
				c.target = append(c.target, fmt.Sprintf("%s %d", strings.TrimRight(string(t.TopicID[:]), "\x00"), p))
			}
		}
	}
	w.move(c)
}

func show(resp *kmsg.ConsumerGroupHeartbeatResponse) string {
	if resp == nil {
		return "-"
	}
	return shown(resp)
}

// failing is a heartbeat whose records cannot be appended: all is as it was.
func (w *world) failing(c *client, options []beatOption) {
	before := dump(w.shard)
	length, timers := len(w.log), maps.Clone(w.timers)
	epoch := int64(length)
	w.timeline.Snapshot(epoch)
	_, err := w.try(c.id, c.epoch, options...)
	w.timeline.Revert(epoch)
	w.log, w.timers = w.log[:length], timers
	w.say("%s in %d: the append fails (%v)", c.id, c.epoch, err)
	if after := dump(w.shard); after != before {
		w.t.Fatalf("an append failed, and\n%s\nis now\n%s", before, after)
	}
}

// move gives up what is not in the target; new partitions are taken when that is
// done.
func (w *world) move(c *client) {
	late := func() bool { return !w.calm && w.rand.IntN(3) == 0 }
	if late() {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(c.has), func(p string) bool { return !slices.Contains(c.target, p) })
	if len(kept) < len(c.has) {
		c.has = kept
		return
	}
	c.has = slices.Clone(c.target)
}

func (w *world) join() {
	w.nextID++
	c := &client{id: fmt.Sprintf("m%d", w.nextID), topics: []string{}}
	for _, name := range []string{"a", "b", "ba"} {
		if w.rand.IntN(2) == 0 {
			c.topics = append(c.topics, name)
		}
	}
	if w.rand.IntN(3) == 0 {
		c.regex = []string{"a.*", "b.*"}[w.rand.IntN(2)]
	}
	if w.rand.IntN(3) == 0 {
		name := fmt.Sprintf("i%d", w.rand.IntN(3))
		c.instance = &name
	}
	w.clients = append(w.clients, c)
	w.heartbeat(c)
}

func (w *world) leave(c *client) {
	epoch := int32(leaveEpoch)
	var options []beatOption
	if c.instance != nil {
		options = append(options, instance(*c.instance))
		if w.rand.IntN(2) == 0 {
			epoch = leaveStaticEpoch
		}
	}
	_, err := w.try(c.id, epoch, options...)
	w.say("%s leaves with %d: %v", c.id, epoch, err)
	c.gone = true
}

// changeTopics gives topics more partitions, deletes some, and makes others of the
// same name in the place of some.
func (w *world) changeTopics() {
	next := map[string]int{"c": 1}
	for _, name := range []string{"a", "b", "ba"} {
		n, old := w.rand.IntN(4), 0
		if t := w.image.Topics[name]; t != nil {
			old = len(t.Partitions)
		}
		if n < old {
			w.deleted[name]++ // No topic gets fewer partitions.
		}
		if n > 0 {
			next[fmt.Sprintf("%s#%d", name, w.deleted[name])] = n
		}
	}
	w.topics(next)
	w.say("topics change: %v", next)
}

func (w *world) step() {
	switch n := w.rand.IntN(100); {
	case n < 15 && len(w.clients) < 6:
		w.join()
	case n < 20:
		w.changeTopics()
	case n < 24:
		w.shard = w.replayedHere()
		w.say("another coordinator")
	case n < 28:
		w.pass(time.Duration(w.rand.IntN(20)) * time.Second)
		w.say("time passes")
	case len(w.clients) == 0:
	default:
		c := w.clients[w.rand.IntN(len(w.clients))]
		if n < 33 {
			w.leave(c)
		} else if n < 37 {
			c.gone = true
			w.say("%s is silent", c.id)
		} else if !c.gone {
			w.heartbeat(c)
		}
		w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return c.gone })
	}
	w.pass(10 * time.Millisecond)
}

// replayedHere puts a shard made of the log in the place of the one that was
// there.
func (w *world) replayedHere() *Shard {
	w.checkReplay()
	w.timers = map[string]rigTimer{}
	w.timeline = timeline.NewRegistry()
	s := w.newShard()
	w.shard = s
	records := w.log
	w.log = nil
	for _, r := range records {
		w.apply(outcomeOf(r))
	}
	s.Loaded()
	return s
}

// check: no partition is two members', and none of the clients uses what another
// does.
func (w *world) check() {
	w.t.Helper()
	known, _ := w.shard.groups.Get(testGroup)
	g, ok := known.(*consumerGroup)
	if !ok {
		return
	}
	owners := map[log.PartitionID]string{}
	for id, m := range g.members.All() {
		for _, o := range []owned{m.assigned, m.revoking} {
			for topic, ps := range o {
				for p := range ps {
					at := log.PartitionID{Topic: topic, Partition: p}
					if other, taken := owners[at]; taken {
						w.t.Fatalf("%s-%d is owned by %s and %s", w.image.TopicName(topic), p, other, id)
					}
					owners[at] = id
				}
			}
		}
	}
	targets := map[log.PartitionID]string{}
	for id, a := range g.target.All() {
		for topic, ps := range a {
			for _, p := range ps {
				at := log.PartitionID{Topic: topic, Partition: p}
				if other, taken := targets[at]; taken {
					w.t.Fatalf("%s-%d is to be owned by %s and %s", w.image.TopicName(topic), p, other, id)
				}
				targets[at] = id
			}
		}
	}
	for _, c := range w.clients {
		m, ok := g.members.Get(c.id)
		if !ok || c.epoch == joinEpoch || c.epoch != m.epoch {
			continue
		}
		for _, p := range c.has {
			var name string
			var n int32
			_, _ = fmt.Sscan(p, &name, &n)
			if t := w.image.TopicsByID[topicID(name)]; t != nil && int(n) < len(t.Partitions) && owners[log.PartitionID{Topic: t.ID, Partition: n}] != c.id {
				w.t.Fatalf("%s uses %s, which is owned by %q", c.id, p, owners[log.PartitionID{Topic: t.ID, Partition: n}])
			}
		}
	}
}

// settle lets everybody send heartbeats, of which none fails any more, until nothing
// changes: then all partitions of the topics that somebody wants have an owner.
func (w *world) settle() {
	w.t.Helper()
	w.calm = true
	for range 40 {
		for _, c := range w.clients {
			w.heartbeat(c)
		}
		w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return c.gone })
		w.pass(2 * time.Second)
		w.check()
	}
	if len(w.clients) == 0 {
		return
	}
	g := w.consumer()
	if state := g.state(timeline.Latest); state != consumerStable {
		w.t.Fatalf("the group is %s at the end:\n%s", state, dump(w.shard))
	}
	for name := range g.view(nil).topics() {
		t := w.image.Topics[name]
		if t == nil {
			continue
		}
		for p := range t.Partitions {
			if !g.taken(t.ID, int32(p)) {
				w.t.Fatalf("%s-%d is nobody's at the end:\n%s", name, p, dump(w.shard))
			}
		}
	}
}

// TestRandomConsumerGroup lets a group live through members that come and go,
// answers and records that are lost, and coordinators that change.
func TestRandomConsumerGroup(t *testing.T) {
	t.Parallel()
	r := randomOf(t)
	for round := range 50 {
		var static map[string]string
		if round%2 == 0 {
			static = atOnce()
		}
		w := &world{rig: newRig(t, static), rand: r, deleted: map[string]int{}}
		w.topics(map[string]int{"a#0": 3, "b#0": 2})
		t.Cleanup(func() {
			if t.Failed() && w.steps != nil {
				for _, s := range w.steps {
					t.Log(s)
				}
			}
		})
		for range 80 {
			w.step()
			w.check()
		}
		w.settle()
		w.checkReplay()
		w.steps = nil
	}
}
