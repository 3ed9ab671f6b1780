package replication

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// transport is the sending side of a leader's instance, and what tells the
// leader how far each follower has come. It returns an error only when the
// instance stops (rule 4): after any other one raft would wait for years.
type transport struct{ in *instance }

var _ raft.Transport = (*transport)(nil)

// AppendEntries is raft.Transport's. The call waits while the follower is down,
// cut off, held, or does not know yet that it follows this leader.
func (t *transport) AppendEntries(id raft.ServerID, _ raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	r := t.in.replica
	follower := serverBroker(id)
	if err := r.awaitReplica(t.in.ctx, follower); err != nil {
		return err
	}
	sent := r.sending(follower)
	defer r.sent(sent)
	if err := r.manager.Holds.wait(t.in.ctx, r.id); err != nil {
		return err
	}
	// raft's commit index means nothing here: a follower that is sent 0 reads
	// nothing back for its state machine. raft goes on using req, so it is copied.
	out := *req
	out.LeaderCommitIndex = 0
	reply, err := t.call(follower, r.appendMsg(t.in.epoch, &out))
	if err != nil {
		return err
	}
	a, ok := reply.(*appendReply)
	switch {
	case !ok, a.Response != nil && a.Response.Term > req.Term:
		// Deposed, but Kafka's leader goes on until the metadata tells it:
		// so raft must not hear of the higher term.
		<-t.in.ctx.Done()
		return t.in.ctx.Err()
	case a.NeedReset:
		last, err := t.reset(follower, sent)
		if err != nil {
			return err
		}
		*resp = raft.AppendEntriesResponse{RPCHeader: req.RPCHeader, Term: req.Term, LastLog: last, NoRetryBackoff: true}
		return nil
	}
	*resp = *a.Response
	resp.NoRetryBackoff = true
	if resp.Success {
		match := req.PrevLogEntry
		if n := len(req.Entries); n > 0 {
			match = req.Entries[n-1].Index
		}
		r.matched(t.in.epoch, follower, match, sent, a)
	}
	return nil
}

// InstallSnapshot is raft.Transport's: the follower is told to begin at this
// log's start. What raft says of the snapshot is made up.
func (t *transport) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, _ io.Reader) error {
	r := t.in.replica
	follower := serverBroker(id)
	if err := r.awaitReplica(t.in.ctx, follower); err != nil {
		return err
	}
	sent := r.sending(follower)
	defer r.sent(sent)
	if err := r.manager.Holds.wait(t.in.ctx, r.id); err != nil {
		return err
	}
	if _, err := t.reset(follower, sent); err != nil {
		return err
	}
	*resp = raft.InstallSnapshotResponse{RPCHeader: req.RPCHeader, Term: req.Term, Success: true}
	return nil
}

// reset has the follower begin at the log start, and returns the index of the
// entry before it. The follower matches up to there: where the log is empty raft
// has nothing more to send, and no later success would tell.
func (t *transport) reset(follower int32, sent sending) (uint64, error) {
	r := t.in.replica
	state, err := r.log.ResetState()
	if err != nil {
		if !errors.Is(err, log.ErrClosed) {
			r.failed(err)
		}
		<-t.in.ctx.Done()
		return 0, t.in.ctx.Err()
	}
	reply, err := t.call(follower, &resetMsg{ID: r.id, Epoch: t.in.epoch, State: state})
	if err != nil {
		return 0, err
	}
	a, ok := reply.(*resetReply)
	if !ok || !a.Success {
		<-t.in.ctx.Done()
		return 0, t.in.ctx.Err()
	}
	r.matched(t.in.epoch, follower, state.Index, sent, &appendReply{BrokerEpoch: a.BrokerEpoch, LogStart: state.LogStartOffset})
	return state.Index, nil
}

// call sends msg until it has been answered or the instance stops. A call whose
// target died goes to the next incarnation.
func (t *transport) call(follower int32, msg any) (any, error) {
	for {
		reply, err := t.in.replica.manager.Call.Call(t.in.ctx, fabric.Broker(follower), msg)
		switch {
		case err == nil:
			return reply, nil
		case errors.Is(err, fabric.ErrReset):
		default:
			if t.in.ctx.Err() == nil && !errors.Is(err, fabric.ErrLeft) {
				t.in.replica.manager.Logger.Error("replication stands still", "partition", t.in.replica.name(), "follower", follower, "error", err)
			}
			<-t.in.ctx.Done()
			return nil, t.in.ctx.Err()
		}
	}
}

// Consumer is raft.Transport's.
func (t *transport) Consumer() <-chan raft.RPC { return t.in.rpcs }

// LocalAddr is raft.Transport's.
func (t *transport) LocalAddr() raft.ServerAddress {
	return raft.ServerAddress(serverID(t.in.replica.manager.Broker))
}

// AppendEntriesPipeline is raft.Transport's. raft's pipeline would stall behind
// CommitTimeout; without it AppendEntries batches by itself.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

var errNoVotes = errors.New("replication: leaders are appointed, nobody votes")

// RequestVote is raft.Transport's.
func (t *transport) RequestVote(raft.ServerID, raft.ServerAddress, *raft.RequestVoteRequest, *raft.RequestVoteResponse) error {
	return errNoVotes
}

// EncodePeer is raft.Transport's.
func (t *transport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

// DecodePeer is raft.Transport's.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler is raft.Transport's.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}

// TimeoutNow is raft.Transport's.
func (t *transport) TimeoutNow(raft.ServerID, raft.ServerAddress, *raft.TimeoutNowRequest, *raft.TimeoutNowResponse) error {
	return errNoVotes
}

// sending is what the leader had when a request was made ready.
type sending struct {
	at       time.Time
	end      int64
	follower *followerState
}

// semaphore is a lock whose waiters a synctest bubble takes for blocked, unlike
// a mutex's: it may be held over I/O and injected delays.
type semaphore chan struct{}

func newSemaphore() semaphore { return make(semaphore, 1) }

func (s semaphore) lock()   { s <- struct{}{} }
func (s semaphore) unlock() { <-s }

// lockWithin gives up when ctx ends.
func (s semaphore) lockWithin(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
