package log

import (
	"bytes"
	"fmt"
)

// TimestampOffset is the answer to a lookup by time.
type TimestampOffset struct {
	Offset      int64
	Timestamp   int64 // ms since the Unix epoch
	LeaderEpoch int32
}

// OffsetForTimestamp finds the first record at or after the log start with a
// timestamp >= ts (ms since the Unix epoch). ok is false when there is none
// (UnifiedLog.searchOffsetInLocalLog).
func (p *Partition) OffsetForTimestamp(ts int64) (found TimestampOffset, ok bool, err error) {
	start := p.LogStartOffset()
	index := uint64(0)
	for {
		candidate, err := p.firstBatch(index, ts)
		if err != nil || candidate == nil {
			return TimestampOffset{}, false, err
		}
		found, ok, err = p.recordIn(candidate, func(r *Record) bool { return r.Timestamp >= ts && r.Offset >= start })
		if err != nil || ok {
			return found, ok, err
		}
		index = candidate.index + 1
	}
}

// firstBatch copies the first batch from index on that holds a timestamp >= ts.
func (p *Partition) firstBatch(index uint64, ts int64) (*stored, error) {
	var found *stored
	err := p.read(func(v *view) error {
		first, err := v.find(index, func(s *stored) bool { return s.largest >= ts })
		if err != nil {
			return err
		}
		return v.walk(first, func(s *stored) (bool, error) {
			if s.timestamp < ts || !s.served() {
				return true, nil
			}
			found = s.clone()
			return false, nil
		})
	})
	return found, err
}

func (s *stored) clone() *stored {
	c := *s
	c.data = bytes.Clone(s.data)
	return &c
}

// recordIn finds the first record of the batch that is wanted.
func (p *Partition) recordIn(s *stored, wanted func(*Record) bool) (TimestampOffset, bool, error) {
	b := readBatch(s.data)
	records, err := Records(b, 0)
	if err != nil {
		return TimestampOffset{}, false, p.wrap(fmt.Errorf("entry %d: %w", s.index, err))
	}
	for i := range records {
		if r := &records[i]; wanted(r) {
			return TimestampOffset{Offset: r.Offset, Timestamp: r.Timestamp, LeaderEpoch: b.LeaderEpoch}, true, nil
		}
	}
	return TimestampOffset{}, false, nil
}

// MaxTimestamp finds the first record with the largest timestamp (ListOffsets
// -3); ok is false when the log holds no records.
func (p *Partition) MaxTimestamp() (found TimestampOffset, ok bool, err error) {
	var batch *stored
	err = p.read(func(v *view) (err error) {
		batch, err = v.largestBatch()
		return err
	})
	if err != nil || batch == nil {
		return TimestampOffset{}, false, err
	}
	return p.recordIn(batch, func(r *Record) bool { return r.Timestamp == batch.timestamp })
}

// largestBatch copies the first batch with the largest timestamp; nil when there
// are no batches.
func (v *view) largestBatch() (*stored, error) {
	if v.last < v.first {
		return nil, nil
	}
	last, err := v.at(v.last)
	if err != nil {
		return nil, err
	}
	index, err := v.find(v.first, func(s *stored) bool { return s.largest >= last.largest })
	if err != nil {
		return nil, err
	}
	s, err := v.at(index)
	if err != nil {
		return nil, err
	}
	if s.served() && s.timestamp == last.largest {
		return s.clone(), nil
	}
	// It was trimmed, or compaction has rewritten it.
	var best *stored
	err = v.walk(v.first, func(s *stored) (bool, error) {
		if s.served() && (best == nil || s.timestamp > best.timestamp) {
			best = &stored{header: s.header, index: s.index, data: s.data}
		}
		return true, nil
	})
	if err != nil || best == nil {
		return nil, err
	}
	return best.clone(), nil
}
