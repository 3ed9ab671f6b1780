package minikafka_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// sharer is a member of a share group at the wire, which reads partition 0 of orders.
type sharer struct {
	t     *testing.T
	c     *minikafka.Cluster
	id    string
	topic [16]byte
	epoch int32 // of its session
	// group and leader are connections to the group's coordinator and the partition's
	// leader.
	group, leader *scenario.Wire
}

// shareGroup is the group of these tests.
const shareGroup = "sharers"

// newSharer joins the group.
func newSharer(t *testing.T, c *minikafka.Cluster, id string) *sharer {
	t.Helper()
	s := &sharer{t: t, c: c, id: id}
	s.group, s.leader = s.dial(c.Coordinator(shareGroup)), s.dial(c.Leader("orders", 0))
	resp := s.beat(0, "orders")
	if resp.ErrorCode != 0 || resp.Assignment == nil || len(resp.Assignment.TopicPartitions) != 1 {
		t.Fatalf("%s joined: %+v", id, resp)
	}
	s.topic = resp.Assignment.TopicPartitions[0].TopicID
	return s
}

func (s *sharer) dial(b *minikafka.Broker) *scenario.Wire {
	s.t.Helper()
	w, err := scenario.DialWire(s.t.Context(), s.c.DialContext, b.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = w.Close() })
	return w
}

func (s *sharer) ask(w *scenario.Wire, q kmsg.Request) kmsg.Response {
	s.t.Helper()
	resp, err := w.Request(q)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *sharer) beat(epoch int32, topics ...string) *kmsg.ShareGroupHeartbeatResponse {
	s.t.Helper()
	q := kmsg.NewPtrShareGroupHeartbeatRequest()
	q.Version, q.GroupID, q.MemberID, q.MemberEpoch, q.SubscribedTopicNames = 1, shareGroup, s.id, epoch, topics
	return s.ask(s.group, q).(*kmsg.ShareGroupHeartbeatResponse)
}

// held is a run of records that a member has got.
type held struct {
	first, last int64
	count       int16
}

// tryFetch waits up to so many ms, and returns what was acquired.
func (s *sharer) tryFetch(wait int32) ([]held, error) {
	q := kmsg.NewPtrShareFetchRequest()
	group := shareGroup
	q.Version, q.GroupID, q.MemberID, q.ShareSessionEpoch = 2, &group, &s.id, s.epoch
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.MaxRecords, q.BatchSize = wait, 1, 1<<20, 500, 500
	if s.epoch == 0 {
		t := kmsg.NewShareFetchRequestTopic()
		t.TopicID = s.topic
		t.Partitions = append(t.Partitions, kmsg.NewShareFetchRequestTopicPartition())
		q.Topics = append(q.Topics, t)
	}
	answer, err := s.leader.Request(q)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.ShareFetchResponse)
	if resp.ErrorCode != 0 {
		return nil, kerr.ErrorForCode(resp.ErrorCode)
	}
	s.epoch++
	var got []held
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return nil, kerr.ErrorForCode(p.ErrorCode)
			}
			for _, a := range p.AcquiredRecords {
				got = append(got, held{a.FirstOffset, a.LastOffset, a.DeliveryCount})
			}
		}
	}
	return got, nil
}

// fetch is tryFetch, as first-last*count.
func (s *sharer) fetch(wait int32) []string {
	s.t.Helper()
	got, err := s.tryFetch(wait)
	if err != nil {
		s.t.Fatalf("%s fetched: %v", s.id, err)
	}
	out := []string{}
	for _, h := range got {
		out = append(out, fmt.Sprintf("%d-%d*%d", h.first, h.last, h.count))
	}
	return out
}

// wants fetches for so many ms, in portions, until it has got something.
func (s *sharer) wants(wait int32, want ...string) {
	s.t.Helper()
	const portion = 10_000
	got := s.fetch(min(wait, portion))
	for left := wait - portion; len(got) == 0 && left > 0; left -= portion {
		got = s.fetch(min(left, portion))
	}
	if !slices.Equal(got, append([]string{}, want...)) {
		s.t.Fatalf("%s acquired %v, want %v", s.id, got, want)
	}
}

// ack acknowledges records, and returns the error, of the request or of the
// partition.
func (s *sharer) ack(first, last int64, typ int8) error {
	q := kmsg.NewPtrShareAcknowledgeRequest()
	group := shareGroup
	q.Version, q.GroupID, q.MemberID, q.ShareSessionEpoch, q.IsRenewAck = 2, &group, &s.id, s.epoch, typ == 4
	t := kmsg.NewShareAcknowledgeRequestTopic()
	t.TopicID = s.topic
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	p.AcknowledgementBatches = []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
		{FirstOffset: first, LastOffset: last, AcknowledgeTypes: []int8{typ}},
	}
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	answer, err := s.leader.Request(q)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.ShareAcknowledgeResponse)
	if resp.ErrorCode != 0 {
		return kerr.ErrorForCode(resp.ErrorCode)
	}
	s.epoch++
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// fromTheBeginning has the group begin at the beginning.
func fromTheBeginning(t *testing.T, c *minikafka.Cluster) {
	t.Helper()
	q, value := kmsg.NewPtrIncrementalAlterConfigsRequest(), "earliest"
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, shareGroup
	res.Configs = append(res.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: "share.auto.offset.reset", Value: &value})
	q.Resources = append(q.Resources, res)
	w, err := scenario.DialWire(t.Context(), c.DialContext, c.Broker(0).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	resp, err := w.Request(q)
	if err != nil || resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode != 0 {
		t.Fatalf("the group's config: %+v, %v", resp, err)
	}
}

// TestShareLocksInVirtualTime holds the lock of 30 s, its renewal, and the limit of
// deliveries, with Kafka's defaults.
func TestShareLocksInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		fromTheBeginning(t, c)
		c.Produce("orders", 0, minikafka.Values("a", "b", "c")...)
		a, b := newSharer(t, c, "a"), newSharer(t, c, "b")
		a.wants(10_000, "0-2*1")
		begin := time.Now()
		b.wants(1000)
		if err := a.ack(2, 2, 4); err != nil { // renewed at 1 s
			t.Fatal(err)
		}
		b.wants(60_000, "0-1*2")
		if took := time.Since(begin); took < 30*time.Second || took > 30*time.Second+100*time.Millisecond {
			t.Errorf("the lock held for %v", took)
		}
		b.wants(60_000, "2-2*2")
		if took := time.Since(begin); took < 31*time.Second || took > 31*time.Second+100*time.Millisecond {
			t.Errorf("the renewed lock held for %v", took)
		}
		if err := b.ack(2, 2, 1); err != nil {
			t.Fatal(err)
		}
		if err := a.ack(0, 0, 1); err == nil {
			t.Error("a record was acknowledged whose lock has expired")
		}
		a.wants(60_000, "0-1*3")
		for n := 4; n <= 5; n++ { // Those that were delivered often come one by one.
			a.wants(60_000, fmt.Sprintf("0-0*%d", n))
			b.wants(60_000, fmt.Sprintf("1-1*%d", n))
		}
		b.wants(60_000) // They were delivered as often as they may be.
		c.Produce("orders", 0, minikafka.Values("d")...)
		a.wants(60_000, "3-3*1")
	})
}

// TestShareStateSurvivesRestarts has what was acknowledged stay so when every broker
// has crashed, and what was not be delivered again.
func TestShareStateSurvivesRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		fromTheBeginning(t, c)
		c.Produce("orders", 0, minikafka.Values("a", "b", "c", "d")...)
		a := newSharer(t, c, "a")
		a.wants(10_000, "0-3*1")
		if g := c.Group(shareGroup); g.Type != "share" || g.State != "Stable" || g.Owner("orders", 0) != "a" {
			t.Errorf("the group: %+v", g)
		}
		for offset, typ := range []int8{1, 2, 3} {
			if err := a.ack(int64(offset), int64(offset), typ); err != nil {
				t.Fatal(err)
			}
		}
		for i := range int32(3) {
			c.Broker(i).Crash()
		}
		for i := range int32(3) {
			c.Broker(i).Restart()
		}
		c.WaitHealthy()
		b := newSharer(t, c, "b")
		// The first was accepted, the third rejected; of the last nothing is known.
		b.wants(10_000, "1-1*2", "3-3*1")
	})
}

// TestShareSessionEndsWithItsConnection has records go to another member as soon as
// the one that holds them is gone.
func TestShareSessionEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		fromTheBeginning(t, c)
		c.Produce("orders", 0, minikafka.Values("a")...)
		a, b := newSharer(t, c, "a"), newSharer(t, c, "b")
		a.wants(10_000, "0-0*1")
		begin := time.Now()
		if err := a.leader.Close(); err != nil {
			t.Fatal(err)
		}
		b.wants(20_000, "0-0*2")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the record came after %v", took)
		}
	})
}

func TestShareGroupsAreAFeature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Topic("orders", 1), minikafka.Feature("share.version", 0), minikafka.Network(minikafka.PipeNetwork()))
		s := &sharer{t: t, c: c, id: "a"}
		s.group = s.dial(c.Broker(0))
		if code := s.beat(0, "orders").ErrorCode; code != kerr.UnsupportedVersion.Code {
			t.Errorf("heartbeat: %v", kerr.ErrorForCode(code))
		}
		group := shareGroup
		f, a := kmsg.NewPtrShareFetchRequest(), kmsg.NewPtrShareAcknowledgeRequest()
		f.Version, f.GroupID, f.MemberID = 1, &group, &s.id
		a.Version, a.GroupID, a.MemberID = 1, &group, &s.id
		if code := s.ask(s.group, f).(*kmsg.ShareFetchResponse).ErrorCode; code != kerr.UnsupportedVersion.Code {
			t.Errorf("fetch: %v", kerr.ErrorForCode(code))
		}
		if code := s.ask(s.group, a).(*kmsg.ShareAcknowledgeResponse).ErrorCode; code != kerr.UnsupportedVersion.Code {
			t.Errorf("acknowledgement: %v", kerr.ErrorForCode(code))
		}
	})
}

// TestRandomShareGroup has members fetch and acknowledge while brokers crash: what
// was accepted is never delivered again, nothing is delivered to two at a time, and
// nothing is lost.
func TestRandomShareGroup(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 0))
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		fromTheBeginning(t, c)
		members := []*sharer{newSharer(t, c, "a"), newSharer(t, c, "b")}
		accepted, seen, last := map[int64]bool{}, map[int64]int{}, int64(0)
		turn := func(s *sharer, accept bool) {
			got, err := s.tryFetch(100)
			for _, h := range got {
				for o := h.first; o <= h.last; o++ {
					if accepted[o] {
						t.Fatalf("record %d was accepted, and delivered again", o)
					}
					seen[o]++
				}
				typ := share(r, accept)
				if typ == 0 {
					continue // It is forgotten.
				}
				if err = s.ack(h.first, h.last, typ); err != nil {
					break
				}
				for o := h.first; o <= h.last && typ == 1; o++ {
					accepted[o] = true
				}
			}
			if err != nil { // The broker is gone, or leads no more.
				s.leader, s.epoch = s.dial(c.WaitLeader("orders", 0)), 0
			}
		}
		for range 150 {
			switch n := r.IntN(20); {
			case n < 5:
				c.Produce("orders", 0, minikafka.Values("x", "y", "z")...)
				last += 3
			case n < 18:
				turn(members[r.IntN(2)], false)
			case n < 19:
				<-time.After(10 * time.Second)
			default:
				b := c.Broker(r.Int32N(3))
				b.Crash()
				c.WaitLeader("orders", 0)
				turn(members[r.IntN(2)], false)
				b.Restart()
				c.WaitHealthy()
			}
		}
		for range 40 {
			<-time.After(4 * time.Second)
			turn(members[0], true)
		}
		for o := range last {
			if !accepted[o] && seen[o] < 5 {
				t.Errorf("record %d was delivered %d times and never accepted", o, seen[o])
			}
		}
	})
}

// share is what a member does with records: mostly it accepts them.
func share(r *rand.Rand, accept bool) int8 {
	if n := r.IntN(10); !accept && n < 4 {
		return int8(n % 3) // forgotten, accepted or released
	}
	return 1
}
