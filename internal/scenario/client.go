package scenario

import (
	"context"
	"net"
	"time"
)

// Client is a client library.
type Client interface {
	Name() string
	// Has tells whether the library can do what some scenarios ask of it.
	Has(f Feature) bool
	Producer(c ProducerConfig) (Producer, error)
	Consumer(c ConsumerConfig) (Consumer, error)
	// Code finds Kafka's error code in an error of the library's.
	Code(err error) (code int16, ok bool)
}

// Feature is something that not every library can do.
type Feature int

// The features that scenarios ask for.
const (
	// Idempotence is enable.idempotence.
	Idempotence Feature = iota
	// BatchBytes is a limit on a batch's bytes, as batch.size is.
	BatchBytes
	// PatienceWithoutLeader is to keep a record while its partition has no
	// leader, instead of refusing it.
	PatienceWithoutLeader
	// InFlight is to send records of a partition while others of it are not yet
	// answered.
	InFlight
)

// Acks are the values of a producer's acks.
const (
	AcksNone int16 = 0
	AcksOne  int16 = 1
	AcksAll  int16 = -1
)

// Dial connects to a broker.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// ProducerConfig is how a producer is set up, whatever the library calls it.
type ProducerConfig struct {
	Addrs []string
	Dial  Dial
	Topic string
	// Acks is AcksNone, AcksOne or AcksAll; idempotent producers take AcksAll.
	Acks int16
	// Idempotent is enable.idempotence. It asks for Retry, too.
	Idempotent bool
	// Retry has the client send a record again for as long as it takes;
	// otherwise a record is sent once.
	Retry bool
	// InFlight is how many requests may be under way to a broker, 0 for the
	// library's default with which no order is lost.
	InFlight int
	// Timeout is how long a broker may let the producer wait for an answer
	// (the timeoutMs of a Produce request).
	Timeout time.Duration
	// Linger is linger.ms, 0 for none.
	Linger time.Duration
	// BatchBytes is batch.size; 0 means the library's default.
	BatchBytes int
}

// Producer sends records to partition 0 of one topic.
type Producer interface {
	// Send gives a record to the library and does not wait. The channel gets
	// what became of it, once.
	Send(value string) <-chan error
	// Close ends the producer. Records that are under way fail, or end before.
	Close()
}

// ConsumerConfig is how a consumer is set up.
type ConsumerConfig struct {
	Addrs []string
	Dial  Dial
	Topic string
}

// Consumer reads partition 0 of one topic from its start, without a group.
type Consumer interface {
	// Poll waits for records until ctx ends, and returns some.
	Poll(ctx context.Context) ([]Record, error)
	Close()
}

// Record is a record as a consumer sees it.
type Record struct {
	Offset int64
	Value  string
}
