package minikafka

import "errors"

// Errors of [New] and [Cluster.Try].
var (
	// ErrOption is a value that an option cannot take.
	ErrOption = errors.New("minikafka: bad option")
	// ErrArgument is a value that a method cannot take.
	ErrArgument = errors.New("minikafka: bad argument")
	// ErrUnknownNode is a broker or controller that the cluster does not have.
	ErrUnknownNode = errors.New("minikafka: no such node")
	// ErrRunning is a restart of a node that runs.
	ErrRunning = errors.New("minikafka: the node is running")
	// ErrNotRunning is something asked of a node that does not run.
	ErrNotRunning = errors.New("minikafka: the node is not running")
	// ErrPaused is something asked of a node that is paused, and so cannot do it.
	ErrPaused = errors.New("minikafka: the node is paused")
	// ErrUnknownTopic is a topic or partition that does not exist.
	ErrUnknownTopic = errors.New("minikafka: no such topic or partition")
	// ErrNoLeader is a partition that has no leader that runs.
	ErrNoLeader = errors.New("minikafka: the partition has no leader")
	// ErrTimeout is a wait that was in vain.
	ErrTimeout = errors.New("minikafka: waited in vain")
	// ErrClosed is a cluster that has been closed.
	ErrClosed = errors.New("minikafka: the cluster is closed")
	// ErrInUse is a data directory that another cluster uses.
	ErrInUse = errors.New("minikafka: the data directory is in use")
	// ErrInvariant is what must never be: a bug of minikafka, not of the test.
	// A cluster of [Start] fails its test with it when it is closed.
	ErrInvariant = errors.New("minikafka: invariant broken, please report this")
	// ErrDataDir is a data directory that does not fit the options.
	ErrDataDir = errors.New("minikafka: the data directory does not fit")
)
