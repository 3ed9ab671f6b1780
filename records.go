package minikafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// Record is one record of a partition.
type Record struct {
	// Offset is set when a record is read.
	Offset int64
	// Timestamp has a resolution of a millisecond; when zero, Produce sets the
	// current time.
	Timestamp time.Time
	// Key and Value are nil when the record has none.
	Key, Value []byte
	Headers    []Header
}

// Header is a header of a [Record].
type Header struct {
	Key   string
	Value []byte
}

// Values makes records without keys out of strings, for [Cluster.Produce].
func Values(values ...string) []Record {
	records := make([]Record, len(values))
	for i, v := range values {
		records[i].Value = []byte(v)
	}
	return records
}

// Produce writes records as one batch with acks=all, without a client, and
// returns the offset of the first. It waits for a leader. The test fails when
// the records were not acknowledged, and at once when there is no such topic.
func (c *Cluster) Produce(topic string, partition int32, records ...Record) int64 {
	c.tb.Helper()
	c.check(c.cluster.missing(topic, partition))
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	for {
		base, err := c.WaitLeader(topic, partition).produce(ctx, topic, partition, acksAll, records)
		// A leader that was replaced in between has written nothing then.
		if base >= 0 || !errors.Is(err, kerr.NotLeaderForPartition) {
			c.check(err)
			return base
		}
	}
}

// Produce writes records as one batch with acks=1 on this broker, whoever the
// controller says leads by now: the way to reach a leader that has been cut off
// and does not know yet. It returns the offset of the first, and an error when
// the broker did not take them; for what Kafka has an error code for it wraps
// that of franz-go's kerr.
func (b *Broker) Produce(topic string, partition int32, records ...Record) (int64, error) {
	b.cluster.tb.Helper()
	ctx, cancel := b.cluster.cluster.deadline()
	defer cancel()
	return b.produce(ctx, topic, partition, acksLeader, records)
}

// What a producer waits for.
const (
	acksLeader = 1
	acksAll    = -1
)

// produce has the broker append records as one batch; -1 tells that it has not.
func (b *Broker) produce(ctx context.Context, topic string, partition int32, acks int16, records []Record) (int64, error) {
	base, err := b.place.produce(ctx, topic, partition, acks, records)
	if err != nil {
		return base, fmt.Errorf("minikafka: produce to %s/%d on %v: %w", topic, partition, b, err)
	}
	return base, nil
}

func (n *brokerNode) produce(ctx context.Context, topic string, partition int32, acks int16, records []Record) (int64, error) {
	life := n.running()
	switch {
	case n.cluster.isClosed():
		return -1, ErrClosed
	case life == nil:
		return -1, ErrNotRunning
	case n.isPaused():
		return -1, fmt.Errorf("%w: Resume it", ErrPaused)
	}
	if len(records) == 0 {
		return -1, fmt.Errorf("%w: no records", ErrArgument)
	}
	batch, err := log.BuildBatch(toLog(records), log.BatchOptions{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1})
	if err != nil {
		return -1, err
	}
	return life.Produce(ctx, topic, partition, acks, batch)
}

// Records are the records of a partition that a consumer can read: from the
// log start to the high watermark of its leader, which is waited for. The test
// fails at once when there is no such topic.
func (c *Cluster) Records(topic string, partition int32) []Record {
	c.tb.Helper()
	c.check(c.cluster.missing(topic, partition))
	r, err := c.WaitLeader(topic, partition).replica(topic, partition)
	c.check(err)
	records, err := readLog(r, r.State().HighWatermark)
	c.check(err)
	return records
}

// Records are the records in this broker's replica of a partition, up to its
// log end: those too that are not replicated yet, and that a consumer never
// sees.
func (b *Broker) Records(topic string, partition int32) []Record {
	b.cluster.tb.Helper()
	r, err := b.replica(topic, partition)
	b.cluster.check(err)
	records, err := readLog(r, r.State().LogEndOffset)
	b.cluster.check(err)
	return records
}

func (b *Broker) replica(topic string, partition int32) (*replication.Replica, error) {
	id, err := b.cluster.cluster.partitionID(topic, partition)
	if err != nil {
		return nil, err
	}
	if b.place.running() == nil {
		return nil, fmt.Errorf("%w: %v", ErrNotRunning, b)
	}
	if r := b.place.replica(id); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s/%d on %v", ErrUnknownTopic, topic, partition, b)
}

// readAtOnce is how many bytes of batches are read at a time.
const readAtOnce = 1 << 20

// readLog reads a replica's records from its log start up to an offset.
func readLog(r *replication.Replica, limit int64) ([]Record, error) {
	start := r.State().LogStartOffset
	var out []Record
	for next := start; next < limit; {
		raw, err := r.Log().Read(next, limit, readAtOnce, true)
		if err != nil {
			return nil, fmt.Errorf("minikafka: read %s/%d: %w", r.Topic(), r.ID().Partition, err)
		}
		if len(raw) == 0 {
			return out, nil
		}
		for len(raw) > 0 {
			var batch log.Batch
			if batch, raw, err = log.ParseBatch(raw); err != nil {
				return nil, fmt.Errorf("minikafka: read %s/%d: %w", r.Topic(), r.ID().Partition, err)
			}
			next = batch.BaseOffset + int64(batch.LastOffset) + 1
			if batch.Control() {
				continue
			}
			records, err := log.Records(batch, 0)
			if err != nil {
				return nil, fmt.Errorf("minikafka: read %s/%d: %w", r.Topic(), r.ID().Partition, err)
			}
			out = appendRecords(out, records, start)
		}
	}
	return out, nil
}

// appendRecords converts records; those below the log start share a batch with
// it, and are gone for a consumer.
func appendRecords(out []Record, records []log.Record, start int64) []Record {
	for _, r := range records {
		if r.Offset < start {
			continue
		}
		rec := Record{Offset: r.Offset, Timestamp: time.UnixMilli(r.Timestamp), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, Header{h.Key, h.Value})
		}
		out = append(out, rec)
	}
	return out
}

func toLog(records []Record) []log.Record {
	out := make([]log.Record, len(records))
	now := time.Now()
	for i, r := range records {
		when := r.Timestamp
		if when.IsZero() {
			when = now
		}
		out[i] = log.Record{Offset: int64(i), Timestamp: when.UnixMilli(), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, log.Header{Key: h.Key, Value: h.Value})
		}
	}
	return out
}
