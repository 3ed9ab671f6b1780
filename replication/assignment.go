package replication

import (
	"context"
	"time"

	"github.com/minikafka/minikafka/log"
)

// Assignment is what the metadata says of one partition that a broker hosts.
type Assignment struct {
	ID             log.PartitionID
	Topic          string
	Replicas       []int32
	ISR            []int32
	Leader         int32 // -1: none
	LeaderEpoch    int32
	PartitionEpoch int32
	Settings       Settings
}

// Settings are the topic's settings that replication itself heeds.
type Settings struct {
	MinInsyncReplicas int   // as configured; capped by the replica count where it is used
	FlushMessages     int64 // flush.messages; sync after so many records
	FlushMs           int64 // flush.ms
}

// Members tells, as of the same metadata, which brokers may be in an ISR.
type Members interface {
	// Member is the broker's epoch, and whether it is neither fenced nor in
	// controlled shutdown.
	Member(broker int32) (epoch int64, eligible bool)
	// Brokers lists all brokers there are, fenced ones too.
	Brokers() []int32
}

// ISRChanger asks the controller for ISR changes; the controller's client is
// behind it.
type ISRChanger interface {
	// AlterISR returns the partition's committed state, or ErrISRRefused or
	// ErrISRSuperseded; any other error is retried.
	AlterISR(ctx context.Context, c ISRChange) (ISRState, error)
	// ReportOffline tells that the partition's store has failed here.
	ReportOffline(ctx context.Context, id log.PartitionID) error
}

// ISRChange is a leader's proposal.
type ISRChange struct {
	ID             log.PartitionID
	LeaderEpoch    int32
	PartitionEpoch int32
	ISR            []ISRMember
}

// ISRMember is a member with the broker epoch it was last heard with (-1:
// never).
type ISRMember struct {
	Broker int32
	Epoch  int64
}

// ISRState is a partition's committed state.
type ISRState struct {
	ISR            []int32
	LeaderEpoch    int32
	PartitionEpoch int32
}

// Timing holds replication's timers.
type Timing struct {
	// LagTime is replica.lag.time.max.ms; the ISR is checked every half of it.
	LagTime time.Duration
	// RetryISR is the wait before an ISR change is tried again after an error.
	RetryISR time.Duration
	// CheckpointInterval is replica.high.watermark.checkpoint.interval.ms.
	CheckpointInterval time.Duration
}
