package replication

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/log"
)

// raftStore shows a partition's log to one raft instance as its LogStore and
// StableStore. raft panics where a stable store errs, so this one never does: a
// failed write takes the replica offline (rule 8).
type raftStore struct {
	replica *Replica
	leading bool
	term    uint64 // a leader's own
	// scanning is set while NewRaft runs: it reads every entry in search of
	// configurations, of which there are none, so stubs do. The last entry counts;
	// which one that is was settled before, as the log start may move meanwhile,
	// and leave an empty log.
	scanning atomic.Bool
	last     uint64
}

var (
	_ raft.LogStore    = (*raftStore)(nil)
	_ raft.StableStore = (*raftStore)(nil)
)

// keyCurrentTerm is raft's own name for the term.
const keyCurrentTerm = "CurrentTerm"

// FirstIndex is raft.LogStore's.
func (s *raftStore) FirstIndex() (uint64, error) { return s.replica.log.FirstIndex(), nil }

// LastIndex is raft.LogStore's.
func (s *raftStore) LastIndex() (uint64, error) {
	if s.scanning.Load() {
		return s.last, nil
	}
	return s.replica.log.LastIndex(), nil
}

// GetLog is raft.LogStore's.
func (s *raftStore) GetLog(index uint64, out *raft.Log) error {
	if s.scanning.Load() && index != s.last {
		*out = raft.Log{Index: index, Type: raft.LogNoop}
		return nil
	}
	e, err := s.replica.log.Entry(index)
	if err != nil {
		if errors.Is(err, log.ErrNotFound) || errors.Is(err, log.ErrClosed) {
			return raft.ErrLogNotFound
		}
		s.replica.failed(err)
		return err
	}
	toRaft(e, out)
	return nil
}

// toRaft fills in raft's form of an entry. A stub that compaction left goes as a
// no-op that carries its offsets.
func toRaft(e log.Entry, out *raft.Log) {
	*out = raft.Log{Index: e.Index, Term: e.Term, Type: raft.LogNoop}
	switch e.Kind {
	case log.KindBatch:
		out.Type = raft.LogCommand
		out.Data = e.Data
	case log.KindStub:
		out.Extensions = binary.BigEndian.AppendUint64(nil, uint64(e.Base))
		out.Extensions = binary.BigEndian.AppendUint64(out.Extensions, uint64(e.Last))
	case log.KindControl:
		out.Data = e.Data
	}
}

// fromRaft is the other way. Offsets of a batch are those in its header, which
// a leader has yet to assign.
func fromRaft(l *raft.Log) log.Entry {
	e := log.Entry{Index: l.Index, Term: l.Term, Kind: log.KindControl, Data: l.Data}
	switch {
	case l.Type == raft.LogCommand:
		e.Kind = log.KindBatch
		e.Base = int64(binary.BigEndian.Uint64(l.Data))
		e.Last = e.Base + int64(int32(binary.BigEndian.Uint32(l.Data[23:])))
	case len(l.Extensions) == 16:
		e.Kind = log.KindStub
		e.Base = int64(binary.BigEndian.Uint64(l.Extensions))
		e.Last = int64(binary.BigEndian.Uint64(l.Extensions[8:]))
	}
	return e
}

// StoreLog is raft.LogStore's.
func (s *raftStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs is raft.LogStore's: the one place where a log grows. On a leader it
// assigns the offsets (rule 9), and settles the oldest pending appends (rule 5).
func (s *raftStore) StoreLogs(logs []*raft.Log) error {
	r := s.replica
	entries := make([]log.Entry, len(logs))
	for i, l := range logs {
		entries[i] = fromRaft(l)
	}
	r.writing.lock()
	err := r.log.Append(entries, s.leading)
	if err == nil {
		err = r.flush(entries)
	}
	r.writing.unlock()
	if err != nil {
		r.failed(err)
		return err
	}
	if s.leading {
		for i, l := range logs {
			l.Data = entries[i].Data
		}
		r.appended(entries)
	} else {
		r.copied()
	}
	return nil
}

// DeleteRange is raft.LogStore's. A follower calls it to truncate what conflicts
// with its leader; it always reaches to the end.
func (s *raftStore) DeleteRange(from, _ uint64) error {
	r := s.replica
	r.writing.lock()
	err := r.log.TruncateFrom(from)
	r.writing.unlock()
	if err != nil {
		r.failed(err)
		return err
	}
	r.copied()
	return nil
}

// Set is raft.StableStore's; votes need no keeping, as none is ever asked for.
func (s *raftStore) Set([]byte, []byte) error { return nil }

// Get is raft.StableStore's.
func (s *raftStore) Get([]byte) ([]byte, error) { return nil, nil }

// SetUint64 is raft.StableStore's: the term, before anything is answered in it.
func (s *raftStore) SetUint64(key []byte, v uint64) error {
	if string(key) != keyCurrentTerm || s.scanning.Load() || v <= s.replica.log.Term() {
		return nil
	}
	s.replica.writing.lock()
	err := s.replica.log.SetTerm(v)
	s.replica.writing.unlock()
	if err != nil {
		s.replica.failed(err)
	}
	return nil
}

// GetUint64 is raft.StableStore's. A leader to be is shown the term before its
// own, so that electing itself brings it to exactly that.
func (s *raftStore) GetUint64(key []byte) (uint64, error) {
	if string(key) != keyCurrentTerm {
		return 0, nil
	}
	if s.leading && s.scanning.Load() {
		return s.term - 1, nil
	}
	return s.replica.log.Term(), nil
}
