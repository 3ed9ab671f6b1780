package replication

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// raftSnapshots is a made-up SnapshotStore. Its one snapshot carries the group's
// configuration, so that no configuration entry enters the log, and the place of
// the entry before the log start, so that raft knows where a follower that is too
// far behind has to begin. Its content never travels: the transport sends a
// resetMsg instead (rule 3).
type raftSnapshots struct {
	replica       *Replica
	configuration raft.Configuration
	// index and term are what NewRaft sees: a leader's last entry, so that it
	// scans nothing.
	index, term uint64
	running     atomic.Bool
}

var _ raft.SnapshotStore = (*raftSnapshots)(nil)

var errNoSnapshots = errors.New("replication: snapshots are never taken or received through raft")

// Create is raft.SnapshotStore's.
func (s *raftSnapshots) Create(raft.SnapshotVersion, uint64, uint64, raft.Configuration, uint64, raft.Transport) (raft.SnapshotSink, error) {
	return nil, errNoSnapshots
}

// List is raft.SnapshotStore's.
func (s *raftSnapshots) List() ([]*raft.SnapshotMeta, error) {
	m := raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: "log start",
		Configuration: s.configuration, ConfigurationIndex: 1,
	}
	if s.running.Load() {
		m.Index, m.Term = s.replica.log.Previous()
	} else {
		m.Index, m.Term = s.index, s.term
	}
	return []*raft.SnapshotMeta{&m}, nil
}

// Open is raft.SnapshotStore's.
func (s *raftSnapshots) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	l, err := s.List()
	return l[0], io.NopCloser(bytes.NewReader(nil)), err
}

// raftFSM applies nothing: what is committed is decided by Kafka's rules.
type raftFSM struct{}

// Apply is raft.FSM's.
func (raftFSM) Apply(*raft.Log) any { return nil }

// ApplyBatch is raft.BatchingFSM's.
func (raftFSM) ApplyBatch(logs []*raft.Log) []any { return make([]any, len(logs)) }

// Snapshot is raft.FSM's.
func (raftFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errNoSnapshots }

// Restore is raft.FSM's.
func (raftFSM) Restore(io.ReadCloser) error { return errNoSnapshots }
