package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// Produce (0), versions 3-13; 0-2 are offered and not served, as by Kafka.
//
// v7 allows zstd; v8 has an error for each record; v10 tells the current leader
// with NOT_LEADER_OR_FOLLOWER; v12 adds partitions to transactions by itself; v13
// has topic ids. The order of checks is that of KafkaApis.handleProduceRequest
// and ReplicaManager.handleProduceAppend.

// acksAll is the acks that waits for the high watermark.
const acksAll = -1

// producing is one Produce request under way.
type producing struct {
	r     *request
	q     *kmsg.ProduceRequest
	image *election.Image
	parts []producePart

	arrived time.Time
}

// producePart is one partition of it.
type producePart struct {
	topic     string
	topicID   log.TopicID
	partition int32
	id        log.PartitionID
	settings  *topicSettings
	replica   *replication.Replica

	batch   log.Batch
	framing error // what is wrong with the records as such
	// As they came; batch may be recompressed.
	sentBytes int64
	sentCodec log.Codec
	// verified is set when the transaction's coordinator has been asked, or need not
	// be; verification is what it vouched for.
	verified     bool
	verification *log.Verification
	pending      *replication.Pending
	// superseded is set when the request names the partition again: the last
	// counts.
	superseded bool

	err      error
	message  *string
	appended replication.Appended
}

func produce(r *request, q *kmsg.ProduceRequest) (kmsg.Response, error) {
	p := &producing{r: r, q: q, image: r.broker.image(), arrived: time.Now()}
	p.open()
	if err := p.check(); err != nil {
		p.refuse(err)
	} else {
		p.append()
		if err := p.wait(); err != nil {
			return nil, err
		}
	}
	r.broker.config.Batching.note(p)
	if q.Acks == 0 {
		// An error has no answer to go into: the connection is closed instead.
		return nil, p.firstError()
	}
	return p.respond(), nil
}

// open takes the request apart.
func (p *producing) open() {
	n := 0
	for i := range p.q.Topics {
		n += len(p.q.Topics[i].Partitions)
	}
	p.parts = make([]producePart, 0, n)
	type place struct {
		topic     string
		id        log.TopicID
		partition int32
	}
	var seen map[place]int
	if n > 1 {
		seen = make(map[place]int, n)
	}
	for i := range p.q.Topics {
		t := &p.q.Topics[i]
		for j := range t.Partitions {
			part := producePart{topic: t.Topic, topicID: t.TopicID, partition: t.Partitions[j].Partition}
			part.appended = replication.Appended{Base: -1, Last: -1, LogStartOffset: -1}
			part.batch, part.framing = log.SplitProduced(t.Partitions[j].Records)
			part.sentBytes, part.sentCodec = int64(len(part.batch.Raw)), part.batch.Codec()
			if seen != nil {
				key := place{t.Topic, t.TopicID, part.partition}
				if before, twice := seen[key]; twice {
					p.parts[before].superseded = true
				}
				seen[key] = len(p.parts)
			}
			p.parts = append(p.parts, part)
		}
	}
}

// live calls f for each partition that has no error yet.
func (p *producing) live(f func(*producePart)) {
	for i := range p.parts {
		if part := &p.parts[i]; part.err == nil && !part.superseded {
			f(part)
		}
	}
}

// check makes the checks before anything is appended. An error is for all
// partitions.
func (p *producing) check() error {
	transactional := false
	for i := range p.parts {
		part := &p.parts[i]
		if errors.Is(part.framing, log.ErrWholeRequestCorrupt) {
			return part.framing
		}
		if part.batch.Transactional() {
			transactional = true
			break
		}
	}
	if transactional && p.q.TransactionID == nil {
		return kerr.TransactionalIDAuthorizationFailed
	}
	p.live(func(part *producePart) { part.err = p.admit(part) })
	if err := p.checkOneProducer(); err != nil {
		return err
	}
	if transactional {
		p.verifyTransactions()
	}
	if p.q.Acks < acksAll || p.q.Acks > 1 {
		p.live(func(part *producePart) { part.err = kerr.InvalidRequiredAcks })
	}
	return nil
}

// admit checks what KafkaApis checks of a partition.
func (p *producing) admit(part *producePart) error {
	var t *election.Topic
	if p.q.Version >= 13 {
		if t = p.image.TopicsByID[part.topicID]; t == nil {
			return kerr.UnknownTopicID
		}
	} else if t = p.image.Topics[part.topic]; t == nil {
		return kerr.UnknownTopicOrPartition
	}
	if part.partition < 0 || int(part.partition) >= len(t.Partitions) {
		return kerr.UnknownTopicOrPartition
	}
	part.topic = t.Name
	part.id = log.PartitionID{Topic: t.ID, Partition: part.partition}
	part.settings = p.r.broker.topicSettings(p.image, t)
	if p.q.Version < 7 && part.batch.Codec() == log.CodecZstd {
		return kerr.UnsupportedCompressionType
	}
	return part.framing
}

// checkOneProducer refuses transactional batches of several producers in one
// request (ReplicaManager.handleProduceAppend).
func (p *producing) checkOneProducer() (err error) {
	var first *log.Batch
	p.live(func(part *producePart) {
		b := &part.batch
		switch {
		case !b.Transactional():
		case first == nil:
			first = b
		case first.ProducerID != b.ProducerID || first.ProducerEpoch != b.ProducerEpoch:
			err = &election.Error{Err: kerr.InvalidProducerIDMapping, Message: "Transactional records contained more than one producer ID"}
		}
	})
	return err
}

func (p *producing) logStart(part *producePart) int64 {
	if r := p.r.broker.replicas.Replica(part.id); r != nil {
		return r.Log().LogStartOffset()
	}
	return -1
}

// refuse gives every partition the same error.
func (p *producing) refuse(err error) {
	message := errorMessage(err)
	if errors.Is(err, log.ErrWholeRequestCorrupt) {
		text := err.Error()
		message = &text
	}
	for i := range p.parts {
		p.parts[i].err, p.parts[i].message = err, message
	}
}

// append appends to every partition that is left, before any is waited for.
func (p *producing) append() {
	now := p.arrived.UnixMilli()
	p.live(func(part *producePart) {
		part.err = p.appendTo(part, now)
		if part.err != nil && part.replica != nil && tellsLogStart(errorCode(part.err)) {
			part.appended.LogStartOffset = part.replica.Log().LogStartOffset()
		}
	})
}

// tellsLogStart says for which refusals the log start is told
// (ReplicaManager.appendToLocalLog).
func tellsLogStart(code int16) bool {
	switch code {
	case kerr.UnknownTopicOrPartition.Code, kerr.NotLeaderForPartition.Code, kerr.MessageTooLarge.Code,
		kerr.RecordListTooLarge.Code, kerr.CorruptMessage.Code, kerr.KafkaStorageError.Code:
		return false
	}
	return true
}

// appendTo appends to one partition (ReplicaManager.appendToLocalLog,
// Partition.appendRecordsToLeader, UnifiedLog.append).
func (p *producing) appendTo(part *producePart, nowMs int64) error {
	if internalTopic(part.topic) && p.r.clientID != adminClientID {
		return kerr.InvalidTopicException
	}
	r := p.r.broker.replicas.Replica(part.id)
	if r == nil {
		return replication.ErrNotHosted
	}
	part.replica = r
	if err := r.CheckAppend(p.q.Acks); err != nil {
		return err
	}
	rules := part.settings.rules
	rules.NowMs = nowMs
	rules.TopicPartition = part.topic + "-" + strconv.Itoa(int(part.partition))
	batch, err := log.Validate(part.batch, rules)
	if err != nil {
		return err
	}
	part.batch = batch
	if part.verified {
		part.pending, err = r.AppendVerified(batch, p.q.Acks, part.verification)
	} else {
		part.pending, err = r.Append(batch, p.q.Acks)
	}
	return err
}

// wait waits for the appends as acks and timeout say (DelayedProduce). The error
// is that the broker has ended.
func (p *producing) wait() error {
	if err := p.waitStored(); err != nil {
		return err
	}
	if p.q.Acks == acksAll {
		if err := p.waitCommitted(); err != nil {
			return err
		}
	}
	for i := range p.parts {
		part := &p.parts[i]
		if part.pending != nil {
			part.appended, part.err = part.pending.Result()
		}
		if errors.Is(part.err, replication.ErrStopped) {
			return part.err
		}
	}
	return nil
}

// waitStored waits until this broker has written all of it.
func (p *producing) waitStored() error {
	b := p.r.broker
	var hang *time.Timer
	for i := range p.parts {
		w := p.parts[i].pending
		if w == nil {
			continue
		}
		select {
		case <-w.Stored():
			continue
		default:
		}
		if hang == nil {
			hang = time.NewTimer(b.config.Timing.HungDisk)
			defer hang.Stop()
		}
		for stored := false; !stored; {
			select {
			case <-w.Stored():
				stored = true
			case <-hang.C:
				if !b.pauses.gate.closed.Load() {
					b.diskHangs(w.Stored())
				} else if b.pauses.gate.pass(b.ctx) == nil {
					hang.Reset(b.config.Timing.HungDisk) // a pause is no hung disk
				}
			case <-b.ctx.Done():
				return replication.ErrStopped
			}
		}
	}
	return nil
}

// waitCommitted waits until all partitions are settled, or the time is over: a
// fast partition waits for a slow one.
func (p *producing) waitCommitted() error {
	var timer *time.Timer
	for i := range p.parts {
		w := p.parts[i].pending
		if w == nil {
			continue
		}
		select {
		case <-w.Committed():
			continue
		default:
		}
		if timer == nil {
			timer = time.NewTimer(time.Duration(max(p.q.TimeoutMillis, 0)) * time.Millisecond)
			defer timer.Stop()
		}
		select {
		case <-w.Committed():
		case <-timer.C:
			return nil
		case <-p.r.broker.ctx.Done():
			return replication.ErrStopped
		}
	}
	return nil
}

func (p *producing) firstError() (err error) {
	for i := range p.parts {
		if part := &p.parts[i]; part.err != nil && !part.superseded {
			return part.err
		}
	}
	return nil
}
