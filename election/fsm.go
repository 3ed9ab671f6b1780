package election

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/log"
)

// fsm is the controller's state machine: it turns the entries of the
// controller's log into images. All but its readers' methods run on raft's FSM
// goroutine, one at a time. It does no I/O.
type fsm struct {
	codec  *codec
	rules  ConfigRules
	logger *slog.Logger

	published atomic.Pointer[published]
	pending   pending
}

// published is an image with the channel that is closed when there is a newer
// one, or this node became or ceased to be the active controller.
type published struct {
	image   *Image
	hidden  hidden
	changed chan struct{}
}

func newFSM(codec *codec, rules ConfigRules, logger *slog.Logger) *fsm {
	f := &fsm{codec: codec, rules: rules, logger: logger}
	f.pending.waiting = map[uint64]chan outcome{}
	f.published.Store(&published{emptyImage(), hidden{}, make(chan struct{})})
	return f
}

func emptyImage() *Image {
	return &Image{
		Brokers: map[int32]*Broker{}, Topics: map[string]*Topic{}, TopicsByID: map[log.TopicID]*Topic{},
		ClusterConfigs: map[string]string{}, BrokerConfigs: map[int32]map[string]string{},
		NamedConfigs: map[NamedResource]map[string]string{},
		Features:     map[string]int16{},
	}
}

// image is the newest image.
func (f *fsm) image() *Image { return f.published.Load().image }

// publish makes an image the newest one, and wakes who waits for it.
func (f *fsm) publish(m *Image, h hidden) {
	old := f.published.Swap(&published{m, h, make(chan struct{})})
	close(old.changed)
}

// keep replaces what is hidden, which nobody waits for.
func (f *fsm) keep(h hidden) {
	for {
		old := f.published.Load()
		if f.published.CompareAndSwap(old, &published{old.image, h, old.changed}) {
			return
		}
	}
}

// touch wakes who waits for a newer image, without one.
func (f *fsm) touch() {
	for {
		old := f.published.Load()
		if f.published.CompareAndSwap(old, &published{old.image, old.hidden, make(chan struct{})}) {
			close(old.changed)
			return
		}
	}
}

// Apply applies one entry; raft calls ApplyBatch.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries, publishes one image for all of them, and then
// tells their proposers.
func (f *fsm) ApplyBatch(entries []*raft.Log) []any {
	last := f.published.Load()
	e := newEdit(last.image, last.hidden, f.rules)
	type result struct {
		proposal uint64
		outcome
	}
	var results []result
	for _, l := range entries {
		if l.Type != raft.LogCommand {
			continue
		}
		proposal, cmd, err := f.codec.decode(l.Data)
		if err != nil {
			f.logger.Error("skipping an entry of the controller's log", "index", l.Index, "error", err)
			continue
		}
		term, index, changed := e.Term, e.Index, e.changed
		e.Term, e.Index, e.changed = l.Term, l.Index, false
		answer, err := cmd.apply(e)
		if !e.changed {
			e.Term, e.Index = term, index
		}
		e.changed = e.changed || changed
		results = append(results, result{proposal, outcome{answer, err}})
	}
	if e.changed {
		m := e.Image
		f.publish(&m, e.hidden)
	} else {
		f.keep(e.hidden)
	}
	for _, r := range results {
		f.pending.settle(r.proposal, r.outcome)
	}
	return make([]any, len(entries))
}

// savedState is a snapshot of the state machine.
type savedState struct {
	Term, Index    uint64
	ClusterID      string
	Brokers        map[int32]*Broker
	Topics         []*Topic
	ClusterConfigs map[string]string
	BrokerConfigs  map[int32]map[string]string
	NamedConfigs   map[NamedResource]map[string]string
	Features       map[string]int16
	FeaturesEpoch  int64
	Hidden         hidden
}

// Snapshot takes the newest image; both it and what is hidden never change.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	p := f.published.Load()
	m := p.image
	s := &savedState{
		Term: m.Term, Index: m.Index, ClusterID: m.ClusterID, Brokers: m.Brokers,
		ClusterConfigs: m.ClusterConfigs, BrokerConfigs: m.BrokerConfigs, NamedConfigs: m.NamedConfigs,
		Features: m.Features, FeaturesEpoch: m.FeaturesEpoch, Hidden: p.hidden,
	}
	for _, t := range m.Topics {
		s.Topics = append(s.Topics, t)
	}
	return s, nil
}

// Persist writes the snapshot.
func (s *savedState) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release has nothing to give back.
func (s *savedState) Release() {}

// Restore replaces the state by a snapshot's.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	var s savedState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("%w: %w", errEntry, err)
	}
	m := &Image{
		Term: s.Term, Index: s.Index, ClusterID: s.ClusterID, Brokers: cloned(s.Brokers),
		Topics: map[string]*Topic{}, TopicsByID: map[log.TopicID]*Topic{},
		ClusterConfigs: cloned(s.ClusterConfigs), BrokerConfigs: cloned(s.BrokerConfigs),
		NamedConfigs: cloned(s.NamedConfigs),
		Features:     cloned(s.Features), FeaturesEpoch: s.FeaturesEpoch,
	}
	for _, t := range s.Topics {
		m.Topics[t.Name], m.TopicsByID[t.ID] = t, t
	}
	f.publish(m, s.Hidden)
	return nil
}

// outcome is what became of a proposal.
type outcome struct {
	answer any
	err    error
}

// pending are the proposals of this node that have not been applied.
type pending struct {
	mu      sync.Mutex
	open    bool // this node leads the controllers
	next    uint64
	waiting map[uint64]chan outcome
}

// add registers a proposal, if this node leads.
func (p *pending) add() (uint64, chan outcome, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open {
		return 0, nil, false
	}
	p.next++
	ch := make(chan outcome, 1)
	p.waiting[p.next] = ch
	return p.next, ch, true
}

func (p *pending) drop(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

func (p *pending) settle(id uint64, o outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ch := p.waiting[id]; ch != nil {
		ch <- o
		delete(p.waiting, id)
	}
}

// lead opens the registry; first must be above every number ever used in the
// log that this node may still apply.
func (p *pending) lead(first uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open, p.next = true, first
}

// lost fails all proposals: whether they will be applied is unknown.
func (p *pending) lost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = false
	for id, ch := range p.waiting {
		ch <- outcome{err: errDeposed}
		delete(p.waiting, id)
	}
}
