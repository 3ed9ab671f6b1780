package server

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// sessionClient asks one fetchSessions for partitions of one topic.
type sessionClient struct {
	t *testing.T
	s *fetchSessions
	// marks are the high watermarks and records what partitions have.
	marks   map[int32]int64
	records map[int32]bool
	version int16
}

func newSessionClient(t *testing.T, limit int) *sessionClient {
	return &sessionClient{t, newFetchSessions(limit), map[int32]int64{}, map[int32]bool{}, 12}
}

// fetch asks, and returns the session id, the partitions in the answer in their
// order, and the error code.
func (c *sessionClient) fetch(id, epoch int32, partitions []int32, forget ...int32) (session int32, answer string, code int16) {
	c.t.Helper()
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.SessionID, q.SessionEpoch = c.version, id, epoch
	topic := kmsg.FetchRequestTopic{Topic: "t"}
	if c.version >= 13 {
		topic = kmsg.FetchRequestTopic{TopicID: log.TopicID{1}}
	}
	for _, p := range partitions {
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition = p
		topic.Partitions = append(topic.Partitions, part)
	}
	q.Topics = append(q.Topics, topic)
	if len(forget) > 0 {
		q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: topic.Topic, TopicID: topic.TopicID, Partitions: forget}}
	}
	context, err := c.s.begin(q, requestedParts(q), false)
	if err != nil {
		return 0, "", errorCode(err)
	}
	var found []*fetchPart
	for i := range context.parts {
		p := &context.parts[i]
		p.begin()
		p.out.HighWatermark, p.out.LogStartOffset = c.marks[p.key.partition], 0
		if c.records[p.key.partition] {
			p.out.RecordBatches = []byte{1}
		}
		found = append(found, p)
	}
	session, parts, err := c.s.finish(context, found)
	out := []int32{}
	for _, p := range parts {
		out = append(out, p.key.partition)
	}
	return session, fmt.Sprint(out), errorCode(err)
}

// expect is fetch with what is expected of it; it returns the session's id.
func (c *sessionClient) expect(id, epoch int32, partitions []int32, want string, forget ...int32) int32 {
	c.t.Helper()
	got, answer, code := c.fetch(id, epoch, partitions, forget...)
	if answer != want || code != 0 {
		c.t.Fatalf("session %d epoch %d: %s, error %d, want %s", id, epoch, answer, code, want)
	}
	return got
}

func TestSessionAnswersWhatHasChanged(t *testing.T) {
	t.Parallel()
	c := newSessionClient(t, 10)
	id := c.expect(0, 0, []int32{0, 1, 2}, "[0 1 2]")
	if id <= 0 {
		t.Fatalf("session id %d", id)
	}
	c.expect(id, 1, nil, "[]")
	c.marks[1] = 5
	c.expect(id, 2, nil, "[1]")
	c.expect(id, 3, []int32{3}, "[3]") // a new one is told once
	c.expect(id, 4, nil, "[]")
	c.marks[0], c.marks[3] = 1, 1
	c.expect(id, 5, nil, "[3]", 0)
	if got := c.expect(id, 6, nil, "[]", 1, 2, 3); got != 0 {
		t.Errorf("a session without partitions is told as %d", got)
	}
	if _, _, code := c.fetch(id, 7, nil); code != 70 {
		t.Errorf("a session without partitions lives on: %d", code)
	}
}

// Partitions that had records come last next time.
func TestSessionRotates(t *testing.T) {
	t.Parallel()
	c := newSessionClient(t, 10)
	c.records[0], c.records[1], c.records[2] = true, true, true
	id := c.expect(0, 0, []int32{0, 1, 2}, "[0 1 2]")
	c.records[1], c.records[2] = false, false
	c.expect(id, 1, nil, "[0]")
	c.records[1], c.records[2] = true, true
	c.expect(id, 2, nil, "[1 2 0]")
	c.expect(id, 3, nil, "[1 2 0]")
}

func TestSessionErrors(t *testing.T) {
	t.Parallel()
	c := newSessionClient(t, 10)
	id := c.expect(0, 0, []int32{0}, "[0]")
	for _, tc := range []struct {
		id, epoch int32
		code      int16
	}{{id, 2, 71}, {id + 1, 1, 70}, {0, 1, 70}, {id, -5, 71}} {
		if _, _, code := c.fetch(tc.id, tc.epoch, nil); code != tc.code {
			t.Errorf("%+v: %d", tc, code)
		}
	}
	c.version = 13
	if _, _, code := c.fetch(id, 1, nil); code != 106 {
		t.Errorf("a session by name with ids: %d", code)
	}
	c.version = 12
	c.expect(id, 1, nil, "[]") // errors do not move the epoch
	if _, _, code := c.fetch(id, 1, nil); code != 71 {
		t.Errorf("a request repeated: %d", code)
	}
}

func TestSessionEpochWraps(t *testing.T) {
	t.Parallel()
	c := newSessionClient(t, 10)
	id := c.expect(0, 0, []int32{0}, "[0]")
	c.s.byID[id].epoch = math.MaxInt32
	c.expect(id, math.MaxInt32, nil, "[]")
	c.expect(id, 1, nil, "[]")
}

// A full fetch closes the session it names; with the final epoch it makes none.
func TestSessionsClose(t *testing.T) {
	t.Parallel()
	c := newSessionClient(t, 10)
	id := c.expect(0, 0, []int32{0}, "[0]")
	again := c.expect(id, 0, []int32{0}, "[0]")
	if again == id || len(c.s.byID) != 1 {
		t.Errorf("%d after %d, %d sessions", again, id, len(c.s.byID))
	}
	if got := c.expect(again, -1, []int32{0}, "[0]"); got != 0 || len(c.s.byID) != 0 {
		t.Errorf("after the final epoch: session %d, %d sessions", got, len(c.s.byID))
	}
}

// A partition with an error is told each time, and once more when it is over.
func TestSessionTellsTheEndOfAnError(t *testing.T) {
	t.Parallel()
	p := &cachedPartition{highWatermark: 3, logStart: 0}
	f := &fetchPart{}
	f.fail(errSessionEpoch)
	f.out.HighWatermark, f.out.LogStartOffset = 3, 0
	for range 2 {
		if !p.changed(f) {
			t.Error("an error was left out")
		}
	}
	f.begin()
	f.out.HighWatermark, f.out.LogStartOffset = 3, 0
	if !p.changed(f) {
		t.Error("the end of the error was left out")
	}
	if p.changed(f) {
		t.Error("no change was told")
	}
}

func TestSessionEviction(t *testing.T) {
	t.Parallel()
	c := newSessionClient(t, 2)
	now := time.Unix(1000, 0)
	c.s.now = func() time.Time { return now }
	small := c.expect(0, 0, []int32{0}, "[0]")
	large := c.expect(0, 0, []int32{0, 1}, "[0 1]")
	if got := c.expect(0, 0, []int32{0, 1, 2}, "[0 1 2]"); got != 0 {
		t.Error("a session was made without room")
	}
	// Long lived sessions give way to larger ones, the smallest first.
	now = now.Add(evictAfter)
	c.expect(small, 1, nil, "[]")
	c.expect(large, 1, nil, "[]")
	now = now.Add(time.Second)
	if got := c.expect(0, 0, []int32{0, 1, 2}, "[0 1 2]"); got == 0 {
		t.Error("a larger session found no room")
	}
	if c.s.byID[small] != nil || c.s.byID[large] == nil {
		t.Error("not the smallest was evicted")
	}
	if got := c.expect(0, 0, []int32{0}, "[0]"); got != 0 {
		t.Error("a smaller session evicted a larger one")
	}
	// Stale ones give way to any.
	now = now.Add(evictAfter)
	if got := c.expect(0, 0, []int32{0}, "[0]"); got == 0 || c.s.byID[large] != nil {
		t.Error("a stale session stayed")
	}
}

// Of a partition that is named twice the last counts.
func TestFetchNamesAPartitionTwice(t *testing.T) {
	t.Parallel()
	q := kmsg.NewPtrFetchRequest()
	topic := kmsg.FetchRequestTopic{Topic: "t"}
	for _, offset := range []int64{1, 2} {
		p := kmsg.NewFetchRequestTopicPartition()
		p.FetchOffset = offset
		topic.Partitions = append(topic.Partitions, p)
	}
	q.Topics = append(q.Topics, topic)
	if parts := requestedParts(q); len(parts) != 1 || parts[0].want.offset != 2 {
		t.Errorf("%+v", parts)
	}
}
