package server

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/transactions"
)

// Between tries to write markers: Kafka tries again at once, and turns round in
// circles while a partition has too few replicas in sync.
const (
	retryMarkerAfter   = 10 * time.Millisecond
	retryMarkerAtLeast = time.Second
)

// finishTransaction writes the markers of a decided transaction, and completes it
// when all partitions have theirs (TransactionMarkerChannelManager). It gives up when
// ctx ends: the next coordinator begins anew.
func (b *broker) finishTransaction(ctx context.Context, partition int32, d transactions.Decision) {
	if !b.writeMarkers(ctx, partition, d) {
		return
	}
	for pause := retryMarkerAfter; ; pause = min(2*pause, retryMarkerAtLeast) {
		err := b.transactions.Write(ctx, partition, func(s *transactions.Shard) (coordinator.Outcome, error) { return s.Complete(d) })
		switch {
		case err == nil, errors.Is(err, kerr.NotCoordinator), errors.Is(err, kerr.CoordinatorLoadInProgress), ctx.Err() != nil:
			return
		}
		b.logger.Warn("a transaction cannot be completed", "transactionalID", d.ID, "error", err)
		if !wait(ctx, pause) {
			return
		}
	}
}

// writeMarkers returns true when every partition has its marker, or is gone. It
// returns false once nothing is left to be tried: where a marker can never be
// written, the transaction stays as it is until another coordinator loads it.
func (b *broker) writeMarkers(ctx context.Context, partition int32, d transactions.Decision) bool {
	left, refused := d.Partitions, false
	for pause := retryMarkerAfter; ; pause = min(2*pause, retryMarkerAtLeast) {
		if b.pauses.gate.pass(ctx) != nil {
			return false
		}
		change := b.changed()
		m := b.image()
		epoch, leads := b.coordinatorEpoch(m, partition)
		if !leads {
			return false
		}
		byLeader, leaderless := markerTargets(m, left)
		r := b.sendMarkers(ctx, d, epoch, byLeader)
		if r.fenced {
			b.logger.Info("a transaction's markers are left to a newer coordinator or producer", "transactionalID", d.ID)
			return false
		}
		for _, p := range r.refused {
			refused = true
			b.logger.Error("a partition refuses the end of a transaction, which this coordinator gives up",
				"transactionalID", d.ID, "topic", p.Topic, "partition", p.Partition)
		}
		left = append(leaderless, r.failed...)
		if len(left) == 0 {
			return !refused
		}
		if !waitForChange(ctx, change, pause, len(r.failed) > 0) {
			return false
		}
	}
}

// waitForChange returns at the next metadata, and after d where that is another
// reason; false when ctx ends.
func waitForChange(ctx context.Context, change <-chan struct{}, d time.Duration, timed bool) bool {
	var after <-chan time.Time
	if timed {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-change:
	case <-after:
	case <-ctx.Done():
		return false
	}
	return true
}

// coordinatorEpoch is the leader epoch of a partition of __transaction_state that
// this broker leads.
func (b *broker) coordinatorEpoch(m *election.Image, partition int32) (epoch int32, leads bool) {
	t := m.Topics[transactionState]
	if t == nil || int(partition) >= len(t.Partitions) || t.Partitions[partition].Leader != b.config.ID {
		return -1, false
	}
	return t.Partitions[partition].LeaderEpoch, true
}

// markerTargets sorts partitions by who leads them. Those of deleted topics need no
// marker any more; those without a leader have to wait.
func markerTargets(m *election.Image, list []transactions.Partition) (byLeader map[int32][]transactions.Partition, leaderless []transactions.Partition) {
	byLeader = map[int32][]transactions.Partition{}
	for _, p := range list {
		if !exists(m, p.Topic, p.Partition) {
			continue
		}
		leader := m.Topics[p.Topic].Partitions[p.Partition].Leader
		if leader < 0 || !m.Brokers[leader].Alive() {
			leaderless = append(leaderless, p)
			continue
		}
		byLeader[leader] = append(byLeader[leader], p)
	}
	return byLeader, leaderless
}

// markersSent is what came of markers that were sent.
type markersSent struct {
	failed  []transactions.Partition // to be tried again
	refused []transactions.Partition // which will never have theirs
	fenced  bool                     // somebody newer has taken over
}

// note takes up what a partition's leader has answered
// (TransactionMarkerRequestCompletionHandler.onComplete).
func (s *markersSent) note(code int16, p transactions.Partition) {
	switch code {
	case 0, kerr.UnsupportedForMessageFormat.Code, kerr.UnsupportedVersion.Code: // where no transaction can have been
	case kerr.InvalidProducerEpoch.Code, kerr.TransactionCoordinatorFenced.Code:
		s.fenced = true
	case kerr.UnknownTopicOrPartition.Code, kerr.NotLeaderForPartition.Code, kerr.NotEnoughReplicas.Code,
		kerr.NotEnoughReplicasAfterAppend.Code, kerr.RequestTimedOut.Code, kerr.KafkaStorageError.Code:
		s.failed = append(s.failed, p)
	default: // CORRUPT_MESSAGE, MESSAGE_TOO_LARGE and the like: an IllegalStateException in Kafka
		s.refused = append(s.refused, p)
	}
}

// sendMarkers sends each leader its markers.
func (b *broker) sendMarkers(
	ctx context.Context, d transactions.Decision, epoch int32, byLeader map[int32][]transactions.Partition,
) (all markersSent) {
	results := make(chan markersSent, len(byLeader))
	for to, list := range byLeader {
		b.spawn(func() { results <- b.sendMarkersTo(ctx, to, markersRequest(d, epoch, list), list) })
	}
	for range byLeader {
		r := <-results
		all.failed, all.refused = append(all.failed, r.failed...), append(all.refused, r.refused...)
		all.fenced = all.fenced || r.fenced
	}
	return all
}

func markersRequest(d transactions.Decision, epoch int32, list []transactions.Partition) *kmsg.WriteTxnMarkersRequest {
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	q.Version = 2
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.Committed = d.ProducerID, d.Epoch, d.Commit
	m.CoordinatorEpoch, m.TransactionVersion = epoch, int8(d.Version)
	for _, p := range list {
		if n := len(m.Topics); n == 0 || m.Topics[n-1].Topic != p.Topic {
			t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			t.Topic = p.Topic
			m.Topics = append(m.Topics, t)
		}
		last := &m.Topics[len(m.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	q.Markers = append(q.Markers, m)
	return q
}

// sendMarkersTo sends one leader its markers. The list is in the request's order.
func (b *broker) sendMarkersTo(
	ctx context.Context, to int32, q *kmsg.WriteTxnMarkersRequest, list []transactions.Partition,
) (sent markersSent) {
	ctx, cancel := context.WithTimeout(ctx, markerWithin)
	defer cancel()
	answer, err := b.askWhile(ctx, to, q, func(m *election.Image) bool {
		for _, p := range list {
			if !exists(m, p.Topic, p.Partition) || m.Topics[p.Topic].Partitions[p.Partition].Leader != to {
				return false
			}
		}
		return true
	})
	if err != nil {
		return markersSent{failed: list}
	}
	i := 0
	for _, m := range answer.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				sent.note(p.ErrorCode, list[i])
				i++
			}
		}
	}
	return sent
}
