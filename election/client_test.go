package election_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication/fabric"
)

// TestWaitsEnd: all that waits at a client ends with it, or with its node.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*broker){
		"stop":  func(b *broker) { b.Stop() },
		"leave": func(b *broker) { b.port.Leave() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, kafka(), 1) // There is no controller.
				defer c.stop()
				b := c.startBroker(1)
				ended := make(chan error, 3)
				ctx := c.ctx()
				go func() {
					_, err := b.Do(ctx, &election.UnregisterBroker{})
					ended <- err
				}()
				go func() { ended <- b.WaitFor(ctx, 1) }()
				go func() { ended <- b.ControlledShutdown(ctx) }()
				synctest.Wait()
				end(b)
				for range 3 {
					if err := <-ended; !errors.Is(err, fabric.ErrLeft) {
						t.Errorf("a wait ended with %v", err)
					}
				}
				if b.Epoch() != -1 || b.Image() != nil {
					t.Errorf("epoch %d, image %v", b.Epoch(), b.Image())
				}
			})
		})
	}
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, kafka(), 1)
		defer c.stop()
		b := c.startBroker(1)
		for _, wait := range []func(context.Context) error{
			func(ctx context.Context) error { _, err := b.Do(ctx, &election.UnregisterBroker{}); return err },
			func(ctx context.Context) error { return b.WaitFor(ctx, 1) },
			b.ControlledShutdown,
		} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			start := time.Now()
			if err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			cancel()
		}
	})
}

// TestCommandsSurviveTheController: what is under way when the controllers
// change goes through, once.
func TestCommandsSurviveTheController(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1, 2, 3).run()
		defer c.stop()
		c.startBrokers(1)
		for round := range 5 {
			done := make(chan error, 20)
			for i := range 20 {
				go func() {
					a, err := c.brokers[1].Do(c.ctx(), &election.CreateTopics{Topics: []election.NewTopic{
						{Name: string(rune('a'+round)) + string(rune('a'+i)), Partitions: 1, ReplicationFactor: 1},
					}})
					if results, ok := a.([]election.CreateTopicResult); ok {
						err = results[0].Err
					}
					done <- err
				}()
			}
			id := c.activeController()
			c.crashController(id)
			for range 20 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			c.startController(id)
			c.caughtUp(id, c.controllers[c.activeController()].Image().Index)
		}
		if n := len(c.controllers[c.activeController()].Image().Topics); n != 100 {
			t.Errorf("%d topics", n)
		}
	})
}
