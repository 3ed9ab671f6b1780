package replication

import "errors"

// Errors of replicas, in Kafka's words; server/errors.go maps them to codes.
var (
	ErrNotLeader                    = errors.New("replication: this replica does not lead the partition")       // 6
	ErrNotHosted                    = errors.New("replication: no replica of the partition here")               // 6 or 3
	ErrOffline                      = errors.New("replication: the replica's store has failed")                 // 56
	ErrNotEnoughReplicas            = errors.New("replication: fewer in-sync replicas than required")           // 19
	ErrNotEnoughReplicasAfterAppend = errors.New("replication: fewer in-sync replicas than required, appended") // 20
	ErrFencedEpoch                  = errors.New("replication: leader epoch is older than the replica's")       // 74
	ErrUnknownEpoch                 = errors.New("replication: leader epoch is newer than the replica's")       // 75
	ErrOffsetOutOfRange             = errors.New("replication: offset out of range")                            // 1
	ErrOffsetNotAvailable           = errors.New("replication: high watermark is behind the leader's start")    // 78
	ErrDeleted                      = errors.New("replication: the partition has been deleted")                 // 3
	ErrStopped                      = errors.New("replication: the broker is stopping")                         // connection closes
	ErrTimedOut                     = errors.New("replication: not replicated in time")                         // 7
)

// Errors of ISR changes; what [ISRChanger] returns decides what the leader does.
var (
	// ErrISRRefused: back to the committed ISR; a later fetch or tick proposes anew.
	ErrISRRefused = errors.New("replication: ISR change refused")
	// ErrISRSuperseded: newer metadata is on its way, which settles it.
	ErrISRSuperseded = errors.New("replication: ISR change superseded")
)
