package server

import (
	"context"
	"fmt"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// endKind is how a broker ends.
type endKind int

const (
	endCrash endKind = iota
	endPowerOff
	endShutdown
	endHalt
)

// drainWithin is how long requests that are under way may take when the broker
// has been shut down in order, and noticeWithin how long it may take to hear
// where its leaderships have gone.
const (
	drainWithin  = 100 * time.Millisecond
	noticeWithin = time.Second
)

// shutdown ends the broker in order (BrokerServer.shutdown). It ends also when
// leaderships could not be moved before ctx ended; the error says so.
func (b *broker) shutdown(ctx context.Context) error {
	var moved error
	if b.static.ControlledShutdownEnable {
		if moved = b.election.ControlledShutdown(ctx); moved == nil {
			b.awaitNoLeadership(ctx)
		}
	}
	if err := b.end(endShutdown); err != nil {
		return fmt.Errorf("server: broker %d: %w", b.config.ID, err)
	}
	if moved != nil {
		return fmt.Errorf("server: broker %d: leaderships were not moved: %w", b.config.ID, moved)
	}
	return nil
}

// awaitNoLeadership returns when this broker's own metadata says that it leads
// nothing: what waits has been told then.
func (b *broker) awaitNoLeadership(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, noticeWithin)
	defer cancel()
	for {
		change := b.images.next()
		m := b.images.current()
		if m == nil || !leadsAny(m, b.config.ID) {
			return
		}
		select {
		case <-change:
		case <-ctx.Done():
			return
		}
	}
}

func leadsAny(m *election.Image, broker int32) bool {
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader == broker {
				return true
			}
		}
	}
	return false
}

// end ends the broker, once. It returns when all goroutines have ended.
func (b *broker) end(kind endKind) (err error) {
	b.ending.Do(func() { err = b.endOnce(kind) })
	b.running.Wait()
	return err
}

// endLogged is end for those who have no use for an error.
func (b *broker) endLogged(kind endKind) {
	if err := b.end(kind); err != nil {
		b.logger.Error("cannot close the file", "error", err)
	}
}

func (b *broker) endOnce(kind endKind) error {
	// Connections first: no answer is to leave that the file does not keep.
	_ = b.listener.Close()
	b.dying.Store(kind != endShutdown)
	if kind == endShutdown || kind == endHalt {
		b.conns.finish(drainWithin)
	} else {
		b.conns.abort()
	}
	b.pauses.mu.Lock()
	b.cancel() // opens the gates
	b.pauses.mu.Unlock()
	b.spawn(b.groups.Stop) // running waits for them
	b.spawn(b.transactions.Stop)
	b.spawn(b.shareStates.Stop)
	// Leave lets go of what waits in calls, of ours and to us.
	left := make(chan struct{})
	b.spawn(func() {
		defer close(left)
		b.port.Leave()
	})
	b.election.Stop()
	b.replicas.Stop()
	<-left
	b.config.Fabric.Resume(fabric.Broker(b.config.ID)) // for the next life
	b.running.Wait()
	switch kind {
	case endCrash, endHalt:
		return b.db.Crash()
	case endPowerOff:
		return b.db.PowerOff()
	case endShutdown:
	}
	if epoch := b.epoch.Load(); epoch >= 0 {
		if err := b.db.SetValue(valueCleanEpoch, fmt.Append(nil, epoch)); err != nil {
			b.logger.Error("cannot mark the shutdown as clean", "error", err)
		}
	}
	return b.db.Close()
}
