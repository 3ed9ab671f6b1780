package groups

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// rig is a shard without a runtime: what operations give is applied at once, and
// time passes when it is told to.
type rig struct {
	t        *testing.T
	clock    time.Time
	image    *election.Image
	timeline *timeline.Registry
	shard    *Shard
	timers   map[string]rigTimer
	order    int
	log      []coordinator.Record
	static   map[string]string            // broker configs
	configs  map[string]map[string]string // group configs
}

type rigTimer struct {
	at    time.Time
	order int
	op    func() (coordinator.Outcome, error)
}

func newRig(t *testing.T, static map[string]string) *rig {
	t.Helper()
	r := &rig{
		t: t, clock: time.UnixMilli(1_700_000_000_000), timeline: timeline.NewRegistry(), timers: map[string]rigTimer{},
		static: static, configs: map[string]map[string]string{},
		image: &election.Image{Index: 1, Topics: map[string]*election.Topic{}, TopicsByID: map[log.TopicID]*election.Topic{}},
	}
	r.shard = r.newShard()
	return r
}

func (r *rig) newShard() *Shard {
	v := configs.BrokerValues{Static: r.static}
	return New(r, Config{Settings: v.Settings(), Group: func(id string) configs.GroupValues { return v.Group(r.configs[id]) }})
}

func (r *rig) Partition() int32             { return 0 }
func (r *rig) Now() time.Time               { return r.clock }
func (r *rig) Logger() *slog.Logger         { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
func (r *rig) Image() *election.Image       { return r.image }
func (r *rig) Timeline() *timeline.Registry { return r.timeline }
func (r *rig) Cancel(key string)            { delete(r.timers, key) }

func (r *rig) Schedule(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	r.order++
	r.timers[key] = rigTimer{r.clock.Add(d), r.order, op}
}

func (r *rig) ScheduleRetried(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	r.Schedule(key, d, op)
}

func (r *rig) Scheduled(key string) bool {
	_, ok := r.timers[key]
	return ok
}

// topics sets what topics there are, by their numbers of partitions. A name may have
// a suffix, #2, of another topic that had the name before.
func (r *rig) topics(partitions map[string]int) {
	m := *r.image
	m.Index++
	m.Topics, m.TopicsByID = map[string]*election.Topic{}, map[log.TopicID]*election.Topic{}
	for id, n := range partitions {
		name, _, _ := strings.Cut(id, "#")
		t := &election.Topic{Name: name, ID: topicID(id)}
		for range n {
			t.Partitions = append(t.Partitions, &election.Partition{})
		}
		m.Topics[name], m.TopicsByID[t.ID] = t, t
	}
	r.image = &m
	r.shard.Changed(r.image)
}

func topicID(name string) (id log.TopicID) {
	copy(id[:], name)
	return id
}

// apply does with an outcome what the runtime does when all goes well.
func (r *rig) apply(o coordinator.Outcome) {
	r.t.Helper()
	for _, rec := range o.Records {
		r.log = append(r.log, rec)
		if o.Applied {
			continue
		}
		if err := r.shard.Replay(coordinator.Position{Offset: int64(len(r.log)), ProducerID: -1, ProducerEpoch: -1}, rec); err != nil {
			r.t.Fatalf("replay: %v", err)
		}
	}
	if o.Done != nil {
		o.Done(nil)
	}
}

// pass lets time pass and runs the timers that are due, in their order.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	end := r.clock.Add(d)
	for {
		key, found := "", false
		for k, t := range r.timers {
			if t.at.After(end) {
				continue
			}
			best := r.timers[key]
			if !found || cmp.Or(t.at.Compare(best.at), cmp.Compare(t.order, best.order)) < 0 {
				key, found = k, true
			}
		}
		if !found {
			break
		}
		timer := r.timers[key]
		delete(r.timers, key)
		if timer.at.After(r.clock) {
			r.clock = timer.at
		}
		o, err := timer.op()
		if err != nil {
			r.t.Fatalf("timer %s: %v", key, err)
		}
		r.apply(o)
	}
	r.clock = end
}

// testGroup is the group of most tests.
const testGroup = "g"

// beatOption changes a heartbeat.
type beatOption func(*kmsg.ConsumerGroupHeartbeatRequest)

func topics(names ...string) beatOption {
	return func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.SubscribedTopicNames = append([]string{}, names...) }
}

func instance(id string) beatOption {
	return func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.InstanceID = &id }
}

func matching(regex string) beatOption {
	return func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.SubscribedTopicRegex = &regex }
}

func server(assignor string) beatOption {
	return func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.ServerAssignor = &assignor }
}

// has tells which partitions the member has, as "topic 0 1".
func has(partitions ...string) beatOption {
	return func(q *kmsg.ConsumerGroupHeartbeatRequest) {
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for _, p := range partitions {
			fields := strings.Fields(p)
			t := kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: topicID(fields[0])}
			for _, f := range fields[1:] {
				var n int32
				_, _ = fmt.Sscan(f, &n)
				t.Partitions = append(t.Partitions, n)
			}
			q.Topics = append(q.Topics, t)
		}
	}
}

// try sends a heartbeat.
func (r *rig) try(member string, epoch int32, options ...beatOption) (*kmsg.ConsumerGroupHeartbeatResponse, error) {
	r.t.Helper()
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.MemberEpoch = 1, testGroup, member, epoch
	if epoch == joinEpoch {
		q.RebalanceTimeoutMillis = 10_000
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	for _, o := range options {
		o(q)
	}
	if err := CheckConsumerHeartbeat(q, []string{"uniform", "range"}); err != nil {
		return nil, err
	}
	resp, o, err := r.shard.ConsumerGroupHeartbeat(Client{ID: "client", Host: "/127.0.0.1", Version: 1}, q)
	if err != nil {
		return nil, err
	}
	r.apply(o)
	return resp, nil
}

// beat sends a heartbeat that goes well, and shows the answer: the epoch, and the
// assignment if there is one.
func (r *rig) beat(member string, epoch int32, options ...beatOption) string {
	r.t.Helper()
	resp, err := r.try(member, epoch, options...)
	if err != nil {
		r.t.Fatalf("heartbeat of %s in epoch %d: %v", member, epoch, err)
	}
	return shown(resp)
}

func shown(resp *kmsg.ConsumerGroupHeartbeatResponse) string {
	if resp.Assignment == nil {
		return fmt.Sprint(resp.MemberEpoch)
	}
	var out []string
	for _, t := range resp.Assignment.Topics {
		out = append(out, strings.TrimRight(string(t.TopicID[:]), "\x00")+fmt.Sprint(t.Partitions))
	}
	return fmt.Sprintf("%d: %s", resp.MemberEpoch, strings.Join(out, " "))
}

func (r *rig) consumer() *consumerGroup {
	r.t.Helper()
	g, err := r.shard.consumerGroup(testGroup, timeline.Latest)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// replayed is a shard made of the log alone.
func (r *rig) replayed() *Shard {
	r.t.Helper()
	s := New(&rig{t: r.t, clock: r.clock, image: r.image, timeline: timeline.NewRegistry(), timers: map[string]rigTimer{}}, r.shard.config)
	for i, rec := range r.log {
		if err := s.Replay(coordinator.Position{Offset: int64(i), ProducerID: -1, ProducerEpoch: -1}, rec); err != nil {
			r.t.Fatalf("record %d of %d: %v", i, len(r.log), err)
		}
	}
	return s
}

// dump is all of a shard's groups that is persisted, as text.
func dump(s *Shard) string {
	var lines []string
	for id, g := range s.groups.All() {
		switch g := g.(type) {
		case *classicGroup:
			lines = append(lines, fmt.Sprintf("%s classic", id))
		case *consumerGroup:
			lines = append(lines, fmt.Sprintf("%s epoch %d hash %x target %+v old %v", id, g.epoch.Get(), g.hash.Get(), g.targetOf.Get(), g.oldMetadata.Get()))
			for _, m := range sortedKeys(g.members) {
				member, _ := g.members.Get(m)
				target, has := g.target.Get(m)
				c := *member
				text := fmt.Sprintf("%s/%s epoch %d<%d state %d has %v revokes %v target %v %v", id, m, c.epoch, c.previousEpoch, c.state, c.assigned, c.revoking, has, target)
				c.assigned, c.revoking = nil, nil
				text += fmt.Sprintf(" topics %v regex %q rebalance %d client %s%s classic %v", c.topics, c.subscribedRegex(), c.rebalanceMs, c.clientID, c.clientHost, c.isClassic())
				lines = append(lines, text)
			}
			for _, e := range sortedKeys(g.regexes) {
				x, _ := g.regexes.Get(e)
				lines = append(lines, fmt.Sprintf("%s/~%s %+v", id, e, *x))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// checkReplay compares the shard with one made of its log.
func (r *rig) checkReplay() {
	r.t.Helper()
	if got, want := dump(r.replayed()), dump(r.shard); got != want {
		r.t.Fatalf("the log gives\n%s\nbut the shard has\n%s", got, want)
	}
}

func outcomeOf(r coordinator.Record) coordinator.Outcome {
	return coordinator.Outcome{Records: []coordinator.Record{r}}
}
