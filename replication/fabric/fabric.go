package fabric

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors of calls.
var (
	// ErrLeft means that the caller's own port has left the fabric: its node
	// has stopped.
	ErrLeft = errors.New("fabric: this node has left")
	// ErrReset means that the connection broke while the call was under way: the
	// receiver left, or too many packets were lost. Whether the message took
	// effect is unknown.
	ErrReset = errors.New("fabric: the connection broke while the call was under way")
	// ErrTaken means that a node of this name has joined and not left.
	ErrTaken = errors.New("fabric: a node of this name has already joined")
)

// Role tells brokers and controllers apart; they have separate id spaces.
type Role uint8

// The roles.
const (
	RoleBroker Role = iota + 1
	RoleController
)

// Node names one node of the cluster.
type Node struct {
	Role Role
	ID   int32
}

// Broker and Controller name nodes.
func Broker(id int32) Node { return Node{RoleBroker, id} }

// Controller names a controller node.
func Controller(id int32) Node { return Node{RoleController, id} }

func (n Node) String() string {
	if n.Role == RoleController {
		return fmt.Sprintf("controller %d", n.ID)
	}
	return fmt.Sprintf("broker %d", n.ID)
}

// Handler answers messages to a node. It runs on the caller's goroutine; ctx
// ends when the caller gives up or either node leaves, and the handler must
// return soon after. It must not keep msg or change it: messages are shared.
type Handler func(ctx context.Context, from Node, msg any) (any, error)

// Fabric joins the nodes of one cluster. The zero value is not usable.
type Fabric struct {
	mu    sync.Mutex
	ports map[Node]*Port
	links map[link]*linkState
	// paused nodes neither send nor receive.
	paused map[Node]bool
	seed   uint64
	// changed is closed and replaced whenever a waiting call may go on.
	changed chan struct{}
}

type link struct{ from, to Node }

// New makes a fabric without nodes, all links open.
func New() *Fabric {
	return &Fabric{
		ports:   map[Node]*Port{},
		links:   map[link]*linkState{},
		paused:  map[Node]bool{},
		changed: make(chan struct{}),
	}
}

// Port is one incarnation of a node on the fabric.
type Port struct {
	fabric  *Fabric
	node    Node
	handler Handler
	ctx     context.Context
	leave   context.CancelFunc
	calls   sync.WaitGroup // handlers of this port that are running
}

// Join puts a node on the fabric. Its handler may be called at once.
func (f *Fabric) Join(n Node, h Handler) (*Port, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ports[n] != nil {
		return nil, fmt.Errorf("%w: %v", ErrTaken, n)
	}
	p := &Port{fabric: f, node: n, handler: h}
	p.ctx, p.leave = context.WithCancel(context.Background())
	f.ports[n] = p
	f.signal()
	return p, nil
}

// Leave takes the port off the fabric: its calls return ErrLeft, calls to it
// ErrReset if they were being handled, and wait for the next incarnation if
// not. It returns when no handler of the port runs any more.
func (p *Port) Leave() {
	f := p.fabric
	f.mu.Lock()
	if f.ports[p.node] == p {
		delete(f.ports, p.node)
	}
	p.leave()
	f.signal()
	f.mu.Unlock()
	p.calls.Wait()
}

// Done is closed when the port has left.
func (p *Port) Done() <-chan struct{} { return p.ctx.Done() }

// Node is the name the port joined under.
func (p *Port) Node() Node { return p.node }

// Call sends msg and returns the answer. It waits while the receiver cannot be
// reached. Errors are ctx's, ErrLeft, ErrReset, and what the handler returned.
func (p *Port) Call(ctx context.Context, to Node, msg any) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()

	target, err := p.deliver(ctx, to)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(target.ctx, cancel)()
	answer, err := target.handler(ctx, p.node, msg)
	target.calls.Done()
	if p.ctx.Err() != nil {
		return nil, ErrLeft
	}
	if target.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %v", ErrReset, to)
	}
	if err != nil {
		return nil, err
	}
	// The answer travels the other way.
	if err := p.travel(ctx, target, link{to, p.node}); err != nil {
		return nil, err
	}
	return answer, nil
}

// deliver waits until the message has reached a live incarnation of to, and
// counts a running call there.
func (p *Port) deliver(ctx context.Context, to Node) (*Port, error) {
	for {
		f := p.fabric
		f.mu.Lock()
		target := f.ports[to]
		if target == nil || f.blocked(p.node, to) {
			wait := f.changed
			f.mu.Unlock()
			if err := p.wait(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		l := link{p.node, to}
		way := f.draw(l)
		if way == (trip{}) {
			target.calls.Add(1)
			f.mu.Unlock()
			return target, nil
		}
		f.mu.Unlock()
		if err := p.sleep(ctx, l, way); err != nil {
			return nil, err
		}
		f.mu.Lock()
		if f.ports[to] == target && !f.blocked(p.node, to) {
			target.calls.Add(1)
			f.mu.Unlock()
			return target, nil
		}
		f.mu.Unlock()
	}
}

// travel waits until an answer may pass the link.
func (p *Port) travel(ctx context.Context, from *Port, l link) error {
	f := p.fabric
	f.mu.Lock()
	way := f.draw(l)
	f.mu.Unlock()
	if way != (trip{}) {
		if err := p.sleep(ctx, l, way); err != nil {
			return p.cause(from, err)
		}
	}
	for {
		f.mu.Lock()
		blocked, wait := f.blocked(l.from, l.to), f.changed
		f.mu.Unlock()
		if !blocked {
			return nil
		}
		if err := p.wait(ctx, wait); err != nil {
			return p.cause(from, err)
		}
	}
}

// cause turns the end of a call's context into what ended it.
func (p *Port) cause(target *Port, err error) error {
	if p.ctx.Err() != nil {
		return ErrLeft
	}
	if target.ctx.Err() != nil {
		return fmt.Errorf("%w: %v", ErrReset, target.node)
	}
	return err
}

func (p *Port) wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		if p.ctx.Err() != nil {
			return ErrLeft
		}
		return ctx.Err()
	}
}

// sleep is what a message spends on its way; a link that is healed lets it
// through at once.
func (p *Port) sleep(ctx context.Context, l link, way trip) error {
	t := time.NewTimer(way.takes)
	defer t.Stop()
	select {
	case <-t.C:
		if way.breaks {
			return fmt.Errorf("%w: from %v to %v", ErrReset, l.from, l.to)
		}
		return nil
	case <-way.healed:
		return nil
	case <-ctx.Done():
		if p.ctx.Err() != nil {
			return ErrLeft
		}
		return ctx.Err()
	}
}

// blocked reads the state of a link; f.mu is held.
func (f *Fabric) blocked(from, to Node) bool {
	l := f.links[link{from, to}]
	return f.paused[from] || f.paused[to] || (l != nil && l.cut)
}

// signal wakes every waiting call; f.mu is held.
func (f *Fabric) signal() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Reachable reports whether a message from one node would reach the other now.
func (f *Fabric) Reachable(from, to Node) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ports[to] != nil && !f.blocked(from, to)
}

// IsCut reports whether the link is cut; a node that is paused has its links.
func (f *Fabric) IsCut(from, to Node) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.links[link{from, to}]
	return l != nil && l.cut
}

// Joined reports whether a node of this name is on the fabric, paused or cut off
// as it may be. It tells a broken connection from a silent one.
func (f *Fabric) Joined(n Node) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ports[n] != nil
}

// Paused reports whether the node's gate is closed.
func (f *Fabric) Paused(n Node) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paused[n]
}

// Changed is closed at the next join, leave, cut, heal, pause or resume.
func (f *Fabric) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}
