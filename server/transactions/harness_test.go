package transactions

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// harness is the runtime of one shard, without a broker: a log, a clock, timers.
type harness struct {
	*testing.T
	*Shard
	registry  *timeline.Registry
	now       time.Time
	timers    map[string]timer
	log       []coordinator.Record
	level     int16 // of transaction.version
	decisions []Decision
	// held are the ends of operations that are not committed yet, while holding is set.
	holding bool
	held    []func(error)
	fresh   int64
}

type timer struct {
	at time.Time
	op func() (coordinator.Outcome, error)
}

func newHarness(t *testing.T, log ...coordinator.Record) *harness {
	h := &harness{
		T: t, registry: timeline.NewRegistry(), now: time.UnixMilli(1_000_000), timers: map[string]timer{}, level: 2, fresh: 1000,
	}
	h.Shard = New(h, Config{
		Settings: Settings{AbortInterval: 10 * time.Second, ExpireInterval: time.Hour, Expiration: 7 * 24 * time.Hour},
		Decided:  func(_ context.Context, _ int32, d Decision) { h.decisions = append(h.decisions, d) },
	})
	for _, r := range log {
		if err := h.Replay(coordinator.Position{ProducerID: -1}, r); err != nil {
			t.Fatal(err)
		}
	}
	h.log = log
	h.Loaded()
	h.advance(0)
	return h
}

func (h *harness) Partition() int32             { return 0 }
func (h *harness) Now() time.Time               { return h.now }
func (h *harness) Logger() *slog.Logger         { return slog.New(slog.DiscardHandler) }
func (h *harness) Timeline() *timeline.Registry { return h.registry }
func (h *harness) Cancel(key string)            { delete(h.timers, key) }
func (h *harness) Scheduled(key string) bool    { _, ok := h.timers[key]; return ok }
func (h *harness) Image() *election.Image {
	return &election.Image{Features: map[string]int16{featureVersion: h.level}}
}

func (h *harness) Schedule(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	h.timers[key] = timer{h.now.Add(d), op}
}

// advance lets time pass, and runs what is due.
func (h *harness) advance(d time.Duration) {
	until := h.now.Add(d)
	for {
		next := ""
		for key, t := range h.timers {
			if !t.at.After(until) && (next == "" || t.at.Before(h.timers[next].at)) {
				next = key
			}
		}
		if next == "" {
			break
		}
		t := h.timers[next]
		delete(h.timers, next)
		h.now = t.at
		o, err := t.op()
		if err != nil {
			h.Fatal(err)
		}
		h.write(o)
	}
	h.now = until
}

func (h *harness) write(o coordinator.Outcome) {
	for _, r := range o.Records {
		if !o.Applied {
			if err := h.Replay(coordinator.Position{ProducerID: -1}, r); err != nil {
				h.Fatal(err)
			}
		}
		h.log = append(h.log, r)
	}
	if o.Done == nil {
		return
	}
	if h.holding {
		h.held = append(h.held, o.Done)
		return
	}
	o.Done(nil)
}

func (h *harness) release(err error) {
	held := h.held
	h.holding, h.held = false, nil
	for _, done := range held {
		done(err)
	}
}

func (h *harness) freshID() int64 {
	h.fresh++
	return h.fresh
}

func (h *harness) init(q InitRequest) (*Transaction, error) {
	if q.TimeoutMs == 0 {
		q.TimeoutMs = 60_000
	}
	if err := q.Validate(900_000); err != nil {
		return nil, err
	}
	q.Fresh = h.freshID()
	t, o, err := h.InitProducerID(q)
	h.write(o)
	return t, err
}

// producer is InitProducerId of a producer that knows nothing yet.
func (h *harness) producer(id string) *Transaction {
	t, err := h.init(InitRequest{ID: id, ProducerID: -1, Epoch: -1})
	if err != nil {
		h.Fatalf("InitProducerId: %v", err)
	}
	return t
}

func (h *harness) add(t *Transaction, version int16, partitions ...Partition) error {
	o, err := h.AddPartitions(AddRequest{ID: t.ID, ProducerID: t.ProducerID, Epoch: t.Epoch, Version: version, Partitions: partitions})
	h.write(o)
	return err
}

func (h *harness) endTxn(q EndRequest) (*Transaction, error) {
	q.Fresh = h.freshID()
	t, o, err := h.EndTransaction(q)
	h.write(o)
	return t, err
}

// markers has the markers of the last decision written.
func (h *harness) markers() {
	if len(h.decisions) == 0 {
		h.Fatal("nothing was decided")
	}
	d := h.decisions[len(h.decisions)-1]
	h.decisions = nil
	o, err := h.Complete(d)
	if err != nil {
		h.Fatal(err)
	}
	h.write(o)
}

func (h *harness) state(id string) *Transaction {
	t, ok := h.ids.Get(id)
	if !ok {
		h.Fatalf("no transaction %q", id)
	}
	return t
}

func (h *harness) ScheduleRetried(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	h.Schedule(key, d, op)
}
