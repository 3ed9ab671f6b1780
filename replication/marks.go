package replication

import (
	"errors"
	"sync"

	"github.com/minikafka/minikafka/replication/fabric"
)

// marks brings watermarks to followers: the high watermark moves when the last
// of them has the records, so it cannot travel with those. One message under way
// to each broker at a time; what changes meanwhile goes together in the next.
type marks struct {
	manager *Manager

	mu    sync.Mutex
	peers map[int32]*markQueue
}

type markQueue struct {
	replicas map[*Replica]struct{}
	sending  bool
}

// dirty notes that the broker has to be told of the replica's watermarks.
func (ms *marks) dirty(broker int32, r *Replica) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	q := ms.peers[broker]
	if q == nil {
		q = &markQueue{replicas: map[*Replica]struct{}{}}
		ms.peers[broker] = q
	}
	q.replicas[r] = struct{}{}
	if !q.sending {
		q.sending = ms.manager.spawn(func() { ms.send(broker, q) })
	}
}

// markFollowersLocked notes every follower that is behind the watermarks.
func (r *Replica) markFollowersLocked() {
	for id, f := range r.followers {
		if f.end >= 0 {
			r.manager.marks.dirty(id, r)
		}
	}
}

// send tells one broker until there is nothing more to tell.
func (ms *marks) send(broker int32, q *markQueue) {
	for {
		ms.mu.Lock()
		batch := q.replicas
		if len(batch) == 0 {
			q.sending = false
			ms.mu.Unlock()
			return
		}
		q.replicas = map[*Replica]struct{}{}
		ms.mu.Unlock()

		m := &marksMsg{}
		var of []*Replica
		for r := range batch {
			if one, ok := r.markFor(broker); ok {
				m.Marks = append(m.Marks, one)
				of = append(of, r)
			}
		}
		if len(of) == 0 {
			continue
		}
		reply, err := ms.manager.Call.Call(ms.manager.ctx, fabric.Broker(broker), m)
		switch a, ok := reply.(*marksReply); {
		case errors.Is(err, fabric.ErrReset):
			// A next incarnation says hello, and is told then; but it may have
			// been the connection alone.
			ms.mu.Lock()
			for _, r := range of {
				q.replicas[r] = struct{}{}
			}
			ms.mu.Unlock()
		case err != nil:
			ms.mu.Lock()
			q.sending = false
			ms.mu.Unlock()
			return
		case ok:
			for i, r := range of {
				r.told(broker, m.Marks[i], a.LogStarts[i], a.HighWatermarks[i])
			}
		}
	}
}

// markFor is what the broker has to be told, if anything.
func (r *Replica) markFor(broker int32) (mark, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.followers[broker]
	hw, start := r.log.HighWatermark(), r.log.LogStartOffset()
	if !r.leading || f == nil || f.end < 0 || (f.toldHighWatermark == hw && f.toldLogStart == start) {
		return mark{}, false
	}
	return mark{ID: r.id, Epoch: r.epoch, HighWatermark: hw, LogStart: start}, true
}

// told notes what the follower knows now.
func (r *Replica) told(broker int32, m mark, followerStart, followerHighWatermark int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.followers[broker]
	if !r.leading || r.epoch != m.Epoch || f == nil || followerStart < 0 {
		return
	}
	f.toldHighWatermark, f.toldLogStart = min(m.HighWatermark, followerHighWatermark), m.LogStart
	if f.toldHighWatermark < min(m.HighWatermark, f.end) {
		// It has copied the records since.
		r.manager.marks.dirty(broker, r)
	}
	r.followerStartLocked(f, followerStart)
}

// appendMsg wraps a request with the watermarks of now.
func (r *Replica) appendMsg(epoch int32, req *appendRequest) *appendMsg {
	return &appendMsg{
		ID: r.id, Epoch: epoch, Request: req,
		HighWatermark: r.log.HighWatermark(), LogStart: r.log.LogStartOffset(),
	}
}

// handleMarks takes over watermarks on the follower's side.
func (m *Manager) handleMarks(msg *marksMsg) *marksReply {
	reply := &marksReply{LogStarts: make([]int64, len(msg.Marks)), HighWatermarks: make([]int64, len(msg.Marks))}
	for i, one := range msg.Marks {
		reply.LogStarts[i] = -1
		if r := m.Replica(one.ID); r != nil && r.mark(one.Epoch, one.HighWatermark, one.LogStart) {
			reply.LogStarts[i], reply.HighWatermarks[i] = r.log.LogStartOffset(), r.log.HighWatermark()
		}
	}
	return reply
}
