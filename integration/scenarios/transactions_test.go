package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// kafka-go has no transactional producer.

// original is a record to be copied.
type original struct {
	partition int32
	offset    int64
	value     string
}

// originals are those that are to be copied yet, in the order of their partitions, from
// what the group has committed.
type originals struct {
	c     *minikafka.Cluster
	left  []original
	taken int
}

func (o *originals) restart() {
	o.left, o.taken = nil, 0
	g := o.c.Group(scenario.CopyGroup)
	for p := range int32(scenario.CopyPartitions) {
		for i, r := range o.c.Records(scenario.CopyFrom, p) {
			if int64(i) >= g.Offset(scenario.CopyFrom, p) {
				o.left = append(o.left, original{p, r.Offset, string(r.Value)})
			}
		}
	}
	slices.SortFunc(o.left, func(a, b original) int { return int(a.offset - b.offset) })
}

func (o *originals) take(n int) []original {
	o.taken = min(n, len(o.left))
	return o.left[:o.taken]
}

func (o *originals) committed() { o.left, o.taken = o.left[o.taken:], 0 }

// nextOffsets are what comes with the records.
func nextOffsets(records []original) map[int32]int64 {
	next := map[int32]int64{}
	for _, r := range records {
		next[r.partition] = r.offset + 1
	}
	return next
}

// fenced says so of errors that mean it.
func fenced(err error) error {
	for _, e := range []error{sarama.ErrProducerFenced, sarama.ErrInvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidProducerEpoch} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", scenario.ErrFenced, err)
		}
	}
	return err
}

// within bounds what a client may take for one call.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// transactor is what clients offer.
type transactor interface {
	begin() error
	// write returns when the records are stored.
	write(records []original) error
	offsets(next map[int32]int64) error
	end(commit bool) error
}

// goCopier is a scenario.Copier of a transactor.
type goCopier struct {
	originals
	transactor
	start func() transactor
}

func newGoCopier(c *minikafka.Cluster, start func() transactor) *goCopier {
	p := &goCopier{originals{c: c}, start(), start}
	p.restart() // When others are fenced.
	return p
}

// done goes on with another producer when a transaction has failed: whether it was
// committed is not known.
func (p *goCopier) done(err error) error {
	err = fenced(err)
	if err != nil && !errors.Is(err, scenario.ErrFenced) {
		p.transactor = p.start()
		p.restart()
	}
	return err
}

func (p *goCopier) open(n int) error {
	if err := p.begin(); err != nil {
		return err
	}
	records := p.take(n)
	if err := p.write(records); err != nil || len(records) == 0 {
		return err
	}
	return p.offsets(nextOffsets(records))
}

func (p *goCopier) commit() error {
	err := p.end(true)
	if err == nil {
		p.committed()
	}
	return err
}

// Open is scenario.Copier's.
func (p *goCopier) Open(n int) error { return p.done(p.open(n)) }

// End is scenario.Copier's.
func (p *goCopier) End() error { return p.done(p.commit()) }

// Copy is scenario.Copier's.
func (p *goCopier) Copy(n int, commit bool) error {
	err := p.open(n)
	switch {
	case err != nil:
	case commit:
		err = p.commit()
	default:
		err = p.end(false)
	}
	return p.done(err)
}

// saramaTransactor is sarama's.
type saramaTransactor struct{ sarama.SyncProducer }

func newSaramaTransactor(t *testing.T, c *minikafka.Cluster) transactor {
	t.Helper()
	cfg := saramaConfig(c.DialContext)
	cfg.Producer.Idempotent, cfg.Producer.RequiredAcks, cfg.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	cfg.Producer.Return.Successes = true
	cfg.Producer.Retry.Max, cfg.Producer.Retry.Backoff = tries, backoff
	cfg.Producer.Transaction.ID = scenario.CopyID
	cfg.Producer.Transaction.Retry.Max, cfg.Producer.Transaction.Retry.Backoff = tries, backoff
	p, err := sarama.NewSyncProducer(c.Addrs(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // One of the two is fenced.
	return saramaTransactor{p}
}

func (p saramaTransactor) begin() error { return p.BeginTxn() }

func (p saramaTransactor) write(records []original) error {
	var messages []*sarama.ProducerMessage
	for _, r := range records {
		messages = append(messages, &sarama.ProducerMessage{Topic: scenario.CopyTo, Partition: r.partition, Value: sarama.StringEncoder(r.value)})
	}
	return p.SendMessages(messages)
}

func (p saramaTransactor) offsets(next map[int32]int64) error {
	all := map[string][]*sarama.PartitionOffsetMetadata{}
	for partition, offset := range next {
		all[scenario.CopyFrom] = append(all[scenario.CopyFrom], &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset})
	}
	return p.AddOffsetsToTxn(all, scenario.CopyGroup)
}

func (p saramaTransactor) end(commit bool) error {
	if commit {
		return p.CommitTxn()
	}
	return p.AbortTxn()
}

// franzTransactor is franz-go's producer. Offsets it commits in a transaction only for members of a group, which
// TestExactlyOnceThroughCrashes is about: here their request is written out.
type franzTransactor struct {
	*kgo.Client
	t *testing.T
}

func newFranzTransactor(t *testing.T, c *minikafka.Cluster) transactor {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext), kgo.TransactionalID(scenario.CopyID),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(backoff),
		kgo.MaxVersions(kversion.V4_0_0()), // offsets by the names of topics
		kgo.RetryBackoffFn(func(int) time.Duration { return backoff }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if _, _, err := cl.ProducerID(within(t)); err != nil {
		t.Fatal(err)
	}
	return franzTransactor{cl, t}
}

func (p franzTransactor) begin() error { return p.BeginTransaction() }

func (p franzTransactor) write(records []original) error {
	var all []*kgo.Record
	for _, r := range records {
		all = append(all, &kgo.Record{Topic: scenario.CopyTo, Partition: r.partition, Value: []byte(r.value)})
	}
	return p.ProduceSync(within(p.t), all...).FirstErr()
}

func (p franzTransactor) offsets(next map[int32]int64) error {
	ctx := within(p.t)
	id, epoch, err := p.ProducerID(ctx)
	if err != nil {
		return err
	}
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.TransactionalID, q.Group, q.ProducerID, q.ProducerEpoch, q.Generation = scenario.CopyID, scenario.CopyGroup, id, epoch, -1
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = scenario.CopyFrom
	for partition, offset := range next {
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.LeaderEpoch = partition, offset, -1
		topic.Partitions = append(topic.Partitions, part)
	}
	q.Topics = append(q.Topics, topic)
	for {
		resp, err := q.RequestWith(ctx, p.Client)
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
		if !kerr.IsRetriable(err) {
			return err
		}
	}
}

func (p franzTransactor) end(commit bool) error {
	return p.EndTransaction(within(p.t), kgo.TransactionEndTry(commit))
}

// copies has a client copy with transactions through crashes.
func copies(t *testing.T, start func(*testing.T, *minikafka.Cluster) transactor) {
	t.Parallel()
	c := scenario.Copies(t, scenario.CopyOptions{}, func(c *minikafka.Cluster) scenario.Copier {
		return newGoCopier(c, func() transactor { return start(t, c) })
	})
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ConsumeTopics(scenario.CopyTo),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	read := map[int32][]string{}
	for ends := 0; ends < scenario.CopyPartitions; {
		fetches := cl.PollFetches(within(t))
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %v: %v", read, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read[r.Partition] = append(read[r.Partition], string(r.Value))
			if string(r.Value) == scenario.CopyEnd {
				ends++
			}
		})
	}
	scenario.CheckCopies(t, "franz-go", read)
}

func TestSaramaTransactions(t *testing.T) { copies(t, newSaramaTransactor) }

func TestFranzTransactions(t *testing.T) { copies(t, newFranzTransactor) }
