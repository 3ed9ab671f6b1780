package replication

import (
	"context"
	"errors"
	"slices"
	"time"
)

// followerState is what a leader knows of one follower in its epoch (Replica's
// ReplicaState).
type followerState struct {
	matchIndex uint64
	// end is the follower's log end, -1 until a first success in this epoch.
	end         int64
	logStart    int64
	brokerEpoch int64 // -1 until heard
	// heard is set by a success, and cleared when the follower leaves the ISR:
	// only one that has answered since may join again.
	heard bool
	// caughtUp is when the follower last had all that the leader had.
	caughtUp time.Time
	inFlight int
	silent   int // for how many ticks nothing was sent, and nothing ever heard
	// told is what the follower has last been told of the watermarks.
	toldHighWatermark, toldLogStart int64
}

// trackLocked forgets what was known before this epoch: members of the ISR count
// as caught up now, others as never.
func (r *Replica) trackLocked(a Assignment) {
	clear(r.followers)
	r.tracked = a.LeaderEpoch
	r.followLocked(a)
}

// followLocked makes the followers those of the replica set, if this replica
// leads or is about to.
func (r *Replica) followLocked(a Assignment) {
	if r.tracked != a.LeaderEpoch {
		return
	}
	now := time.Now()
	for b := range r.followers {
		if !slices.Contains(a.Replicas, b) {
			delete(r.followers, b)
		}
	}
	for _, b := range a.Replicas {
		if b == r.manager.Broker || r.followers[b] != nil {
			continue
		}
		f := &followerState{end: -1, logStart: -1, brokerEpoch: -1, toldHighWatermark: -1, toldLogStart: -1}
		if slices.Contains(a.ISR, b) {
			f.caughtUp = now
		}
		r.followers[b] = f
	}
}

// awaitReplica waits until the broker holds a replica.
func (r *Replica) awaitReplica(ctx context.Context, broker int32) error {
	for {
		r.mu.Lock()
		there, changed := slices.Contains(r.replicas, broker), r.changed
		r.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sending notes what the leader has as a request to a follower is made ready.
func (r *Replica) sending(broker int32) sending {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := sending{at: time.Now(), end: r.log.LogEndOffset(), follower: r.followers[broker]}
	if s.follower != nil {
		s.follower.inFlight++
	}
	return s
}

// sent notes that the request has been answered.
func (r *Replica) sent(s sending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.follower != nil {
		s.follower.inFlight--
	}
}

// matched notes that a follower has everything up to an index, in the leader's
// epoch (Replica.updateFetchStateOrThrow). It is caught up as of now if that is
// all the leader has, and as of the request if it is all the leader had then:
// under load nobody ever has all of this instant.
func (r *Replica) matched(epoch int32, broker int32, index uint64, sent sending, a *appendReply) {
	end, err := r.log.EndOffsetAt(index)
	if err != nil {
		return // trimmed or compacted away meanwhile; the next success tells
	}
	r.mu.Lock()
	f := r.followers[broker]
	if r.tracked != epoch || f == nil || !r.currentLocked(broker, a.BrokerEpoch) {
		r.mu.Unlock()
		return
	}
	first := f.end < 0
	f.matchIndex, f.end, f.brokerEpoch, f.heard = index, end, a.BrokerEpoch, true
	switch {
	case end >= r.log.LogEndOffset():
		f.caughtUp = time.Now()
	case end >= sent.end && sent.at.After(f.caughtUp):
		f.caughtUp = sent.at
	}
	r.followerStartLocked(f, a.LogStart)
	done := r.settleLocked()
	// A watermark may have overtaken these records, and was cut to the log's end.
	if first || f.toldHighWatermark < min(r.log.HighWatermark(), end) {
		r.manager.marks.dirty(broker, r)
	}
	r.mu.Unlock()
	settlePending(done)
	r.maybeExpandISR()
}

// currentLocked refuses what an older incarnation of a broker has said
// (KIP-903): its store may since have lost it.
func (r *Replica) currentLocked(broker int32, brokerEpoch int64) bool {
	known, _ := r.manager.member(broker)
	return brokerEpoch < 0 || known < 0 || brokerEpoch >= known
}

// minISRLocked is the effective min.insync.replicas: never more than there are
// replicas (Partition.effectiveMinIsr).
func (r *Replica) minISRLocked() int {
	return max(1, min(r.settings.MinInsyncReplicas, len(r.replicas)))
}

// settleLocked moves the high watermark as far as it may go, and takes out the
// appends it has passed. The caller settles those when mu is free. Only a leader
// has anything to settle.
func (r *Replica) settleLocked() []settled {
	if !r.leading {
		return nil
	}
	others := make([]member, 0, 8)
	now := time.Now()
	for id, f := range r.followers {
		m := member{inISR: r.isr.maximalHas(id), end: f.end}
		if !m.inISR && f.end >= 0 {
			m.candidate = r.eligibleLocked(id, f) && r.caughtUp(f, now)
		}
		others = append(others, m)
	}
	current := r.log.HighWatermark()
	next := nextHighWatermark(current, r.log.LogEndOffset(), len(r.isr.committed), r.minISRLocked(), others)
	if next != current {
		r.manager.Witness.advancesLocked(r, next)
		r.log.SetHighWatermark(next)
		r.notifyLocked()
		r.markFollowersLocked()
	}
	var out []settled
	for len(r.waiting) > 0 && r.waiting[0].appended.Last < next {
		s := settled{pending: r.waiting[0]}
		if r.isr.maximalSize() < r.minISRLocked() {
			s.err = ErrNotEnoughReplicasAfterAppend
		}
		r.waiting[0] = nil
		r.waiting = r.waiting[1:]
		out = append(out, s)
	}
	return out
}

// caughtUp is Kafka's rule (ReplicaState.isCaughtUp): all that the leader has,
// or all it had no longer ago than replica.lag.time.max.ms.
func (r *Replica) caughtUp(f *followerState, now time.Time) bool {
	return f.end == r.log.LogEndOffset() || now.Sub(f.caughtUp) <= r.manager.Timing.LagTime
}

// eligibleLocked tells whether a broker may be in the ISR: not fenced, not
// shutting down, and heard of in its current incarnation
// (Partition.isReplicaIsrEligible).
func (r *Replica) eligibleLocked(broker int32, f *followerState) bool {
	epoch, eligible := r.manager.member(broker)
	return eligible && (f.brokerEpoch == epoch || epoch < 0)
}

// commitLocked takes over a committed ISR.
func (r *Replica) commitLocked(isr []int32) {
	for id, f := range r.followers {
		if r.isr.has(id) && !slices.Contains(isr, id) {
			f.heard = false
		}
	}
	r.isr.commit(isr)
}

// staleLocked tells whether a live follower outside the ISR was last heard of
// before it left, or before it had its current broker epoch. Kafka's followers
// fetch all the time; here an idle one has to be asked again.
func (r *Replica) staleLocked() bool {
	for id, f := range r.followers {
		if epoch, eligible := r.manager.member(id); eligible && f.end >= 0 && f.inFlight == 0 &&
			(f.brokerEpoch != epoch || !f.heard) && !r.isr.has(id) {
			return true
		}
	}
	return false
}

// askSilent has raft ask followers that were never heard of in this epoch, and that
// nothing has been sent to for two ticks: raft has an answer of theirs that was given
// under an older broker epoch, and so did not count.
func (r *Replica) askSilent() {
	r.mu.Lock()
	ask := false
	for id, f := range r.followers {
		_, eligible := r.manager.member(id)
		if !eligible || f.end >= 0 || f.inFlight > 0 {
			f.silent = 0
			continue
		}
		f.silent++
		ask = ask || f.silent%2 == 0
	}
	in, leading := r.in, r.leading
	r.mu.Unlock()
	if ask && leading && in != nil {
		in.nudge()
	}
}

// maybeExpandISR proposes followers that have reached the high watermark and
// this leader's start (Partition.maybeExpandIsr). All of them go in one proposal.
func (r *Replica) maybeExpandISR() {
	r.mu.Lock()
	if !r.leading || r.isr.inFlight() || len(r.isr.committed) == len(r.replicas) {
		r.mu.Unlock()
		return
	}
	isr := slices.Clone(r.isr.committed)
	for _, b := range r.replicas {
		f := r.followers[b]
		if f == nil || r.isr.has(b) || !f.heard {
			continue
		}
		if f.end >= r.log.HighWatermark() && f.end >= r.epochStart && r.eligibleLocked(b, f) {
			isr = append(isr, b)
		}
	}
	r.proposeLocked(isr)
}

// maybeShrinkISR proposes to drop followers that have not been caught up for
// replica.lag.time.max.ms (Partition.maybeShrinkIsr).
func (r *Replica) maybeShrinkISR(now time.Time) {
	r.mu.Lock()
	if !r.leading || r.isr.inFlight() {
		r.mu.Unlock()
		return
	}
	isr := make([]int32, 0, len(r.isr.committed))
	for _, b := range r.isr.committed {
		if f := r.followers[b]; f == nil || r.caughtUp(f, now) {
			isr = append(isr, b)
		}
	}
	r.proposeLocked(isr)
}

// proposeLocked asks the controller for another ISR, in the background, and
// lets go of mu. Nothing happens if it is the committed one.
func (r *Replica) proposeLocked(isr []int32) {
	defer r.mu.Unlock()
	if slices.Equal(isr, r.isr.committed) {
		return
	}
	r.isr.pending = isr
	c := ISRChange{ID: r.id, LeaderEpoch: r.epoch, PartitionEpoch: r.partitionEpoch}
	for _, b := range isr {
		m := ISRMember{Broker: b, Epoch: -1}
		if b == r.manager.Broker {
			m.Epoch = r.manager.BrokerEpoch()
		} else if f := r.followers[b]; f != nil {
			m.Epoch = f.brokerEpoch
		}
		c.ISR = append(c.ISR, m)
	}
	in := r.in
	r.manager.spawn(func() { r.changeISR(in.ctx, c) })
}

// changeISR brings a proposal to an end, as AlterPartitionManager does.
func (r *Replica) changeISR(ctx context.Context, c ISRChange) {
	for {
		state, err := r.manager.ISR.AlterISR(ctx, c)
		switch {
		case err == nil:
			r.isrCommitted(c, state)
			return
		case errors.Is(err, ErrISRRefused):
			r.mu.Lock()
			if r.epoch == c.LeaderEpoch && r.partitionEpoch == c.PartitionEpoch {
				r.isr.revert()
			}
			r.mu.Unlock()
			return
		case errors.Is(err, ErrISRSuperseded), ctx.Err() != nil:
			return
		}
		t := time.NewTimer(r.manager.Timing.RetryISR)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		r.mu.Lock()
		stale := r.epoch != c.LeaderEpoch || r.partitionEpoch != c.PartitionEpoch
		r.mu.Unlock()
		if stale {
			return
		}
	}
}

// isrCommitted takes over what the controller has confirmed, unless newer
// metadata has come first.
func (r *Replica) isrCommitted(c ISRChange, s ISRState) {
	r.mu.Lock()
	if !r.leading || r.epoch != c.LeaderEpoch || r.partitionEpoch != c.PartitionEpoch || s.PartitionEpoch < c.PartitionEpoch {
		r.mu.Unlock()
		return
	}
	r.partitionEpoch = s.PartitionEpoch
	r.commitLocked(s.ISR)
	done := r.settleLocked()
	r.mu.Unlock()
	settlePending(done)
	r.maybeExpandISR()
}

// extend moves every caught-up time on: the broker itself was late, and its
// followers are not to pay for it.
func (r *Replica) extend(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.followers {
		f.caughtUp = f.caughtUp.Add(by)
	}
}

// greet tells the leader where this log ends.
func (r *Replica) greet() {
	r.mu.Lock()
	in, leader, epoch := r.in, r.leader, r.epoch
	r.mu.Unlock()
	if in == nil || leader < 0 || leader == r.manager.Broker {
		r.mu.Lock()
		r.greeted = r.leading
		r.mu.Unlock()
		return
	}
	m := &helloMsg{ID: r.id, Epoch: epoch, LogStart: r.log.LogStartOffset(), BrokerEpoch: r.manager.BrokerEpoch()}
	m.LastIndex, m.LastTerm = r.lastEntry()
	t := transport{in}
	_, _ = t.call(leader, m)
}

// lastEntry is the place of the newest entry, or of the one before the log start.
func (r *Replica) lastEntry() (index, term uint64) {
	last := r.log.LastIndex()
	if last == 0 {
		return r.log.Previous()
	}
	e, err := r.log.Entry(last)
	if err != nil {
		return r.log.Previous()
	}
	return e.Index, e.Term
}

// handleHello takes note of where the log of a follower ends whose process is
// new, or whose replica is: it was taken away, and given back, after it had been
// heard of. If that is not where raft believes it to be, an empty entry makes raft
// look. A follower not heard of since it was added needs nothing: raft is asking it.
func (r *Replica) handleHello(ctx context.Context, from int32, m *helloMsg) error {
	if err := r.waitLeading(ctx, m.Epoch); err != nil {
		return err
	}
	e, err := r.log.Entry(m.LastIndex)
	matches := m.LastIndex > 0 && err == nil && e.Term == m.LastTerm
	r.mu.Lock()
	f, in := r.followers[from], r.in
	if !r.leading || r.epoch != m.Epoch || f == nil || !f.isNew(m, matches) {
		r.mu.Unlock()
		return nil
	}
	if !matches {
		f.end, f.matchIndex, f.brokerEpoch = -1, 0, m.BrokerEpoch
	}
	f.toldHighWatermark, f.toldLogStart = -1, -1
	nudge := f.inFlight == 0 && (!matches || m.LastIndex < r.log.LastIndex())
	r.mu.Unlock()
	if matches {
		r.matched(m.Epoch, from, m.LastIndex, sending{}, &appendReply{BrokerEpoch: m.BrokerEpoch, LogStart: m.LogStart})
		r.manager.marks.dirty(from, r)
	}
	if nudge && in != nil {
		in.nudge()
	}
	return nil
}

// isNew tells whether a hello is of another life of the follower's than the one
// that was heard last.
func (f *followerState) isNew(m *helloMsg, matches bool) bool {
	if f.brokerEpoch == m.BrokerEpoch {
		return !matches && m.LastIndex < f.matchIndex // its log was deleted
	}
	return f.brokerEpoch >= 0
}

// waitLeading waits until the replica leads in the epoch, or has passed it.
func (r *Replica) waitLeading(ctx context.Context, epoch int32) error {
	for {
		r.mu.Lock()
		done := r.epoch > epoch || (r.epoch == epoch && r.leading)
		changed := r.changed
		r.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.stopped:
			return ErrNotHosted
		}
	}
}
