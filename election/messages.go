package election

import "errors"

// What brokers send to controllers. Answers are the message's type with
// Answer appended, unless the comment says otherwise.

// findActive is answered by the active controller, and waits at the others
// until they are. Answer: nil.
type findActive struct{}

// heartbeat tells that a broker lives, what metadata it has applied, and what
// it wishes (BrokerHeartbeatRequest).
type heartbeat struct {
	Broker       int32
	Epoch        int64
	Applied      uint64
	WantFence    bool
	WantShutdown bool
}

type heartbeatAnswer struct {
	Fenced bool
	// ShutDown grants a controlled shutdown.
	ShutDown bool
}

// pullImage is answered with an *Image newer than Have, when there is one. Have
// is what the broker has applied.
type pullImage struct {
	Broker int32
	Have   uint64
}

// runCommand is answered with the command's result.
type runCommand struct{ Command applier }

var (
	// errNotActive says that the receiver is not the active controller.
	errNotActive = errors.New("election: this controller is not the active one")
	// errDeposed says that the controller lost its place while it worked on a
	// command; whether that took effect is unknown.
	errDeposed = errors.New("election: the controller was deposed")
)
