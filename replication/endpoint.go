package replication

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/log"
)

// The receiving side of a replica: what stands between the fabric and raft, and
// fences by epoch before raft sees a message (rule 1).

// handleAppend answers AppendEntries. A message of an older epoch is refused
// with the term; one of an epoch that this broker's metadata has not reached
// waits for it, so that roles change for one reason only.
func (r *Replica) handleAppend(ctx context.Context, m *appendMsg) (*appendReply, error) {
	for {
		in, epoch, err := r.follower(ctx, m.Epoch)
		if err != nil {
			return nil, err
		}
		if epoch > m.Epoch {
			return r.reply(&raft.AppendEntriesResponse{Term: uint64(epoch) + 1}), nil
		}
		req, needReset := r.aboveStart(m.Request)
		if needReset {
			return &appendReply{NeedReset: true, BrokerEpoch: r.manager.BrokerEpoch(), LogStart: r.log.LogStartOffset()}, nil
		}
		resp, ok, err := in.deliver(ctx, req)
		if err != nil {
			return nil, err
		}
		if !ok || (!resp.Success && r.isOffline()) {
			continue // the role has changed, or the store failed: see follower
		}
		if resp.Success {
			r.mark(m.Epoch, m.HighWatermark, m.LogStart)
		} else {
			resp.LastLog = r.commonEnd(req, resp.LastLog)
		}
		return r.reply(resp), nil
	}
}

func (r *Replica) reply(resp *raft.AppendEntriesResponse) *appendReply {
	return &appendReply{Response: resp, BrokerEpoch: r.manager.BrokerEpoch(), LogStart: r.log.LogStartOffset()}
}

// follower waits until the replica has taken its role of the epoch or a later
// one. Of a later one only the number is returned.
func (r *Replica) follower(ctx context.Context, epoch int32) (*instance, int32, error) {
	for {
		r.mu.Lock()
		in, now, changed := r.in, r.epoch, r.changed
		ready := now == epoch && in != nil && !in.leading && !r.offline
		r.mu.Unlock()
		if now > epoch {
			return nil, now, nil
		}
		if ready {
			return in, now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-r.stopped:
			return nil, 0, ErrNotHosted
		}
	}
}

// aboveStart cuts off entries that lie below the follower's log start, which
// raft could not compare any more. If what is left does not fit, the follower
// must begin anew (Kafka's truncateFullyAndStartAt).
func (r *Replica) aboveStart(req *raft.AppendEntriesRequest) (_ *raft.AppendEntriesRequest, needReset bool) {
	index, term := r.log.Previous()
	if req.PrevLogEntry >= index {
		// The entry before the log start itself is compared by raft, and what
		// conflicts there cannot be truncated.
		return req, req.PrevLogEntry == index && index > 0 && req.PrevLogTerm != term
	}
	n := index - req.PrevLogEntry
	if uint64(len(req.Entries)) < n || req.Entries[n-1].Term != term {
		return nil, true
	}
	cut := *req
	cut.PrevLogEntry, cut.PrevLogTerm = index, term
	cut.Entries = req.Entries[n:]
	return &cut, false
}

// commonEnd is how far back a leader may go at once after a refusal: before the
// whole of the term that conflicts, where raft alone goes back one by one.
func (r *Replica) commonEnd(req *raft.AppendEntriesRequest, last uint64) uint64 {
	if req.PrevLogEntry > last {
		return last
	}
	e, err := r.log.Entry(req.PrevLogEntry)
	if err != nil || e.Term == req.PrevLogTerm {
		return last
	}
	lo, hi := r.log.FirstIndex(), req.PrevLogEntry
	for lo < hi { // the first entry of that term
		mid := lo + (hi-lo)/2
		at, err := r.log.Entry(mid)
		if err != nil {
			return last
		}
		if at.Term < e.Term {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// handleReset drops the log and begins where the leader's starts. raft's
// own way would be restored again and again (rule 3).
func (r *Replica) handleReset(ctx context.Context, m *resetMsg) (*resetReply, error) {
	if err := r.transition.lockWithin(ctx); err != nil {
		return nil, err
	}
	defer r.transition.unlock()
	for {
		in, epoch, err := r.followerLocked(ctx, m.Epoch)
		if err != nil {
			return nil, err
		}
		if epoch > m.Epoch {
			return &resetReply{Term: uint64(epoch) + 1}, nil
		}
		r.mu.Lock()
		r.in = nil
		r.mu.Unlock()
		in.stop()
		r.writing.lock()
		err = r.log.Reset(m.State)
		r.writing.unlock()
		if err != nil {
			r.failed(err)
			continue
		}
		r.manager.Witness.stored(r)
		next, err := startInstance(r, false, epoch, nil)
		if err != nil {
			r.failed(err)
			continue
		}
		r.mu.Lock()
		r.in = next
		r.signalLocked()
		r.mu.Unlock()
		return &resetReply{Term: uint64(epoch) + 1, Success: true, BrokerEpoch: r.manager.BrokerEpoch()}, nil
	}
}

// followerLocked is follower for who holds the transition lock: it lets go of
// it while it waits.
func (r *Replica) followerLocked(ctx context.Context, epoch int32) (*instance, int32, error) {
	for {
		r.mu.Lock()
		in, now := r.in, r.epoch
		ready := in != nil && !in.leading && !r.offline
		r.mu.Unlock()
		if now > epoch || (now == epoch && ready) {
			return in, now, nil
		}
		r.transition.unlock()
		_, _, err := r.follower(ctx, epoch)
		r.transition.lock()
		if err != nil {
			return nil, 0, err
		}
	}
}

// mark takes over a leader's watermarks, if the replica follows in that epoch.
// With a new leader the high watermark may go down, as on Kafka's followers;
// within an epoch it only grows, so a lower one is a message that was overtaken.
func (r *Replica) mark(epoch int32, highWatermark, logStart int64) (ok bool) {
	r.mu.Lock()
	if r.epoch != epoch || r.leading || r.offline {
		r.mu.Unlock()
		return false
	}
	r.mu.Unlock()
	if logStart > r.log.LogStartOffset() {
		err := r.log.RaiseLogStart(min(logStart, r.log.LogEndOffset()))
		switch {
		case errors.Is(err, log.ErrOffsetOutOfRange):
			return false // cut meanwhile; the next message tells it again
		case err != nil:
			r.failed(err)
			return false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch || r.leading {
		return false
	}
	hw, current := min(highWatermark, r.log.LogEndOffset()), r.log.HighWatermark()
	if hw > current || (hw < current && r.marked < epoch) {
		r.log.SetHighWatermark(hw)
		r.notifyLocked()
	}
	r.marked = epoch
	return true
}
