package minikafka

import "errors"

// Errors of [New], and of methods. A method that returns no error fails its test
// instead, with one of these; [Cluster.Try] returns it. Every verb and every wait
// may also fail with ErrClosed, those that wait with ErrTimeout.
var (
	// ErrOption is a value that an option cannot take: of New and [Start].
	ErrOption = errors.New("minikafka: bad option")
	// ErrArgument is a value that a method cannot take: of CreateTopic, Produce,
	// Split, Cut, Delay, Lose, Disk, Fault and Chaos.
	ErrArgument = errors.New("minikafka: bad argument")
	// ErrUnknownNode is a broker or controller that the cluster does not have: of
	// Broker, and of Split, Isolate, Cut, Delay and Lose.
	ErrUnknownNode = errors.New("minikafka: no such node")
	// ErrRunning is a Restart of a node that runs, or is paused.
	ErrRunning = errors.New("minikafka: the node is running")
	// ErrNotRunning is something asked of a node that does not run: of Crash,
	// PowerOff, Shutdown, Pause, Resume, CloseClientConnections, and of a broker's
	// Produce and Records; of CreateTopic, DeleteTopic and Elect, when no broker runs.
	ErrNotRunning = errors.New("minikafka: the node is not running")
	// ErrPaused is something asked of a node that is paused, and so cannot do it: of
	// Shutdown, and of a broker's Produce.
	ErrPaused = errors.New("minikafka: the node is paused")
	// ErrUnknownTopic is a topic or partition that does not exist: of what takes a
	// topic's name and does not make the topic.
	ErrUnknownTopic = errors.New("minikafka: no such topic or partition")
	// ErrNoLeader is a partition that has no leader that runs: of Leader, which does
	// not wait for one as WaitLeader does.
	ErrNoLeader = errors.New("minikafka: the partition has no leader")
	// ErrTimeout is a wait that was in vain; it says what for, and shows the cluster.
	// [WaitTimeout] sets how long waits are.
	ErrTimeout = errors.New("minikafka: waited in vain")
	// ErrClosed is a cluster that has been closed.
	ErrClosed = errors.New("minikafka: the cluster is closed")
	// ErrInUse is a data directory that another cluster uses: of New and Start.
	ErrInUse = errors.New("minikafka: the data directory is in use")
	// ErrInvariant is what must never be: a bug of minikafka, not of the test.
	// A cluster of [Start] fails its test with it when it is closed.
	ErrInvariant = errors.New("minikafka: invariant broken, please report this")
	// ErrDataDir is a data directory that does not fit the options: of New and Start.
	ErrDataDir = errors.New("minikafka: the data directory does not fit")
)
