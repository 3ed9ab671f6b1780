package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// isrChanger carries what leaders want of the controller to it
// (AlterPartitionManager).
type isrChanger struct{ b *broker }

// AlterISR is replication.ISRChanger's. Which refusals end the change, and how,
// is Partition.handleAlterPartitionError's.
func (i isrChanger) AlterISR(ctx context.Context, c replication.ISRChange) (replication.ISRState, error) {
	if err := i.wired(ctx); err != nil {
		return replication.ISRState{}, err
	}
	cmd := &election.AlterPartition{
		Broker: i.b.config.ID, BrokerEpoch: i.b.epoch.Load(), Partition: c.ID,
		LeaderEpoch: c.LeaderEpoch, PartitionEpoch: c.PartitionEpoch,
	}
	for _, m := range c.ISR {
		cmd.NewISR = append(cmd.NewISR, election.ISRMember{ID: m.Broker, Epoch: m.Epoch})
	}
	answer, err := i.b.do(ctx, cmd)
	switch {
	case errors.Is(err, election.ErrIneligibleReplica):
		return replication.ISRState{}, fmt.Errorf("%w: %w", replication.ErrISRRefused, err)
	case errors.Is(err, election.ErrUnknownTopicOrPartition), errors.Is(err, election.ErrUnknownTopicID),
		errors.Is(err, election.ErrFencedLeaderEpoch), errors.Is(err, election.ErrInvalidUpdateVersion),
		errors.Is(err, election.ErrInvalidRequest), errors.Is(err, election.ErrNewLeaderElected):
		return replication.ISRState{}, fmt.Errorf("%w: %w", replication.ErrISRSuperseded, err)
	case err != nil:
		return replication.ISRState{}, err
	}
	r, ok := answer.(election.AlterPartitionResult)
	if !ok {
		return replication.ISRState{}, fmt.Errorf("server: the controller answered an ISR change with %T", answer)
	}
	return replication.ISRState{
		ISR: r.Partition.ISR, LeaderEpoch: r.Partition.LeaderEpoch, PartitionEpoch: r.Partition.PartitionEpoch,
	}, nil
}

// ReportOffline is replication.ISRChanger's.
func (i isrChanger) ReportOffline(ctx context.Context, id log.PartitionID) error {
	if err := i.wired(ctx); err != nil {
		return err
	}
	if i.b.diskFailed.Load() {
		return nil // Kafka's broker halts before it can tell
	}
	_, err := i.b.do(ctx, &election.ReportOffline{
		Broker: i.b.config.ID, BrokerEpoch: i.b.epoch.Load(), Partitions: []log.PartitionID{id},
	})
	return err
}

func (i isrChanger) wired(ctx context.Context) error {
	select {
	case <-i.b.wired:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
