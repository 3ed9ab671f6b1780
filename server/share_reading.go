package server

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/share"
)

// shareFetching is the reading part of a ShareFetch request (DelayedShareFetch).
type shareFetching struct {
	r         *request
	q         *kmsg.ShareFetchRequest
	member    share.Member
	isolation replication.Isolation
	maxBytes  int
	minBytes  int
	signal    chan struct{}
	// parts are the partitions of the session; readable those that are read.
	parts, readable []*shareFetchPart
}

// shareFetchPart is one partition of it.
type shareFetchPart struct {
	id     log.PartitionID
	share  *sharePartition
	offset int64 // where it is read, while its fetch lock is held
	read   bool  // whether it was
	out    kmsg.ShareFetchResponseTopicPartition
}

func (p *shareFetchPart) fail(err error) {
	p.out.ErrorCode, p.out.ErrorMessage = errorCode(err), ownText(err)
}

// fetchShares waits for records and acquires them (SharePartitionManager.fetchMessages).
func (r *request) fetchShares(q *kmsg.ShareFetchRequest, m share.Member, ids []log.PartitionID) []*shareFetchPart {
	f := &shareFetching{r: r, q: q, member: m}
	f.maxBytes = min(int(q.MaxBytes), int(r.broker.static.FetchMaxBytes))
	f.minBytes = min(int(q.MinBytes), f.maxBytes)
	if r.broker.groupValues(m.Group).Value("share.isolation.level") == "read_committed" {
		f.isolation = replication.ReadCommitted
	}
	image := r.broker.image()
	for i := range ids {
		// Each request begins with another partition (PartitionRotateStrategy).
		id := ids[(i+int(q.ShareSessionEpoch))%len(ids)]
		p := &shareFetchPart{id: id, out: newSharePart(id)}
		f.parts = append(f.parts, p)
		t := image.TopicsByID[id.Topic]
		switch {
		case t == nil:
			p.fail(kerr.UnknownTopicID)
		case id.Partition < 0 || int(id.Partition) >= len(t.Partitions):
			p.fail(kerr.UnknownTopicOrPartition)
		default:
			f.readable = append(f.readable, p)
		}
	}
	if len(f.readable) > 0 && q.MaxRecords > 0 && f.maxBytes > 0 {
		f.run()
	}
	return f.parts
}

// run reads when there is enough to read, or the time is over.
func (f *shareFetching) run() {
	for _, p := range f.readable {
		s, err := f.r.broker.shares.get(f.member.Group, p.id)
		if err != nil {
			p.fail(err)
			continue
		}
		p.share = s
	}
	f.signal = make(chan struct{}, 1)
	waiting := false
	for _, p := range f.readable {
		if p.share != nil {
			waiting = true
			defer p.share.replica.Watch(f.signal)()
			defer p.share.watch(f.signal)()
		}
	}
	if !waiting {
		return
	}
	timer := time.NewTimer(time.Duration(f.q.MaxWaitMillis) * time.Millisecond)
	defer timer.Stop()
	ended := f.r.ctx.Done()
	for !f.try(false) {
		select {
		case <-f.signal:
		case <-timer.C:
			f.try(true)
			return
		case <-ended:
			return
		}
	}
}

// try acquires what it can, if there is enough or the time is over (last). It
// tells whether the request is to be answered.
func (f *shareFetching) try(last bool) bool {
	got, failed := f.acquirable()
	if len(got) == 0 {
		return failed
	}
	do := last || failed || f.enough(got)
	if do {
		f.read(got)
	}
	for _, p := range got {
		p.share.endRead(do, f.signal)
	}
	return do
}

// acquirable takes the fetch locks of the partitions that have something to
// acquire. failed says that a partition has an error to tell.
func (f *shareFetching) acquirable() (got []*shareFetchPart, failed bool) {
	for _, p := range f.readable {
		if p.share == nil || p.out.ErrorCode != 0 {
			continue
		}
		loaded, err := p.share.isLoaded()
		if err == nil && p.share.isFenced() {
			err = replication.ErrNotLeader
		}
		if err != nil {
			p.fail(err)
			failed = true
			continue
		}
		if !loaded {
			continue
		}
		if offset, ok := p.share.beginRead(); ok {
			p.offset = offset
			got = append(got, p)
		}
	}
	return got, failed
}

func (f *shareFetching) request(p *shareFetchPart, maxBytes int) replication.ReadRequest {
	return replication.ReadRequest{
		Offset: p.offset, MaxBytes: maxBytes, Isolation: f.isolation, OnlyLeader: true, LeaderEpoch: p.share.epoch, LastEpoch: -1,
	}
}

// enough tells whether min bytes are there, or an error is to be told.
func (f *shareFetching) enough(got []*shareFetchPart) bool {
	bytes := 0
	for _, p := range got {
		n, err := p.share.replica.Available(f.request(p, f.maxBytes/len(got)))
		if err != nil {
			return true
		}
		bytes += n
	}
	return bytes >= f.minBytes
}

// read reads partitions whose fetch locks are held, and acquires records.
func (f *shareFetching) read(got []*shareFetchPart) {
	left, records := f.maxBytes, int(f.q.MaxRecords)
	for _, p := range got {
		p.read = true
		q := f.request(p, min(left, f.maxBytes/len(got)))
		q.MinOne = left == f.maxBytes
		res, err := p.share.replica.Read(q)
		switch {
		case errors.Is(err, replication.ErrOffsetOutOfRange):
			f.outOfRange(p)
			continue
		case err != nil:
			p.fail(shareReadError(err))
			p.out.ErrorMessage = errorText(shareReadError(err))
			p.share.fencedBy(err)
			continue
		}
		n := f.acquire(p, res, records)
		records -= n
		left = max(0, left-len(p.out.Records))
	}
}

// shareReadError is what a share consumer is told: it names no leader epoch.
func shareReadError(err error) error {
	if errors.Is(err, replication.ErrFencedEpoch) || errors.Is(err, replication.ErrUnknownEpoch) {
		return replication.ErrNotLeader
	}
	return err
}

// outOfRange is told where the log begins, when records have been deleted: the
// client gets nothing now.
func (f *shareFetching) outOfRange(p *shareFetchPart) {
	start, err := p.share.replica.LookupOffset(replication.OffsetRequest{Time: replication.TimeEarliest, LeaderEpoch: p.share.epoch})
	if err != nil {
		p.fail(shareReadError(err))
		return
	}
	p.share.moveLogStart(start.Offset)
}

// acquire acquires of what was read of a partition, and returns how many records.
func (f *shareFetching) acquire(p *shareFetchPart, res replication.ReadResult, most int) int {
	wish := share.Acquisition{
		Member: f.member.ID, RecordLimit: f.q.Version >= 2 && f.q.ShareAcquireMode == 1,
		BatchSize: int(f.q.BatchSize), MaxRecords: most, FetchOffset: p.offset, Now: time.Now(),
	}
	var at []int // where the batches begin
	for rest := res.Records; len(rest) > 0; {
		b, next, err := log.ParseBatch(rest)
		if err != nil {
			break // It is cut at the byte limit.
		}
		r := share.Range{First: b.BaseOffset, Last: b.BaseOffset + int64(b.LastOffset)}
		wish.Batches = append(wish.Batches, r)
		at = append(at, len(res.Records)-len(rest))
		if b.Transactional() && !b.Control() && aborted(res.Aborted, b.ProducerID, r.First) {
			wish.Aborted = append(wish.Aborted, r)
		}
		rest = next
	}
	acquired := p.share.acquire(wish)
	if len(acquired) == 0 {
		return 0
	}
	n := 0
	for _, a := range acquired {
		p.out.AcquiredRecords = append(p.out.AcquiredRecords, kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{
			FirstOffset: a.First, LastOffset: a.Last, DeliveryCount: a.DeliveryCount,
		})
		n += int(a.Last - a.First + 1)
	}
	p.out.Records = sliceBatches(res.Records, wish.Batches, at, acquired[0].First, acquired[len(acquired)-1].Last)
	return n
}

// sliceBatches are the batches that hold [first, last]
// (ShareFetchUtils.maybeSliceFetchRecords).
func sliceBatches(records []byte, batches []share.Range, at []int, first, last int64) []byte {
	from, to := -1, len(records)
	for i, b := range batches {
		if b.Last >= first && from < 0 {
			from = at[i]
		}
		if b.First > last {
			to = at[i]
			break
		}
	}
	if from < 0 {
		return []byte{}
	}
	return records[from:to]
}

// aborted tells whether a producer's batch belongs to a transaction that was
// aborted.
func aborted(txns []log.AbortedTxn, producerID, offset int64) bool {
	for _, t := range txns {
		if t.ProducerID == producerID && t.FirstOffset <= offset && offset <= t.LastOffset {
			return true
		}
	}
	return false
}
