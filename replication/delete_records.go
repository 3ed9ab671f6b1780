package replication

import (
	"context"
	"errors"

	"github.com/minikafka/minikafka/log"
)

// deletion is a DeleteRecords request that waits for the followers
// (DelayedDeleteRecords).
type deletion struct {
	offset int64
	done   chan error
}

func (d *deletion) finish(err error) { d.done <- err }

// DeleteRecords raises the log start (offset -1: to the high watermark) and
// returns when every live replica has followed, with the low watermark; on ctx's
// end ErrTimedOut with the low watermark of the start
// (Partition.deleteRecordsOnLeader).
func (r *Replica) DeleteRecords(ctx context.Context, offset int64) (int64, error) {
	v, err := r.look(-1, true)
	if err != nil {
		return -1, err
	}
	if offset == -1 {
		offset = v.highWatermark
	}
	if offset < 0 || offset > v.highWatermark {
		return -1, ErrOffsetOutOfRange
	}
	if err := r.RaiseLogStart(offset); err != nil {
		return -1, err
	}
	r.mu.Lock()
	low := r.lowWatermarkLocked()
	if low >= offset || !r.leading {
		r.mu.Unlock()
		return low, nil
	}
	d := &deletion{offset: offset, done: make(chan error, 1)}
	r.deletions = append(r.deletions, d)
	r.mu.Unlock()
	select {
	case err := <-d.done:
		if err != nil {
			return -1, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.lowWatermarkLocked(), nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.deletions = without(r.deletions, d)
		return low, ErrTimedOut
	}
}

// RaiseLogStart moves the log start up, and has the followers do so. Appends go on
// meanwhile. A log that has been cut below the offset, as its replica was deposed,
// gives ErrOffsetOutOfRange.
func (r *Replica) RaiseLogStart(offset int64) error {
	switch err := r.log.RaiseLogStart(offset); {
	case errors.Is(err, log.ErrOffsetOutOfRange):
		return ErrOffsetOutOfRange
	case err != nil:
		r.failed(err)
		return ErrOffline
	}
	r.LogStartRaised()
	return nil
}

// LogStartRaised has the followers told of a log start that has moved.
func (r *Replica) LogStartRaised() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leading {
		r.markFollowersLocked()
	}
	r.notifyLocked()
}

// lowWatermarkLocked is the lowest log start over this replica and the live
// followers.
func (r *Replica) lowWatermarkLocked() int64 {
	low := r.log.LogStartOffset()
	for id, f := range r.followers {
		if _, alive := r.manager.member(id); alive {
			low = min(low, f.logStart)
		}
	}
	return low
}

// followerStartLocked notes a follower's log start, and finishes what waited for
// it.
func (r *Replica) followerStartLocked(f *followerState, start int64) {
	if start == f.logStart || start < 0 {
		return
	}
	f.logStart = start
	r.finishDeletionsLocked()
}

func (r *Replica) finishDeletionsLocked() {
	if len(r.deletions) == 0 {
		return
	}
	low := r.lowWatermarkLocked()
	keep := r.deletions[:0]
	for _, d := range r.deletions {
		if d.offset <= low {
			d.finish(nil)
		} else {
			keep = append(keep, d)
		}
	}
	r.deletions = keep
}

func without(list []*deletion, d *deletion) []*deletion {
	out := make([]*deletion, 0, len(list))
	for _, x := range list {
		if x != d {
			out = append(out, x)
		}
	}
	return out
}
