package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// Topic is the topic of every scenario. It has one partition.
const Topic = "orders"

// patience is how long a scenario waits for what must come; it is used up only
// where something is broken.
const patience = 30 * time.Second

// TB is what a scenario needs of a test; *testing.T is one.
type TB interface {
	minikafka.TB
	Errorf(format string, args ...any)
}

// Env is one run of a scenario with one library.
type Env struct {
	TB
	Client  Client
	Cluster *minikafka.Cluster
	// Virtual has the cluster's connections in memory: the scenario runs in a
	// testing/synctest bubble.
	Virtual bool
}

// start starts the cluster of a scenario.
func (e *Env) start(opts ...minikafka.Option) *minikafka.Cluster {
	e.Helper()
	if e.Virtual {
		opts = append(opts, minikafka.Network(minikafka.PipeNetwork()))
	}
	e.Cluster = minikafka.Start(e.TB, opts...)
	return e.Cluster
}

// steady keeps replicas that do not copy in the ISR for as long as a test
// takes, so that a crash comes before the lag is seen.
func steady() minikafka.Option { return minikafka.Config("replica.lag.time.max.ms", "600000") }

// producer starts a producer on the topic; the test's end closes it.
func (e *Env) producer(c ProducerConfig) Producer {
	e.Helper()
	c.Addrs, c.Topic = e.Cluster.Addrs(), Topic
	if c.Dial == nil {
		c.Dial = e.Cluster.DialContext
	}
	if c.Timeout == 0 {
		c.Timeout = patience
	}
	p, err := e.Client.Producer(c)
	if err != nil {
		e.Fatalf("starting a producer: %v", err)
	}
	e.Cleanup(p.Close)
	return p
}

// safe is a producer that loses and doubles nothing: idempotent where the
// library can be, else with retries, acks=all either way.
func (e *Env) safe() Producer {
	e.Helper()
	return e.producer(ProducerConfig{Acks: AcksAll, Retry: true, Idempotent: e.Client.Has(Idempotence)})
}

// once is a producer that sends each record once.
func (e *Env) once(acks int16) Producer {
	e.Helper()
	return e.producer(ProducerConfig{Acks: acks})
}

// patience is how long a scenario waits; in virtual time, where that costs
// nothing, longer than any of Kafka's timeouts.
func (e *Env) patience() time.Duration {
	if e.Virtual {
		return 10 * time.Minute
	}
	return patience
}

// result waits for what became of a record.
func (e *Env) result(what string, done <-chan error) error {
	e.Helper()
	timeout := time.NewTimer(e.patience())
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
		e.Fatalf("waited in vain for what becomes of record %q\n%s", what, e.state())
		return nil
	}
}

// send sends a record, which must be acknowledged.
func (e *Env) send(p Producer, value string) {
	e.Helper()
	if err := e.result(value, p.Send(value)); err != nil {
		e.Fatalf("record %q was refused: %v\n%s", value, err, e.state())
	}
}

// refused sends a record, which must fail with the Kafka error want.
func (e *Env) refused(p Producer, value string, want *kerr.Error) {
	e.Helper()
	err := e.result(value, p.Send(value))
	if err == nil {
		e.Fatalf("record %q was acknowledged, want %s\n%s", value, want.Message, e.state())
	}
	if code, ok := e.Client.Code(err); !ok || code != want.Code {
		e.Fatalf("record %q failed with %v, want %s", value, err, want.Message)
	}
}

// pending checks that a record has neither been acknowledged nor refused, nor is
// so while other requests are answered.
func (e *Env) pending(value string, done <-chan error) {
	e.Helper()
	for _, b := range e.Cluster.Brokers() {
		if b.State() == minikafka.Running {
			for range 20 {
				e.metadata(b)
			}
		}
	}
	select {
	case err := <-done:
		e.Fatalf("record %q: got an answer (%v) too early\n%s", value, err, e.state())
	default:
	}
}

func (e *Env) partition() minikafka.PartitionState {
	e.Helper()
	return e.Cluster.PartitionState(Topic, 0)
}

func (e *Env) state() string {
	var b strings.Builder
	s := e.partition()
	fmt.Fprintf(&b, "%s/0: leader %d, epoch %d, ISR %v, high watermark %d", Topic, s.Leader, s.LeaderEpoch, s.ISR, s.HighWatermark)
	for _, l := range s.Logs {
		fmt.Fprintf(&b, "; broker %d: log end %d, high watermark %d", l.Broker, l.LogEnd, l.HighWatermark)
	}
	return b.String()
}

// waitLogEnd waits until a broker's log ends at an offset.
func (e *Env) waitLogEnd(b *minikafka.Broker, end int64) {
	e.Helper()
	e.Cluster.Wait(fmt.Sprintf("%v's log to end at %d", b, end), func() bool { return e.partition().Log(b.ID()).LogEnd == end })
}

// waitCopied waits until the logs of all running replicas end at an offset, and
// they know that this is committed.
func (e *Env) waitCopied(end int64) {
	e.Helper()
	e.Cluster.Wait(fmt.Sprintf("all running replicas to have %d records", end), func() bool {
		for _, l := range e.partition().Logs {
			if l.LogEnd >= 0 && (l.LogEnd != end || l.HighWatermark != end) {
				return false
			}
		}
		return true
	})
}

// followers are the brokers of the replicas that do not lead.
func (e *Env) followers() []*minikafka.Broker {
	e.Helper()
	var out []*minikafka.Broker
	s := e.partition()
	for _, id := range s.Replicas {
		if id != s.Leader {
			out = append(out, e.Cluster.Broker(id))
		}
	}
	return out
}

// wire connects to a broker.
func (e *Env) wire(b *minikafka.Broker) *Wire {
	e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w, err := DialWire(ctx, e.Cluster.DialContext, b.Addr())
	if err != nil {
		e.Fatalf("connecting to %v: %v", b, err)
	}
	e.Cleanup(func() { _ = w.Close() }) // Nothing is read from it any more.
	return w
}

// request sends a request to a broker, over a connection of its own.
func (e *Env) request(b *minikafka.Broker, req kmsg.Request) kmsg.Response {
	e.Helper()
	resp, err := e.wire(b).Request(req)
	if err != nil {
		e.Fatalf("%v: %v", b, err)
	}
	return resp
}

// batches reads what a replica has below its high watermark. From version 11
// on, followers answer consumers too.
func (e *Env) batches(b *minikafka.Broker) []Batch {
	e.Helper()
	w := e.wire(b)
	var out []Batch
	for next := int64(0); ; {
		raw := e.fetch(w, next)
		got, err := ParseBatches(raw)
		if err != nil {
			e.Fatalf("reading %v's log from %d: %v", b, next, err)
		}
		if len(got) == 0 {
			return out
		}
		out = append(out, got...)
		last := got[len(got)-1]
		next = last.BaseOffset + int64(len(last.Values))
	}
}

func (e *Env) fetch(w *Wire, offset int64) []byte {
	e.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(11)
	req.MaxBytes = 10 << 20
	req.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = Topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 10<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := w.Request(req)
	if err != nil {
		e.Fatalf("fetching from %d: %v", offset, err)
	}
	r := resp.(*kmsg.FetchResponse)
	if err := errors.Join(kerr.ErrorForCode(r.ErrorCode)); err != nil {
		e.Fatalf("fetching from %d: %v", offset, err)
	}
	answer := r.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		e.Fatalf("fetching from %d: %v", offset, err)
	}
	return answer.RecordBatches
}

// values reads the records of a replica below its high watermark.
func (e *Env) values(b *minikafka.Broker) []string {
	e.Helper()
	var out []string
	for _, batch := range e.batches(b) {
		out = append(out, batch.Values...)
	}
	return out
}

// checkLogs checks that the logs of all running replicas end after these
// records, and hold them.
func (e *Env) checkLogs(want ...string) {
	e.Helper()
	e.waitCopied(int64(len(want)))
	for _, l := range e.partition().Logs {
		b := e.Cluster.Broker(l.Broker)
		if l.LogEnd < 0 {
			continue
		}
		if got := e.values(b); !slices.Equal(got, want) {
			e.Errorf("%v has the records %q, want %q", b, got, want)
		}
	}
}

// witness is a consumer that writes down all it is shown while a scenario runs.
type witness struct {
	env     *Env
	mu      sync.Mutex
	seen    []Record
	changed chan struct{} // closed and replaced at each change
}

// witness starts a consumer from the start of the topic.
func (e *Env) witness() *witness {
	e.Helper()
	consumer, err := e.Client.Consumer(ConsumerConfig{Addrs: e.Cluster.Addrs(), Dial: e.Cluster.DialContext, Topic: Topic})
	if err != nil {
		e.Fatalf("starting a consumer: %v", err)
	}
	w := &witness{env: e, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { w.watch(ctx, consumer) })
	e.Cleanup(func() {
		cancel()
		done.Wait()
		consumer.Close()
	})
	return w
}

func (w *witness) watch(ctx context.Context, consumer Consumer) {
	for ctx.Err() == nil {
		// Errors are what crashes look like from here, and polling goes on.
		records, err := consumer.Poll(ctx)
		if err != nil && ctx.Err() == nil {
			w.env.Logf("consumer: %v", err)
		}
		if len(records) == 0 {
			continue
		}
		w.mu.Lock()
		w.seen = append(w.seen, records...)
		close(w.changed)
		w.changed = make(chan struct{})
		w.mu.Unlock()
	}
}

// wait waits until the consumer has seen the last of these records, and checks
// that it saw these alone, each once and in order.
func (w *witness) wait(want ...string) {
	w.env.Helper()
	timeout := time.NewTimer(w.env.patience())
	defer timeout.Stop()
	for {
		w.mu.Lock()
		seen, changed := slices.Clone(w.seen), w.changed
		w.mu.Unlock()
		if len(seen) > 0 && seen[len(seen)-1].Value == want[len(want)-1] {
			w.check(seen, want)
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			w.env.Fatalf("the consumer never saw record %q, only %v\n%s", want[len(want)-1], seen, w.env.state())
		}
	}
}

func (w *witness) check(seen []Record, want []string) {
	w.env.Helper()
	var values []string
	for i, r := range seen {
		values = append(values, r.Value)
		if r.Offset != int64(i) {
			w.env.Errorf("the consumer saw %q at offset %d, after %d records", r.Value, r.Offset, i)
		}
	}
	if !slices.Equal(values, want) {
		w.env.Errorf("the consumer saw %q, want %q", values, want)
	}
}
