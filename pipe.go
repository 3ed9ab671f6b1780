package minikafka

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// pipeBacklog is how many connections may wait to be accepted.
const pipeBacklog = 128

// Ports that a [Pipes] gives out: to listeners on port 0, and to clients.
const (
	firstListenPort = 10000
	firstClientPort = 32768
)

// Pipes is a network in memory, private to whoever holds it. Its connections
// have a bounded buffer each way, as sockets have, and deadlines; they work
// inside a testing/synctest bubble. There is one host, and all names mean it:
// only the port of an address counts.
type Pipes struct {
	mu        sync.Mutex
	listeners map[int]*pipeListener
	nextPort  int
	nextLocal int
}

// PipeNetwork returns a new network in memory, for the option [Network].
func PipeNetwork() *Pipes {
	return &Pipes{listeners: map[int]*pipeListener{}, nextPort: firstListenPort, nextLocal: firstClientPort}
}

// Listen listens on a host:port; port 0 picks a free one. Errors wrap
// syscall.EADDRINUSE when the port is taken.
func (p *Pipes) Listen(address string) (net.Listener, error) {
	host, port, err := splitPipeAddress(address)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if port == 0 {
		for p.listeners[p.nextPort] != nil {
			p.nextPort++
		}
		port = p.nextPort
		p.nextPort++
	}
	addr := pipeAddr(net.JoinHostPort(host, strconv.Itoa(port)))
	if p.listeners[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: addr.Network(), Addr: addr, Err: syscall.EADDRINUSE}
	}
	l := &pipeListener{
		network: p,
		addr:    addr,
		port:    port,
		queue:   make(chan *pipeConn, pipeBacklog),
		closed:  make(chan struct{}),
	}
	p.listeners[port] = l
	return l, nil
}

// Dial connects to a listener. It waits while too many connections wait to be
// accepted. Errors are ctx's, and one that wraps syscall.ECONNREFUSED when
// nobody listens.
func (p *Pipes) Dial(ctx context.Context, address string) (net.Conn, error) {
	_, port, err := splitPipeAddress(address)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	l := p.listeners[port]
	local := pipeAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(p.nextLocal)))
	p.nextLocal++
	p.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: local.Network(), Source: local, Addr: pipeAddr(address), Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	client, server := newPipe(local, l.addr)
	select {
	case l.queue <- server:
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: local.Network(), Source: local, Addr: pipeAddr(address), Err: ctx.Err()}
	}
	select {
	case <-l.closed:
		// Close may have emptied the queue before our connection was in it.
		server.reset()
		return nil, refused
	default:
		return client, nil
	}
}

func splitPipeAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("minikafka: %w", err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 {
		return "", 0, fmt.Errorf("minikafka: address %s: the port is not a number", address)
	}
	return host, port, nil
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

type pipeListener struct {
	network *Pipes
	addr    pipeAddr
	port    int
	queue   chan *pipeConn
	once    sync.Once
	closed  chan struct{}
}

func (l *pipeListener) Addr() net.Addr { return l.addr }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
	default:
		select {
		case c := <-l.queue:
			return c, nil
		case <-l.closed:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

// Close stops listening; connections that were not accepted are reset.
func (l *pipeListener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, l.port)
		l.network.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.queue:
				c.reset()
			default:
				return
			}
		}
	})
	return nil
}
