package server

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/share"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// sharePartitions are the share-partitions and share sessions of a broker
// (SharePartitionManager). One goroutine looks after locks that expire.
type sharePartitions struct {
	b        *broker
	sessions *share.Sessions
	// sooner has room for one: a lock expires before all that were known.
	sooner chan struct{}

	mu     sync.Mutex
	byName map[sharecoordinator.Partition]*sharePartition
	// next is when locks are looked at next; zero for never.
	next time.Time
}

func newSharePartitions(b *broker) *sharePartitions {
	limit := configs.BrokerValues{Static: b.config.Static}.Int("group.share.max.share.sessions")
	return &sharePartitions{
		b: b, sessions: share.NewSessions(int(limit)), sooner: make(chan struct{}, 1),
		byName: map[sharecoordinator.Partition]*sharePartition{},
	}
}

// get returns the share-partition of a partition that this broker leads, and has
// it loaded if it is new.
func (s *sharePartitions) get(group string, id log.PartitionID) (*sharePartition, error) {
	r := s.b.replicas.Replica(id)
	if r == nil {
		return nil, replication.ErrNotHosted
	}
	state := r.State()
	switch {
	case state.Offline:
		return nil, replication.ErrOffline
	case !state.Leading:
		return nil, replication.ErrNotLeader
	}
	name := sharecoordinator.Partition{Group: group, Topic: id.Topic, Partition: id.Partition}
	s.mu.Lock()
	p := s.byName[name]
	if p != nil && p.epoch >= state.LeaderEpoch {
		s.mu.Unlock()
		return p, nil
	}
	fresh := &sharePartition{
		b: s.b, name: name, id: id, replica: r, epoch: state.LeaderEpoch,
		loaded: make(chan struct{}), watchers: map[chan<- struct{}]struct{}{},
	}
	fresh.state = share.New(fresh.limits)
	s.byName[name] = fresh
	s.mu.Unlock()
	if p != nil {
		p.fence()
	}
	s.b.spawn(func() {
		fresh.load()
		if fresh.failed != nil {
			s.remove(fresh)
		}
		fresh.mu.Lock()
		fresh.notifyLocked()
		fresh.mu.Unlock()
	})
	return fresh, nil
}

// find returns a share-partition that there is, or nil.
func (s *sharePartitions) find(group string, id log.PartitionID) *sharePartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[sharecoordinator.Partition{Group: group, Topic: id.Topic, Partition: id.Partition}]
}

// remove ends a share-partition.
func (s *sharePartitions) remove(p *sharePartition) {
	s.mu.Lock()
	if s.byName[p.name] == p {
		delete(s.byName, p.name)
	}
	s.mu.Unlock()
	p.fence()
}

func (s *sharePartitions) all() []*sharePartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*sharePartition, 0, len(s.byName))
	for _, p := range s.byName {
		list = append(list, p)
	}
	return list
}

// changed ends share-partitions that this broker does not lead any more, in the
// epoch that they are of, and all of them where share groups are switched off.
func (s *sharePartitions) changed(m *election.Image) {
	for _, p := range s.all() {
		reg := m.Partition(p.id)
		if reg == nil || reg.Leader != s.b.config.ID || reg.LeaderEpoch != p.epoch || m.Features["share.version"] == 0 {
			s.remove(p)
		}
	}
}

// expires has locks looked at at that time, or before.
func (s *sharePartitions) expires(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.next.IsZero() && !at.Before(s.next) {
		return
	}
	s.next = at
	select {
	case s.sooner <- struct{}{}:
	default:
	}
}

// watchLocks frees records whose lock has expired, until the broker ends.
func (s *sharePartitions) watchLocks() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.sooner:
		case <-s.b.ctx.Done():
			return
		}
		if s.b.pauses.gate.pass(s.b.ctx) != nil {
			return
		}
		timer.Stop()
		if at, ok := s.expireLocks(time.Now()); ok {
			timer.Reset(time.Until(at))
		}
	}
}

// expireLocks frees what has expired, and tells when to do so next.
func (s *sharePartitions) expireLocks(now time.Time) (next time.Time, ok bool) {
	s.mu.Lock()
	s.next = time.Time{}
	s.mu.Unlock()
	for _, p := range s.all() {
		at, locked := p.nextExpiry()
		if locked && !at.After(now) {
			p.expire(now)
			at, locked = p.nextExpiry()
		}
		if locked && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	if ok {
		s.mu.Lock()
		if s.next.IsZero() || next.Before(s.next) {
			s.next = next
		}
		next = s.next
		s.mu.Unlock()
	}
	return next, ok
}

// endSession ends a member's session, and gives back what it holds
// (SharePartitionManager.releaseSession). It returns what went wrong with which
// partition.
func (s *sharePartitions) endSession(m share.Member) (map[log.PartitionID]error, error) {
	ids, ok := s.sessions.End(m)
	if !ok {
		return nil, share.ErrSessionNotFound
	}
	errs := make([]error, len(ids))
	s.b.together(len(ids), func(i int) {
		if p := s.find(m.Group, ids[i]); p != nil {
			errs[i] = p.release(m.ID)
		} else {
			errs[i] = kerr.UnknownTopicOrPartition
		}
	})
	results := make(map[log.PartitionID]error, len(ids))
	for i, id := range ids {
		results[id] = errs[i]
	}
	return results, nil
}

// removeIdle ends a group's share-partitions when it has no session here: what is
// stored may then be changed without us. A member that comes meanwhile has its
// session before it gets a share-partition, so it gets none that ends here.
func (s *sharePartitions) removeIdle(group string) {
	var idle []*sharePartition
	s.mu.Lock()
	if !s.sessions.Any(group) {
		for name, p := range s.byName {
			if name.Group == group {
				idle = append(idle, p)
				delete(s.byName, name)
			}
		}
	}
	s.mu.Unlock()
	for _, p := range idle {
		p.fence()
	}
}

// disconnected ends the session that a connection has begun. Where that was the
// last one of its group, nobody is here: what is stored may be changed without us
// (ShareGroupListener.onGroupEmpty). A session that ended by itself leaves the
// share-partitions until its connection ends, too.
func (s *sharePartitions) disconnected(c *conn) {
	m, open, ok := s.sessions.Disconnected(c)
	if !ok || s.b.ctx.Err() != nil || s.b.dying.Load() {
		return
	}
	if open {
		_, _ = s.endSession(m)
	}
	s.removeIdle(m.Group)
}
