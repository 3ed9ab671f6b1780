package server

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
)

// Session epochs with a meaning of their own (FetchMetadata).
const (
	initialSessionEpoch = 0
	finalSessionEpoch   = -1
	// noSession is the id of no session.
	noSession = 0
)

// evictAfter is how long a session must not have been used, or must have lived,
// to be evicted by another (FetchSession.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS).
const evictAfter = 2 * time.Minute

// fetchKey names a partition of a fetch: by name before v13, by id from then on.
type fetchKey struct {
	topic     string
	topicID   log.TopicID
	partition int32
}

// fetchWant is what a client wants of a partition.
type fetchWant struct {
	offset      int64
	leaderEpoch int32 // the client's, -1: none
	lastEpoch   int32 // of the last record fetched, -1: none
	maxBytes    int32
}

// cachedPartition is a partition of a session: what the client wants of it, and
// what it was told last (CachedPartition). It is in the session's ring.
type cachedPartition struct {
	key           fetchKey
	want          fetchWant
	highWatermark int64
	logStart      int64
	prev, next    *cachedPartition
}

// fetchSession is an incremental fetch session (KIP-227).
type fetchSession struct {
	id      int32
	usesIDs bool
	// Below: guarded by the sessions' lock.
	privileged       bool // of a follower
	created, used    time.Time
	epoch            int32 // what the next request must carry
	partitions       map[fetchKey]*cachedPartition
	ring             cachedPartition // its next is the first partition
	partitionsAtUsed int
}

func (s *fetchSession) unlink(p *cachedPartition) {
	p.prev.next, p.next.prev = p.next, p.prev
}

func (s *fetchSession) pushBack(p *cachedPartition) {
	p.prev, p.next = s.ring.prev, &s.ring
	p.prev.next, s.ring.prev = p, p
}

// update takes over what a request adds, changes and forgets.
func (s *fetchSession) update(parts []fetchPart, forgotten []fetchKey) {
	for i := range parts {
		p := s.partitions[parts[i].key]
		if p == nil {
			p = &cachedPartition{key: parts[i].key, highWatermark: -1, logStart: -1}
			s.partitions[p.key] = p
			s.pushBack(p)
		}
		p.want = parts[i].want
	}
	for _, k := range forgotten {
		if p := s.partitions[k]; p != nil {
			delete(s.partitions, k)
			s.unlink(p)
		}
	}
}

// fetchSessions are a broker's sessions (FetchSessionCache, in one shard). It is
// safe for concurrent use.
type fetchSessions struct {
	limit int
	now   func() time.Time
	mu    sync.Mutex
	byID  map[int32]*fetchSession
}

func newFetchSessions(limit int) *fetchSessions {
	return &fetchSessions{limit: limit, now: time.Now, byID: map[int32]*fetchSession{}}
}

// fetchContext is what one request is to fetch, and how it is answered
// (FetchContext).
type fetchContext struct {
	parts   []fetchPart
	session *fetchSession // of an incremental fetch
	create  bool          // a session is to be made of a full one
	usesIDs bool
	// privileged: of a follower.
	privileged bool
	next       int32 // the session's epoch after this request
}

// begin finds out what a request fetches (FetchManager.newContext). The error is
// for the whole request.
func (s *fetchSessions) begin(q *kmsg.FetchRequest, parts []fetchPart, follower bool) (*fetchContext, error) {
	c := &fetchContext{parts: parts, usesIDs: q.Version >= 13, privileged: follower}
	if q.SessionEpoch == initialSessionEpoch || q.SessionEpoch == finalSessionEpoch {
		if q.SessionID != noSession {
			s.mu.Lock()
			delete(s.byID, q.SessionID)
			s.mu.Unlock()
		}
		c.create = q.SessionEpoch == initialSessionEpoch
		return c, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.byID[q.SessionID]
	switch {
	case session == nil:
		return nil, errSessionNotFound
	case session.epoch != q.SessionEpoch:
		return nil, errSessionEpoch
	case session.usesIDs != c.usesIDs:
		return nil, errSessionTopicID
	}
	session.update(parts, forgotten(q))
	if len(session.partitions) == 0 {
		delete(s.byID, session.id)
		return c, nil
	}
	session.touch(s.now())
	session.epoch = nextSessionEpoch(session.epoch)
	c.session, c.next = session, session.epoch
	c.parts = make([]fetchPart, 0, len(session.partitions))
	for p := session.ring.next; p != &session.ring; p = p.next {
		c.parts = append(c.parts, fetchPart{key: p.key, want: p.want})
	}
	return c, nil
}

func forgotten(q *kmsg.FetchRequest) []fetchKey {
	var keys []fetchKey
	for i := range q.ForgottenTopics {
		t := &q.ForgottenTopics[i]
		for _, p := range t.Partitions {
			keys = append(keys, fetchKey{t.Topic, t.TopicID, p})
		}
	}
	return keys
}

// nextSessionEpoch wraps to 1: 0 begins a session.
func nextSessionEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

func (s *fetchSession) touch(now time.Time) {
	s.used = now
	s.partitionsAtUsed = len(s.partitions)
}

// finish makes the answer of what was found, in the order given: an incremental
// one leaves out what has not changed. It returns the session's id.
func (s *fetchSessions) finish(c *fetchContext, found []*fetchPart) (id int32, answer []*fetchPart, err error) {
	if c.session != nil {
		answer, err = s.finishIncremental(c, found)
		return c.session.id, answer, err
	}
	if !c.create {
		return noSession, found, nil
	}
	return s.create(c, found), found, nil
}

func (s *fetchSessions) finishIncremental(c *fetchContext, found []*fetchPart) ([]*fetchPart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session.epoch != c.next {
		return nil, errSessionEpoch
	}
	answer := found[:0]
	for _, f := range found {
		p := c.session.partitions[f.key]
		if p == nil || !p.changed(f) {
			continue
		}
		if len(f.out.RecordBatches) > 0 {
			// The others come first next time.
			c.session.unlink(p)
			c.session.pushBack(p)
		}
		answer = append(answer, f)
	}
	return answer, nil
}

// changed tells whether a partition goes into an incremental answer, and notes
// what the client is told (CachedPartition.maybeUpdateResponseData).
func (p *cachedPartition) changed(f *fetchPart) bool {
	out := &f.out
	changed := len(out.RecordBatches) > 0 || p.highWatermark != out.HighWatermark ||
		p.logStart != out.LogStartOffset || out.PreferredReadReplica >= 0 ||
		out.ErrorCode != 0 || f.diverging
	p.highWatermark, p.logStart = out.HighWatermark, out.LogStartOffset
	if out.ErrorCode != 0 {
		p.highWatermark = -1 // it is told again when the error is over
	}
	return changed
}

// keys are the partitions that a request is about, those of its session too.
func (s *fetchSessions) keys(q *kmsg.FetchRequest) []fetchKey {
	var keys []fetchKey
	seen := map[fetchKey]bool{}
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			k := fetchKey{q.Topics[i].Topic, q.Topics[i].TopicID, p.Partition}
			keys = append(keys, k)
			seen[k] = true
		}
	}
	if q.SessionEpoch == initialSessionEpoch || q.SessionEpoch == finalSessionEpoch {
		return keys
	}
	for _, k := range forgotten(q) {
		seen[k] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.byID[q.SessionID]
	if session == nil {
		return keys
	}
	for p := session.ring.next; p != &session.ring; p = p.next {
		if !seen[p.key] {
			keys = append(keys, p.key)
		}
	}
	return keys
}

// untold has a partition told again with the next answer: the client has not seen
// this one.
func (s *fetchSessions) untold(session int32, key fetchKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[session]; e != nil && e.partitions[key] != nil {
		e.partitions[key].highWatermark = -1
	}
}

// create makes a session of a full fetch, if there is room or a session that may
// be evicted, and returns its id.
func (s *fetchSessions) create(c *fetchContext, found []*fetchPart) int32 {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= s.limit && !s.evict(c.privileged, len(found), now) {
		return noSession
	}
	session := &fetchSession{
		usesIDs: c.usesIDs, privileged: c.privileged, created: now,
		epoch: nextSessionEpoch(initialSessionEpoch), partitions: make(map[fetchKey]*cachedPartition, len(found)),
	}
	session.ring.prev, session.ring.next = &session.ring, &session.ring
	for _, f := range found {
		if session.partitions[f.key] == nil {
			p := &cachedPartition{key: f.key, want: f.want, highWatermark: f.out.HighWatermark, logStart: f.out.LogStartOffset}
			session.partitions[f.key] = p
			session.pushBack(p)
		}
	}
	session.touch(now)
	for session.id == noSession || s.byID[session.id] != nil {
		session.id = rand.Int32N(math.MaxInt32-1) + 1
	}
	s.byID[session.id] = session
	return session.id
}

// evict makes room for a session of so many partitions: a stale one goes first,
// then the least valuable of those that may go (FetchSessionCacheShard.tryEvict).
func (s *fetchSessions) evict(privileged bool, size int, now time.Time) bool {
	var oldest, least *fetchSession
	for _, e := range s.byID {
		if oldest == nil || e.used.Before(oldest.used) {
			oldest = e
		}
		evictable := now.Sub(e.created) > evictAfter || (privileged && !e.privileged)
		if evictable && (least == nil || e.lessValuable(least)) {
			least = e
		}
	}
	switch {
	case oldest == nil:
		return false
	case now.Sub(oldest.used) > evictAfter:
		delete(s.byID, oldest.id)
		return true
	case least == nil || (&fetchSession{privileged: privileged, partitionsAtUsed: size}).lessValuable(least):
		return false
	}
	delete(s.byID, least.id)
	return true
}

// lessValuable is the order of FetchSession's EvictableKey.
func (s *fetchSession) lessValuable(than *fetchSession) bool {
	switch {
	case s.privileged != than.privileged:
		return than.privileged
	case s.partitionsAtUsed != than.partitionsAtUsed:
		return s.partitionsAtUsed < than.partitionsAtUsed
	}
	return s.id < than.id
}
