package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Runtime has a shard for each partition that this broker leads. Its methods may
// be called concurrently.
type Runtime[S Shard] struct{ config Config[S] }

// Config configures a [Runtime].
type Config[S Shard] struct {
	// NewShard makes the empty state of a partition.
	NewShard func(Context) S
}

// New returns a runtime without partitions.
func New[S Shard](c Config[S]) *Runtime[S] { return &Runtime[S]{config: c} }

// Write runs op on the partition's shard and returns when its records are
// committed, and all written before them, also when op has none. An error of op
// is returned at once, and nothing is written. Errors of the runtime are kerr's:
// NotCoordinator, CoordinatorLoadInProgress, CoordinatorNotAvailable (not
// committed in time: the records stay), and UnknownServerError. When ctx ends, its
// error is returned, and the operation goes on.
func (rt *Runtime[S]) Write(ctx context.Context, partition int32, op func(S) (Outcome, error)) error {
	return kerr.CoordinatorNotAvailable
}

// Run is Write that returns when op has run. What becomes of its records is told
// by [Outcome.Done].
func (rt *Runtime[S]) Run(ctx context.Context, partition int32, op func(S) (Outcome, error)) error {
	return kerr.CoordinatorNotAvailable
}

// Read runs op, which must not change anything, on the partition's shard, and
// returns when it has run: op reads the state as of the last committed offset,
// with the timeline's methods that take an epoch.
func (rt *Runtime[S]) Read(ctx context.Context, partition int32, op func(s S, committed int64) error) error {
	return kerr.CoordinatorNotAvailable
}

// Active are the partitions whose shards are loaded.
func (rt *Runtime[S]) Active() []int32 { return nil }
