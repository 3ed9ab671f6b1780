package election

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// Errors of commands, in Kafka's words; server/errors.go maps them to codes.
// They come wrapped in an [Error] where Kafka sends a message with the code.
var (
	ErrInvalidRequest           = errors.New("election: invalid request")                   // 42
	ErrInvalidTopic             = errors.New("election: invalid topic name")                // 17
	ErrTopicExists              = errors.New("election: topic already exists")              // 36
	ErrUnknownTopicOrPartition  = errors.New("election: unknown topic or partition")        // 3
	ErrUnknownTopicID           = errors.New("election: unknown topic id")                  // 100
	ErrInvalidPartitions        = errors.New("election: invalid number of partitions")      // 37
	ErrInvalidReplicationFactor = errors.New("election: invalid replication factor")        // 38
	ErrInvalidAssignment        = errors.New("election: invalid replica assignment")        // 39
	ErrInvalidConfig            = errors.New("election: invalid config")                    // 40
	ErrTopicDeletionDisabled    = errors.New("election: topic deletion is disabled")        // 73
	ErrElectionNotNeeded        = errors.New("election: election not needed")               // 84
	ErrPreferredNotAvailable    = errors.New("election: preferred leader not available")    // 80
	ErrEligibleNotAvailable     = errors.New("election: eligible leaders not available")    // 83
	ErrNoReassignment           = errors.New("election: no reassignment in progress")       // 85
	ErrNotController            = errors.New("election: not the active controller")         // 41
	ErrTimedOut                 = errors.New("election: no active controller in time")      // 7
	ErrStaleBrokerEpoch         = errors.New("election: stale broker epoch")                // 77
	ErrDuplicateRegistration    = errors.New("election: broker id has a live registration") // 101
	ErrFencedLeaderEpoch        = errors.New("election: fenced leader epoch")               // 74
	ErrInvalidUpdateVersion     = errors.New("election: stale partition epoch")             // 95
	ErrIneligibleReplica        = errors.New("election: ineligible replica")                // 107
	ErrNewLeaderElected         = errors.New("election: new leader elected")                // 108
	ErrInvalidFeature           = errors.New("election: feature update failed")             // 96
	ErrPolicyViolation          = errors.New("election: policy violation")                  // 44
	ErrBrokerNotRegistered      = errors.New("election: broker id is not registered")       // 102
)

// Error is a sentinel with the message that goes to the client.
type Error struct {
	Err     error
	Message string
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// ConfigRules is how the controller asks what a config may be; the catalogue
// lives above this package.
type ConfigRules interface {
	// ValidateTopic and ValidateBroker refuse unknown names and bad values,
	// with a message for the client.
	ValidateTopic(configs map[string]string) error
	ValidateBroker(configs map[string]string) error
	// IsList tells whether APPEND and SUBTRACT make sense.
	IsList(name string) bool
	// Default is the value of a broker config when nothing sets it.
	Default(name string) string
}

// ControllerConfig configures one controller node.
type ControllerConfig struct {
	ID     int32
	Peers  []int32 // ids of all controllers, this one included
	Fabric *fabric.Fabric
	Path   string // its bbolt file
	Logger *slog.Logger
	Rules  ConfigRules
	// ClusterID is written when the cluster is formatted (first start).
	ClusterID string
	// Features are the levels of a newly formatted cluster; nil means Apache
	// Kafka 4.4.0's.
	Features map[string]int16
	// Static are the static broker configs that the controller itself reads
	// (min.insync.replicas, unclean.leader.election.enable, num.partitions,
	// default.replication.factor, delete.topic.enable, ...), by Kafka's names.
	Static map[string]string
	Timing Timing
}

// Timing is every timer of the controller and of the brokers' side of it.
type Timing struct {
	SessionTimeout    time.Duration // broker.session.timeout.ms
	HeartbeatInterval time.Duration // broker.heartbeat.interval.ms
	// ElectionTimeout is how long controllers wait for the active one (raft's
	// heartbeat and election timeout); it counts only where there are several.
	// They exchange heartbeats at a tenth of it. A crash is known at once where
	// FenceOnDisconnect is set; it is for one that is paused or cut off.
	ElectionTimeout      time.Duration
	ForwardTimeout       time.Duration // admin writes without a controller: 60 s on Kafka
	LeaderImbalanceCheck time.Duration // leader.imbalance.check.interval.seconds; 0: never
	UncleanInterval      time.Duration // unclean.leader.election.interval.ms; 0: never
	// FenceOnDisconnect fences a broker as soon as its port has left the
	// fabric, as a broken connection would tell; Kafka waits for the session.
	FenceOnDisconnect bool
	// WaitForOldSession refuses the registration of a restarted broker while
	// the session of its old incarnation is alive, as Kafka does.
	WaitForOldSession bool
}

// Controller is one running controller node.
type Controller struct{ controller }

// StartController opens its file and joins the fabric.
func StartController(c ControllerConfig) (*Controller, error) { return startController(c) }

// Active tells whether this node is the active controller.
func (c *Controller) Active() bool { return c.active() }

// Image is the newest image this node has applied.
func (c *Controller) Image() *Image { return c.image() }

// Changed is closed when this node next applies an image, and when it becomes or
// ceases to be the active controller.
func (c *Controller) Changed() <-chan struct{} { return c.changed() }

// Stop ends the node in order, and syncs its file.
func (c *Controller) Stop() error { return c.stop(false) }

// Crash ends the node as the death of its process: what was written stays.
func (c *Controller) Crash() error { return c.stop(true) }

// ClientConfig configures a broker's side.
type ClientConfig struct {
	BrokerID    int32
	Rack        string
	Host        string // what clients are told
	Port        int32
	Incarnation [16]byte
	// PreviousEpoch is the broker epoch before a clean shutdown, or -1
	// (KIP-966: anything else than the last one counts as unclean).
	PreviousEpoch int64
	Controllers   []int32
	Call          Caller
	Logger        *slog.Logger
	Timing        Timing
	// OnImage is called with every new image, one at a time, in order (some may
	// be skipped); heartbeats acknowledge an image after OnImage returned.
	OnImage func(*Image)
	// OnRegistered is called after each registration with the broker epoch.
	OnRegistered func(epoch int64)
	// Ready gates unfencing: the broker asks to be unfenced once it is closed
	// (its listener accepts). nil means at once.
	Ready <-chan struct{}
}

// Caller sends a message to a node and returns its answer; *fabric.Port is one.
type Caller interface {
	Call(ctx context.Context, to fabric.Node, msg any) (any, error)
}

// Client is a broker's side of the controller: registration, heartbeats, the
// stream of images, and forwarded commands (Kafka's BrokerLifecycleManager,
// BrokerMetadataPublisher and ForwardingManager).
type Client struct{ client }

// StartClient starts registering. It ends with Stop or when Call returns
// fabric.ErrLeft.
func StartClient(c ClientConfig) *Client { return startClient(c) }

// Image is the newest image the broker has seen; nil before the first one.
func (c *Client) Image() *Image { return c.image() }

// Epoch is the broker epoch, -1 before registration.
func (c *Client) Epoch() int64 { return c.epoch() }

// Unfenced is closed once the broker has applied an image in which it is
// unfenced, for the first time.
func (c *Client) Unfenced() <-chan struct{} { return c.unfenced() }

// Changed is closed when Image is next replaced, which is before OnImage is called
// with it.
func (c *Client) Changed() <-chan struct{} { return c.changed() }

// WaitFor returns when the broker has applied an image at the index or above:
// OnImage has returned. Its errors are ctx's, and fabric.ErrLeft after the end of
// the client or its node.
func (c *Client) WaitFor(ctx context.Context, index uint64) error { return c.waitFor(ctx, index) }

// ControlledShutdown asks the controller to move leaderships away, and returns
// when it grants the shutdown or ctx ends.
func (c *Client) ControlledShutdown(ctx context.Context) error { return c.controlledShutdown(ctx) }

// Stop ends the client without telling the controller.
func (c *Client) Stop() { c.stop() }

// Do sends a command to the active controller, and returns when it is applied.
// It retries other controllers for Timing.ForwardTimeout, then ErrTimedOut.
// Commands and their results are in commands.go.
func (c *Client) Do(ctx context.Context, cmd Command) (any, error) { return c.do(ctx, cmd) }

// Settle returns when the metadata of the moment of the call is in force: on
// every broker that leads a partition of the topics, and on the other live ones
// unless they take long. Commands are applied before Do returns; their effects
// reach the brokers a little later, and this waits for them.
func (c *Client) Settle(ctx context.Context, topics []string) error { return c.settle(ctx, topics) }

// Quorum asks the active controller about the group of controllers.
func (c *Client) Quorum(ctx context.Context) (*Quorum, error) { return c.quorum(ctx) }
