// Package groups is the state of the groups of one partition of
// __consumer_offsets (Kafka's GroupCoordinatorShard).
package groups

import (
	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
)

// Config configures the shards of a broker.
type Config struct {
	// Settings are the broker's configs; those of groups cannot change while it
	// runs.
	Settings configs.BrokerSettings
	// Group gives the configs of one group (resource type GROUP).
	Group func(id string) configs.GroupValues
}

// Shard is the groups of one partition of __consumer_offsets, and their offsets.
// It is a [coordinator.Shard].
type Shard struct {
	ctx    coordinator.Context
	config Config
}

// New returns a shard without groups.
func New(ctx coordinator.Context, c Config) *Shard { return &Shard{ctx, c} }

// Replay applies a record.
func (s *Shard) Replay(coordinator.Position, coordinator.Record) error { return nil }

// ReplayMarker ends a producer's transaction.
func (s *Shard) ReplayMarker(int64, int16, bool) error { return nil }

// Loaded schedules what the loaded groups need.
func (s *Shard) Loaded() {}

// Unloaded tells who waits that the coordinator is gone.
func (s *Shard) Unloaded() {}

// Changed looks at new metadata.
func (s *Shard) Changed(*election.Image) {}
