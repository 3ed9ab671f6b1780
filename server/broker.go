package server

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
	"github.com/minikafka/minikafka/server/configs"
)

type endKind int

const (
	endCrash endKind = iota
	endPowerOff
	endShutdown
)

// broker is what a [Broker] is made of. Handlers use image, values, topicValues,
// do and settle of it.
type broker struct {
	config Config
	logger *slog.Logger

	db       *log.DB
	port     *fabric.Port
	replicas *replication.Manager
	election *election.Client

	ctx     context.Context //nolint:containedctx // The broker's own life.
	cancel  context.CancelFunc
	running sync.WaitGroup

	// current is the newest metadata whose roles are in force here.
	current atomic.Pointer[election.Image]

	loggers loggers
}

// spawn starts a goroutine of the broker's; end returns when all have ended.
func (b *broker) spawn(f func()) { b.running.Go(f) }

// image is the newest metadata whose roles are in force here. It is not nil once
// the listener accepts.
func (b *broker) image() *election.Image { return b.current.Load() }

// values are the broker's configs as of an image.
func (b *broker) values(m *election.Image) configs.BrokerValues {
	return configs.BrokerValues{Own: m.BrokerConfigs[b.config.ID], Cluster: m.ClusterConfigs, Static: b.config.Static}
}

// topicValues are a topic's configs as of an image.
func (b *broker) topicValues(m *election.Image, t *election.Topic) configs.TopicValues {
	return b.values(m).Topic(t.Configs)
}

// do has the active controller run a command; see election's commands.
func (b *broker) do(ctx context.Context, c election.Command) (any, error) {
	return b.election.Do(ctx, c)
}

func startBroker(Config) (*Broker, error)        { panic("not built yet") }
func (b *broker) ready() <-chan struct{}         { panic("not built yet") }
func (b *broker) id() int32                      { return b.config.ID }
func (b *broker) addr() string                   { panic("not built yet") }
func (b *broker) listenAddr() string             { panic("not built yet") }
func (b *broker) end(endKind)                    { panic("not built yet") }
func (b *broker) shutdown(context.Context) error { panic("not built yet") }
func (b *broker) closeClientConnections()        { panic("not built yet") }
func (b *broker) changed() <-chan struct{}       { panic("not built yet") }
func (b *broker) manager() *replication.Manager  { return b.replicas }
func (b *broker) client() *election.Client       { return b.election }
