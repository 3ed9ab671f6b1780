package minikafka_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/server"
)

// crew is the consumers of the group "crew", which read the topic orders, commit
// what they have read after every poll, and join and leave as the test says.
type crew struct {
	t       *testing.T
	c       *minikafka.Cluster
	produce *kgo.Client
	ctx     context.Context
	running sync.WaitGroup

	mu   sync.Mutex
	sent map[string]bool
	seen map[string]int
	// answered is the highest offset of a partition whose commit was answered.
	answered map[int32]int64
	changed  chan struct{} // closed when more is seen
}

// withCrew runs a crew in virtual time, with Kafka's timings and defaults, if
// franz-go was built for that. It holds mutexes while it waits for answers: in a
// bubble that would stop the time, without the build tag synctests. So otherwise a
// crew runs in real time, with fast timings.
func withCrew(t *testing.T, f func(*crew)) {
	t.Helper()
	if franzInVirtualTime {
		inVirtualTime(t, f)
		return
	}
	runCrew(t, f, minikafka.Config("replica.lag.time.max.ms", "30000"))
}

// inVirtualTime is withCrew for tests whose consumers commit nothing.
func inVirtualTime(t *testing.T, f func(*crew), opts ...minikafka.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { runCrew(t, f, append(kafkasTime(), opts...)...) })
}

func kafkasTime() []minikafka.Option {
	return []minikafka.Option{minikafka.Network(minikafka.PipeNetwork()), minikafka.Timing(minikafka.KafkaTimings)}
}

func runCrew(t *testing.T, f func(*crew), opts ...minikafka.Option) {
	t.Helper()
	c := minikafka.Start(t, append([]minikafka.Option{
		minikafka.Brokers(3), minikafka.Topic("orders", 6), minikafka.Config("min.insync.replicas", "2"),
	}, opts...)...)
	ctx, cancel := context.WithCancel(t.Context())
	w := &crew{
		t: t, c: c, ctx: ctx, sent: map[string]bool{}, seen: map[string]int{},
		answered: map[int32]int64{}, changed: make(chan struct{}),
	}
	t.Cleanup(func() {
		cancel()
		w.running.Wait()
	})
	w.produce = client(t, c, kgo.DefaultProduceTopic("orders"))
	f(w)
}

// hire starts a consumer, which works until the test ends or the client is closed.
func (w *crew) hire(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	if !franzInVirtualTime {
		opts = append(opts, kgo.HeartbeatInterval(50*time.Millisecond), kgo.SessionTimeout(6*time.Second))
	}
	cl := client(w.t, w.c, append([]kgo.Opt{
		kgo.ConsumerGroup("crew"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}, opts...)...)
	w.running.Go(func() { w.work(cl) })
	return cl
}

func (w *crew) work(cl *kgo.Client) {
	for w.ctx.Err() == nil {
		f := cl.PollFetches(w.ctx)
		if f.IsClientClosed() {
			return
		}
		w.note(f)
		read := cl.UncommittedOffsets()["orders"]
		if cl.CommitUncommittedOffsets(w.ctx) == nil {
			w.noteCommit(read)
		}
	}
}

func (w *crew) note(f kgo.Fetches) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.EachRecord(func(r *kgo.Record) { w.seen[string(r.Value)]++ })
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *crew) noteCommit(read map[int32]kgo.EpochOffset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, o := range read {
		w.answered[p] = max(w.answered[p], o.Offset)
	}
}

// send produces records for d, one every 200 ms; in real time it makes haste.
func (w *crew) send(d time.Duration) {
	w.t.Helper()
	const interval = 200 * time.Millisecond
	haste := time.Duration(1)
	if !franzInVirtualTime {
		haste = 100
	}
	for ; d > 0; d -= interval {
		<-time.After(interval / haste)
		r := kgo.StringRecord(fmt.Sprintf("order %d", len(w.sent)))
		if err := w.produce.ProduceSync(w.ctx, r).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
		w.sent[string(r.Value)] = true
	}
}

// caughtUp waits until every record has been seen, and all of them are committed.
// It returns how many were seen more than once.
func (w *crew) caughtUp() (again int) {
	w.t.Helper()
	limit := time.After(5 * time.Minute)
	for {
		w.mu.Lock()
		missing := len(w.sent) - len(w.seen)
		changed := w.changed
		w.mu.Unlock()
		if missing == 0 {
			break
		}
		select {
		case <-changed:
		case <-limit:
			w.t.Fatalf("%d of %d records were not consumed\n%v", missing, len(w.sent), w.c.Group("crew"))
		}
	}
	w.c.Wait("all to be committed", func() bool {
		g := w.c.Group("crew")
		for p := range int32(6) {
			if end := w.c.PartitionState("orders", p).HighWatermark; end > 0 && g.Offset("orders", p) != end {
				return false
			}
		}
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for v, n := range w.seen {
		if !w.sent[v] {
			w.t.Errorf("%q was consumed, and not produced", v)
		}
		if n > 1 {
			again++
		}
	}
	return again
}

// commitsAreKept holds that no commit that was answered is gone, by what the
// coordinator says when all it has is replicated.
func (w *crew) commitsAreKept() {
	w.t.Helper()
	w.mu.Lock()
	answered := maps.Clone(w.answered)
	w.mu.Unlock()
	q := kmsg.NewPtrOffsetFetchRequest()
	q.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "crew"
	q.Groups = append(q.Groups, g)
	resp := asks[*kmsg.OffsetFetchResponse](newGroupClient(w.t, w.c, w.c.Coordinator("crew")), q)
	if code := resp.Groups[0].ErrorCode; code != 0 {
		w.t.Fatalf("fetch offsets: %v", kerr.ErrorForCode(code))
	}
	got := map[int32]int64{}
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			got[p.Partition] = p.Offset
		}
	}
	for p, want := range answered {
		if o, ok := got[p]; !ok || o < want {
			w.t.Errorf("partition %d: the offset is %d (%v), after %d was answered", p, o, ok, want)
		}
	}
}

// members waits until the group is stable with so many members that have an equal
// share each.
func (w *crew) members(n int) minikafka.GroupState {
	w.t.Helper()
	var g minikafka.GroupState
	w.c.Wait(fmt.Sprintf("%d members with a share each", n), func() bool {
		g = w.c.Group("crew")
		for _, m := range g.Members {
			if len(m.Assigned["orders"]) != 6/n {
				return false
			}
		}
		return g.State == "Stable" && len(g.Members) == n
	})
	return g
}

// TestConsumersComeAndGo has members join, leave and die while records are
// produced: every record is consumed at least once, and in the end all is
// committed.
func TestConsumersComeAndGo(t *testing.T) {
	t.Parallel()
	for name, balancer := range map[string]kgo.GroupBalancer{
		"eager": kgo.RangeBalancer(), "cooperative": kgo.CooperativeStickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withCrew(t, func(w *crew) {
				w.hire(kgo.Balancers(balancer))
				w.send(10 * time.Second)
				w.members(1)
				second := w.hire(kgo.Balancers(balancer))
				w.send(10 * time.Second)
				w.members(2)
				w.hire(kgo.Balancers(balancer))
				w.send(20 * time.Second)
				w.members(3)
				second.Close() // It leaves.
				w.send(10 * time.Second)
				w.members(2)
				if again := w.caughtUp(); again > 0 && name == "cooperative" {
					w.t.Logf("%d records were consumed more than once", again)
				}
				w.commitsAreKept()
			})
		})
	}
}

// TestCooperativeRebalance takes only those partitions from a member that go to
// another.
func TestCooperativeRebalance(t *testing.T) {
	t.Parallel()
	withCrew(t, func(w *crew) {
		var mu sync.Mutex
		revoked := 0
		w.hire(kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			mu.Lock()
			defer mu.Unlock()
			revoked += len(lost["orders"])
		}))
		w.send(10 * time.Second)
		w.members(1)
		second := w.hire()
		w.send(20 * time.Second)
		w.members(2)
		mu.Lock()
		if revoked != 3 {
			w.t.Errorf("%d partitions were revoked, want 3 of 6", revoked)
		}
		mu.Unlock()
		if again := w.caughtUp(); again > 0 {
			w.t.Errorf("%d records were consumed again", again)
		}
		second.Close()
		w.send(10 * time.Second)
		w.members(1)
		w.caughtUp()
	})
}

// TestStaticConsumerRestarts has a static member be away for less than its
// session, which nobody notices, and for more, which takes its partitions.
func TestStaticConsumerRestarts(t *testing.T) {
	t.Parallel()
	withCrew(t, func(w *crew) {
		owned, news := 0, make(chan int, 100)
		count := func(sign int) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
				if n := len(p["orders"]); n > 0 {
					news <- sign * n
				}
			}
		}
		w.hire(kgo.InstanceID("one"), kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)))
		second := w.hire(kgo.InstanceID("two"))
		w.send(20 * time.Second)
		before := w.members(2)
		for owned != 3 {
			owned += <-news
		}

		second.Close() // Static members do not leave.
		w.send(30 * time.Second)
		second = w.hire(kgo.InstanceID("two"))
		w.send(10 * time.Second)
		after := w.members(2)
		instances := func(g minikafka.GroupState) (ids, owners map[string]string) {
			ids, owners = map[string]string{}, map[string]string{}
			for _, m := range g.Members {
				ids[m.InstanceID], owners[m.InstanceID] = m.ID, fmt.Sprint(m.Assigned["orders"])
			}
			return ids, owners
		}
		ids, owners := instances(before)
		newIDs, newOwners := instances(after)
		if ids["one"] != newIDs["one"] || ids["two"] == newIDs["two"] || !maps.Equal(owners, newOwners) {
			w.t.Errorf("before %v, after %v", before, after)
		}
		w.caughtUp()
		if n := len(news); n != 0 {
			w.t.Errorf("the other member's assignment changed %d times", n)
		}
		if franzInVirtualTime {
			second.Close()
			w.send(45*time.Second + 10*time.Second)
			w.members(1)
			w.caughtUp()
		}
		w.commitsAreKept()
	})
}

// TestCoordinatorCrashes has the coordinator die in every state of the protocol:
// the group goes on with another one, and no commit that was answered is gone.
func TestCoordinatorCrashes(t *testing.T) {
	t.Parallel()
	partition := server.CoordinatorPartition("crew", 50)
	inState := func(w *crew, state string) {
		w.t.Helper()
		w.c.Wait("the state "+state, func() bool { return w.c.Group("crew").State == state })
	}
	for state, reach := range map[string]func(*crew) (release func()){
		"joining": func(w *crew) func() {
			w.hire()
			inState(w, "PreparingRebalance")
			return nil
		},
		"syncing": func(w *crew) func() {
			w.caughtUp() // A client does not rejoin while a commit of it is under way.
			release := w.c.HoldReplication("__consumer_offsets", partition)
			w.hire()
			inState(w, "CompletingRebalance")
			return release
		},
		"stable": func(w *crew) func() {
			w.hire()
			w.send(10 * time.Second)
			w.members(3)
			return nil
		},
		"committing": func(w *crew) func() {
			w.hire()
			w.send(10 * time.Second)
			w.members(3)
			release := w.c.HoldReplication("__consumer_offsets", partition)
			w.send(time.Second)
			w.c.Wait("a commit that is not replicated", func() bool {
				s := w.c.PartitionState("__consumer_offsets", partition)
				return slices.ContainsFunc(s.Logs, func(l minikafka.ReplicaState) bool { return l.Leading && l.LogEnd > s.HighWatermark })
			})
			return release
		},
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			withCrew(t, func(w *crew) {
				w.hire()
				w.hire()
				w.send(15 * time.Second)
				w.members(2)
				release := reach(w)
				old := w.c.Coordinator("crew")
				old.Crash()
				if release != nil {
					release()
				}
				w.commitsAreKept()
				w.send(30 * time.Second)
				if w.members(3).Coordinator == old.ID() {
					w.t.Error("the crashed broker coordinates")
				}
				old.Restart()
				w.c.WaitHealthy()
				w.send(10 * time.Second)
				w.caughtUp()
				w.commitsAreKept()
			})
		})
	}
}

// TestSilentMember holds Kafka's timeouts: a member that does not rejoin is waited
// for during the rebalance timeout, one that is silent for its session.
func TestSilentMember(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(w *crew) {
		g := newGroupClient(w.t, w.c, w.c.Coordinator("crew"))
		begin := time.Now()
		g.join("crew") // session 45 s, rebalance timeout 60 s
		if took := time.Since(begin); took < 3*time.Second || took > 4*time.Second {
			w.t.Errorf("the first member joined after %v, want the initial delay of 3 s", took)
		}
		begin = time.Now()
		w.c.Wait("the end of its session", func() bool { return w.c.Group("crew").State == "Empty" })
		if took := time.Since(begin); took.Round(time.Second) != 45*time.Second {
			w.t.Errorf("a silent member was removed after %v, want 45 s", took)
		}
		// One that goes on with its heartbeats, and does not rejoin.
		member, generation := g.join("crew")
		beating, stop := context.WithCancel(w.ctx)
		var beats sync.WaitGroup
		beats.Go(func() {
			for beating.Err() == nil {
				select {
				case <-time.After(3 * time.Second):
					_ = g.heartbeat("crew", member, generation)
				case <-beating.Done():
				}
			}
		})
		begin = time.Now()
		// Protocols in common are needed for the two.
		w.hire(kgo.Balancers(kgo.RangeBalancer()))
		w.members(1)
		stop()
		beats.Wait() // before the client's context ends
		if took := time.Since(begin); took < 59*time.Second || took > 65*time.Second {
			w.t.Errorf("a member that does not rejoin was waited for %v, want 60 s", took)
		}
	})
}

// TestOffsetsExpire passes a week with Kafka's defaults: the offsets of a group
// that nobody uses are forgotten, those of one in use stay.
func TestOffsetsExpire(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(w *crew) {
		const day = 24 * time.Hour
		g := newGroupClient(w.t, w.c, w.c.Coordinator("left"))
		member, generation := g.join("left")
		if err := g.commit("left", member, generation, 3); err != nil {
			w.t.Fatal(err)
		}
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group = "left"
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = member
		leave.Members = append(leave.Members, m)
		asks[*kmsg.LeaveGroupResponse](g, leave)
		begin := time.Now()
		w.c.Wait("the group to be empty", func() bool { return w.c.Group("left").State == "Empty" })
		<-time.After(7*day - 11*time.Minute)
		if got := w.c.Group("left"); got.Offset("orders", 0) != 3 {
			w.t.Errorf("before its time: %v", got)
		}
		<-time.After(22 * time.Minute)
		if got := w.c.Group("left"); got.State != minikafka.DeadGroup || len(got.Offsets) != 0 {
			w.t.Errorf("after %v: %v", time.Since(begin), got)
		}
	}, rarely()...)
}

// rarely has a single broker do nothing more often than it must: a week is long.
func rarely() []minikafka.Option {
	o := []minikafka.Option{minikafka.Brokers(1), minikafka.Config("min.insync.replicas", "1")}
	for name, value := range map[string]string{
		"broker.heartbeat.interval.ms": "60000", "broker.session.timeout.ms": "270000",
		"replica.high.watermark.checkpoint.interval.ms": "600000", "controller.quorum.election.timeout.ms": "60000",
		"leader.imbalance.check.interval.seconds": "3600", "log.cleaner.backoff.ms": "3600000", "offsets.topic.num.partitions": "1", "replica.lag.time.max.ms": "3600000",
	} {
		o = append(o, minikafka.Config(name, value))
	}
	return o
}
