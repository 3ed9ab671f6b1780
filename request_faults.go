package minikafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/faults"
)

// Fault makes requests of clients fail, see [Cluster.Fault]. The zero value of a
// field means any, or nothing.
type Fault struct {
	// APIs are the requests it is for, by the names of Kafka's protocol, such as
	// Produce or OffsetCommit.
	APIs []string `json:"apis,omitempty"`
	// Brokers are the ids of the brokers that are asked.
	Brokers []int32 `json:"brokers,omitempty"`
	// ClientID is the client.id.
	ClientID string `json:"client_id,omitempty"`
	// Topic, TopicID, Partitions, Group and TransactionalID are what a request
	// names. One that does not name what is set does not match: a fault with a topic
	// is not for Heartbeat. The topic need not exist.
	Topic           string   `json:"topic,omitempty"`
	TopicID         [16]byte `json:"-"`
	Partitions      []int32  `json:"partitions,omitempty"`
	Group           string   `json:"group,omitempty"`
	TransactionalID string   `json:"transactional_id,omitempty"`
	// Resource is what else a request may name: a resource of configs or ACLs, a
	// feature, a user, a member that leaves its group, a log directory.
	Resource string `json:"resource,omitempty"`
	// Match is asked last, while the request waits: it must not change the request.
	// Requests of different connections ask it at the same time.
	Match func(kmsg.Request) bool `json:"-"`

	// Skip lets so many requests go that match; Count is to how many the fault then
	// applies, by default one, [Always] for no end.
	Skip  int `json:"skip,omitempty"`
	Count int `json:"count,omitempty"`
	// Probability is that of each, from 0, which means 1, to 1. The same Seed gives
	// the same decisions, in the order in which requests come.
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`

	// Error is the error that is answered, by Kafka's name, such as
	// NOT_LEADER_OR_FOLLOWER, or by its number. It goes where Kafka puts it: to the
	// partitions, topics or groups that match, while the others are done and answered
	// as ever; into the field for the whole request where nothing smaller is
	// selected. A Produce request with acks=0 has its connection closed, as by Kafka.
	Error string `json:"error,omitempty"`
	// TopLevel puts the error into the field for the whole request, where the answer
	// has one.
	TopLevel bool `json:"top_level,omitempty"`
	// Effect is what else happens; with Error it may be [ErrorAfterWork].
	Effect Effect `json:"effect,omitempty"`
	// DelayRequest has the broker do nothing for so long, and DelayAnswer keeps the
	// answer back when the work is done; also with other effects. The connection is
	// busy meanwhile, as brokers answer the requests of a connection in order.
	// [UntilRemoved] ends with [FaultHandle.Remove], as all delays do.
	DelayRequest time.Duration `json:"delay_request_ns,omitempty"`
	DelayAnswer  time.Duration `json:"delay_answer_ns,omitempty"`
	// Handle answers in the broker's place, and may have the broker work. A nil
	// answer is none: the client waits in vain. An error closes the connection.
	// Requests of different connections call it at the same time; one that waits must
	// heed the request's Context.
	Handle func(*FaultedRequest) (kmsg.Response, error) `json:"-"`
}

// Effect is what happens to a request.
type Effect string

// The effects of faults.
const (
	// ErrorBeforeWork answers the Error without doing what failed. It is the
	// default of a fault with an Error.
	ErrorBeforeWork = Effect(faults.ErrorBeforeWork)
	// ErrorAfterWork answers the Error although all was done.
	ErrorAfterWork = Effect(faults.ErrorAfterWork)
	// CloseBeforeWork closes the connection, and nothing is done.
	CloseBeforeWork = Effect(faults.CloseBeforeWork)
	// LoseAnswer closes the connection in place of an answer, when all was done.
	LoseAnswer = Effect(faults.LoseAnswer)
	// CutAnswer closes the connection in the middle of the answer, when all was
	// done.
	CutAnswer = Effect(faults.CutAnswer)
	// Observe does nothing but count.
	Observe Effect = "observe"
)

const (
	// Always is a Count without end.
	Always = faults.Always
	// UntilRemoved is a delay without end.
	UntilRemoved = faults.UntilRemoved
)

// FaultedRequest is a request as [Fault.Handle] sees it.
type FaultedRequest struct {
	// Context ends with the connection, or with the broker.
	Context  context.Context // The request is what lives as long as its context.
	Broker   int32
	ClientID string
	// Request is the decoded request. What Handle puts here is what Work does.
	Request kmsg.Request

	inner *faults.Request
}

// Work has the broker do the request, with the faults that were set after this
// one, and returns the answer, which may be changed. There is none to a Produce request with acks=0. An error is to be passed
// on.
func (r *FaultedRequest) Work() (kmsg.Response, error) {
	r.inner.Body = r.Request
	return r.inner.Work()
}

// FaultHandle counts what faults do, and ends them.
type FaultHandle struct {
	cluster *Cluster
	id      int
	what    string
	faults  []*faults.Installed
}

// Fault makes requests of clients fail that come from now on, on the brokers of
// now and after their restarts. It fails when a fault is not one that can be
// carried out.
//
// Faults are asked in the order in which they were set. The first with an error
// decides about a partition (topic, group), and the first with any other effect but
// [Observe] or a delay is the last that is asked, unless it has a Handle, whose
// Work asks those after it.
func (c *Cluster) Fault(all ...Fault) *FaultHandle {
	c.tb.Helper()
	h := &FaultHandle{cluster: c}
	ready := make([]faults.Fault, len(all))
	names := make([]string, len(all))
	if len(all) == 0 {
		c.check(fmt.Errorf("%w: Fault takes at least one fault", ErrArgument))
	}
	for i, f := range all {
		var err error
		ready[i], err = c.cluster.fault(f)
		c.check(err)
		names[i] = f.String()
	}
	h.what = strings.Join(names, "; ")
	c.cluster.install(h, ready)
	return h
}

func (c *cluster) install(h *FaultHandle, ready []faults.Fault) {
	c.faulting.Lock()
	defer c.faulting.Unlock()
	c.lastFault++
	h.id = c.lastFault
	for _, f := range ready {
		h.faults = append(h.faults, c.faults.Add(f))
	}
	c.handles = append(c.handles, h)
}

// ID tells the faults of one call of [Cluster.Fault] from others: 1, 2, and so on.
func (h *FaultHandle) ID() int { return h.id }

func (h *FaultHandle) String() string { return h.what }

// Hits is the number of requests that the faults applied to.
func (h *FaultHandle) Hits() int {
	n := 0
	for _, f := range h.faults {
		n += f.Hits()
	}
	return n
}

// left is to how many requests the faults will apply, [Always] for no end.
func (h *FaultHandle) left() int {
	n := 0
	for _, f := range h.faults {
		left := f.Left()
		if left == Always {
			return Always
		}
		n += left
	}
	return n
}

// Wait returns when the faults have applied to n requests, and fails the test,
// with the state of the cluster, when that is not in time ([WaitTimeout]). A
// request counts as soon as the fault begins: what is done before the effect may
// still be under way.
func (h *FaultHandle) Wait(n int) {
	h.cluster.tb.Helper()
	h.cluster.Wait(fmt.Sprintf("%d requests to meet fault %d (%s)", n, h.id, h.what), func() bool { return h.Hits() >= n })
}

// Remove ends the faults, and the delays that they have begun. What has failed
// stays failed.
func (h *FaultHandle) Remove() {
	for _, f := range h.faults {
		f.Remove()
	}
	c := h.cluster.cluster
	c.faulting.Lock()
	defer c.faulting.Unlock()
	for i, o := range c.handles {
		if o.id == h.id {
			c.handles = append(c.handles[:i:i], c.handles[i+1:]...)
			break
		}
	}
}

// FaultStatus is what one call of [Cluster.Fault] has set.
type FaultStatus struct {
	ID    int    `json:"id"`
	Fault string `json:"fault"`
	Hits  int    `json:"hits"`
	// Left is to how many requests it will still apply, [Always] for no end.
	Left int `json:"left"`
}

func (s FaultStatus) String() string {
	left := fmt.Sprintf("%d left", s.Left)
	if s.Left == Always {
		left = "no end"
	}
	return fmt.Sprintf("%d: %s: %d hits, %s", s.ID, s.Fault, s.Hits, left)
}

// Faults are the handles of all faults that have not been removed, also of those
// that have applied as often as they should.
func (c *Cluster) Faults() []*FaultHandle {
	c.cluster.faulting.Lock()
	defer c.cluster.faulting.Unlock()
	all := make([]*FaultHandle, len(c.cluster.handles))
	for i, h := range c.cluster.handles {
		mine := *h
		mine.cluster = c // failures are those of this view's test
		all[i] = &mine
	}
	return all
}

// Status tells how often the faults have applied.
func (h *FaultHandle) Status() FaultStatus {
	return FaultStatus{ID: h.id, Fault: h.what, Hits: h.Hits(), Left: h.left()}
}

// faultStatus is all faults that may still apply.
func (c *cluster) faultStatus() []FaultStatus {
	c.faulting.Lock()
	defer c.faulting.Unlock()
	var all []FaultStatus
	for _, h := range c.handles {
		if s := h.Status(); s.Left != 0 {
			all = append(all, s)
		}
	}
	return all
}

// fault makes of a fault what brokers know. The error says what is wrong with it.
func (c *cluster) fault(f Fault) (faults.Fault, error) {
	out := faults.Fault{
		Nodes: f.Brokers, ClientID: f.ClientID,
		Topic: f.Topic, TopicID: f.TopicID, Partitions: f.Partitions, Group: f.Group,
		TransactionalID: f.TransactionalID, Resource: f.Resource, Match: f.Match,
		Skip: f.Skip, Count: f.Count, Probability: f.Probability, Seed: f.Seed,
		TopLevel: f.TopLevel, DelayRequest: f.DelayRequest, DelayAnswer: f.DelayAnswer,
	}
	if c.isClosed() {
		return out, ErrClosed
	}
	var unknown, bad error
	out.Keys, bad = faultKeys(f.APIs)
	for _, id := range f.Brokers {
		if c.node(id) == nil {
			unknown = c.noBroker(id)
		}
	}
	if f.Error != "" {
		var err error
		out.Code, err = errorNamed(f.Error)
		bad = errors.Join(bad, err)
	}
	out.Effect = faults.Effect(f.Effect)
	switch {
	case f.Effect == "" && f.Error != "":
		out.Effect = faults.ErrorBeforeWork
	case f.Effect == Observe:
		out.Effect = faults.None
	}
	if f.Handle != nil {
		out.Effect = faults.Handle
		out.Handle = handler(f.Handle)
	}
	return out, errors.Join(unknown, bad, f.check())
}

// handler calls a fault's Handle.
func handler(f func(*FaultedRequest) (kmsg.Response, error)) func(*faults.Request) (kmsg.Response, error) {
	return func(q *faults.Request) (kmsg.Response, error) {
		return f(&FaultedRequest{Context: q.Context, Broker: q.Node, ClientID: q.ClientID, Request: q.Body, inner: q})
	}
}
