package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// TxnOffsetCommit (28), versions 0-6: offsets that count once a transaction commits.
// The coordinator of the transaction is asked whether the group's partition of
// __consumer_offsets is in it, and from v5 on told to add it (KIP-890). v3 names the
// member of the group, v6 topics by their ids.

const (
	// offsetsAddThemselves is the first version that adds the partition.
	offsetsAddThemselves = 5
	// offsetsByID is the first version with topic ids.
	offsetsByID = 6
)

func txnOffsetCommit(r *request, q *kmsg.TxnOffsetCommitRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	asked := plainCommit(q)
	refused := kmsg.NewPtrOffsetCommitResponse()
	refused.Version = asked.Version
	valid := *asked
	valid.Topics = committable(r.broker.image(), asked, refused)
	if len(valid.Topics) > 0 {
		committed, err := r.commitInTransaction(q, &valid)
		if err != nil {
			committed = commitError(&valid, txnCommitCode(err, q.Version))
		}
		mergeCommits(refused, committed)
	}
	for _, t := range refused.Topics {
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, p.ErrorCode
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp, ended(r.ctx)
}

// plainCommit is what an OffsetCommit of the same offsets would be.
func plainCommit(q *kmsg.TxnOffsetCommitRequest) *kmsg.OffsetCommitRequest {
	c := kmsg.NewPtrOffsetCommitRequest()
	c.Version = commitsByID - 1
	if q.Version >= offsetsByID {
		c.Version = commitsByID
	}
	c.Group, c.Generation, c.MemberID, c.InstanceID = q.Group, q.Generation, q.MemberID, q.InstanceID
	if q.Version < 3 {
		c.Generation = -1
	}
	for _, t := range q.Topics {
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetCommitRequestTopicPartition()
			part.Partition, part.Offset, part.LeaderEpoch, part.Metadata = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata
			topic.Partitions = append(topic.Partitions, part)
		}
		c.Topics = append(c.Topics, topic)
	}
	return c
}

// commitInTransaction is GroupCoordinatorService.commitTransactionalOffsets.
func (r *request) commitInTransaction(q *kmsg.TxnOffsetCommitRequest, valid *kmsg.OffsetCommitRequest) (*kmsg.OffsetCommitResponse, error) {
	if q.Group == "" {
		return nil, kerr.InvalidGroupID
	}
	b := r.broker
	n := b.groupPartition(q.Group)
	_, replica, err := b.partition(b.image(), consumerOffsets, n)
	if err != nil {
		return nil, kerr.NotCoordinator
	}
	v, err := r.verifyOffsets(q, replica, n)
	if err != nil {
		return nil, err
	}
	var answer *kmsg.OffsetCommitResponse
	err = b.groups.WriteTransactional(r.ctx, n, q.ProducerID, q.ProducerEpoch, func(s *groups.Shard) (o coordinator.Outcome, err error) {
		if v != nil {
			switch err := replica.Verified(q.ProducerID, v); {
			case errors.Is(err, log.ErrInvalidTxnState):
				return o, err // a marker has made it void
			case err != nil:
				return o, kerr.NotCoordinator
			}
		}
		answer, o, err = s.CommitOffsetsOfTransaction(r.client(), valid)
		return o, err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// verifyOffsets verifies the group's partition of __consumer_offsets, as Produce does
// others.
func (r *request) verifyOffsets(q *kmsg.TxnOffsetCommitRequest, replica *replication.Replica, partition int32) (*log.Verification, error) {
	if !r.broker.verifiesAt(r.broker.image()) {
		return nil, nil
	}
	adds := q.Version >= offsetsAddThemselves
	for retry := r.broker.addRetries(r.ctx); ; {
		v, err := replica.Verify(log.Batch{ProducerID: q.ProducerID, ProducerEpoch: q.ProducerEpoch, BaseSequence: -1}, adds)
		if err != nil {
			return nil, kerr.NotCoordinator
		}
		if v == nil {
			return nil, nil
		}
		list := []verifying{{topic: consumerOffsets, partition: partition}}
		r.broker.verify(r.ctx, q.TransactionalID, q.ProducerID, q.ProducerEpoch, list, adds)
		again := adds && errors.Is(list[0].err, kerr.ConcurrentTransactions)
		if !again || !retry() {
			return v, list[0].err
		}
	}
}

// txnCommitCode is the code for a commit that was refused as a whole.
func txnCommitCode(err error, version int16) int16 {
	code := transactionCode(err)
	switch {
	case code == kerr.CoordinatorLoadInProgress.Code && version < 2:
		return kerr.CoordinatorNotAvailable.Code
	case code == kerr.TransactionAbortable.Code && version < 4:
		return kerr.InvalidTxnState.Code
	case code == kerr.NetworkException.Code:
		return kerr.CoordinatorLoadInProgress.Code
	}
	return code
}

// verifiesAt tells whether partitions ask about transactions
// (transaction.partition.verification.enable).
func (b *broker) verifiesAt(m *election.Image) bool {
	return b.values(m).Settings().TransactionPartitionVerificationEnable
}

// transactionCode is errorCode, where time that is over means that the coordinator
// could not do it.
func transactionCode(err error) int16 {
	if errors.Is(err, context.DeadlineExceeded) {
		return kerr.CoordinatorNotAvailable.Code
	}
	return errorCode(err)
}
