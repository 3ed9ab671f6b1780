package replication

import "github.com/minikafka/minikafka/log"

// OffsetRequest asks for an offset by a time (ms) or one of the special times.
type OffsetRequest struct {
	Time        int64
	Isolation   Isolation
	LeaderEpoch int32 // -1: none
	// AnyReplica lets a follower answer, with its log end (replica id -2).
	AnyReplica bool
}

// The special times of ListOffsets.
const (
	TimeLatest        = -1
	TimeEarliest      = -2
	TimeMax           = -3
	TimeEarliestLocal = -4
	TimeLatestTiered  = -5
	TimePendingUpload = -6
)

// noOffset is the answer when nothing is found.
func noOffset() log.TimestampOffset {
	return log.TimestampOffset{Offset: -1, Timestamp: -1, LeaderEpoch: -1}
}

// LookupOffset answers ListOffsets for one partition
// (Partition.fetchOffsetForTimestamp). Nothing found is offset -1. While a new
// leader's high watermark is behind where it began to lead,
// ErrOffsetNotAvailable says that the end cannot be told yet.
func (r *Replica) LookupOffset(q OffsetRequest) (log.TimestampOffset, error) {
	v, err := r.look(q.LeaderEpoch, !q.AnyReplica)
	if err != nil {
		return noOffset(), err
	}
	limit := v.limit(q.Isolation)
	if q.AnyReplica {
		limit = v.end
	}
	r.mu.Lock()
	behind := r.leading && !q.AnyReplica && v.highWatermark < r.epochStart
	epoch := r.epoch
	r.mu.Unlock()
	switch q.Time {
	case TimeLatest:
		if behind {
			return noOffset(), ErrOffsetNotAvailable
		}
		return log.TimestampOffset{Offset: limit, Timestamp: -1, LeaderEpoch: epoch}, nil
	case TimeEarliest, TimeEarliestLocal:
		at := r.log.EpochAt(v.start)
		if at < 0 {
			at = epoch
		}
		return log.TimestampOffset{Offset: v.start, Timestamp: -1, LeaderEpoch: at}, nil
	case TimeLatestTiered, TimePendingUpload:
		return noOffset(), nil
	}
	found, ok, err := r.searchOffset(q.Time)
	switch {
	case err != nil:
		return noOffset(), err
	case ok && found.Offset < limit:
		return found, nil
	case behind:
		return noOffset(), ErrOffsetNotAvailable
	}
	return noOffset(), nil
}

// searchOffset looks a time up in the log.
func (r *Replica) searchOffset(ms int64) (log.TimestampOffset, bool, error) {
	if err := r.beforeRead(); err != nil {
		return noOffset(), false, err
	}
	if ms == TimeMax {
		return r.log.MaxTimestamp()
	}
	return r.log.OffsetForTimestamp(ms)
}

// EpochEnd answers OffsetForLeaderEpoch: leader only, with the same fences
// (Partition.lastOffsetForLeaderEpoch). Not bounded by the high watermark.
func (r *Replica) EpochEnd(current, epoch int32) (log.EpochStart, error) {
	if _, err := r.look(current, true); err != nil {
		return log.EpochStart{Epoch: -1, Offset: -1}, err
	}
	e, end := r.log.EpochEnd(epoch)
	return log.EpochStart{Epoch: e, Offset: end}, nil
}
