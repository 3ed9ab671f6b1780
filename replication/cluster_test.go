package replication_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
)

// deadline bounds every wait of these tests.
const deadline = 10 * time.Second

// cluster is some brokers' replicas of one partition, with a controller that
// does what the test says.
type cluster struct {
	t       testing.TB
	fabric  *fabric.Fabric
	holds   *replication.Holds
	witness *replication.Witness
	timing  replication.Timing
	id      log.PartitionID
	dir     string
	brokers map[int32]*node

	mu     sync.Mutex
	state  replication.Assignment
	all    []int32
	epochs map[int32]int64 // broker epochs; absent: fenced
	next   int64
	// disk, when set, fails commits of a broker's file.
	disk func(broker int32) error
	// refuse, when set, decides what a proposed ISR change gets.
	refuse func(replication.ISRChange) error
	// changes are the ISRs that were committed through the controller.
	changes [][]int32
}

// node is one broker.
type node struct {
	id      int32
	db      *log.DB
	port    *fabric.Port
	manager *replication.Manager
	epoch   atomic.Int64
}

func newCluster(t testing.TB, brokers int, min int) *cluster {
	c := &cluster{
		t: t, fabric: fabric.New(), holds: replication.NewHolds(), witness: replication.NewWitness(func(v string) { t.Error(v) }), dir: t.TempDir(),
		timing:  replication.Timing{LagTime: time.Hour, RetryISR: time.Millisecond, CheckpointInterval: time.Hour},
		id:      log.PartitionID{Topic: log.TopicID{1}, Partition: 0},
		brokers: map[int32]*node{}, epochs: map[int32]int64{},
	}
	for i := range int32(brokers) {
		c.state.Replicas = append(c.state.Replicas, i)
		c.all = append(c.all, i)
	}
	c.state.ID, c.state.Topic = c.id, "orders"
	c.state.ISR = slices.Clone(c.state.Replicas)
	c.state.Leader = 0
	c.state.Settings.MinInsyncReplicas = min
	for i := range int32(brokers) {
		c.start(i)
	}
	t.Cleanup(func() {
		for _, n := range c.brokers {
			n.end(n.db.Close)
		}
	})
	c.publish()
	return c
}

// start starts a broker over its file, unfenced.
func (c *cluster) start(id int32) {
	c.t.Helper()
	db, err := log.Open(filepath.Join(c.dir, fmt.Sprintf("broker-%d.db", id)), log.Options{BeforeCommit: func(int) error {
		c.mu.Lock()
		disk := c.disk
		c.mu.Unlock()
		if disk != nil {
			return disk(id)
		}
		return nil
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	n := &node{id: id, db: db}
	c.mu.Lock()
	c.next++
	n.epoch.Store(c.next)
	c.epochs[id] = c.next
	c.mu.Unlock()
	n.manager = replication.NewManager(replication.ManagerConfig{
		Broker: id, DB: db, Call: n, ISR: c, Holds: c.holds, Witness: c.witness, Timing: c.timing,
		BrokerEpoch: n.epoch.Load,
	})
	n.port, err = c.fabric.Join(fabric.Broker(id), func(ctx context.Context, from fabric.Node, msg any) (any, error) {
		answer, handled, err := n.manager.Handle(ctx, from, msg)
		if !handled {
			return nil, fmt.Errorf("message of unknown type %T", msg)
		}
		return answer, err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.brokers[id] = n
}

// Call is replication.Caller's; nothing is sent before the broker has a port.
func (n *node) Call(ctx context.Context, to fabric.Node, msg any) (any, error) {
	return n.port.Call(ctx, to, msg)
}

func (n *node) end(closeFile func() error) {
	n.port.Leave()
	n.manager.Stop()
	_ = closeFile()
}

// crash ends a broker and fences it; the partition is left to the test.
func (c *cluster) crash(id int32) { c.end(id, (*log.DB).Crash) }

// powerOff is crash, and what is not synced is gone.
func (c *cluster) powerOff(id int32) { c.end(id, (*log.DB).PowerOff) }

func (c *cluster) end(id int32, how func(*log.DB) error) {
	n := c.brokers[id]
	delete(c.brokers, id)
	n.end(func() error { return how(n.db) })
	c.mu.Lock()
	delete(c.epochs, id)
	c.mu.Unlock()
}

// publish brings the partition's state to all brokers.
func (c *cluster) publish() {
	for _, n := range c.brokers {
		c.publishTo(n.id)
	}
}

func (c *cluster) publishTo(id int32) {
	c.mu.Lock()
	a := c.state
	a.ISR, a.Replicas = slices.Clone(a.ISR), slices.Clone(a.Replicas)
	c.mu.Unlock()
	c.brokers[id].manager.Apply([]replication.Assignment{a}, nil, c)
}

// elect makes a broker the leader (-1: none) of a new epoch, with an ISR.
func (c *cluster) elect(leader int32, isr ...int32) {
	c.change(func(a *replication.Assignment) {
		a.Leader, a.ISR = leader, isr
		a.LeaderEpoch++
	})
	c.publish()
}

// change changes the partition's state without telling anyone.
func (c *cluster) change(f func(*replication.Assignment)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.state)
	c.state.PartitionEpoch++
}

// Member is replication.Members'.
func (c *cluster) Member(id int32) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.epochs[id]
	return e, ok
}

// Brokers is replication.Members'.
func (c *cluster) Brokers() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// AlterISR is replication.ISRChanger's.
func (c *cluster) AlterISR(_ context.Context, ch replication.ISRChange) (replication.ISRState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		if err := c.refuse(ch); err != nil {
			return replication.ISRState{}, err
		}
	}
	if ch.LeaderEpoch != c.state.LeaderEpoch || ch.PartitionEpoch != c.state.PartitionEpoch {
		return replication.ISRState{}, replication.ErrISRSuperseded
	}
	var isr []int32
	for _, m := range ch.ISR {
		if c.epochs[m.Broker] != m.Epoch && m.Epoch >= 0 {
			return replication.ISRState{}, replication.ErrISRRefused
		}
		isr = append(isr, m.Broker)
	}
	c.state.ISR = isr
	c.state.PartitionEpoch++
	c.changes = append(c.changes, isr)
	return replication.ISRState{ISR: isr, LeaderEpoch: c.state.LeaderEpoch, PartitionEpoch: c.state.PartitionEpoch}, nil
}

// ReportOffline is replication.ISRChanger's.
func (c *cluster) ReportOffline(context.Context, log.PartitionID) error { return nil }

// replica is a broker's replica.
func (c *cluster) replica(id int32) *replication.Replica {
	c.t.Helper()
	r := c.brokers[id].manager.Replica(c.id)
	if r == nil {
		c.t.Fatalf("broker %d has no replica", id)
	}
	return r
}

// batch builds and validates a batch of one record for each value.
func (c *cluster) batch(o log.BatchOptions, values ...string) log.Batch {
	c.t.Helper()
	var records []log.Record
	for i, v := range values {
		records = append(records, log.Record{Offset: int64(i), Timestamp: 1000, Value: []byte(v)})
	}
	raw, err := log.BuildBatch(records, o)
	if err != nil {
		c.t.Fatal(err)
	}
	b, _, err := log.ParseBatch(raw)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// plain is a batch of a producer without an id.
func plain() log.BatchOptions {
	return log.BatchOptions{ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}
}

// produce appends records and waits for what acks asks for.
func (c *cluster) produce(broker int32, acks int16, values ...string) (replication.Appended, error) {
	c.t.Helper()
	p, err := c.replica(broker).Append(c.batch(plain(), values...), acks)
	if err != nil {
		return replication.Appended{Base: -1}, err
	}
	return c.outcome(p, acks)
}

func (c *cluster) outcome(p *replication.Pending, acks int16) (replication.Appended, error) {
	c.t.Helper()
	done := p.Stored()
	if acks == -1 {
		done = p.Committed()
	}
	select {
	case <-done:
	case <-time.After(deadline):
		c.t.Fatalf("an append with acks %d was not settled in %v\n%s", acks, deadline, c)
	}
	return p.Result()
}

// must is produce for appends that have to succeed.
func (c *cluster) must(broker int32, acks int16, values ...string) replication.Appended {
	c.t.Helper()
	a, err := c.produce(broker, acks, values...)
	if err != nil {
		c.t.Fatalf("produce %v to broker %d with acks %d: %v\n%s", values, broker, acks, err, c)
	}
	return a
}

// contents is what a replica's log holds, as "offset:epoch:value".
func (c *cluster) contents(id int32) string {
	c.t.Helper()
	l := c.replica(id).Log()
	data, err := l.Read(l.LogStartOffset(), l.LogEndOffset(), 1<<30, true)
	if err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for len(data) > 0 {
		b, rest, err := log.ParseBatch(data)
		if err != nil {
			c.t.Fatal(err)
		}
		records, err := log.Records(b, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, r := range records {
			out = append(out, fmt.Sprintf("%d:%d:%s", r.Offset, b.LeaderEpoch, r.Value))
		}
		data = rest
	}
	return strings.Join(out, " ")
}

// wait waits for a condition that some change of replicas brings about.
func (c *cluster) wait(what string, cond func() bool) {
	c.t.Helper()
	until := time.Now().Add(deadline)
	for !cond() {
		if time.Now().After(until) {
			c.t.Fatalf("waited %v for %s\n%s", deadline, what, c)
		}
		runtime.Gosched()
	}
}

// waitSame waits until all live replicas hold the same log, entry by entry, from
// the last of their log starts on.
func (c *cluster) waitSame() {
	c.t.Helper()
	c.wait("replicas to be the same", func() bool {
		var from uint64
		for _, id := range c.ids() {
			index, _ := c.replica(id).Log().Previous()
			from = max(from, index+1)
		}
		var first string
		for i, id := range c.ids() {
			s := c.entriesFrom(id, from)
			if i == 0 {
				first = s
			} else if s != first {
				return false
			}
		}
		return true
	})
}

func (c *cluster) ids() []int32 {
	var ids []int32
	for id := range c.brokers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// entriesFrom is a replica's log as raft sees it, "index.term", and its end; holes
// and falling terms fail the test.
func (c *cluster) entriesFrom(id int32, from uint64) string {
	c.t.Helper()
	l := c.replica(id).Log()
	var b strings.Builder
	_, term := l.Previous()
	for i := l.FirstIndex(); i > 0 && i <= l.LastIndex(); i++ {
		e, err := l.Entry(i)
		if err != nil {
			if i >= l.LastIndex() || i < l.FirstIndex() {
				break // truncated meanwhile, or begun anew
			}
			c.t.Fatalf("broker %d: hole at index %d: %v", id, i, err)
		}
		if e.Term < term {
			c.t.Fatalf("broker %d: term falls from %d to %d at index %d", id, term, e.Term, i)
		}
		term = e.Term
		if i >= from {
			fmt.Fprintf(&b, "%d.%d ", i, e.Term)
		}
	}
	return fmt.Sprint(b.String(), l.LogEndOffset())
}

func (c *cluster) String() string {
	var b strings.Builder
	c.mu.Lock()
	fmt.Fprintf(&b, "controller: %+v\n", c.state)
	c.mu.Unlock()
	for _, id := range c.ids() {
		if r := c.brokers[id].manager.Replica(c.id); r != nil {
			fmt.Fprintf(&b, "broker %d: %+v\n", id, r.State())
		}
	}
	return b.String()
}
