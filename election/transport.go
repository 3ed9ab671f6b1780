package election

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/replication/fabric"
)

// raftCall is a message of raft's between controllers; data belongs to an
// InstallSnapshot.
type raftCall struct {
	request any
	data    []byte
}

// transport is raft's transport over the fabric.
//
// A call to a controller that is down, paused or cut off waits until it can be
// reached: an error would make raft back off for up to ten seconds. What ends
// the wait is the end of this node's reign, of the vote, or of the node.
type transport struct {
	self     raft.ServerAddress
	calls    chan raft.RPC
	voteTime time.Duration
	progress progress

	mu    sync.Mutex
	port  *fabric.Port
	reign context.Context
	end   context.CancelFunc
}

func newTransport(id int32, voteTime time.Duration) *transport {
	t := &transport{self: address(id), calls: make(chan raft.RPC, 64), voteTime: voteTime}
	t.reign, t.end = context.WithCancel(context.Background())
	t.progress.reset()
	return t
}

func address(id int32) raft.ServerAddress { return raft.ServerAddress(strconv.Itoa(int(id))) }

func node(a raft.ServerAddress) (fabric.Node, error) {
	id, err := strconv.ParseInt(string(a), 10, 32)
	return fabric.Controller(int32(id)), err
}

// newReign ends the calls of the reign before.
func (t *transport) newReign() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress.reset()
	t.end()
	t.reign, t.end = context.WithCancel(context.Background())
}

func (t *transport) during() (context.Context, *fabric.Port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reign, t.port
}

// handle gives a message to raft, and waits for its answer.
func (t *transport) handle(ctx context.Context, c *raftCall) (any, error) {
	answer := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{Command: c.request, RespChan: answer}
	if c.data != nil {
		rpc.Reader = bytes.NewReader(c.data)
	}
	select {
	case t.calls <- rpc:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-answer:
		return a.Response, a.Error
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// call sends a message, again when the target was restarted while it worked on
// it.
func call[T any](ctx context.Context, t *transport, target raft.ServerAddress, c *raftCall, resp *T) error {
	to, err := node(target)
	if err != nil {
		return err
	}
	_, port := t.during()
	for {
		a, err := port.Call(ctx, to, c)
		switch {
		case errors.Is(err, fabric.ErrReset):
			continue
		case err != nil:
			return err
		}
		r, ok := a.(*T)
		if !ok {
			return fmt.Errorf("election: unexpected answer %T from %v", a, to)
		}
		*resp = *r
		return nil
	}
}

// Consumer is where raft takes messages from.
func (t *transport) Consumer() <-chan raft.RPC { return t.calls }

// LocalAddr is this controller's id.
func (t *transport) LocalAddr() raft.ServerAddress { return t.self }

// AppendEntriesPipeline is not supported: without it raft loops until a
// follower has caught up, and batches by itself.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries replicates. raft fills args anew for the next call, while a
// receiver that was given up may still read them.
func (t *transport) AppendEntries(_ raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	ctx, _ := t.during()
	sent := *args
	last := args.PrevLogEntry + uint64(len(args.Entries))
	err := call(ctx, t, target, &raftCall{request: &sent}, resp)
	if err == nil {
		t.progress.note(target, resp, last)
	}
	return err
}

// RequestVote asks for a vote, for as long as an election may take.
func (t *transport) RequestVote(_ raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	ctx, cancel := context.WithTimeout(context.Background(), t.voteTime)
	defer cancel()
	return call(ctx, t, target, &raftCall{request: args}, resp)
}

// RequestPreVote asks whether a vote would be given.
func (t *transport) RequestPreVote(_ raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	ctx, cancel := context.WithTimeout(context.Background(), t.voteTime)
	defer cancel()
	return call(ctx, t, target, &raftCall{request: args}, resp)
}

// InstallSnapshot sends a snapshot whole.
func (t *transport) InstallSnapshot(_ raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	b, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	ctx, _ := t.during()
	return call(ctx, t, target, &raftCall{request: args, data: b}, resp)
}

// TimeoutNow hands leadership over.
func (t *transport) TimeoutNow(_ raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	ctx, cancel := context.WithTimeout(context.Background(), t.voteTime)
	defer cancel()
	return call(ctx, t, target, &raftCall{request: args}, resp)
}

// campaign makes this node stand for election at once.
func (t *transport) campaign() {
	t.calls <- raft.RPC{
		Command:  &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}},
		RespChan: make(chan raft.RPCResponse, 1),
	}
}

// EncodePeer and DecodePeer carry addresses as they are.
func (t *transport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

// DecodePeer is EncodePeer's inverse.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler is not needed: heartbeats take the way of all messages.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}
