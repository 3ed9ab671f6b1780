package scenario

import (
	"context"
	"net"
	"sync"
)

// Line is one client's way to the brokers. It can lose the answers of a broker
// whose requests arrive, which is how a producer comes not to know whether its
// record was stored.
type Line struct {
	dial Dial

	mu    sync.Mutex
	deaf  map[string]bool // by address: connections are deaf from now on
	conns []*lineConn
}

// NewLine makes a Line over dial.
func NewLine(dial Dial) *Line { return &Line{dial: dial, deaf: map[string]bool{}} }

// DialContext connects through the line.
func (l *Line) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &lineConn{Conn: conn, line: l, address: address, deaf: l.deaf[address]}
	l.conns = append(l.conns, c)
	return c, nil
}

// LoseAnswers loses all that comes from a broker from now on. A connection stays
// deaf until it ends.
func (l *Line) LoseAnswers(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf[address] = true
	for _, c := range l.conns {
		c.deaf = c.deaf || c.address == address
	}
}

// Restore lets connections that are yet to come hear a broker's answers.
func (l *Line) Restore(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf[address] = false
}

type lineConn struct {
	net.Conn
	line    *Line
	address string
	deaf    bool // guarded by line.mu
}

// Read reads until there is something that is not lost.
func (c *lineConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if !c.isDeaf() {
			return n, err
		}
		if err != nil {
			return 0, err
		}
	}
}

func (c *lineConn) isDeaf() bool {
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	return c.deaf
}
