package server

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server/faults"
)

// Network is how brokers listen and clients reach them.
type Network interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Config configures one broker.
type Config struct {
	ID   int32
	Rack string // "" means none
	// Listen is the address to listen on; Advertise what clients are told, ""
	// for the address listened on.
	Listen, Advertise string
	Network           Network
	Fabric            *fabric.Fabric
	Controllers       []int32
	// Holds and Witness are the cluster's instruments of tests; they may be nil.
	Holds   *replication.Holds
	Witness *replication.Witness
	// Faults are the cluster's faults of requests; nil for none.
	Faults *faults.Set
	// Batching counts the batches of producers; nil for nobody.
	Batching *Batching
	// Path is the broker's bbolt file, LogDir what clients are told of it: by
	// default its absolute path.
	Path, LogDir string
	// Disk, when set, is called before the disk is used, for a write with about how
	// many bytes of batches it has. It may wait, and an error fails the use: slow,
	// full, hung and broken disks are staged with it. It returns when ctx ends, as
	// it does with the broker.
	Disk func(ctx context.Context, use DiskUse, bytes int) error
	// DiskFailed, when set, is called once, after the first error of Disk, and must
	// not block: a broker whose only log directory has failed is to be halted, as
	// Kafka halts itself (LogManager.handleLogDirFailure). The controller is not
	// told then, and finds out as of any dead broker. Without it the replicas that
	// have met an error go offline, as with another log directory left.
	DiskFailed func(err error)
	ClusterID  string
	// Static are the broker's static configs, by Kafka's names.
	Static map[string]string
	Timing Timing
	Logger *slog.Logger
}

// DiskUse is what a disk is used for.
type DiskUse int

// The uses of a disk.
const (
	// DiskWrite is a group commit: appends of all partitions that come together,
	// or changes of what is kept beside the logs.
	DiskWrite DiskUse = iota + 1
	// DiskSync is a write that is to reach stable storage.
	DiskSync
	// DiskRead is a read of a log for a client.
	DiskRead
)

// Timing is every timer of a broker.
type Timing struct {
	Election    election.Timing
	Replication replication.Timing
	// HungDisk is how long an append may take before the broker tells the
	// controller that it cannot write any more, and others lead instead. 0 means
	// replica.lag.time.max.ms, and 5 s at least. Kafka waits for ever.
	HungDisk time.Duration
}

// Broker is one running broker, from Start to Crash, PowerOff or Shutdown; a
// restart is a new Broker over the same file.
type Broker struct{ *broker }

// Start opens the broker's file, listens, and joins the cluster. It returns
// when the listener is open; [Broker.Ready] tells when the controller has
// unfenced it. Errors name what to change: an address in use, a file in use.
func Start(c Config) (*Broker, error) { return startBroker(c) }

// Ready is closed once the broker is unfenced: clients can use it.
func (b *Broker) Ready() <-chan struct{} { return b.ready() }

// ID and Addr say who and where the broker is; Addr is what clients are told.
func (b *Broker) ID() int32 { return b.id() }

// Addr is the advertised host:port.
func (b *Broker) Addr() string { return b.addr() }

// ListenAddr is the host:port that is listened on.
func (b *Broker) ListenAddr() string { return b.listenAddr() }

// Crash ends the broker as the death of its process would: sockets are reset,
// memory is gone, the file is as it was written. It returns when every goroutine
// of the broker has ended.
func (b *Broker) Crash() { b.endLogged(endCrash) }

// PowerOff is Crash, and all after the last sync is gone.
func (b *Broker) PowerOff() { b.endLogged(endPowerOff) }

// Halt ends the broker as Kafka's ends when its last log directory has failed:
// what is under way is answered if it can be, and then it is Crash.
func (b *Broker) Halt() { b.endLogged(endHalt) }

// Shutdown ends the broker in order: leaderships move first, until ctx ends.
func (b *Broker) Shutdown(ctx context.Context) error { return b.shutdown(ctx) }

// Pause freezes the broker as SIGSTOP would, seen from outside: connections stay
// open, nothing is answered, nothing is written, no other node is heard.
func (b *Broker) Pause() { b.pause() }

// Resume ends a pause. What clients have sent meanwhile is answered first, from
// the roles that the broker still believes to have; a moment later it hears the
// other nodes again.
func (b *Broker) Resume() { b.unpause() }

// CloseClientConnections resets every client connection; the listener stays.
func (b *Broker) CloseClientConnections() { b.closeClientConnections() }

// Image is the newest metadata the broker has applied; nil before the first.
func (b *Broker) Image() *election.Image { return b.image() }

// Changed is closed at the next change of the broker's metadata image.
func (b *Broker) Changed() <-chan struct{} { return b.changed() }

// Manager gives access to the broker's replicas.
func (b *Broker) Manager() *replication.Manager { return b.manager() }

// Client is the broker's side of the controller.
func (b *Broker) Client() *election.Client { return b.client() }
