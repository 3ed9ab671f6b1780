package minikafka

import (
	"context"
	"io"
	"net"
	"sync"
)

// tcp is the ordinary network. It keeps the ports of brokers that are down, so
// that they get them back at their restart.
type tcp struct {
	mu     sync.Mutex
	guards map[string]io.Closer // by host:port
}

// Listen listens on an address; port 0 picks a free one.
func (n *tcp) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	guarded := n.guards[address] != nil
	n.mu.Unlock()
	if guarded {
		return net.Listen("tcp", address)
	}
	// The guard comes first: while a socket listens, no other can be bound.
	guard, bound := guardPort(address)
	if guard == nil {
		return net.Listen("tcp", address)
	}
	l, err := net.Listen("tcp", bound)
	if err != nil {
		_ = guard.Close()
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.guards[bound] = guard
	return l, nil
}

// Dial connects to an address.
func (n *tcp) Dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// close gives the ports back.
func (n *tcp) close() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, g := range n.guards {
		_ = g.Close()
	}
	clear(n.guards)
}
