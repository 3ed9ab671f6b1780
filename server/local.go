package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/replication"
)

// ErrNoMetadata is a broker that has not heard of a controller since its start.
var ErrNoMetadata = errors.New("server: the broker has no metadata yet")

// Produce appends a batch to a partition of this broker as a client's Produce
// request does, with the same checks, but without a connection. It waits as acks
// (1 or -1) asks, until ctx's deadline at most; before, it waits until the broker has
// metadata, without which it would not accept connections. It returns the batch's
// base offset, -1 when it was not stored; errors are kerr's, or wrap ErrStopped of
// replication when the broker has ended, or ErrNoMetadata.
func (b *Broker) Produce(ctx context.Context, topic string, partition int32, acks int16, batch []byte) (int64, error) {
	select {
	case <-b.imaged:
	case <-b.ctx.Done():
		return -1, replication.ErrStopped
	case <-ctx.Done():
		return -1, ErrNoMetadata
	}
	if err := b.pauses.gate.pass(ctx); err != nil {
		return -1, err
	}
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 11, acks, math.MaxInt32
	if deadline, ok := ctx.Deadline(); ok {
		q.TimeoutMillis = int32(min(time.Until(deadline).Milliseconds(), math.MaxInt32))
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	answer, err := produce(&request{ctx: ctx, broker: b.broker, key: kmsg.Produce, version: q.Version, body: q}, q)
	if err != nil {
		return -1, err
	}
	got := answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		if got.ErrorMessage != nil {
			return got.BaseOffset, fmt.Errorf("%w: %s", err, *got.ErrorMessage)
		}
		return got.BaseOffset, err
	}
	return got.BaseOffset, nil
}

// Ask answers a request as the broker answers a client's, without a connection and
// without the faults that are staged for clients. The request's version has to be
// set, and one that ApiVersions offers. A broker that has no metadata yet answers
// ErrNoMetadata.
func (b *Broker) Ask(ctx context.Context, q kmsg.Request) (kmsg.Response, error) {
	if b.image() == nil {
		return nil, ErrNoMetadata
	}
	a := b.find(q.Key())
	if a == nil || q.GetVersion() < a.served || q.GetVersion() > a.max {
		return nil, kerr.UnsupportedVersion
	}
	return a.handle(&request{ctx: ctx, broker: b.broker, key: a.key, version: q.GetVersion(), host: "localhost", body: q})
}
