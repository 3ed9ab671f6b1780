package coordinator

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// clientError is what a client is told of an append that has failed
// (CoordinatorOperationExceptionHelper.handleOperationException).
func clientError(err error) error {
	switch {
	case errors.Is(err, replication.ErrDeleted), errors.Is(err, replication.ErrNotEnoughReplicas),
		errors.Is(err, replication.ErrTimedOut), errors.Is(err, context.DeadlineExceeded):
		return kerr.CoordinatorNotAvailable // 3, 19, 7
	case errors.Is(err, replication.ErrNotLeader), errors.Is(err, replication.ErrNotHosted),
		errors.Is(err, replication.ErrStopped), errors.Is(err, replication.ErrOffline),
		errors.Is(err, log.ErrClosed), errors.Is(err, context.Canceled):
		return kerr.NotCoordinator // 6, 56
	}
	// Those of transactions keep their codes.
	switch {
	case errors.Is(err, log.ErrInvalidProducerEpoch):
		return kerr.InvalidProducerEpoch
	case errors.Is(err, log.ErrCoordinatorFenced):
		return kerr.TransactionCoordinatorFenced
	}
	return kerr.UnknownServerError // 10, 18, and what nobody has foreseen
}
