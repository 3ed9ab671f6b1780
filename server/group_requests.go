package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// client is who sent the request.
func (r *request) client() groups.Client {
	return groups.Client{ID: r.clientID, Host: "/" + r.host, Version: r.version}
}

// writeGroups has an operation run on the shard of a partition of
// __consumer_offsets, and returns what it gave when all that was written is
// replicated. What an operation gives is looked at only then: it may run on when
// the client is gone.
func writeGroups[T any](r *request, partition int32, op func(*groups.Shard) (T, coordinator.Outcome, error)) (T, error) {
	var answer, none T
	err := r.broker.groups.Write(r.ctx, partition, func(s *groups.Shard) (o coordinator.Outcome, err error) {
		answer, o, err = op(s)
		return o, err
	})
	if err != nil {
		return none, err
	}
	return answer, nil
}

// readGroups reads a shard as of what is replicated.
func readGroups[T any](r *request, partition int32, op func(s *groups.Shard, committed int64) (T, error)) (T, error) {
	var answer, none T
	err := r.broker.groups.Read(r.ctx, partition, func(s *groups.Shard, committed int64) (err error) {
		answer, err = op(s, committed)
		return err
	})
	if err != nil {
		return none, err
	}
	return answer, nil
}

// promised waits for the answer that a group gives later.
func promised[T kmsg.Response](ctx context.Context, q kmsg.Request, p *groups.Promise[T]) (kmsg.Response, error) {
	select {
	case resp := <-p.Answer():
		resp.SetVersion(q.GetVersion())
		return resp, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ended is the error of a context that has ended: then nobody waits for the
// answer, and what it says may not be true.
func ended(ctx context.Context) error { return ctx.Err() }
