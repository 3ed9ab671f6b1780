package log

import (
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// ResetState is what a replica far behind starts from: the place just before
// the leader's log start, and the producer state as of there.
type ResetState struct {
	// Index and Term are those of the entry before the first one.
	Index, Term    uint64
	LogStartOffset int64
	// Producers is the producer state, in this package's own encoding.
	Producers []byte
	// Epochs are the leader epochs at or below the log start.
	Epochs []EpochStart
}

// ResetState tells what a follower needs to start at this log's start.
func (p *Partition) ResetState() (ResetState, error) {
	var s ResetState
	err := p.db.view(func(tx *bolt.Tx) error {
		p.mu.RLock()
		m, epochs, snapshots := p.meta, p.epochs, p.snapshots
		p.mu.RUnlock()
		s = ResetState{Index: m.prevIndex, Term: m.prevTerm, LogStartOffset: m.logStart, Epochs: epochsBelow(epochs, m.prevTerm)}
		if len(snapshots) > 0 && snapshots[0].index == m.prevIndex {
			b := tx.Bucket([]byte(bucketState)).Get(stateKey(p.id, stateSnapshot, entryKey(m.prevIndex)))
			if b == nil {
				return errMoved
			}
			s.Producers = slices.Clone(b)
		}
		return nil
	})
	if err != nil {
		return ResetState{}, p.wrap(err)
	}
	return s, nil
}

// errMoved says that the log start moved while it was read.
var errMoved = fmt.Errorf("%w: the log start has moved, ask again", ErrNotFound)

// epochsBelow are the epochs that a log knows before its first entry.
func epochsBelow(epochs []EpochStart, prevTerm uint64) []EpochStart {
	return slices.Clone(epochsUpTo(epochs, prevTerm))
}

// Reset empties the log and starts it at s, in one transaction; the term is kept
// if higher (Kafka's truncateFullyAndStartAt). What was there is erased behind
// appends.
func (p *Partition) Reset(s ResetState) error {
	producers, err := parseProducers(s.Producers)
	if err != nil {
		return p.wrap(err)
	}
	if s.LogStartOffset < 0 {
		return p.wrap(fmt.Errorf("%w: log start %d", ErrOffsetOutOfRange, s.LogStartOffset))
	}
	err = p.db.w.submit(&request{alone: true, run: func(t *txn) error { return t.reset(p, s, producers.Clone()) }})
	if err != nil {
		return p.wrap(err)
	}
	p.db.erase()
	return nil
}

func (t *txn) reset(p *Partition, s ResetState, producers *Producers) error {
	d, err := t.draft(p)
	if err != nil {
		return err
	}
	if err := t.touch(d); err != nil {
		return err
	}
	if err := t.setAside(d); err != nil {
		return err
	}
	if _, err := t.tx.CreateBucket(p.name); err != nil {
		return err
	}
	if err := t.dropSnapshots(d, d.snapshots); err != nil {
		return err
	}
	if err := t.dropAborted(d, 0); err != nil {
		return err
	}
	d.snapshots = nil
	if !producers.empty() {
		d.snapshots = []snapshotRef{{index: s.Index, end: s.LogStartOffset}}
		if err := t.putState(stateKey(p.id, stateSnapshot, entryKey(s.Index)), s.Producers); err != nil {
			return err
		}
	}
	t.setMeta(d)
	d.meta = meta{
		logStart: s.LogStartOffset, prevIndex: s.Index, prevTerm: s.Term, prevEnd: s.LogStartOffset,
		term: max(d.meta.term, d.tail.term),
	}
	d.tail = d.meta.emptyTail()
	if err := t.setEpochs(d, slices.Clone(s.Epochs)); err != nil {
		return err
	}
	d.publish = append(d.publish, func() {
		p.cache.clear()
		p.producers, p.aborted = producers, nil
		p.snapshot = lastSnapshot{size: len(s.Producers)}
		p.hw = s.LogStartOffset
		p.generation++
		p.openedAt = 0
	})
	return nil
}
