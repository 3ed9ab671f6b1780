package oracle_test

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinator is the address of the coordinator of a group (kind 0) or a transactional id (kind 1).
func (s *session) coordinator(kind int8, key string) string {
	s.Helper()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.SetVersion(4)
	req.CoordinatorType, req.CoordinatorKeys = kind, []string{key}
	for s.ctx.Err() == nil {
		c := s.ask(req).(*kmsg.FindCoordinatorResponse).Coordinators[0]
		if c.ErrorCode == 0 {
			return net.JoinHostPort(c.Host, fmt.Sprint(c.Port))
		}
		s.pause()
	}
	s.Fatalf("%s: waited in vain for the coordinator of %s", s.server.name, key)
	return ""
}

// pause waits for a moment before something is asked again that no broker lets a client wait for.
func (s *session) pause() {
	t := time.NewTimer(5 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// groups consumes in a group, and commits offsets by hand.
func groups(s *session) {
	s.create("shared", 2)
	s.fill("shared", "a", "b", "c")
	c := s.client(kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("shared"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	read := 0
	for read < 3 && s.ctx.Err() == nil {
		c.PollFetches(s.ctx).EachRecord(func(*kgo.Record) { read++ })
	}
	s.saw("read in a group", read)
	s.saw("committed in a group", c.CommitUncommittedOffsets(s.ctx))
	at := s.coordinator(0, "readers")

	s.offsets("a member's commits", at, "readers")
	s.commit("without being a member", at, "readers", "", -1, 1, "")
	describe := func(what string, groups ...string) {
		s.Helper()
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.SetVersion(5)
		req.Groups = groups
		for _, g := range s.askAt(at, req).(*kmsg.DescribeGroupsResponse).Groups {
			s.saw(what+" "+g.Group, fmt.Sprintf("%s, %s, %s, %d members", codeName(g.ErrorCode), g.State, g.Protocol, len(g.Members)))
		}
	}
	describe("described", "readers")
	c.LeaveGroup()
	describe("after leaving", "readers")
	s.commit("after leaving", at, "readers", "", -1, 1, "note")
	s.offsets("after leaving", at, "readers")
	s.commit("of a generation that is not there", at, "readers", "someone", 3, 1, "")

	alone := s.coordinator(0, "alone")
	s.commit("without a group", alone, "alone", "", -1, 7, "note")
	s.offsets("without a group", alone, "alone")
	s.offsets("of an unknown group", s.coordinator(0, "nobody"), "nobody")

	hb := kmsg.NewPtrHeartbeatRequest()
	hb.SetVersion(4)
	hb.Group, hb.MemberID = "readers", "someone"
	s.code("heartbeat of nobody", s.askAt(at, hb).(*kmsg.HeartbeatResponse).ErrorCode)
	join := kmsg.NewPtrJoinGroupRequest()
	join.SetVersion(9)
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = "readers", 10_000, 10_000, "consumer"
	s.code("join without protocols", s.askAt(at, join).(*kmsg.JoinGroupResponse).ErrorCode)
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	join.Protocols = append(join.Protocols, p)
	s.code("join without a member id", s.askAt(at, join).(*kmsg.JoinGroupResponse).ErrorCode)
	join.SessionTimeoutMillis = 1
	s.code("join with a short session", s.askAt(at, join).(*kmsg.JoinGroupResponse).ErrorCode)

	del := kmsg.NewPtrDeleteGroupsRequest()
	del.SetVersion(2)
	del.Groups = []string{"readers"}
	s.code("delete", s.askAt(at, del).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode)
	s.code("delete again", s.askAt(at, del).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode)
}

// commit commits an offset of shared/0 and of a topic that does not exist.
func (s *session) commit(what, at, group, member string, generation int32, offset int64, note string) {
	s.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.SetVersion(8)
	req.Group, req.MemberID, req.Generation = group, member, generation
	for _, name := range []string{"shared", "no-such-topic"} {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = name
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset, p.Metadata = offset, &note
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	for _, t := range s.askAt(at, req).(*kmsg.OffsetCommitResponse).Topics {
		s.code("commit "+what+" to "+t.Topic, t.Partitions[0].ErrorCode)
	}
}

// offsets notes what is committed of shared/0.
func (s *session) offsets(what, at, group string) {
	s.Helper()
	s.offsetsOf(what, at, group, "shared")
}

func (s *session) offsetsOf(what, at, group, topic string) {
	s.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.SetVersion(8)
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	r := s.askAt(at, req).(*kmsg.OffsetFetchResponse).Groups[0]
	if r.ErrorCode != 0 || len(r.Topics) == 0 {
		s.code("offsets "+what, r.ErrorCode)
		return
	}
	p := r.Topics[0].Partitions[0]
	s.saw("offsets "+what, fmt.Sprintf("%s, %d, with a note %v", codeName(p.ErrorCode), p.Offset, p.Metadata != nil && *p.Metadata == "note"))
}

// transactions commits one and aborts one.
func transactions(s *session) {
	s.create("accounts", 1)
	c := s.client(kgo.TransactionalID("bank"), kgo.DefaultProduceTopic("accounts"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		name := map[kgo.TransactionEndTry]string{kgo.TryCommit: "commit", kgo.TryAbort: "abort"}[end]
		s.saw(name+": begin", c.BeginTransaction())
		s.saw(name+": produce", c.ProduceSync(s.ctx, kgo.StringRecord(name)).FirstErr())
		s.saw(name+": end", c.EndTransaction(s.ctx, end))
	}
	s.saw("a third: begin", c.BeginTransaction())
	s.saw("a third: produce", c.ProduceSync(s.ctx, kgo.StringRecord("third")).FirstErr())
	s.saw("a third: end", c.EndTransaction(s.ctx, kgo.TryCommit))
	for name, level := range map[string]kgo.IsolationLevel{"committed": kgo.ReadCommitted(), "uncommitted": kgo.ReadUncommitted()} {
		r := s.client(kgo.FetchIsolationLevel(level), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"accounts": {0: kgo.NewOffset().AtStart()}}))
		var seen []string
		for last := ""; last != "third" && s.ctx.Err() == nil; {
			r.PollFetches(s.ctx).EachRecord(func(rec *kgo.Record) {
				last = string(rec.Value)
				seen = append(seen, fmt.Sprintf("%d %s", rec.Offset, last))
			})
		}
		s.saw("read "+name, seen)
	}
	second := s.client(kgo.TransactionalID("bank"), kgo.DefaultProduceTopic("accounts"))
	s.saw("a second producer: begin", second.BeginTransaction())
	s.saw("a second producer: produce", second.ProduceSync(s.ctx, kgo.StringRecord("fourth")).FirstErr())
	s.saw("the first: begin", c.BeginTransaction())
	s.saw("the first is fenced", c.ProduceSync(s.ctx, kgo.StringRecord("late")).FirstErr())
	s.saw("a second producer: end", second.EndTransaction(s.ctx, kgo.TryCommit))
}
