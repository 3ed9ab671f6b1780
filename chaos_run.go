package minikafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// ChaosRun is a schedule of faults that is carried out; see [Cluster.Chaos].
type ChaosRun struct {
	view  *Cluster
	seed  uint64
	opts  ChaosOptions
	steps []ChaosStep

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	brokers, controllers, links semaphore
	each                        map[int32]semaphore // one fault of a broker at a time
	running                     sync.WaitGroup

	mu   sync.Mutex // guards errs
	errs []error
}

// semaphore counts what may be out of order at a time.
type semaphore chan struct{}

func (s semaphore) take(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s semaphore) free() { <-s }

// Chaos causes faults at random in the background, while the test goes on, for
// as long as the options say, and then mends all that it has broken. What it does
// when follows from the seed, the options and the ids of the nodes alone, and is
// written to the test's log; a fault begins later than planned when too much is
// out of order already. Nothing else should break nodes or links meanwhile.
// [ChaosRun.Wait] waits for the end; so does closing the cluster, after
// [ChaosRun.Stop].
func (c *Cluster) Chaos(seed uint64, o ChaosOptions) *ChaosRun {
	c.tb.Helper()
	c.checkOpen()
	o, err := o.withDefaults(len(c.brokers))
	c.check(err)
	var brokers, controllers []int32
	for _, b := range c.brokers {
		brokers = append(brokers, b.ID())
	}
	for _, ctl := range c.controllers {
		controllers = append(controllers, ctl.ID())
	}
	r := &ChaosRun{
		view: c, seed: seed, opts: o, steps: schedule(seed, o, brokers, controllers), done: make(chan struct{}),
		brokers: make(semaphore, o.AtOnce), controllers: make(semaphore, 1), links: make(semaphore, 1),
	}
	r.each = map[int32]semaphore{}
	for _, id := range brokers {
		r.each[id] = make(semaphore, 1)
	}
	r.ctx, r.cancel = context.WithTimeout(context.Background(), o.For)
	c.tb.Logf("%v", r)
	if !c.cluster.runs.add(r) {
		r.cancel()
		c.check(ErrClosed)
	}
	go r.run()
	return r
}

// Steps are the schedule.
func (r *ChaosRun) Steps() []ChaosStep { return slices.Clone(r.steps) }

// String is the schedule in words.
func (r *ChaosRun) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "chaos for %v, seed %d:", r.opts.For, r.seed)
	for _, s := range r.steps {
		fmt.Fprintf(&out, "\n%v", s)
	}
	return out.String()
}

// Done is closed when the chaos is over, and all is mended that it has broken.
func (r *ChaosRun) Done() <-chan struct{} { return r.done }

// Stop ends the chaos early: faults end at once. It returns when all is mended.
func (r *ChaosRun) Stop() {
	r.cancel()
	<-r.done
}

// Wait returns when the chaos is over and the cluster healthy, and fails the test
// when something could not be broken or mended, or the cluster does not recover.
func (r *ChaosRun) Wait() {
	r.view.tb.Helper()
	<-r.done
	r.mu.Lock()
	err := errors.Join(r.errs...)
	r.mu.Unlock()
	r.view.check(err)
	r.view.WaitHealthy()
}

func (r *ChaosRun) run() {
	defer close(r.done)
	defer r.cancel()
	defer r.view.cluster.runs.remove(r)
	begin := time.Now()
	for i, s := range r.steps {
		if !r.until(begin.Add(s.At)) || !r.take(s) {
			r.view.cluster.logger.Info("the chaos is over before its last faults", "left", len(r.steps)-i)
			break
		}
		r.running.Go(func() { r.step(s) })
	}
	r.until(begin.Add(r.opts.For))
	r.running.Wait()
}

// until waits for a time; false when the chaos is over before.
func (r *ChaosRun) until(at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return r.ctx.Err() == nil
	case <-r.ctx.Done():
		return false
	}
}

// take waits until there is room for the step. Only run takes, and steps free
// without taking, so that nobody waits in a circle.
func (r *ChaosRun) take(s ChaosStep) bool {
	var got []semaphore
	for _, sem := range r.slots(s) {
		if !sem.take(r.ctx) {
			for _, g := range got {
				g.free()
			}
			return false
		}
		got = append(got, sem)
	}
	return true
}

func (r *ChaosRun) slots(s ChaosStep) []semaphore {
	var slots []semaphore
	for _, id := range s.brokers() {
		slots = append(slots, r.each[id])
	}
	if len(s.brokers()) > 0 {
		slots = append(slots, r.brokers)
	}
	if s.Kind.ofController() {
		slots = append(slots, r.controllers)
	}
	if s.Kind.ofLinks() {
		slots = append(slots, r.links)
	}
	return slots
}

// step causes a fault, ends it in time, and waits until what it has put out of
// order is in order again.
func (r *ChaosRun) step(s ChaosStep) {
	defer func() {
		for _, sem := range r.slots(s) {
			sem.free()
		}
	}()
	c := r.view.cluster
	c.logger.Info("chaos", "step", s.String())
	end, err := c.cause(s)
	if err != nil {
		r.failed(s, err)
		return
	}
	t := time.NewTimer(s.For)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
	for again := true; again; {
		if err := end(); err != nil {
			r.failed(s, err)
			return
		}
		again, err = r.recover(s)
		if err != nil {
			r.failed(s, err)
			return
		}
	}
}

// recover waits until what the step has put out of order is in order again, or
// the chaos is over. again says that a disk has failed that was about to when it
// was mended.
func (r *ChaosRun) recover(s ChaosStep) (again bool, err error) {
	c := r.view.cluster
	ctx, cancel := c.deadline()
	defer cancel()
	err = c.wait(ctx, fmt.Sprintf("order after %v", s), func() bool {
		halting := false
		if s.Kind == MishapBadDisk {
			again, halting = c.node(s.Node).stateNow() == Halted, c.node(s.Node).isHalting()
		}
		return again || !halting && (r.ctx.Err() != nil || c.recovered(s))
	})
	return again, err
}

func (r *ChaosRun) failed(s ChaosStep, err error) {
	if errors.Is(err, ErrClosed) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Errorf("minikafka: chaos of seed %d: %v: %w", r.seed, s, err))
}

// recovered tells whether the brokers of the step are in sync everywhere, and of
// controllers whether there is an active one again.
func (c *cluster) recovered(s ChaosStep) bool {
	if s.Kind.ofController() {
		return c.active() != nil && c.active().up()
	}
	image := c.image()
	for _, id := range s.brokers() {
		if image == nil || !c.node(id).up() || !image.Brokers[id].Alive() {
			return false
		}
		for _, t := range image.Topics {
			for _, p := range t.Partitions {
				if slices.Contains(p.Replicas, id) && (p.Leader < 0 || !slices.Contains(p.ISR, id)) {
					return false
				}
			}
		}
	}
	return true
}

// cause begins a fault; end ends it.
func (c *cluster) cause(s ChaosStep) (end func() error, err error) {
	switch {
	case s.Kind.ofLinks():
		links := c.links(s)
		c.fabric.Break(links, fabric.Quality{
			Cut: s.Kind != MishapDelay && s.Kind != MishapLoss, Delay: s.Delay, Jitter: s.Delay / 2, Loss: s.Share,
		})
		return func() error { c.fabric.Mend(links); return nil }, nil
	case s.Kind.ofController():
		return c.causeOnController(s)
	default:
		return c.causeOnBroker(c.node(s.Node), s)
	}
}

func (c *cluster) causeOnController(s ChaosStep) (end func() error, err error) {
	i := slices.IndexFunc(c.controllers, func(n *controllerNode) bool { return n.id == s.Node })
	n := c.controllers[i]
	if s.Kind == MishapPauseController {
		return func() error { return c.verb(&n.place, func(context.Context) error { return n.pause(false) }) },
			c.verb(&n.place, func(context.Context) error { return n.pause(true) })
	}
	return func() error { return c.verb(&n.place, func(context.Context) error { return n.start() }) },
		c.verb(&n.place, func(context.Context) error { return n.end(Crashed) })
}

// verb carries out a verb on a node.
func (c *cluster) verb(p *place, do func(context.Context) error) error {
	ctx, cancel := c.deadline()
	defer cancel()
	return p.exclusive(ctx, func() error { return do(ctx) })
}

// loseAnswers has a broker lose some answers to Produce.
func (c *cluster) loseAnswers(s ChaosStep) (end func() error, err error) {
	f, err := c.fault(Fault{
		APIs: []string{"Produce"}, Brokers: []int32{s.Node}, Effect: LoseAnswer,
		Count: Always, Probability: s.Share, Seed: uint64(s.At),
	})
	if err != nil {
		return nil, err
	}
	installed := c.faults.Add(f)
	return func() error { installed.Remove(); return nil }, nil
}

func (c *cluster) causeOnBroker(n *brokerNode, s ChaosStep) (end func() error, err error) {
	none := func() error { return nil }
	restart := func() error {
		ctx, cancel := c.deadline()
		defer cancel()
		return c.restart(ctx, n)
	}
	ends := map[Mishap]State{MishapCrash: Crashed, MishapPowerOff: PoweredOff, MishapShutdown: ShutDown}
	switch s.Kind {
	case MishapPause:
		return func() error { return c.verb(&n.place, func(context.Context) error { return n.pause(false) }) },
			c.verb(&n.place, func(context.Context) error { return n.pause(true) })
	case MishapReset:
		if life := n.running(); life != nil {
			life.CloseClientConnections()
		}
		return none, nil
	case MishapLostAnswers:
		return c.loseAnswers(s)
	case MishapSlowDisk:
		n.disk.set(Disk{SlowWrites: s.Delay, SlowReads: s.Delay})
		return func() error { n.disk.set(Disk{}); return nil }, nil
	case MishapBadDisk:
		n.disk.set(Disk{FailWrite: s.Nth})
		return func() error {
			n.disk.set(Disk{})
			if n.running() != nil {
				return nil // it has not failed yet, or is about to halt
			}
			return restart()
		}, nil
	default:
		err := c.verb(&n.place, func(ctx context.Context) error { return n.end(ctx, ends[s.Kind]) })
		if s.Kind == MishapShutdown && n.running() == nil {
			err = nil // its leaderships could not be moved, but it has ended
		}
		return restart, err
	}
}

// runs are the chaos that is under way.
type runs struct {
	mu     sync.Mutex
	active map[*ChaosRun]struct{}
	closed bool
}

// add takes up a run; false when the cluster is being closed.
func (s *runs) add(r *ChaosRun) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.active == nil {
		s.active = map[*ChaosRun]struct{}{}
	}
	s.active[r] = struct{}{}
	return true
}

func (s *runs) remove(r *ChaosRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, r)
}

// stop ends all runs, and no other begins.
func (s *runs) stop() {
	s.mu.Lock()
	s.closed = true
	active := slices.Collect(maps.Keys(s.active))
	s.mu.Unlock()
	for _, r := range active {
		r.cancel()
	}
	for _, r := range active {
		<-r.done
	}
}
