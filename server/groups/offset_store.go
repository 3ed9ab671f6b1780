package groups

import (
	"slices"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// committed is a committed offset (OffsetAndMetadata).
type committed struct {
	offset      int64
	leaderEpoch int32 // -1 where the client said none
	metadata    string
	timestamp   int64    // of the commit, Unix ms
	expires     int64    // Unix ms, -1 unless the request said how long to keep it
	topicID     [16]byte // zero where it is not known
	record      int64    // the offset of its record
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// groupPlace is a partition as one group sees it.
type groupPlace struct {
	group string
	place place
}

type (
	groupOffsets   = timeline.Map[place, committed]
	pendingOffsets = timeline.Map[groupPlace, committed]
)

// offsetStore is the committed offsets of all groups, and those of transactions
// that have not ended (OffsetMetadataManager). All of it is in the timeline.
type offsetStore struct {
	registry *timeline.Registry
	groups   *timeline.Map[string, *groupOffsets] // no group is empty
	// pending are the offsets of open transactions, by their producers.
	pending *timeline.Map[int64, *pendingOffsets]
	// open are the producers with pending offsets of a partition; places counts
	// the partitions of a group that have any.
	open   *timeline.Map[groupPlace, []int64]
	places *timeline.Map[string, int]
}

func newOffsetStore(r *timeline.Registry) *offsetStore {
	return &offsetStore{
		registry: r,
		groups:   timeline.NewMap[string, *groupOffsets](r),
		pending:  timeline.NewMap[int64, *pendingOffsets](r),
		open:     timeline.NewMap[groupPlace, []int64](r),
		places:   timeline.NewMap[string, int](r),
	}
}

// empty tells whether there are no offsets, pending ones neither.
func (o *offsetStore) empty() bool { return o.groups.Len() == 0 && o.pending.Len() == 0 }

// get finds an offset as of an epoch.
func (o *offsetStore) get(epoch int64, group string, p place) (committed, bool) {
	g, ok := o.groups.GetAt(epoch, group)
	if !ok {
		return committed{}, false
	}
	return g.GetAt(epoch, p)
}

func (o *offsetStore) put(group string, p place, c committed) {
	g, ok := o.groups.Get(group)
	if !ok {
		g = timeline.NewMap[place, committed](o.registry)
		o.groups.Set(group, g)
	}
	g.Set(p, c)
}

// delete removes an offset, and what open transactions would make of it.
func (o *offsetStore) delete(group string, p place) {
	if g, ok := o.groups.Get(group); ok {
		g.Delete(p)
		if g.Len() == 0 {
			o.groups.Delete(group)
		}
	}
	at := groupPlace{group, p}
	producers, ok := o.open.Get(at)
	if !ok {
		return
	}
	for _, id := range producers {
		if pending, ok := o.pending.Get(id); ok {
			pending.Delete(at)
		}
	}
	o.close(at)
}

// putPending notes the offset of a transaction.
func (o *offsetStore) putPending(producerID int64, group string, p place, c committed) {
	pending, ok := o.pending.Get(producerID)
	if !ok {
		pending = timeline.NewMap[groupPlace, committed](o.registry)
		o.pending.Set(producerID, pending)
	}
	at := groupPlace{group, p}
	pending.Set(at, c)
	producers, _ := o.open.Get(at)
	if slices.Contains(producers, producerID) {
		return
	}
	if len(producers) == 0 {
		n, _ := o.places.Get(group)
		o.places.Set(group, n+1)
	}
	o.open.Set(at, append(slices.Clone(producers), producerID))
}

// close forgets that a partition has pending offsets.
func (o *offsetStore) close(at groupPlace) {
	o.open.Delete(at)
	n, _ := o.places.Get(at.group)
	if n <= 1 {
		o.places.Delete(at.group)
	} else {
		o.places.Set(at.group, n-1)
	}
}

// end ends a producer's transaction. The offset whose record is newest counts,
// whoever committed it.
func (o *offsetStore) end(producerID int64, commit bool) {
	pending, ok := o.pending.Get(producerID)
	if !ok {
		return
	}
	o.pending.Delete(producerID)
	for at, c := range pending.All() {
		producers, _ := o.open.Get(at)
		rest := slices.DeleteFunc(slices.Clone(producers), func(id int64) bool { return id == producerID })
		if len(rest) == 0 {
			o.close(at)
		} else {
			o.open.Set(at, rest)
		}
		if old, ok := o.get(timeline.Latest, at.group, at.place); commit && (!ok || c.record > old.record) {
			o.put(at.group, at.place, c)
		}
	}
}

// unstable tells whether a transaction may change a partition's offset.
func (o *offsetStore) unstable(group string, p place) bool {
	_, ok := o.open.Get(groupPlace{group, p})
	return ok
}

// transacting tells whether transactions may change any of a group's offsets.
func (o *offsetStore) transacting(group string) bool {
	_, ok := o.places.Get(group)
	return ok
}

// tombstones adds records that remove all of a group's offsets
// (deleteAllOffsets).
func (o *offsetStore) tombstones(group string, to []coordinator.Record) []coordinator.Record {
	if g, ok := o.groups.Get(group); ok {
		for p := range g.All() {
			to = append(to, offsetTombstone(group, p.topic, p.partition))
		}
	}
	if !o.transacting(group) {
		return to
	}
	for at := range o.open.All() {
		if _, ok := o.get(timeline.Latest, group, at.place); at.group == group && !ok {
			to = append(to, offsetTombstone(group, at.place.topic, at.place.partition))
		}
	}
	return to
}

// replayOffset applies a record of types 0 and 1.
func (s *Shard) replayOffset(at coordinator.Position, r coordinator.Record) error {
	key, c, err := readOffset(r)
	if err != nil {
		return err
	}
	p := place{key.Topic, key.Partition}
	if c == nil {
		s.offsets.delete(key.Group, p)
		return nil
	}
	if _, ok := s.groups.Get(key.Group); !ok {
		s.newClassic(key.Group) // It only commits, or its own record comes later.
	}
	c.record = at.Offset
	if at.ProducerID < 0 {
		s.offsets.put(key.Group, p, *c)
	} else {
		s.offsets.putPending(at.ProducerID, key.Group, p, *c)
	}
	return nil
}
