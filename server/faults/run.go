package faults

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Request is one request of a client.
type Request struct {
	// Context ends with the connection or the broker.
	Context  context.Context // The request is what lives as long as its context.
	Node     int32
	ClientID string
	Body     kmsg.Request

	broker *Broker
}

// Work has the broker do the request, as Body is now, with the faults that come
// after this one. The error is that the
// connection is to be closed; there is no answer, and no error, to a Produce request with
// acks=0.
func (q *Request) Work() (kmsg.Response, error) { return q.broker.Work(q.Body) }

// Broker is what a broker does for requests that faults apply to.
type Broker struct {
	Work   func(kmsg.Request) (kmsg.Response, error)
	Topics Topics
	// Wait returns after d, or when removed is closed; answer tells that the work
	// has been done. The error is that the connection or the broker has ended.
	Wait func(d time.Duration, removed <-chan struct{}, answer bool) error
	// Fetched are the partitions that a Fetch request is about, those of its
	// session too, and Untold has the session forget what the client was told of
	// partitions.
	Fetched func(*kmsg.FetchRequest) []kmsg.FetchRequestTopic
	Untold  func(session int32, topics []kmsg.FetchResponseTopic)
}

// Run has a broker do a request, with the faults that apply to it. cut tells that
// the answer is to be cut off. An error closes the connection.
func (s *Set) Run(q *Request, b *Broker) (answer kmsg.Response, cut bool, err error) {
	return run(q, b, s.faults())
}

func run(q *Request, b *Broker, faults []*Installed) (answer kmsg.Response, cut bool, err error) {
	q.broker = b
	p := newPlan(q, faults)
	for _, f := range p.applied {
		if err := p.wait(f, f.DelayRequest, false); err != nil {
			return nil, false, err
		}
	}
	if p.end == CloseBeforeWork {
		return nil, false, ErrClosed
	}
	if answer, err = p.answer(); err != nil {
		return nil, false, err
	}
	for _, f := range p.applied {
		if err := p.wait(f, f.DelayAnswer, true); err != nil {
			return nil, false, err
		}
	}
	if p.end == LoseAnswer {
		return nil, false, ErrClosed
	}
	return answer, p.cut || p.end == CutAnswer, nil
}

// plan is what the faults have decided for one request.
type plan struct {
	q       *Request
	applied []*Installed // in their order
	end     Effect       // of those that are of no error; None without
	handle  func(*Request) (kmsg.Response, error)
	later   []*Installed // those that have not been asked
	cut     bool         // one of those cuts the answer
	// open is what of the request no fault has failed yet; nil: nothing.
	open kmsg.Request
	// after is set when it fails after the work.
	after  bool
	errs   []kmsg.Response
	whole  kmsg.Response // an error for all of the request
	marked []*Fault      // whose errors go into the entries of the answer
}

// newPlan asks the faults, in their order. The first that closes the connection,
// answers, or leaves nothing to fail is the last one.
func newPlan(q *Request, faults []*Installed) *plan {
	p := &plan{q: q, open: q.Body}
	body := q.Body
	if f, is := body.(*kmsg.FetchRequest); is {
		all := *f
		all.Topics = q.broker.Fetched(f)
		body, p.open = &all, &all
	}
	for i, f := range faults {
		if p.open == nil || p.end != None {
			break
		}
		if !f.considers(q) || f.fails() && p.fails() && p.after != (f.Effect == ErrorAfterWork) {
			continue
		}
		of := body
		if f.fails() {
			of = p.open
		}
		found := f.find(of, q.broker.Topics)
		if found == nil || f.Match != nil && !f.Match(q.Body) || !f.take() {
			continue
		}
		p.apply(f, found)
		p.later = faults[i+1:]
	}
	return p
}

func (p *plan) apply(f *Installed, found *found) {
	p.applied = append(p.applied, f)
	switch {
	case !f.fails():
		p.end, p.handle = f.Effect, f.Handle
	case found.inAnswer:
		mark := f.Fault
		if found.everyEntry {
			mark = Fault{Code: f.Code}
		}
		p.marked = append(p.marked, &mark)
	case found.whole:
		p.open, p.whole = nil, found.errs
	default:
		p.open, p.errs = found.rest, append(p.errs, found.errs)
	}
	if f.fails() {
		p.after = f.Effect == ErrorAfterWork
	}
}

// fails tells whether anything of the request fails.
func (p *plan) fails() bool { return p.whole != nil || len(p.errs)+len(p.marked) > 0 }

func (p *plan) wait(f *Installed, d time.Duration, answer bool) error {
	if d <= 0 {
		return nil
	}
	return p.q.broker.Wait(d, f.removed, answer)
}

// answer does what is to be done, and makes the answer.
func (p *plan) answer() (answer kmsg.Response, err error) {
	if body := p.todo(); p.handle != nil {
		if body != nil {
			p.q.Body = body
		}
		answer, err = p.handled()
	} else if body != nil {
		answer, err = p.q.broker.Work(body)
	}
	switch {
	case err != nil || !p.fails():
		return answer, err
	case !answers(p.q.Body):
		return nil, ErrClosed // where there is no answer, Kafka closes the connection too
	case p.whole != nil:
		return p.whole, nil
	}
	if answer == nil {
		answer, p.errs = p.errs[0], p.errs[1:]
	}
	for _, errs := range p.errs {
		merge(answer, errs)
	}
	for _, f := range p.marked {
		f.markEntries(answer, p.q.broker.Topics)
	}
	if fetched, is := answer.(*kmsg.FetchResponse); is {
		p.untold(fetched)
	}
	return answer, nil
}

// handled is the answer of the fault's function.
func (p *plan) handled() (kmsg.Response, error) {
	outer := p.q.broker
	inner := *outer
	p.q.broker = &inner
	inner.Work = func(body kmsg.Request) (kmsg.Response, error) {
		q := *p.q
		q.Body = body
		answer, cut, err := run(&q, outer, p.later)
		p.cut = p.cut || cut
		return answer, err
	}
	answer, err := p.handle(p.q)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrClosed, err)
	case answer == nil:
		return nil, nil
	case answer.Key() != p.q.Body.Key():
		return nil, fmt.Errorf("%w: a fault answers %s with %T", ErrClosed, kmsg.NameForKey(p.q.Body.Key()), answer)
	}
	answer.SetVersion(p.q.Body.GetVersion())
	return answer, nil
}

// todo is the request as it is to be done; nil if nothing is.
func (p *plan) todo() kmsg.Request {
	body := p.q.Body
	if !p.fails() || p.after {
		return body
	}
	switch q := body.(type) {
	case *kmsg.FetchRequest:
		if p.whole != nil {
			return nil
		}
		// Reading does no harm, and keeps the session in step. An error is told at
		// once.
		now := *q
		now.MaxWaitMillis = 0
		return &now
	case *kmsg.MetadataRequest:
		if p.whole != nil {
			return nil
		}
		// Brokers are told with every error of topics.
		if len(p.marked) > 0 || q.Version == 0 {
			return q
		}
		rest := *q
		rest.Topics = []kmsg.MetadataRequestTopic{}
		if open, is := p.open.(*kmsg.MetadataRequest); is {
			rest.Topics = slices.Clip(open.Topics)
		}
		return &rest
	}
	return p.open
}

// untold has a fetch session tell again what stood in the place of errors.
func (p *plan) untold(r *kmsg.FetchResponse) {
	for _, errs := range p.errs {
		if f, is := errs.(*kmsg.FetchResponse); is {
			p.q.broker.Untold(r.SessionID, f.Topics)
		}
	}
}

// answers tells whether a request gets an answer.
func answers(q kmsg.Request) bool {
	p, is := q.(*kmsg.ProduceRequest)
	return !is || p.Acks != 0
}
