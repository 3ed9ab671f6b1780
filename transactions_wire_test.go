package minikafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// A copier is a transactional producer that makes each request itself, with nothing
// between it and the brokers: what is asked again, and how often, is what this file
// says. Partition p of its input is the values p:0, p:1 and so on, and nobody reads
// them: only their offsets are committed. They go to partition p mod copies of the
// output, which several copiers share.
type copier struct {
	t    *testing.T
	c    *minikafka.Cluster
	ctx  context.Context
	name string // for the log
	id   string // transactional.id
	// version is 2 for a client that has an epoch for each transaction (KIP-890), 0
	// for an older one.
	version   int
	timeoutMs int32
	// partitions are what it copies.
	partitions []int32
	r          *rand.Rand

	wires       map[int32]*scenario.Wire // by broker
	meta        *kmsg.MetadataResponse
	coordinator map[int8]int32

	producerID int64
	epoch      int16
	next       map[int32]int32 // sequence, by partition
	at         map[int32]int64 // what is copied, by partition
	last       *kmsg.ProduceRequest
	lastTo     int32 // the input's partition of last

	begun time.Time
	trace []string // the newest of what it did
}

// traced is how many steps are told when something is wrong.
const traced = 60

func (p *copier) note(format string, args ...any) {
	step := fmt.Sprintf("%9v ", time.Since(p.begun).Round(time.Millisecond)) + fmt.Sprintf(format, args...)
	p.trace = append(p.trace[max(0, len(p.trace)+1-traced):], step)
}

const (
	copied = "out"
	copies = 2 // partitions of it
)

func newCopier(ctx context.Context, t *testing.T, c *minikafka.Cluster, id string, version int, seed uint64, partitions ...int32) *copier {
	return &copier{
		t: t, c: c, ctx: ctx, name: id, id: id, version: version, timeoutMs: 900_000, partitions: partitions,
		r:     rand.New(rand.NewPCG(seed, uint64(version))),
		wires: map[int32]*scenario.Wire{}, coordinator: map[int8]int32{}, producerID: -1, epoch: -1,
		next: map[int32]int32{}, at: map[int32]int64{}, begun: time.Now(),
	}
}

// zombie is the producer as it was, on connections of its own.
func (p *copier) zombie() *copier {
	z := newCopier(p.ctx, p.t, p.c, p.id, p.version, p.r.Uint64(), p.partitions...)
	z.name = p.name + " (zombie)"
	z.producerID, z.epoch = p.producerID, p.epoch
	for n, s := range p.next {
		z.next[n] = s
	}
	for n, a := range p.at {
		z.at[n] = a
	}
	return z
}

func (p *copier) close() {
	for id := range p.wires {
		p.hangUp(id)
	}
}

func (p *copier) hangUp(id int32) {
	if w := p.wires[id]; w != nil {
		_ = w.Close() // It is of no use any more.
		delete(p.wires, id)
	}
}

// backoff is how long it waits before something is asked again.
const backoff = 50 * time.Millisecond

func (p *copier) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

var errOver = errors.New("the test's time is over")

// ask sends a request to a broker; nil when there was no answer.
func (p *copier) ask(to int32, q kmsg.Request) kmsg.Response {
	w := p.wires[to]
	if w == nil {
		if int(to) >= len(p.c.Brokers()) || to < 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		defer cancel()
		var err error
		if w, err = scenario.DialWire(ctx, p.c.DialContext, p.c.Broker(to).Addr()); err != nil {
			return nil
		}
		p.wires[to] = w
	}
	p.note("asks broker %d for %s, epoch %d", to, kmsg.NameForKey(q.Key()), p.epoch)
	answer, err := w.Request(q)
	if err != nil {
		p.note("has no answer: %v", err)
		p.hangUp(to)
		return nil
	}
	return answer
}

func (p *copier) any(q kmsg.Request) kmsg.Response {
	return p.ask(int32(p.r.IntN(len(p.c.Brokers()))), q)
}

// leader is the broker that leads the partition of the output where one of the input goes.
func (p *copier) leader(partition int32) int32 {
	if p.meta == nil {
		q := kmsg.NewPtrMetadataRequest()
		q.SetVersion(12)
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(copied)
		q.Topics = append(q.Topics, topic)
		p.meta, _ = p.any(q).(*kmsg.MetadataResponse)
	}
	if p.meta != nil && len(p.meta.Topics) == 1 {
		for _, of := range p.meta.Topics[0].Partitions {
			if of.Partition == partition%copies {
				return of.Leader
			}
		}
	}
	return -1
}

// The kinds of coordinators.
const (
	ofGroup       int8 = 0
	ofTransaction int8 = 1
)

func (p *copier) find(kind int8) int32 {
	if id, known := p.coordinator[kind]; known {
		return id
	}
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.SetVersion(4)
	q.CoordinatorType, q.CoordinatorKeys = kind, []string{map[int8]string{ofGroup: "copiers", ofTransaction: p.id}[kind]}
	a, _ := p.any(q).(*kmsg.FindCoordinatorResponse)
	if a == nil || a.Coordinators[0].ErrorCode != 0 {
		return -1
	}
	p.coordinator[kind] = a.Coordinators[0].NodeID
	return a.Coordinators[0].NodeID
}

// retriable tells what is to be asked again.
func retriable(code int16) bool {
	switch err := kerr.ErrorForCode(code); {
	case errors.Is(err, kerr.CoordinatorLoadInProgress), errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.NotCoordinator),
		errors.Is(err, kerr.ConcurrentTransactions), errors.Is(err, kerr.UnstableOffsetCommit), errors.Is(err, kerr.RequestTimedOut),
		errors.Is(err, kerr.NotLeaderForPartition), errors.Is(err, kerr.LeaderNotAvailable), errors.Is(err, kerr.UnknownTopicOrPartition),
		errors.Is(err, kerr.NotEnoughReplicas), errors.Is(err, kerr.NotEnoughReplicasAfterAppend), errors.Is(err, kerr.NetworkException),
		errors.Is(err, kerr.KafkaStorageError):
		return true
	}
	return false
}

// atCoordinator asks a coordinator until there is an answer that stays.
func (p *copier) atCoordinator(kind int8, q kmsg.Request, code func(kmsg.Response) int16) (kmsg.Response, error) {
	var why int16
	for p.ctx.Err() == nil {
		to := p.find(kind)
		if to < 0 {
			p.wait(backoff)
			continue
		}
		if a := p.ask(to, q); a != nil {
			why = code(a)
			p.note("is answered %v", kerr.ErrorForCode(why))
			if !retriable(why) {
				return a, kerr.ErrorForCode(why)
			}
		}
		if why != kerr.ConcurrentTransactions.Code && why != kerr.UnstableOffsetCommit.Code {
			delete(p.coordinator, kind)
		}
		p.wait(backoff)
	}
	return nil, fmt.Errorf("%s: %s: %w, after %w", p.name, kmsg.NameForKey(q.Key()), errOver, kerr.ErrorForCode(why))
}

// init makes it the producer of its transactional id.
func (p *copier) init() error {
	q := kmsg.NewPtrInitProducerIDRequest()
	q.SetVersion(4)
	q.TransactionalID, q.TransactionTimeoutMillis = &p.id, p.timeoutMs
	q.ProducerID, q.ProducerEpoch = -1, -1
	a, err := p.atCoordinator(ofTransaction, q, func(a kmsg.Response) int16 { return a.(*kmsg.InitProducerIDResponse).ErrorCode })
	if err != nil {
		return fmt.Errorf("%s: InitProducerId: %w", p.name, err)
	}
	got := a.(*kmsg.InitProducerIDResponse)
	p.producerID, p.epoch = got.ProducerID, got.ProducerEpoch
	clear(p.next)
	return nil
}

// committed are the offsets of the group, once none of them is in a transaction.
func (p *copier) committed() (map[int32]int64, error) {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.SetVersion(8)
	q.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "copiers"
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic = "in"
	topic.Partitions = p.partitions
	g.Topics = append(g.Topics, topic)
	q.Groups = append(q.Groups, g)
	a, err := p.atCoordinator(ofGroup, q, func(a kmsg.Response) int16 {
		of := a.(*kmsg.OffsetFetchResponse).Groups[0]
		code := of.ErrorCode
		for _, t := range of.Topics {
			for _, part := range t.Partitions {
				code = max(code, part.ErrorCode)
			}
		}
		return code
	})
	if err != nil {
		return nil, fmt.Errorf("%s: OffsetFetch: %w", p.name, err)
	}
	offsets := map[int32]int64{}
	for _, part := range a.(*kmsg.OffsetFetchResponse).Groups[0].Topics[0].Partitions {
		offsets[part.Partition] = max(part.Offset, 0)
	}
	return offsets, nil
}

// addPartition is what older clients do before they write to a partition.
func (p *copier) addPartition(partition int32) error {
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.SetVersion(3)
	q.TransactionalID, q.ProducerID, q.ProducerEpoch = p.id, p.producerID, p.epoch
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = copied, []int32{partition % copies}
	q.Topics = append(q.Topics, topic)
	_, err := p.atCoordinator(ofTransaction, q, func(a kmsg.Response) int16 {
		return a.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
	})
	return wrap(p.name+": AddPartitionsToTxn", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// produce writes values to a partition, in the transaction.
func (p *copier) produce(partition int32, values ...string) error {
	if p.version < 2 {
		if err := p.addPartition(partition); err != nil {
			return err
		}
	}
	batch := scenario.NewBatch(values...).From(p.producerID, p.epoch, p.next[partition]).InTransaction()
	q := kmsg.NewPtrProduceRequest()
	q.SetVersion(11)
	if p.version >= 2 {
		q.SetVersion(12)
	}
	q.TransactionID, q.Acks, q.TimeoutMillis = &p.id, -1, 10_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = copied
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition%copies, batch.Bytes()
	topic.Partitions = append(topic.Partitions, part)
	q.Topics = append(q.Topics, topic)
	p.last, p.lastTo = q, partition
	err := p.sendProduce(partition, q)
	if err == nil {
		p.next[partition] += int32(len(values))
	}
	return err
}

func (p *copier) sendProduce(partition int32, q *kmsg.ProduceRequest) error {
	var why int16
	for p.ctx.Err() == nil {
		if to := p.leader(partition); to >= 0 {
			if a, _ := p.ask(to, q).(*kmsg.ProduceResponse); a != nil {
				why = a.Topics[0].Partitions[0].ErrorCode
				p.note("is answered for partition %d, sequence %d: %v", partition, p.next[partition], kerr.ErrorForCode(why))
				if !retriable(why) {
					return wrap(fmt.Sprintf("%s: Produce to %d at sequence %d of epoch %d", p.name, partition, p.next[partition], p.epoch), kerr.ErrorForCode(why))
				}
			}
		}
		p.meta = nil
		p.wait(backoff)
	}
	return fmt.Errorf("%s: Produce to %d: %w, after %w", p.name, partition, errOver, kerr.ErrorForCode(why))
}

// addOffsets is what older clients do before they commit offsets.
func (p *copier) addOffsets() error {
	q := kmsg.NewPtrAddOffsetsToTxnRequest()
	q.SetVersion(3)
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group = p.id, p.producerID, p.epoch, "copiers"
	_, err := p.atCoordinator(ofTransaction, q, func(a kmsg.Response) int16 { return a.(*kmsg.AddOffsetsToTxnResponse).ErrorCode })
	return wrap(p.name+": AddOffsetsToTxn", err)
}

// commitOffsets has offsets go with the transaction.
func (p *copier) commitOffsets(offsets map[int32]int64) error {
	if p.version < 2 {
		if err := p.addOffsets(); err != nil {
			return err
		}
	}
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.SetVersion(3)
	if p.version >= 2 {
		q.SetVersion(5)
	}
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group, q.Generation = p.id, p.producerID, p.epoch, "copiers", -1
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = "in"
	for n, at := range offsets {
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.LeaderEpoch = n, at, -1
		topic.Partitions = append(topic.Partitions, part)
	}
	q.Topics = append(q.Topics, topic)
	_, err := p.atCoordinator(ofGroup, q, func(a kmsg.Response) int16 {
		return a.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
	})
	return wrap(p.name+": TxnOffsetCommit", err)
}

// end commits or aborts.
func (p *copier) end(commit bool) error {
	q := kmsg.NewPtrEndTxnRequest()
	q.SetVersion(4)
	if p.version >= 2 {
		q.SetVersion(5)
	}
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = p.id, p.producerID, p.epoch, commit
	a, err := p.atCoordinator(ofTransaction, q, func(a kmsg.Response) int16 { return a.(*kmsg.EndTxnResponse).ErrorCode })
	if err != nil {
		return fmt.Errorf("%s: EndTxn, commit %v: %w", p.name, commit, err)
	}
	if p.version >= 2 {
		got := a.(*kmsg.EndTxnResponse)
		if got.ProducerID == p.producerID && got.ProducerEpoch != p.epoch+1 {
			return fmt.Errorf("%s: EndTxn gave epoch %d after %d", p.name, got.ProducerEpoch, p.epoch) //nolint:err113 // It fails the test.
		}
		p.producerID, p.epoch = got.ProducerID, got.ProducerEpoch
		clear(p.next)
	}
	return nil
}

// originals are the values of a partition of the input, from one offset to another.
func originals(partition int32, from, to int64) []string {
	var out []string
	for ; from < to; from++ {
		out = append(out, fmt.Sprintf("%d:%d", partition, from))
	}
	return out
}

// fill writes the next records of some partitions, each in two batches, and tells the
// offsets to go on from.
func (p *copier) fill() (map[int32]int64, error) {
	offsets := map[int32]int64{}
	for _, n := range p.partitions {
		from := p.at[n]
		to := from + 1 + p.r.Int64N(8)
		if p.r.IntN(3) == 0 {
			continue
		}
		mid := from + p.r.Int64N(to-from)
		for _, part := range [][]string{originals(n, from, mid), originals(n, mid, to)} {
			if len(part) == 0 {
				continue
			}
			if err := p.produce(n, part...); err != nil {
				return nil, err
			}
		}
		offsets[n] = to
	}
	return offsets, nil
}

// begin makes it the only producer of its id, who goes on from what is committed.
func (p *copier) begin() error {
	err := p.init()
	if err != nil {
		return err
	}
	p.at, err = p.committed()
	return err
}

// transaction copies some records, with their offsets, or aborts that.
func (p *copier) transaction() error {
	offsets, err := p.fill()
	if err != nil || len(offsets) == 0 {
		return err
	}
	if err := p.commitOffsets(offsets); err != nil {
		return err
	}
	commit := p.r.IntN(5) > 0
	if err := p.end(commit); err != nil {
		return err
	}
	if commit {
		for n, at := range offsets {
			p.at[n] = at
		}
	}
	if p.version >= 2 && p.r.IntN(4) == 0 {
		// What the network had kept. From an older client, whose epoch has not changed, it
		// would leave a trace on a partition that it does not change, in Kafka, too: the
		// lowest sequence seen (VerificationStateEntry), above which nothing is taken.
		p.ask(p.leader(p.lastTo), p.last)
	}
	at, err := p.committed()
	for n, want := range p.at {
		if at != nil && at[n] != want {
			p.t.Errorf("%s: %d is committed of partition %d, want %d", p.name, at[n], n, want)
		}
	}
	return err
}

// haunt is what a producer does that does not know of its successor.
func (p *copier) haunt() {
	fenced := func(what string, err error) {
		if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
			p.t.Errorf("a zombie was to %s, with the result: %v", what, err)
		}
	}
	n := p.partitions[0]
	fenced("produce", p.produce(n, "a zombie's"))
	fenced("commit offsets", p.commitOffsets(map[int32]int64{n: 1_000_000}))
	fenced("commit", p.end(true))
}
