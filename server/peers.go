package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// peerRequest is a request of one broker to another, as Kafka's brokers send them to
// each other's listeners. It goes through the fabric: links that are cut stop it.
// Neither it nor its answer may be changed once sent.
type peerRequest struct{ body kmsg.Request }

// errMoved is the end of a call whose receiver is not the right one any more.
var errMoved = errors.New("server: another broker has to be asked")

// ask sends a request to a broker, which may be this one, and waits for its answer,
// also while it cannot be reached. Errors are ctx's, those of the fabric, and that the
// receiver does not serve the key.
func (b *broker) ask(ctx context.Context, to int32, q kmsg.Request) (kmsg.Response, error) {
	if to == b.config.ID {
		return b.servePeer(ctx, q)
	}
	answer, err := b.port.Call(ctx, fabric.Broker(to), &peerRequest{q})
	if err != nil {
		return nil, err
	}
	return answer.(kmsg.Response), nil
}

// servePeer handles a request of a broker, once this one knows the cluster.
func (b *broker) servePeer(ctx context.Context, q kmsg.Request) (_ kmsg.Response, err error) {
	select {
	case <-b.imaged:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a := b.find(q.Key())
	if a == nil {
		return nil, fmt.Errorf("server: broker %d does not serve %s", b.config.ID, kmsg.NameForKey(q.Key()))
	}
	r := &request{ctx: ctx, broker: b, key: a.key, version: q.GetVersion(), body: q}
	defer b.recovered(r, &err)
	return a.handle(r)
}

// askWhile is ask, given up with errMoved when the metadata says that another is to
// be asked. It returns when the receiver does nothing more for it.
func (b *broker) askWhile(ctx context.Context, to int32, q kmsg.Request, right func(*election.Image) bool) (kmsg.Response, error) {
	type result struct {
		answer kmsg.Response
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan result, 1)
	b.spawn(func() {
		answer, err := b.ask(ctx, to, q)
		done <- result{answer, err}
	})
	for {
		change := b.changed()
		m := b.image()
		if !right(m) || !m.Brokers[to].Alive() {
			cancel()
			<-done
			return nil, errMoved
		}
		select {
		case r := <-done:
			return r.answer, r.err
		case <-change:
		case <-ctx.Done():
			r := <-done
			return r.answer, r.err
		}
	}
}
