package server

import (
	"context"
	"encoding/base64"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// newShareStates makes the runtime of the share coordinator
// (ShareCoordinatorService). It has a shard for each partition of
// __share_group_state that this broker leads.
func (b *broker) newShareStates() *coordinator.Runtime[*sharecoordinator.Shard] {
	v := configs.BrokerValues{Static: b.config.Static}
	perSnapshot := int(v.Int("share.coordinator.snapshot.update.records.per.snapshot"))
	return coordinator.New(coordinator.Config[*sharecoordinator.Shard]{
		Topic: shareGroupState,
		NewShard: func(ctx coordinator.Context) *sharecoordinator.Shard {
			return sharecoordinator.New(ctx, perSnapshot)
		},
		Logger:       b.logger,
		Linger:       time.Duration(v.Int("share.coordinator.append.linger.ms")) * time.Millisecond,
		WriteTimeout: v.Ms("share.coordinator.write.timeout.ms"),
		LoadBuffer:   int(v.Int("share.coordinator.load.buffer.size")),
		Codec:        log.Codec(v.Int("share.coordinator.state.topic.compression.codec")),
		Pass:         b.pauses.gate.pass,
	})
}

// shareKeyOf is how a share-partition is named to find its coordinator
// (SharePartitionKey.asCoordinatorKey).
func shareKeyOf(p sharecoordinator.Partition) string {
	return p.Group + ":" + base64.RawURLEncoding.EncodeToString(p.Topic[:]) + ":" + strconv.Itoa(int(p.Partition))
}

// shareStatePartition is the partition of __share_group_state that holds a
// share-partition's state.
func (b *broker) shareStatePartition(p sharecoordinator.Partition) int32 {
	n := int32(1) // Without the topic nobody coordinates, whatever the partition.
	if t := b.image().Topics[shareGroupState]; t != nil {
		n = int32(len(t.Partitions))
	}
	return CoordinatorPartition(shareKeyOf(p), n)
}

// shareState has the share coordinator of a share-partition run an operation, and
// returns when what it wrote is committed.
func (b *broker) shareState(
	ctx context.Context, p sharecoordinator.Partition, op func(*sharecoordinator.Shard) (coordinator.Outcome, error),
) error {
	if !b.shareGroupsEnabled() {
		return kerr.UnsupportedVersion
	}
	return b.shareStates.Write(ctx, b.shareStatePartition(p), op)
}

// shareGroupsEnabled tells whether share.version is above 0.
func (b *broker) shareGroupsEnabled() bool { return b.image().Features["share.version"] > 0 }

// together calls f for 0 to n-1 at the same time, and returns when all have
// returned.
func (b *broker) together(n int, f func(int)) {
	if n == 0 {
		return
	}
	var others sync.WaitGroup
	for i := 1; i < n; i++ {
		others.Add(1)
		b.spawn(func() {
			defer others.Done()
			f(i)
		})
	}
	f(0)
	others.Wait()
}

// shareMessage is the message that goes with an error of the share coordinator.
func shareMessage(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	return &s
}
