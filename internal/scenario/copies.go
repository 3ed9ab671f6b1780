package scenario

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/minikafka/minikafka"
)

// What [Copies] has copied, and by whom. Both topics have CopyPartitions partitions, of
// which the first has CopyCount records for each.
const (
	CopyFrom       = "originals"
	CopyTo         = "copies"
	CopyPartitions = 2
	CopyCount      = 50
	CopyGroup      = "copiers"
	CopyID         = "copier"
)

// CopyEnd is the value of the last record of each partition of CopyTo, which is in no
// transaction.
const CopyEnd = "end"

// ErrFenced is what a producer is told that another has replaced.
var ErrFenced = errors.New("scenario: the producer is fenced")

// Copier consumes, transforms and produces: it copies CopyFrom to CopyTo, partition by
// partition, in transactions of the transactional id CopyID, which take the offsets of
// CopyGroup with them. One that has just begun makes itself the only producer of the id
// and goes on from the committed offsets. So does one that returns an error.
type Copier interface {
	// Copy copies the next n records, or those that are left, and commits or aborts.
	Copy(n int, commit bool) error
	// Open writes the next n records and leaves the transaction open.
	Open(n int) error
	// End commits what is open.
	End() error
}

// copyTries is how often something is tried that must come to a good end.
const copyTries = 10

// CopyOptions say what a client cannot live with.
type CopyOptions struct {
	// RestartAtOnce restarts a broker as soon as others have taken over from it; else it
	// stays away until the transaction has ended.
	RestartAtOnce bool
	// SpareGroup and SpareTransaction crash no coordinator of the group or of the
	// transaction.
	SpareGroup, SpareTransaction bool
}

// copying is a run of Copies.
type copying struct {
	CopyOptions
	t TB
	c *minikafka.Cluster
}

// Copies has records copied with transactions while the leader of their partition, the
// coordinator of the transaction and that of the group are crashed and restarted in
// turn, each while a transaction is open and while one is in full flow; some
// transactions are aborted in between; and in the middle of one another producer takes
// the place of the first. It returns the cluster with all copies in it.
func Copies(t TB, o CopyOptions, start func(c *minikafka.Cluster) Copier) *minikafka.Cluster {
	t.Helper()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Config("min.insync.replicas", "2"),
		minikafka.Topic(CopyFrom, CopyPartitions), minikafka.Topic(CopyTo, CopyPartitions))
	for p := range int32(CopyPartitions) {
		c.Produce(CopyFrom, p, minikafka.Values(copyValues(p)...)...)
	}
	// They are there before anybody is in a hurry.
	c.Coordinator(CopyGroup)
	c.TransactionCoordinator(CopyID)
	r := &copying{o, t, c}
	first := start(c)
	r.must("copy", first.Copy(5, true))
	r.must("abort", first.Copy(5, false))
	for _, victim := range r.victims() {
		r.crashAmid(first, victim())
		r.crashWhile(first, victim())
		r.must("abort", r.tried(func() error { return first.Copy(5, false) }))
	}
	r.must("open", r.tried(func() error { return first.Open(5) }))
	second := start(c)
	r.must("the second: copy", r.tried(func() error { return second.Copy(5, true) }))
	if err := first.End(); !errors.Is(err, ErrFenced) {
		t.Errorf("the first producer committed after the second had begun: %v", err)
	}
	for !r.complete() {
		r.must("the second: copy", r.tried(func() error { return second.Copy(15, true) }))
	}
	for p := range int32(CopyPartitions) {
		c.Produce(CopyTo, p, minikafka.Values(CopyEnd)...)
	}
	return c
}

// victims are whom to crash, as they are then; nil for a coordinator that is to be spared.
func (r *copying) victims() []func() *minikafka.Broker {
	c := r.c
	spare := func(b *minikafka.Broker) bool {
		return r.SpareGroup && b == c.Coordinator(CopyGroup) || r.SpareTransaction && b == c.TransactionCoordinator(CopyID)
	}
	return []func() *minikafka.Broker{
		func() *minikafka.Broker {
			for p := range int32(CopyPartitions) {
				if b := c.Leader(CopyTo, p); !spare(b) {
					return b
				}
			}
			return nil
		},
		func() *minikafka.Broker {
			if b := c.TransactionCoordinator(CopyID); !spare(b) {
				return b
			}
			return nil
		},
		func() *minikafka.Broker {
			if b := c.Coordinator(CopyGroup); !spare(b) {
				return b
			}
			return nil
		},
	}
}

func copyValues(p int32) []string {
	values := make([]string, CopyCount)
	for i := range values {
		values[i] = fmt.Sprintf("%d-%d", p, i)
	}
	return values
}

func (r *copying) must(what string, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// tried calls f until there is no error. Clients may give up a transaction when a broker
// crashes; what counts is what comes of it. A fenced producer stays one.
func (r *copying) tried(f func() error) error {
	r.t.Helper()
	var err error
	for range copyTries {
		if err = f(); err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		r.t.Logf("tried again after: %v", err)
	}
	return err
}

// crashAmid crashes a broker between the records of a transaction and its end.
func (r *copying) crashAmid(p Copier, b *minikafka.Broker) {
	r.t.Helper()
	r.must("open", r.tried(func() error { return p.Open(5) }))
	mended := r.crash(b)
	if err := p.End(); err != nil {
		r.t.Logf("the transaction in which %v crashed was not committed: %v", b, err)
		r.must("copy", r.tried(func() error { return p.Copy(5, true) }))
	}
	mended()
}

// crashWhile crashes a broker during a transaction.
func (r *copying) crashWhile(p Copier, b *minikafka.Broker) {
	r.t.Helper()
	var crash sync.WaitGroup
	var mended func()
	crash.Go(func() { mended = r.crash(b) })
	err := r.tried(func() error { return p.Copy(5, true) })
	crash.Wait()
	r.must("copy", err)
	mended()
}

// crash crashes a broker, if there is one; mended returns when all is well again.
func (r *copying) crash(b *minikafka.Broker) (mended func()) {
	if b == nil {
		return func() {}
	}
	b.Crash()
	if !r.RestartAtOnce {
		return func() {
			b.Restart()
			r.c.WaitHealthy()
		}
	}
	for p := range int32(CopyPartitions) {
		r.c.WaitLeader(CopyTo, p)
	}
	r.c.TransactionCoordinator(CopyID)
	r.c.Coordinator(CopyGroup)
	b.Restart()
	return r.c.WaitHealthy
}

// complete tells whether the group has committed the ends of all partitions.
func (r *copying) complete() bool {
	g := r.c.Group(CopyGroup)
	for p := range int32(CopyPartitions) {
		if g.Offset(CopyFrom, p) < CopyCount {
			return false
		}
	}
	return true
}

// CheckCopies compares what a read_committed consumer has read of CopyTo, by partition,
// with the originals.
func CheckCopies(t TB, who string, got map[int32][]string) {
	t.Helper()
	for p := range int32(CopyPartitions) {
		if want := append(copyValues(p), CopyEnd); !slices.Equal(got[p], want) {
			t.Errorf("%s: a read_committed consumer has read of partition %d\n%q, want\n%q", who, p, got[p], want)
		}
	}
}
