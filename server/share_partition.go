package server

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/share"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// sharePartition is a share-partition of a partition that this broker leads
// (SharePartition). It is loaded from the share coordinator once, and ends with
// the leadership's epoch.
type sharePartition struct {
	b       *broker
	name    sharecoordinator.Partition
	id      log.PartitionID
	replica *replication.Replica
	epoch   int32 // the leader epoch
	// loaded is closed when loading has ended; failed says how, and is not changed
	// after.
	loaded chan struct{}
	failed error

	mu    sync.Mutex
	state *share.Partition
	// reading is set while a request reads records to acquire: one at a time does
	// (the fetch lock).
	reading bool
	// wanted is set when another request wanted the fetch lock meanwhile.
	wanted   bool
	fenced   bool
	watchers map[chan<- struct{}]struct{}
}

// limits are the group's configs as they are now.
func (p *sharePartition) limits() share.Limits {
	v := p.b.groupValues(p.name.Group)
	return share.Limits{
		MaxInFlight:   int(v.Int("share.partition.max.record.locks")),
		MaxDeliveries: int(v.Int("share.delivery.count.limit")),
		Lock:          v.Ms("share.record.lock.duration.ms"),
		NoRenewal:     v.Value("share.renew.acknowledge.enable") == "false",
	}
}

// load reads what is stored (SharePartition.maybeInitialize).
func (p *sharePartition) load() {
	defer close(p.loaded)
	stored, err := p.b.readPersisted(p.b.ctx, p.name, p.epoch)
	if err == nil && stored.Start < 0 {
		stored.Start, err = p.reset()
	}
	if err != nil {
		p.failed = err
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.state.Load(stored.Start, stored.StateEpoch, stored.Batches); err != nil {
		p.b.logger.Error("a share-partition cannot be loaded", "group", p.name.Group, "partition", p.id, "error", err)
		p.failed = kerr.UnknownServerError
	}
}

// reset is where a group begins that has no start offset (share.auto.offset.reset).
func (p *sharePartition) reset() (int64, error) {
	q := replication.OffsetRequest{Time: replication.TimeLatest, LeaderEpoch: p.epoch}
	how := p.b.groupValues(p.name.Group).Value("share.auto.offset.reset")
	switch {
	case how == "earliest":
		q.Time = replication.TimeEarliest
	case strings.HasPrefix(how, "by_duration:"):
		d, err := isoDuration(strings.TrimPrefix(how, "by_duration:"))
		if err != nil {
			return 0, err
		}
		q.Time = time.Now().Add(-d).UnixMilli()
	}
	found, err := p.replica.LookupOffset(q)
	if err == nil && found.Offset < 0 { // No record is as new as that.
		q.Time = replication.TimeLatest
		found, err = p.replica.LookupOffset(q)
	}
	return found.Offset, err
}

// isoDuration reads PnDTnHnMn.nS; the config was validated when it was set.
func isoDuration(s string) (time.Duration, error) {
	day, rest, _ := strings.Cut(strings.TrimPrefix(s, "P"), "T")
	var d time.Duration
	if n := strings.TrimSuffix(day, "D"); n != "" {
		days, err := strconv.Atoi(n)
		if err != nil {
			return 0, kerr.InvalidConfig
		}
		d = time.Duration(days) * 24 * time.Hour
	}
	if rest != "" {
		t, err := time.ParseDuration(strings.ToLower(rest))
		if err != nil {
			return 0, kerr.InvalidConfig
		}
		d += t
	}
	return d, nil
}

// watch has ch signalled when there may be something to acquire.
func (p *sharePartition) watch(ch chan<- struct{}) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[ch] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, ch)
	}
}

func (p *sharePartition) notifyLocked() { p.wakeLocked(nil) }

func (p *sharePartition) wakeLocked(except chan<- struct{}) {
	for ch := range p.watchers {
		if ch == except {
			continue
		}
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// isLoaded tells whether loading has ended well; an error is how it failed.
func (p *sharePartition) isLoaded() (bool, error) {
	select {
	case <-p.loaded:
		return p.failed == nil, p.failed
	default:
		return false, nil
	}
}

// beginRead takes the fetch lock, and tells from where to read, if there is
// something to acquire.
func (p *sharePartition) beginRead() (offset int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading || p.fenced || !p.state.CanAcquire() {
		p.wanted = p.reading
		return 0, false
	}
	p.reading = true
	return p.state.NextFetchOffset(), true
}

// endRead gives the fetch lock back, and wakes others than own where that may
// help them.
func (p *sharePartition) endRead(acquired bool, own chan<- struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	if acquired || p.wanted {
		p.wanted = false
		p.wakeLocked(own)
	}
}

// acquire gives records to a member.
func (p *sharePartition) acquire(wish share.Acquisition) []share.AcquiredRecords {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fenced {
		return nil
	}
	got := p.state.Acquire(wish)
	p.expiresLocked()
	return got
}

// expiresLocked has locks looked at in time.
func (p *sharePartition) expiresLocked() {
	if at, ok := p.state.NextExpiry(); ok {
		p.b.shares.expires(at)
	}
}

// acknowledge takes acknowledgements, and returns when they are stored.
func (p *sharePartition) acknowledge(member string, acks []share.Acknowledgement) error {
	if ok, err := p.isLoaded(); !ok {
		if err == nil {
			err = kerr.InvalidRecordState
		}
		return err
	}
	p.mu.Lock()
	t, err := p.state.Acknowledge(member, acks, time.Now())
	p.expiresLocked()
	w := p.persistedLocked(t)
	p.notifyLocked() // A failure may have made records available.
	p.mu.Unlock()
	if err != nil || t == nil {
		return err
	}
	return p.store(t, w)
}

// release gives back what a member holds.
func (p *sharePartition) release(member string) error {
	if ok, err := p.isLoaded(); !ok {
		return err
	}
	p.mu.Lock()
	t := p.state.Release(member)
	w := p.persistedLocked(t)
	p.mu.Unlock()
	if t == nil {
		return nil
	}
	return p.store(t, w)
}

// persistedLocked is what the share coordinator is to know of a transition.
func (p *sharePartition) persistedLocked(t *share.Transition) sharecoordinator.State {
	w := sharecoordinator.State{
		StateEpoch: p.state.StateEpoch(), LeaderEpoch: p.epoch,
		Start: p.state.Start(), DeliveryComplete: p.state.DeliveryComplete(),
	}
	if t != nil {
		w.Batches = t.Batches
	}
	return w
}

// store has a transition stored, and completes it.
func (p *sharePartition) store(t *share.Transition, w sharecoordinator.State) error {
	err := p.b.writePersisted(p.b.ctx, p.name, w)
	p.mu.Lock()
	p.state.Complete(t, err == nil, time.Now())
	p.notifyLocked()
	p.mu.Unlock()
	p.fencedBy(err)
	return err
}

// fencedBy ends the share-partition where an error says that another one has
// taken its place (SharePartitionManager.fencedSharePartitionHandler).
func (p *sharePartition) fencedBy(err error) {
	for _, e := range []error{
		kerr.NotLeaderForPartition, kerr.FencedStateEpoch, kerr.GroupIDNotFound, kerr.UnknownTopicOrPartition,
		replication.ErrNotLeader, replication.ErrFencedEpoch, replication.ErrDeleted, replication.ErrStopped, replication.ErrOffline,
	} {
		if errors.Is(err, e) {
			p.b.shares.remove(p)
			return
		}
	}
}

// fence ends the share-partition: who waits is told.
func (p *sharePartition) fence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fenced = true
	p.notifyLocked()
}

func (p *sharePartition) isFenced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fenced
}

// moveLogStart is told where the log begins.
func (p *sharePartition) moveLogStart(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.MoveLogStart(offset)
}

// nextExpiry is when a lock expires, if one may.
func (p *sharePartition) nextExpiry() (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fenced {
		return time.Time{}, false
	}
	return p.state.NextExpiry()
}

// expire frees records whose lock has expired. That is in force at once, and
// stored in the background.
func (p *sharePartition) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	batches := p.state.Expire(now)
	if len(batches) == 0 {
		return
	}
	w := p.persistedLocked(&share.Transition{Batches: batches})
	p.notifyLocked()
	p.b.spawn(func() {
		err := p.b.writePersisted(p.b.ctx, p.name, w)
		if err != nil && !errors.Is(err, context.Canceled) {
			p.b.logger.Warn("expired locks were not stored", "group", p.name.Group, "partition", p.id, "error", err)
		}
		p.mu.Lock()
		p.state.Stored()
		p.notifyLocked()
		p.mu.Unlock()
		p.fencedBy(err)
	})
}
