package replication

import (
	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/log"
)

// The messages that replicas of different brokers send each other. They are
// shared memory once sent, so nobody changes them.

type appendRequest = raft.AppendEntriesRequest

// appendMsg carries raft's AppendEntries from the leader of an epoch, with its
// watermarks as of the sending.
type appendMsg struct {
	ID            log.PartitionID
	Epoch         int32
	Request       *appendRequest
	HighWatermark int64
	LogStart      int64
}

// appendReply is the follower's answer.
type appendReply struct {
	Response    *raft.AppendEntriesResponse
	BrokerEpoch int64
	LogStart    int64
	// NeedReset says that the entries conflict with the follower's log at or
	// below its start: it has to begin anew.
	NeedReset bool
}

// resetMsg has a follower drop its log and begin at the leader's log start.
type resetMsg struct {
	ID    log.PartitionID
	Epoch int32
	State log.ResetState
}

// resetReply is the follower's answer.
type resetReply struct {
	Term        uint64
	Success     bool
	BrokerEpoch int64
}

// helloMsg tells a leader where the log of a follower ends whose process has
// just begun: raft asks only when it has something to send.
type helloMsg struct {
	ID          log.PartitionID
	Epoch       int32
	LastIndex   uint64
	LastTerm    uint64
	LogStart    int64
	BrokerEpoch int64
}

// marksMsg carries watermarks of many partitions from their leader.
type marksMsg struct {
	Marks []mark
}

type mark struct {
	ID            log.PartitionID
	Epoch         int32
	HighWatermark int64
	LogStart      int64
}

// marksReply carries the follower's log starts, in the order of the marks; -1
// where the mark did not fit its role; and its high watermarks, which are lower
// than those it was told where it has yet to copy the records.
type marksReply struct {
	LogStarts      []int64
	HighWatermarks []int64
}
