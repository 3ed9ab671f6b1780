package election

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Quorum is the group of controllers, and the brokers that follow it, as its
// active controller sees them (KafkaRaftClient's LeaderState).
type Quorum struct {
	Leader int32
	Epoch  int32 // raft's term
	// HighWatermark is the first index of the controller's log that is not
	// committed.
	HighWatermark int64
	Voters        []QuorumReplica // controllers, sorted by id
	Observers     []QuorumReplica // brokers that are not fenced, sorted by id
}

// QuorumReplica is one node's copy of the metadata.
type QuorumReplica struct {
	ID int32
	// LogEnd is the first index that the node has not got, -1: unknown.
	LogEnd int64
	// LastFetch is when the node was last heard of, LastCaughtUp when it last
	// had everything; zero: unknown.
	LastFetch, LastCaughtUp time.Time
}

// describeQuorum is answered with a *Quorum.
type describeQuorum struct{}

func (c *client) quorum(ctx context.Context) (*Quorum, error) {
	for {
		answer, again, err := c.ask(ctx, &describeQuorum{})
		if q, ok := answer.(*Quorum); ok || !again {
			return q, err
		}
	}
}

func (c *controller) describeQuorum() *Quorum {
	now := time.Now()
	end := int64(c.raft.LastIndex()) + 1
	m := c.image()
	q := &Quorum{
		Leader: c.cfg.ID, Epoch: int32(c.raft.CurrentTerm()), HighWatermark: int64(c.raft.CommitIndex()) + 1,
		Observers: c.sessions.observers(m, end, now),
	}
	for _, id := range slices.Sorted(slices.Values(c.cfg.Peers)) {
		r := QuorumReplica{ID: id, LogEnd: end, LastCaughtUp: now}
		if id != c.cfg.ID {
			r = c.trans.progress.of(id)
		}
		q.Voters = append(q.Voters, r)
	}
	return q
}

// observers are the brokers with the metadata they have applied. What a broker
// has is everything when there is no newer image for it: not every entry of the
// controller's log makes one.
func (s *sessions) observers(m *Image, end int64, now time.Time) []QuorumReplica {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []QuorumReplica
	for _, id := range slices.Sorted(maps.Keys(m.Brokers)) {
		b := s.brokers[id]
		if m.Brokers[id].Fenced || b == nil || b.epoch != m.Brokers[id].Epoch {
			continue
		}
		r := QuorumReplica{ID: id, LogEnd: int64(b.applied) + 1, LastFetch: b.contact}
		if b.applied >= m.Index {
			r.LogEnd, r.LastCaughtUp = end, now
		}
		all = append(all, r)
	}
	return all
}

// progress is what the other controllers have answered in the present reign.
type progress struct {
	mu       sync.Mutex
	replicas map[raft.ServerAddress]QuorumReplica
}

// reset forgets all.
func (p *progress) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replicas = map[raft.ServerAddress]QuorumReplica{}
}

// note takes down an answer to AppendEntries; last is the index of the last
// entry that was sent. Without a pipeline that is all there was, as a rule.
func (p *progress) note(a raft.ServerAddress, answer *raft.AppendEntriesResponse, last uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.replicas[a]
	// LastLog is from before the entries were appended.
	r.LogEnd, r.LastFetch = int64(answer.LastLog)+1, time.Now()
	if answer.Success {
		r.LogEnd = max(r.LogEnd, int64(last)+1)
		r.LastCaughtUp = r.LastFetch
	}
	p.replicas[a] = r
}

func (p *progress) of(id int32) QuorumReplica {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.replicas[address(id)]
	if !ok {
		r.LogEnd = -1
	}
	r.ID = id
	return r
}
