package coordinator

import (
	"log/slog"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// Record is one record of a partition; a nil Value is a tombstone. It must not be
// changed once it is handed over.
type Record struct{ Key, Value []byte }

// Position tells where a record is stored. While the shard is being loaded that is
// where it was found, afterwards where it will be.
type Position struct {
	Offset int64
	// ProducerID and ProducerEpoch are those of the record's transaction, -1
	// outside of one.
	ProducerID    int64
	ProducerEpoch int16
}

// Shard is the state kept in one partition (CoordinatorShard). Its methods, and
// operations on it, are called one at a time.
type Shard interface {
	// Replay applies a record: at loading, and right after an operation has
	// returned it. All that it changes has to be in the timeline. An error at
	// loading is logged and leaves the partition without a coordinator; after an
	// operation it fails the operation, and those that share its batch.
	Replay(at Position, r Record) error
	// ReplayMarker applies the end of a producer's transaction. Its errors are
	// Replay's.
	ReplayMarker(producerID int64, producerEpoch int16, commit bool) error
	// Loaded is called once the log has been replayed: timers may be scheduled
	// now. Records are written by operations, which may be scheduled at once.
	Loaded()
	// Unloaded is called when the broker does not lead the partition any more, or
	// ends: what waits is to be told (NOT_COORDINATOR). The shard is not used
	// afterwards.
	Unloaded()
	// Changed is called with new cluster metadata, once the shard is loaded.
	Changed(m *election.Image)
}

// Context is what a runtime gives to a new shard. It is used within the shard's
// methods and operations only.
type Context interface {
	// Partition is the number of the partition.
	Partition() int32
	// Now is the time.
	Now() time.Time
	// Logger tells the partition with every line.
	Logger() *slog.Logger
	// Image is the newest metadata of the cluster; nil before the first.
	Image() *election.Image
	// Timeline is what everything that Replay changes lives in.
	Timeline() *timeline.Registry
	// Schedule has op run as an operation of this shard after d (CoordinatorTimer).
	// A timer of the same key is replaced. Timers end with the shard. When op
	// fails, or its records are not committed, that is logged.
	Schedule(key string, d time.Duration, op func() (Outcome, error))
	// ScheduleRetried is Schedule, and op runs again after [RetryAfter] when it
	// fails, or its records are not committed in time, unless its key has been
	// scheduled or cancelled meanwhile.
	ScheduleRetried(key string, d time.Duration, op func() (Outcome, error))
	// Cancel ends a timer that has not run yet.
	Cancel(key string)
	// Scheduled tells whether there is a timer of the key.
	Scheduled(key string) bool
}

// RetryAfter is how long after its failure a timer's operation runs again, see
// [Context].
const RetryAfter = 500 * time.Millisecond

// Outcome is what an operation did.
type Outcome struct {
	// Records are applied by Replay at once, in their order, and then appended:
	// all of them, in one batch, or none.
	Records []Record
	// Applied says that the operation has changed the state itself: its records
	// are appended, and replayed by the next coordinator only.
	Applied bool
	// Splits allows the records to be appended in several batches, where they are
	// too many for one. They may then be committed in part.
	Splits bool
	// Done may be nil. It is called once, between operations of the shard, when
	// the records (and all written before them) are committed, with nil; or
	// when they could not be appended, were not committed in time, or are left
	// behind by an unloaded shard, with the error for the client
	// (CoordinatorResult's appendFuture). After an error of the append the state
	// has been taken back; after a late commit (COORDINATOR_NOT_AVAILABLE) the
	// records stay.
	Done func(error)
}
