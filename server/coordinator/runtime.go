package coordinator

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
)

// Config configures a [Runtime].
type Config[S Shard] struct {
	// Topic is how messages name the topic.
	Topic string
	// NewShard makes the empty state of a partition.
	NewShard func(Context) S
	Logger   *slog.Logger
	// Linger is how long a batch waits for more records, 0 for not at all. If
	// negative a batch is appended as soon as no operation waits to be run (KIP-1217's
	// adaptive linger). In any case a batch waits for the append before it.
	Linger time.Duration
	// WriteTimeout is how long an operation may wait for its records to be
	// committed (offsets.commit.timeout.ms); 0 means for ever.
	WriteTimeout time.Duration
	// LoadBuffer is how many bytes are read at a time when a partition is loaded
	// (offsets.load.buffer.size); 0 means 5 MiB.
	LoadBuffer int
	// Codec compresses batches.
	Codec log.Codec
	// Pass may be nil. It is called before a shard acts, and returns once it may,
	// or with ctx's error: it is where a paused broker stands still.
	Pass func(ctx context.Context) error
}

// maxLoads is how many partitions are loaded at a time.
const maxLoads = 8

// Runtime has a shard for each partition that this broker leads. Its methods may
// be called concurrently.
type Runtime[S Shard] struct {
	config  Config[S]
	image   atomic.Pointer[election.Image]
	ctx     context.Context // The runtime's own life.
	cancel  context.CancelFunc
	loads   chan struct{} // has room for who may load
	change  notifier
	running sync.WaitGroup

	mu         sync.Mutex
	partitions map[int32]*partition[S]
	// ended tells when the last shard of a partition has been unloaded.
	ended   map[int32]<-chan struct{}
	stopped bool
}

// New returns a runtime without partitions.
func New[S Shard](c Config[S]) *Runtime[S] {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LoadBuffer <= 0 {
		c.LoadBuffer = 5 << 20
	}
	rt := &Runtime[S]{
		config: c, loads: make(chan struct{}, maxLoads),
		partitions: map[int32]*partition[S]{}, ended: map[int32]<-chan struct{}{},
	}
	rt.ctx, rt.cancel = context.WithCancel(context.Background())
	return rt
}

// Lead has the partition's shard loaded, in the background, because this broker
// leads it in the epoch (CoordinatorRuntime.scheduleLoadOperation). A shard that is
// there stays, unless it has failed.
func (rt *Runtime[S]) Lead(number, epoch int32, l Log) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	p := rt.partitions[number]
	if rt.stopped || p != nil && p.epoch >= epoch {
		return
	}
	if p != nil && !p.failed() {
		p.epoch = epoch
		return
	}
	p = newPartition(rt, number, epoch, l, rt.ended[number])
	rt.partitions[number], rt.ended[number] = p, p.ended
	rt.running.Go(p.run)
}

// Resign unloads the partition's shard, because this broker does not lead it any
// more from the epoch on (CoordinatorRuntime.scheduleUnloadOperation). What waits
// gets kerr.NotCoordinator, soon after.
func (rt *Runtime[S]) Resign(number, epoch int32) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	p := rt.partitions[number]
	if p == nil || p.epoch > epoch {
		return
	}
	delete(rt.partitions, number)
	p.close()
}

// Update tells the shards of new cluster metadata.
func (rt *Runtime[S]) Update(m *election.Image) {
	rt.image.Store(m)
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, p := range rt.partitions {
		_ = p.enqueue(event{f: p.imageChanged})
	}
}

// Stop unloads every shard, for good, and returns when their goroutines have
// ended.
func (rt *Runtime[S]) Stop() {
	rt.mu.Lock()
	rt.stopped = true
	for n, p := range rt.partitions {
		delete(rt.partitions, n)
		p.close()
	}
	rt.mu.Unlock()
	rt.cancel()
	rt.running.Wait()
}

// Changed is closed when a shard has been loaded or unloaded, and when what it has
// may have changed, of committed state or of any other.
func (rt *Runtime[S]) Changed() <-chan struct{} { return rt.change.next() }

// notifier tells of changes who asks for the next one.
type notifier struct {
	mu   sync.Mutex
	told chan struct{} // nil when nobody has asked
}

func (n *notifier) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told == nil {
		n.told = make(chan struct{})
	}
	return n.told
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told != nil {
		close(n.told)
		n.told = nil
	}
}

// Active are the partitions whose shards are loaded, in order.
func (rt *Runtime[S]) Active() []int32 {
	return rt.list(func(p *partition[S]) bool { return p.submittable() == nil })
}

// Serves tells whether the partition's shard is loaded.
func (rt *Runtime[S]) Serves(partition int32) bool {
	rt.mu.Lock()
	p := rt.partitions[partition]
	rt.mu.Unlock()
	return p != nil && p.submittable() == nil
}

// Led are the partitions that this broker coordinates, those that are being loaded
// and those that could not be loaded among them, in order.
func (rt *Runtime[S]) Led() []int32 {
	return rt.list(func(*partition[S]) bool { return true })
}

func (rt *Runtime[S]) list(which func(*partition[S]) bool) []int32 {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	var list []int32
	for n, p := range rt.partitions {
		if which(p) {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, cmp.Compare[int32])
	return list
}

// kind is what an event does.
type kind bool

const (
	changes kind = false
	looks   kind = true // it changes nothing
)

// submit has f run as an event of the partition's shard.
func (rt *Runtime[S]) submit(number int32, k kind, f func(*partition[S])) error {
	rt.mu.Lock()
	p, stopped := rt.partitions[number], rt.stopped
	rt.mu.Unlock()
	switch {
	case stopped:
		return kerr.CoordinatorNotAvailable
	case p == nil:
		return kerr.NotCoordinator
	}
	return p.enqueue(event{k, func() { f(p) }})
}

// await is submit, and returns what f gives to its answer.
func (rt *Runtime[S]) await(
	ctx context.Context, number int32, k kind, f func(p *partition[S], answer func(error)),
) error {
	done := make(chan error, 1)
	err := rt.submit(number, k, func(p *partition[S]) {
		if !p.serving {
			done <- kerr.NotCoordinator
			return
		}
		f(p, func(err error) { done <- err })
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Write runs op on the partition's shard and returns when its records are
// committed, and all written before them, also when op has none. An error of op
// is returned at once, and nothing is written. Errors of the runtime are kerr's:
// NotCoordinator, CoordinatorLoadInProgress, CoordinatorNotAvailable (not
// committed in time: the records stay), and UnknownServerError. When ctx ends, its
// error is returned, and the operation goes on.
func (rt *Runtime[S]) Write(ctx context.Context, partition int32, op func(S) (Outcome, error)) error {
	return rt.await(ctx, partition, changes, writing(op, noProducer))
}

// Run is Write that returns when op has run. What becomes of its records is told
// by [Outcome].Done.
func (rt *Runtime[S]) Run(ctx context.Context, partition int32, op func(S) (Outcome, error)) error {
	return rt.await(ctx, partition, changes, running(op))
}

// Read runs op, which must not change anything, on the partition's shard, and
// returns when it has run: op reads the state as of the last committed offset,
// with the timeline's methods that take an epoch.
func (rt *Runtime[S]) Read(ctx context.Context, partition int32, op func(s S, committed int64) error) error {
	return rt.await(ctx, partition, looks, reading(op))
}

// WriteTransactional is Write for records that belong to a transaction of the
// producer: Replay is told of it, and they are to count when EndTransaction commits
// them. They get a batch of their own.
func (rt *Runtime[S]) WriteTransactional(
	ctx context.Context, partition int32, producerID int64, producerEpoch int16, op func(S) (Outcome, error),
) error {
	return rt.await(ctx, partition, changes, writing(op, producer{producerID, producerEpoch}))
}

// EndTransaction appends the marker that ends the producer's transaction, and
// returns when it is committed. Its errors are Write's.
func (rt *Runtime[S]) EndTransaction(
	ctx context.Context, partition int32, producerID int64, producerEpoch int16, coordinatorEpoch int32, commit bool,
) error {
	return rt.await(ctx, partition, changes, ending[S](producer{producerID, producerEpoch}, coordinatorEpoch, commit))
}
