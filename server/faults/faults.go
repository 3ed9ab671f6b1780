// Package faults makes requests of clients fail on purpose: by an error in the
// answer, by delays, by connections that are closed, by answers that get lost.
//
// A [Set] holds the faults of a cluster, and is asked once for every request
// that a broker has decoded; handlers know nothing of it. While there are no
// faults, asking costs one atomic load. What fails is found by walking the decoded
// request beside the type of its answer (match.go, place.go), so that every API
// key can be failed, and those that are served later too.
package faults

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Effect is what becomes of a request, besides delays.
type Effect string

// The effects.
const (
	// None lets the request be: it is counted, and delayed if a delay is set.
	None Effect = ""
	// ErrorBeforeWork answers an error, and what fails is not done.
	ErrorBeforeWork Effect = "error-before-work"
	// ErrorAfterWork answers an error although it was done.
	ErrorAfterWork Effect = "error-after-work"
	// CloseBeforeWork closes the connection, and nothing is done.
	CloseBeforeWork Effect = "close-before-work"
	// LoseAnswer closes the connection in place of an answer, when all was done.
	LoseAnswer Effect = "lose-answer"
	// CutAnswer closes the connection in the middle of the answer's frame.
	CutAnswer Effect = "cut-answer"
	// Handle has a function answer.
	Handle Effect = "handle"
)

// Always is the count of a fault without end, and UntilRemoved a delay without.
const (
	Always                     = -1
	UntilRemoved time.Duration = 1<<63 - 1
)

// ErrClosed is the reason for which a connection is closed by a fault.
var ErrClosed = errors.New("faults: connection closed on purpose")

// Fault says which requests fail, and how. Of what selects, what is set must
// match; a request that does not carry it does not match.
type Fault struct {
	Keys            []int16 // nil: all
	Nodes           []int32 // nil: all
	ClientID        string
	Topic           string
	TopicID         [16]byte
	Partitions      []int32
	Group           string
	TransactionalID string
	// Resource is a name that no other field selects: of a config resource, a
	// feature, a user, a member that leaves, and so on.
	Resource string
	// Match has the last word; it is called on the connection's goroutine.
	Match func(kmsg.Request) bool

	// Skip is how many requests that match are let go first, Count how many fail
	// then, 0 meaning one. Probability is that of each, 0 meaning 1; it is drawn
	// from Seed.
	Skip, Count int
	Probability float64
	Seed        uint64

	Effect Effect
	// Code is the error's, and TopLevel puts it into the field for the whole
	// request where the answer has one.
	Code     int16
	TopLevel bool
	// DelayRequest delays the work, DelayAnswer the answer.
	DelayRequest, DelayAnswer time.Duration
	Handle                    func(*Request) (kmsg.Response, error)
}

// Set is the faults of a cluster. It is safe for concurrent use; nil has none.
type Set struct {
	mu   sync.Mutex // one change at a time
	list atomic.Pointer[[]*Installed]
	hit  func()
}

// NewSet makes a set. hit is called after every request that a fault applied to.
func NewSet(hit func()) *Set { return &Set{hit: hit} }

// Any tells whether there are faults.
func (s *Set) Any() bool { return s != nil && s.list.Load() != nil }

// Add sets a fault, after those that are there. It applies to requests that come
// from then on.
func (s *Set) Add(f Fault) *Installed {
	f.Keys, f.Nodes, f.Partitions = slices.Clone(f.Keys), slices.Clone(f.Nodes), slices.Clone(f.Partitions)
	i := &Installed{Fault: f, set: s, skip: f.Skip, left: f.Count, removed: make(chan struct{})}
	if f.Count == 0 {
		i.left = 1
	}
	i.random = rand.New(rand.NewPCG(f.Seed, 0)) //nolint:gosec // reproducible on purpose
	s.change(func(list []*Installed) []*Installed { return append(list, i) })
	return i
}

func (s *Set) change(f func([]*Installed) []*Installed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Installed
	if old := s.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = f(list); len(list) == 0 {
		s.list.Store(nil)
		return
	}
	s.list.Store(&list)
}

// faults are those that are set now, in the order in which they were.
func (s *Set) faults() []*Installed {
	if list := s.list.Load(); list != nil {
		return *list
	}
	return nil
}

// Installed is a fault that has been added to a set.
type Installed struct {
	Fault
	set     *Set
	once    sync.Once
	removed chan struct{} // closed by Remove

	mu     sync.Mutex // guards the rest
	skip   int
	left   int // -1: no end
	hits   int
	random *rand.Rand
}

// Hits is how many requests the fault applied to.
func (i *Installed) Hits() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}

// Left is how many requests the fault will still apply to, [Always] for no end.
func (i *Installed) Left() int {
	select {
	case <-i.removed:
		return 0
	default:
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.left
}

// Remove ends the fault, and the delays that it has begun.
func (i *Installed) Remove() {
	i.once.Do(func() {
		i.drop()
		close(i.removed)
	})
}

func (i *Installed) drop() {
	i.set.change(func(list []*Installed) []*Installed {
		return slices.DeleteFunc(list, func(o *Installed) bool { return o == i })
	})
}

// take decides whether the fault applies to one more request that it matches.
func (i *Installed) take() bool {
	took, last := i.draw()
	if last {
		i.drop()
	}
	if took && i.set.hit != nil {
		i.set.hit()
	}
	return took
}

func (i *Installed) draw() (took, last bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.left == 0:
		return false, false
	case i.skip > 0:
		i.skip--
		return false, false
	case i.Probability > 0 && i.random.Float64() >= i.Probability:
		return false, false
	}
	if i.left > 0 {
		i.left--
	}
	i.hits++
	return true, i.left == 0
}

// fails tells whether the effect is an error in the answer.
func (f *Fault) fails() bool { return f.Effect == ErrorBeforeWork || f.Effect == ErrorAfterWork }
