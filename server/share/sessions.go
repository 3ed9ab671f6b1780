package share

import (
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/minikafka/minikafka/log"
)

// Errors of sessions; Kafka's SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH
// and SHARE_SESSION_LIMIT_REACHED.
var (
	ErrSessionNotFound = errors.New("share: there is no such session")
	ErrSessionEpoch    = errors.New("share: the session is at another epoch")
	ErrSessionLimit    = errors.New("share: there are too many sessions")
)

// Epochs of requests that do not continue a session.
const (
	// InitialEpoch begins a session.
	InitialEpoch int32 = 0
	// FinalEpoch ends it.
	FinalEpoch int32 = -1
)

// Member names a member's session.
type Member struct{ Group, ID string }

// Sessions are the share sessions of a broker (ShareSessionCache). Its methods
// may be called concurrently.
type Sessions struct {
	limit int

	mu   sync.Mutex
	byID map[Member]*session
	// byConnection is the session that a connection has begun last.
	byConnection map[any]begun
}

// begun is a session that a connection has begun. It may have ended since.
type begun struct {
	member Member
	ended  bool
}

type session struct {
	epoch      int32
	connection any
	partitions []*sessionPartition // in the order in which they came
}

type sessionPartition struct {
	id log.PartitionID
	// told is unset where the next answer has to name the partition.
	told bool
}

// NewSessions returns no sessions. limit is group.share.max.share.sessions.
func NewSessions(limit int) *Sessions {
	return &Sessions{limit: limit, byID: map[Member]*session{}, byConnection: map[any]begun{}}
}

// Fetch begins, continues or ends a session with a ShareFetch request, and returns
// the partitions to read (SharePartitionManager.newContext): none for FinalEpoch,
// which only checks that there is a session. acks says that the request
// acknowledges something, which no session begins with (ErrRequest).
func (s *Sessions) Fetch(m Member, epoch int32, add, forget []log.PartitionID, acks bool, connection any) ([]log.PartitionID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch == InitialEpoch {
		if acks {
			return nil, ErrRequest
		}
		return s.begin(m, add, connection)
	}
	e := s.byID[m]
	switch {
	case e == nil:
		return nil, ErrSessionNotFound
	case epoch == FinalEpoch:
		return nil, nil
	case e.epoch != epoch:
		return nil, ErrSessionEpoch
	}
	for _, id := range add {
		if e.find(id) == nil {
			e.partitions = append(e.partitions, &sessionPartition{id: id})
		}
	}
	e.partitions = slices.DeleteFunc(e.partitions, func(p *sessionPartition) bool { return slices.Contains(forget, p.id) })
	e.epoch = nextEpoch(e.epoch)
	return e.list(), nil
}

// begin makes a session in the place of the one that the member has.
func (s *Sessions) begin(m Member, partitions []log.PartitionID, connection any) ([]log.PartitionID, error) {
	s.remove(m)
	if len(s.byID) >= s.limit {
		return nil, ErrSessionLimit
	}
	e := &session{epoch: nextEpoch(InitialEpoch), connection: connection}
	for _, id := range partitions {
		if e.find(id) == nil {
			e.partitions = append(e.partitions, &sessionPartition{id: id, told: true})
		}
	}
	s.byID[m], s.byConnection[connection] = e, begun{member: m}
	return e.list(), nil
}

func nextEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

func (e *session) find(id log.PartitionID) *sessionPartition {
	for _, p := range e.partitions {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (e *session) list() []log.PartitionID {
	ids := make([]log.PartitionID, len(e.partitions))
	for i, p := range e.partitions {
		ids[i] = p.id
	}
	return ids
}

// Acknowledge continues a session with a ShareAcknowledge request, which cannot
// begin one (SharePartitionManager.acknowledgeSessionUpdate).
func (s *Sessions) Acknowledge(m Member, epoch int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[m]
	switch {
	case epoch == InitialEpoch:
		return ErrSessionEpoch
	case e == nil:
		return ErrSessionNotFound
	case epoch == FinalEpoch:
		return nil
	case e.epoch != epoch:
		return ErrSessionEpoch
	}
	e.epoch = nextEpoch(e.epoch)
	return nil
}

// Tell tells whether an answer names a partition: it has records or an error, or
// is new to the session (CachedSharePartition.maybeUpdateResponseData).
func (s *Sessions) Tell(m Member, id log.PartitionID, records, failed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[m]
	if e == nil {
		return true
	}
	p := e.find(id)
	if p == nil {
		return records || failed
	}
	tell := records || failed || !p.told
	p.told = !failed
	return tell
}

// End ends a session, and returns its partitions; false if there is none.
func (s *Sessions) End(m Member) ([]log.PartitionID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.remove(m)
	if e == nil {
		return nil, false
	}
	return e.list(), true
}

func (s *Sessions) remove(m Member) *session {
	e := s.byID[m]
	if e != nil {
		delete(s.byID, m)
		if s.byConnection[e.connection].member == m {
			s.byConnection[e.connection] = begun{m, true}
		}
	}
	return e
}

// Disconnected forgets a connection, and returns whose session it has begun last,
// and whether that has not ended yet; ok is false if there was none
// (ClientConnectionDisconnectListener).
func (s *Sessions) Disconnected(connection any) (m Member, open, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.byConnection[connection]
	delete(s.byConnection, connection)
	return b.member, ok && !b.ended, ok
}

// Any tells whether a group has a session.
func (s *Sessions) Any(group string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range s.byID {
		if m.Group == group {
			return true
		}
	}
	return false
}
