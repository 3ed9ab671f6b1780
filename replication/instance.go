package replication

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// instance is one run of raft for a replica: as a follower, or as the appointed
// leader of one epoch. A replica that changes its role stops one and starts
// another; an instance started as leader never receives AppendEntries (rule 1).
type instance struct {
	replica *Replica
	raft    *raft.Raft
	leading bool
	epoch   int32 // of a leader
	rpcs    chan raft.RPC
	ctx     context.Context // ends when the instance stops
	cancel  context.CancelFunc
}

// never is how long raft's own timers take: liveness is the controller's
// business, and only an appointed replica campaigns.
const never = 20 * 365 * 24 * time.Hour

// maxAppendEntries bounds how many entries one message carries.
const maxAppendEntries = 256

func raftConfig(id raft.ServerID) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = id
	c.Logger = hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = never, never, never
	c.CommitTimeout = never / 4
	c.SnapshotInterval = never / 4
	c.MaxAppendEntries = maxAppendEntries
	c.BatchApplyCh = true
	c.NoSnapshotRestoreOnStart = true
	c.NoLegacyTelemetry = true
	c.PreVoteDisabled = true
	return c
}

func serverID(broker int32) raft.ServerID { return raft.ServerID(strconv.Itoa(int(broker))) }

func serverBroker(id raft.ServerID) int32 {
	n, err := strconv.Atoi(string(id))
	if err != nil {
		panic("replication: raft names a server that is no broker: " + string(id))
	}
	return int32(n)
}

var errTermTaken = errors.New("replication: appointed for a term that has been seen already")

// startInstance runs raft over the replica's log. A leader to be has yet to
// campaign.
func startInstance(r *Replica, leading bool, epoch int32, replicas []int32) (*instance, error) {
	self := r.manager.Broker
	in := &instance{replica: r, leading: leading, epoch: epoch, rpcs: make(chan raft.RPC, 16)}
	in.ctx, in.cancel = context.WithCancel(r.manager.ctx)
	snapshots := &raftSnapshots{replica: r}
	if !leading {
		replicas = []int32{self}
	}
	for _, b := range replicas {
		s := raft.Server{Suffrage: raft.Nonvoter, ID: serverID(b), Address: raft.ServerAddress(serverID(b))}
		if b == self {
			s.Suffrage = raft.Voter
		}
		snapshots.configuration.Servers = append(snapshots.configuration.Servers, s)
	}
	store := &raftStore{replica: r, leading: leading, term: uint64(epoch) + 1, last: r.log.LastIndex()}
	if leading {
		if term := uint64(epoch) + 1; r.log.Term() >= term {
			in.cancel()
			return nil, fmt.Errorf("%w: epoch %d of %s, stored term %d", errTermTaken, epoch, r.name(), r.log.Term())
		}
		if store.last > 0 {
			e, err := r.log.Entry(store.last)
			if err != nil {
				in.cancel()
				return nil, err
			}
			snapshots.index, snapshots.term = store.last, e.Term
		} else {
			snapshots.index, snapshots.term = r.log.Previous()
		}
	} else {
		snapshots.index, snapshots.term = r.log.Previous()
	}
	store.scanning.Store(true)
	rf, err := raft.NewRaft(raftConfig(serverID(self)), raftFSM{}, store, store, snapshots, &transport{in})
	if err != nil {
		in.cancel()
		return nil, err
	}
	store.scanning.Store(false)
	snapshots.running.Store(true)
	in.raft = rf
	return in, nil
}

// campaign has raft elect itself, the only voter, and waits until it leads.
func (in *instance) campaign() error {
	answer := make(chan raft.RPCResponse, 1)
	in.rpcs <- raft.RPC{
		Command:  &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}},
		RespChan: answer,
	}
	select {
	case <-in.raft.LeaderCh():
	case <-in.ctx.Done():
		return ErrStopped
	}
	if term := uint64(in.epoch) + 1; in.raft.CurrentTerm() != term {
		return fmt.Errorf("replication: leads at term %d, appointed for %d", in.raft.CurrentTerm(), term)
	}
	return nil
}

// stop ends the instance and all its goroutines. Calls of its transport return
// an error, which only happens here (rule 4).
func (in *instance) stop() {
	in.cancel()
	_ = in.raft.Shutdown().Error()
}

// apply queues a batch. It does not wait for anything but room in raft's queue,
// and gives up when the instance stops; what becomes of it shows in StoreLogs.
func (in *instance) apply(data []byte) { in.raft.Apply(data, 0) }

// nudge appends an entry without records, so that raft asks every follower where
// its log ends.
func (in *instance) nudge() { in.raft.Barrier(0) }

// deliver hands AppendEntries to raft and waits for its answer. ok is false when
// the instance stopped first.
func (in *instance) deliver(ctx context.Context, req *raft.AppendEntriesRequest) (resp *raft.AppendEntriesResponse, ok bool, err error) {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case in.rpcs <- raft.RPC{Command: req, RespChan: answer}:
	case <-in.ctx.Done():
		return nil, false, nil
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	select {
	case a := <-answer:
		if a.Error != nil {
			return nil, false, a.Error
		}
		resp, isAppend := a.Response.(*raft.AppendEntriesResponse)
		if !isAppend {
			return nil, false, fmt.Errorf("replication: raft answered with %T", a.Response)
		}
		return resp, true, nil
	case <-in.ctx.Done():
		return nil, false, nil
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}
