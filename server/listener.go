package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/minikafka/minikafka/server/configs"
)

// tcp is the [Network] of a broker that was given none.
type tcp struct{}

// Listen is Network's.
func (tcp) Listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// Dial is Network's.
func (tcp) Dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// listen opens the listener, and settles what clients are told.
func (b *broker) listen() error {
	l, err := b.config.Network.Listen(b.config.Listen)
	if err != nil {
		return fmt.Errorf("server: broker %d: %w", b.config.ID, err)
	}
	b.address, err = advertised(b.config.Advertise, l.Addr().String())
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("server: broker %d: %w", b.config.ID, err)
	}
	b.listener = l
	return nil
}

// advertised fills in what is missing in the address to advertise: the port, and
// the host where the broker listens on all.
func advertised(advertise, listen string) (string, error) {
	listenHost, listenPort, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	host, port := listenHost, listenPort
	if advertise != "" {
		if host, port, err = net.SplitHostPort(advertise); err != nil {
			host, port = advertise, listenPort
		}
	}
	if port == "" || port == "0" {
		port = listenPort
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	address := net.JoinHostPort(host, port)
	_, _, err = hostPort(address)
	return address, err
}

func hostPort(address string) (string, int32, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("server: address %s: %w", address, err)
	}
	return host, int32(n), nil
}

func newUUID() [16]byte {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// retryAccept is how long the acceptor waits after an error that may pass, such
// as too many open files.
const retryAccept = 50 * time.Millisecond

// accept accepts connections once there is metadata to answer from.
func (b *broker) accept() {
	select {
	case <-b.imaged:
	case <-b.ctx.Done():
		return
	}
	close(b.accepting)
	for {
		c, err := b.listener.Accept()
		switch {
		case err == nil && b.pauses.gate.pass(b.ctx) == nil:
			b.open(c)
		case err == nil:
			_ = c.Close()
			return
		case b.ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return
		default:
			b.logger.Warn("cannot accept a connection", "error", err)
			t := time.NewTimer(retryAccept)
			select {
			case <-t.C:
			case <-b.ctx.Done():
				t.Stop()
				return
			}
		}
	}
}

// open serves a connection, or closes it where there are too many.
func (b *broker) open(nc net.Conn) {
	c := newConn(b, nc)
	if !b.conns.add(c) {
		c.end()
		return
	}
	b.spawn(func() {
		c.serve()
		b.conns.remove(c)
	})
}

// connections are the open connections of a broker.
type connections struct {
	mu      sync.Mutex
	limit   int // max.connections
	perHost int // max.connections.per.ip
	open    map[*conn]struct{}
	from    map[string]int // how many there are by the client's host
	closed  bool
	empty   chan struct{} // finish waits for it
}

// allow sets how many connections there may be.
func (s *connections) allow(c configs.BrokerSettings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.perHost = int(c.MaxConnections), int(c.MaxConnectionsPerIP)
}

func (s *connections) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) >= s.limit || s.from[c.host] >= s.perHost {
		return false
	}
	if s.open == nil {
		s.open, s.from = map[*conn]struct{}{}, map[string]int{}
	}
	s.open[c] = struct{}{}
	s.from[c.host]++
	return true
}

func (s *connections) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if len(s.open) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	if s.from[c.host]--; s.from[c.host] == 0 {
		delete(s.from, c.host)
	}
}

func (s *connections) list(last bool) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = s.closed || last
	list := make([]*conn, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// reset resets every connection.
func (s *connections) reset() {
	for _, c := range s.list(false) {
		c.reset()
	}
}

// abort resets every connection, and no other is served.
func (s *connections) abort() {
	for _, c := range s.list(true) {
		c.reset()
	}
}

// finish closes every connection once its request is answered, or after some
// time, and no other is served.
func (s *connections) finish(within time.Duration) {
	for _, c := range s.list(true) {
		c.drain()
	}
	s.mu.Lock()
	empty := make(chan struct{})
	if len(s.open) == 0 {
		close(empty)
	} else {
		s.empty = empty
	}
	s.mu.Unlock()
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-empty:
	case <-t.C:
		for _, c := range s.list(true) {
			c.end()
		}
	}
}
