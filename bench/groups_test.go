package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

const (
	benchGroups  = 100
	groupMembers = 10
	groupRounds  = 5  // rebalances of every group
	groupCommits = 50 // of every member
)

// BenchmarkGroups is a thousand members in a hundred groups of the classic
// protocol, each on a connection of its own: how long the groups take to form, how
// many members rejoin a second when all groups rebalance at once, and how many
// commits a second are acknowledged.
func BenchmarkGroups(b *testing.B) {
	ours, _ := startMinikafka(b, minikafka.Config("group.initial.rebalance.delay.ms", "0"))
	peer := startKfake(b)
	p, o := measureGroups(b, peer), measureGroups(b, ours)
	const members = benchGroups * groupMembers
	report(b, "1000 members join", float64(o.form.Milliseconds()), float64(p.form.Milliseconds()), "ms")
	report(b, "rejoins", groupRounds*members/o.rebalance.Seconds(), groupRounds*members/p.rebalance.Seconds(), "members/s")
	report(b, "commits", groupCommits*members/o.commit.Seconds(), groupCommits*members/p.commit.Seconds(), "commits/s")
	for b.Loop() {
	}
}

// groupTimes are how long all members together take.
type groupTimes struct{ form, rebalance, commit time.Duration }

func measureGroups(b *testing.B, t target) (times groupTimes) {
	b.Helper()
	t.create(b, name(b, t.name), 1, 1)
	cl := t.client(b)
	find := kmsg.NewPtrFindCoordinatorRequest()
	for i := range benchGroups {
		find.CoordinatorKeys = append(find.CoordinatorKeys, fmt.Sprint("group-", i))
	}
	addresses := coordinators(b, cl, find)
	var members []*member
	for _, group := range find.CoordinatorKeys {
		for range groupMembers {
			members = append(members, dialMember(b, addresses[group], group, name(b, t.name)))
		}
	}
	times.form = together(b, members, func(m *member) error { return m.rejoin(0) })
	times.rebalance = together(b, members, func(m *member) error {
		for round := range groupRounds {
			if err := m.rejoin(byte(round + 1)); err != nil {
				return err
			}
		}
		return nil
	})
	times.commit = together(b, members, func(m *member) error {
		for i := range groupCommits {
			if err := m.commit(int64(i)); err != nil {
				return err
			}
		}
		return nil
	})
	return times
}

// coordinators are the addresses of the groups' coordinators.
func coordinators(b *testing.B, cl *kgo.Client, q *kmsg.FindCoordinatorRequest) map[string]string {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	resp, err := q.RequestWith(ctx, cl)
	if err != nil {
		b.Fatal(err)
	}
	all := map[string]string{}
	for _, c := range resp.Coordinators {
		if err := kerr.ErrorForCode(c.ErrorCode); err != nil {
			b.Fatal(err)
		}
		all[c.Key] = net.JoinHostPort(c.Host, fmt.Sprint(c.Port))
	}
	return all
}

// together has all members do something at once, and tells how long that took.
func together(b *testing.B, members []*member, f func(*member) error) time.Duration {
	b.Helper()
	errs := make(chan error, len(members))
	var all sync.WaitGroup
	start := time.Now()
	for _, m := range members {
		all.Go(func() {
			if err := f(m); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	select {
	case err := <-errs:
		b.Fatal(err)
	default:
	}
	return took
}

// member is a member of a group, on a connection.
type member struct {
	conn       net.Conn
	reader     *bufio.Reader
	format     *kmsg.RequestFormatter
	next       int32
	group      string
	topic      string
	id         string
	generation int32
}

func dialMember(b *testing.B, address, group, topic string) *member {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	return &member{conn: conn, reader: bufio.NewReader(conn), format: kmsg.NewRequestFormatter(), group: group, topic: topic}
}

// ask sends a request, whose version has no tags, and reads its answer.
func (m *member) ask(q kmsg.Request, version int16, resp kmsg.Response) error {
	q.SetVersion(version)
	resp.SetVersion(version)
	m.next++
	if _, err := m.conn.Write(m.format.AppendRequest(nil, q, m.next)); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(m.reader, head[:]); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(m.reader, body); err != nil {
		return err
	}
	return resp.ReadFrom(body)
}

// rejoin returns when the group has all its members, and all are in the round.
func (m *member) rejoin(round byte) error {
	for {
		err := m.join(round)
		if err == nil {
			var complete bool
			if complete, err = m.sync(round); complete {
				return nil
			}
		}
		if err == nil {
			err = m.awaitRebalance()
		}
		switch err {
		case kerr.RebalanceInProgress, nil, kerr.IllegalGeneration: //nolint:errorlint // as kerr returns them
		case kerr.UnknownMemberID:
			m.id = ""
		default:
			return err
		}
	}
}

// join joins; its metadata is the round.
func (m *member) join(round byte) error {
	for {
		q, resp := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrJoinGroupResponse()
		q.Group, q.MemberID, q.ProtocolType = m.group, m.id, "bench"
		q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 45000, 60000
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = "rounds", []byte{round}
		q.Protocols = append(q.Protocols, p)
		if err := m.ask(q, 5, resp); err != nil {
			return err
		}
		m.id, m.generation = resp.MemberID, resp.Generation
		if resp.ErrorCode == kerr.MemberIDRequired.Code {
			continue
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		return m.lead(resp)
	}
}

// lead has the leader tell every member how far the last one is, and how many there
// are.
func (m *member) lead(resp *kmsg.JoinGroupResponse) error {
	q, answer := kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrSyncGroupResponse()
	if resp.LeaderID != m.id {
		return nil
	}
	q.Group, q.MemberID, q.Generation = m.group, m.id, m.generation
	told := []byte{byte(len(resp.Members)), 255}
	for _, other := range resp.Members {
		told[1] = min(told[1], other.ProtocolMetadata[0])
	}
	for _, other := range resp.Members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = other.MemberID, told
		q.GroupAssignment = append(q.GroupAssignment, a)
	}
	if err := m.ask(q, 3, answer); err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.ErrorCode)
}

// sync tells whether the group is complete.
func (m *member) sync(round byte) (complete bool, err error) {
	q, resp := kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrSyncGroupResponse()
	q.Group, q.MemberID, q.Generation = m.group, m.id, m.generation
	if err := m.ask(q, 3, resp); err != nil {
		return false, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return false, err
	}
	a := resp.MemberAssignment
	return len(a) == 2 && a[0] == groupMembers && a[1] >= round, nil
}

// awaitRebalance sends heartbeats until the group rebalances.
func (m *member) awaitRebalance() error {
	for {
		q, resp := kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrHeartbeatResponse()
		q.Group, q.MemberID, q.Generation = m.group, m.id, m.generation
		if err := m.ask(q, 3, resp); err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (m *member) commit(offset int64) error {
	q, resp := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
	q.Group, q.MemberID, q.Generation = m.group, m.id, m.generation
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = offset
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = m.topic, append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	if err := m.ask(q, 7, resp); err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
