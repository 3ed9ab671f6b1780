package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
)

// adminErrorCode is the code of an error of the controller's commands.
func adminErrorCode(err error) int16 {
	for _, c := range []struct {
		is   error
		code *kerr.Error
	}{
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
		{election.ErrInvalidFeature, kerr.FeatureUpdateFailed},
		{election.ErrInvalidUpdateVersion, kerr.InvalidUpdateVersion},
		{election.ErrBrokerNotRegistered, kerr.BrokerIDNotRegistered},
		{context.DeadlineExceeded, kerr.RequestTimedOut},
	} {
		if errors.Is(err, c.is) {
			return c.code.Code
		}
	}
	return kerr.UnknownServerError.Code
}
