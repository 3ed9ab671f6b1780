package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// client is a broker's side of the controller. Its goroutines are live
// (registration and heartbeats), pull (images), and locate while the active
// controller is not known.
type client struct {
	cfg    ClientConfig
	logger *slog.Logger
	ctx    context.Context // ends with stop, or when the node has left
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // has room for one: a heartbeat is wanted now

	mu            sync.Mutex
	target        *target       // the active controller as far as is known; nil: being located
	found         chan struct{} // closed when target is set
	brokerEpoch   int64
	unfencedOnce  chan struct{}
	newest        *Image
	imageChanged  chan struct{} // closed when newest changes
	appliedIndex  uint64
	appliedChange chan struct{} // closed when appliedIndex changes
	wantShutdown  bool
	granted       chan struct{} // closed when the shutdown is granted
}

// target is a controller that is taken for the active one, until it is given up.
type target struct {
	node   fabric.Node
	ctx    context.Context
	giveUp context.CancelFunc
}

func startClient(cfg ClientConfig) *Client {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	wrapper := &Client{client{
		cfg: cfg, logger: cfg.Logger, kick: make(chan struct{}, 1), found: make(chan struct{}),
		brokerEpoch: -1, unfencedOnce: make(chan struct{}), imageChanged: make(chan struct{}),
		appliedChange: make(chan struct{}), granted: make(chan struct{}),
	}}
	c := &wrapper.client
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.wg.Go(c.locate)
	c.wg.Go(c.live)
	c.wg.Go(c.pull)
	return wrapper
}

func (c *client) stop() {
	c.mu.Lock()
	c.cancel() // Under the lock: no goroutine is started afterwards.
	c.mu.Unlock()
	c.wg.Wait()
}

// patience is how long an answer may take that should come at once. A target
// that takes longer is given up: it is cut off, or paused.
func (c *client) patience() time.Duration {
	return max(c.cfg.Timing.SessionTimeout/2, time.Millisecond)
}

// locate asks every controller, and takes the first that says it is the active
// one. Controllers that cannot be reached or are not active keep the question.
func (c *client) locate() {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	answers := make(chan int32)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, id := range c.cfg.Controllers {
		wg.Go(func() {
			for {
				_, err := c.cfg.Call.Call(ctx, fabric.Controller(id), &findActive{})
				switch {
				case err == nil:
					select {
					case answers <- id:
					case <-ctx.Done():
					}
					return
				case errors.Is(err, fabric.ErrLeft):
					c.cancel()
					return
				case ctx.Err() != nil:
					return
				}
			}
		})
	}
	select {
	case id := <-answers:
		t := &target{node: fabric.Controller(id)}
		t.ctx, t.giveUp = context.WithCancel(c.ctx)
		c.mu.Lock()
		c.target = t
		close(c.found)
		c.mu.Unlock()
	case <-ctx.Done():
	}
}

// giveUp has the active controller located again.
func (c *client) giveUp(t *target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.giveUp()
	if c.target != t || c.ctx.Err() != nil {
		return
	}
	c.target, c.found = nil, make(chan struct{})
	c.wg.Go(c.locate)
}

// current waits for the active controller to be known.
func (c *client) current(ctx context.Context) (*target, error) {
	for {
		c.mu.Lock()
		t, found := c.target, c.found
		c.mu.Unlock()
		if t != nil {
			return t, nil
		}
		select {
		case <-found:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.ctx.Done():
			return nil, fabric.ErrLeft
		}
	}
}

// ask sends a message to the active controller, once. With a false again the
// answer, or the error, is what the controller said, or ctx or the node has
// ended (fabric.ErrLeft). Otherwise the controller has been given up, and
// whether the message took effect is unknown.
func (c *client) ask(ctx context.Context, msg any) (answer any, again bool, err error) {
	t, err := c.current(ctx)
	if err != nil {
		return nil, false, err
	}
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	answer, err = c.cfg.Call.Call(callCtx, t.node, msg)
	switch {
	case err == nil:
		return answer, false, nil
	case errors.Is(err, fabric.ErrLeft) || c.ctx.Err() != nil:
		c.cancel()
		return nil, false, fabric.ErrLeft
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case t.ctx.Err() != nil, errors.Is(err, fabric.ErrReset), errors.Is(err, errNotActive), errors.Is(err, errDeposed):
		c.giveUp(t)
		return nil, true, err
	}
	return answer, false, err
}

// askSoon is ask with a target that is given up when it takes too long.
func (c *client) askSoon(msg any) (answer any, again bool, err error) {
	t, err := c.current(c.ctx)
	if err != nil {
		return nil, false, err
	}
	defer time.AfterFunc(c.patience(), func() { c.giveUp(t) }).Stop()
	return c.ask(c.ctx, msg)
}

func (c *client) do(ctx context.Context, cmd Command) (any, error) {
	prepared, err := prepare(cmd)
	if err != nil {
		return nil, err
	}
	limit := c.cfg.Timing.ForwardTimeout
	if limit <= 0 {
		limit = time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		answer, again, err := c.ask(limited, &runCommand{prepared})
		switch {
		case again:
		case err != nil && limited.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return nil, fmt.Errorf("%w: %v", ErrTimedOut, limit)
		default:
			return answer, err
		}
	}
}

func (c *client) image() *Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest
}

func (c *client) epoch() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.brokerEpoch
}

func (c *client) unfenced() <-chan struct{} { return c.unfencedOnce }

func (c *client) changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.imageChanged
}

func (c *client) waitFor(ctx context.Context, index uint64) error {
	for {
		c.mu.Lock()
		at, changed := c.appliedIndex, c.appliedChange
		c.mu.Unlock()
		if at >= index {
			return nil
		}
		if err := c.wait(ctx, changed); err != nil {
			return err
		}
	}
}

func (c *client) controlledShutdown(ctx context.Context) error {
	c.mu.Lock()
	c.wantShutdown = true
	c.mu.Unlock()
	c.wake()
	return c.wait(ctx, c.granted)
}

// wait waits for a channel, ctx, or the end of the client.
func (c *client) wait(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return fabric.ErrLeft
	}
}

// wake asks for a heartbeat now.
func (c *client) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
