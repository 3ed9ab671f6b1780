package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/share"
)

type errorMapping struct {
	err  error
	code *kerr.Error
}

// errorMappings says which code each sentinel of the layers below is on the
// wire.
func errorMappings() []errorMapping {
	return []errorMapping{
		{replication.ErrNotLeader, kerr.NotLeaderForPartition},
		{replication.ErrNotHosted, kerr.NotLeaderForPartition},
		{replication.ErrOffline, kerr.KafkaStorageError},
		{replication.ErrNotEnoughReplicas, kerr.NotEnoughReplicas},
		{replication.ErrNotEnoughReplicasAfterAppend, kerr.NotEnoughReplicasAfterAppend},
		{replication.ErrFencedEpoch, kerr.FencedLeaderEpoch},
		{replication.ErrUnknownEpoch, kerr.UnknownLeaderEpoch},
		{replication.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
		{replication.ErrOffsetNotAvailable, kerr.OffsetNotAvailable},
		{replication.ErrDeleted, kerr.UnknownTopicOrPartition},
		{replication.ErrTimedOut, kerr.RequestTimedOut},

		{log.ErrInvalidRecord, kerr.InvalidRecord},
		{log.ErrCorruptMessage, kerr.CorruptMessage},
		{log.ErrMessageTooLarge, kerr.MessageTooLarge},
		{log.ErrInvalidTimestamp, kerr.InvalidTimestamp},
		{log.ErrRecordListTooLarge, kerr.RecordListTooLarge},
		{log.ErrUnsupportedCodec, kerr.UnsupportedCompressionType},
		{log.ErrUndecodableRecords, kerr.UnknownServerError},
		{log.ErrWholeRequestCorrupt, kerr.CorruptMessage},
		{log.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
		{log.ErrInvalidProducerEpoch, kerr.InvalidProducerEpoch},
		{log.ErrInvalidTxnState, kerr.InvalidTxnState},
		{log.ErrCoordinatorFenced, kerr.TransactionCoordinatorFenced},
		{log.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
		{log.ErrClosed, kerr.KafkaStorageError},
		{log.ErrCorruptFile, kerr.KafkaStorageError},
		{log.ErrDisk, kerr.KafkaStorageError},

		{election.ErrInvalidRequest, kerr.InvalidRequest},
		{election.ErrInvalidTopic, kerr.InvalidTopicException},
		{election.ErrTopicExists, kerr.TopicAlreadyExists},
		{election.ErrUnknownTopicOrPartition, kerr.UnknownTopicOrPartition},
		{election.ErrUnknownTopicID, kerr.UnknownTopicID},
		{election.ErrInvalidPartitions, kerr.InvalidPartitions},
		{election.ErrInvalidReplicationFactor, kerr.InvalidReplicationFactor},
		{election.ErrInvalidAssignment, kerr.InvalidReplicaAssignment},
		{election.ErrInvalidConfig, kerr.InvalidConfig},
		{election.ErrTopicDeletionDisabled, kerr.TopicDeletionDisabled},
		{election.ErrElectionNotNeeded, kerr.ElectionNotNeeded},
		{election.ErrPreferredNotAvailable, kerr.PreferredLeaderNotAvailable},
		{election.ErrEligibleNotAvailable, kerr.EligibleLeadersNotAvailable},
		{election.ErrNoReassignment, kerr.NoReassignmentInProgress},
		{election.ErrNotController, kerr.NotController},
		{election.ErrTimedOut, kerr.RequestTimedOut},
		{election.ErrStaleBrokerEpoch, kerr.StaleBrokerEpoch},
		{election.ErrDuplicateRegistration, kerr.DuplicateBrokerRegistration},
		{election.ErrFencedLeaderEpoch, kerr.FencedLeaderEpoch},
		{election.ErrInvalidUpdateVersion, kerr.InvalidUpdateVersion},
		{election.ErrIneligibleReplica, kerr.IneligibleReplica},
		{election.ErrNewLeaderElected, kerr.NewLeaderElected},
		{election.ErrInvalidFeature, kerr.FeatureUpdateFailed},
		{election.ErrBrokerNotRegistered, kerr.BrokerIDNotRegistered},
		{election.ErrPolicyViolation, kerr.PolicyViolation},

		{share.ErrRecordState, kerr.InvalidRecordState},
		{share.ErrRequest, kerr.InvalidRequest},
		{share.ErrSessionNotFound, kerr.ShareSessionNotFound},
		{share.ErrSessionEpoch, kerr.InvalidShareSessionEpoch},
		{share.ErrSessionLimit, kerr.ShareSessionLimitReached},

		{context.DeadlineExceeded, kerr.RequestTimedOut},
	}
}

// errorCode is an error's code on the wire (Errors.forException): 0 for nil, -1
// for one that nobody has given a code. Handlers may return kerr's errors.
func errorCode(err error) int16 {
	if err == nil {
		return 0
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Code
	}
	for _, m := range errorMappings() {
		if errors.Is(err, m.err) {
			return m.code.Code
		}
	}
	return kerr.UnknownServerError.Code
}

// errorMessage is what the client is told beside the code, or nil: only errors
// that carry a message made for clients have one.
func errorMessage(err error) *string {
	var told *election.Error
	if errors.As(err, &told) && told.Message != "" {
		return &told.Message
	}
	return nil
}
