package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// WriteTxnMarkers (27), versions 1-2: the coordinator of a transaction has its end
// written to the partitions that this broker leads. So does an administrator who
// aborts a hanging transaction. Partitions of __consumer_offsets go through the
// coordinator of their groups. The answer waits until all markers are replicated.

// markerWithin bounds how long a marker may take to be replicated
// (request.timeout.ms).
const markerWithin = 30 * time.Second

func writeTxnMarkers(r *request, q *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	ctx, cancel := context.WithTimeout(r.ctx, markerWithin)
	defer cancel()
	var all sync.WaitGroup
	var stopped atomic.Bool
	for i := range q.Markers {
		m := &q.Markers[i]
		a := kmsg.NewWriteTxnMarkersResponseMarker()
		a.ProducerID = m.ProducerID
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			topic.Partitions = make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(t.Partitions))
			for j, n := range t.Partitions {
				out := &topic.Partitions[j]
				out.Partition = n
				all.Go(func() {
					err := r.broker.writeMarker(ctx, m, t.Topic, n)
					out.ErrorCode = errorCode(err)
					if errors.Is(err, replication.ErrStopped) {
						stopped.Store(true)
					}
				})
			}
			a.Topics = append(a.Topics, topic)
		}
		resp.Markers = append(resp.Markers, a)
	}
	all.Wait()
	if stopped.Load() {
		return nil, replication.ErrStopped
	}
	return resp, ended(r.ctx)
}

// writeMarker writes one marker (KafkaApis.handleWriteTxnMarkersRequest). One that is
// there already is answered once it is replicated.
func (b *broker) writeMarker(ctx context.Context, m *kmsg.WriteTxnMarkersRequestMarker, topic string, partition int32) error {
	t, replica, err := b.partition(b.image(), topic, partition)
	switch {
	case errors.Is(err, replication.ErrNotHosted):
		return kerr.UnknownTopicOrPartition // ReplicaManager.onlinePartition finds none
	case err != nil:
		return err
	}
	written := false
	if m.TransactionVersion >= 2 {
		if written, err = replica.MarkerWritten(m.ProducerID, m.ProducerEpoch); err != nil {
			return err
		}
	}
	if topic == consumerOffsets {
		return b.writeOffsetsMarker(ctx, m, partition, replica, written)
	}
	batch, err := markerBatch(m)
	if err != nil {
		return err
	}
	if written {
		return awaitCommitted(ctx, replica, replica.Log().LogEndOffset())
	}
	if err := replica.CheckAppend(acksAll); err != nil {
		return err
	}
	if limit := b.maxMessageBytes(t.ID); limit > 0 && len(batch.Raw) > limit {
		return log.ErrMessageTooLarge
	}
	pending, err := replica.Append(batch, acksAll)
	if err != nil {
		return err
	}
	select {
	case <-pending.Committed():
	case <-ctx.Done():
	}
	_, err = pending.Result()
	return err
}

// writeOffsetsMarker is writeMarker for a partition of __consumer_offsets.
func (b *broker) writeOffsetsMarker(
	ctx context.Context, m *kmsg.WriteTxnMarkersRequestMarker, partition int32, replica *replication.Replica, written bool,
) error {
	var err error
	if written {
		err = b.groups.Write(ctx, partition, func(*groups.Shard) (coordinator.Outcome, error) { return coordinator.Outcome{}, nil })
	} else {
		replica.Unverify(m.ProducerID)
		err = b.groups.EndTransaction(ctx, partition, m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Committed)
	}
	switch transactionCode(err) {
	case kerr.NotCoordinator.Code, kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code:
		return kerr.NotLeaderForPartition
	}
	return err
}

// awaitCommitted returns when the high watermark has reached the offset.
func awaitCommitted(ctx context.Context, r *replication.Replica, offset int64) error {
	moved := make(chan struct{}, 1)
	defer r.Watch(moved)()
	for {
		hw, leads := r.LeaderWatermark()
		switch {
		case !leads:
			return replication.ErrNotLeader
		case hw >= offset:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func markerBatch(m *kmsg.WriteTxnMarkersRequestMarker) (log.Batch, error) {
	record := log.MarkerRecord(m.CoordinatorEpoch, m.Committed)
	record.Timestamp = time.Now().UnixMilli()
	raw, err := log.BuildBatch([]log.Record{record}, log.BatchOptions{
		ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, BaseSequence: -1, Transactional: true, Control: true,
	})
	if err != nil {
		return log.Batch{}, err
	}
	batch, _, err := log.ParseBatch(raw)
	return batch, err
}
