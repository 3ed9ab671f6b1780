package minikafka

import (
	"io"
	"net"
	"sync"
	"time"
)

// pipeConn is one end of a connection in memory.
type pipeConn struct {
	local, remote pipeAddr
	in, out       *stream

	mu     sync.Mutex
	linger int
}

func newPipe(client, server pipeAddr) (*pipeConn, *pipeConn) {
	up, down := newStream(), newStream()
	return &pipeConn{local: client, remote: server, in: down, out: up, linger: -1},
		&pipeConn{local: server, remote: client, in: up, out: down, linger: -1}
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

func (c *pipeConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

func (c *pipeConn) wrap(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // stream returns it bare, as net.Conn does
		return err
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// Close closes both ways. What was written can still be read by the other
// side, unless SetLinger(0) was called or unread bytes were left: then the
// connection is reset, as TCP does.
func (c *pipeConn) Close() error {
	c.mu.Lock()
	linger := c.linger
	c.mu.Unlock()
	unread, already := c.in.closeRead()
	if already {
		return c.wrap("close", net.ErrClosed)
	}
	if linger == 0 || unread {
		c.out.reset()
	}
	c.out.closeWrite()
	return nil
}

// CloseWrite tells the other side that no more will come.
func (c *pipeConn) CloseWrite() error {
	c.out.finish()
	return nil
}

// SetLinger with 0 makes Close reset the connection, as of a net.TCPConn.
func (c *pipeConn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = seconds
	return nil
}

// reset ends the connection as the death of this side's process does.
func (c *pipeConn) reset() {
	c.in.reset()
	c.out.reset()
}

func (c *pipeConn) LocalAddr() net.Addr  { return c.local }
func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }

func (c *pipeConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	return c.wrap("set", c.in.setDeadline(&c.in.readDeadline, t))
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	return c.wrap("set", c.out.setDeadline(&c.out.writeDeadline, t))
}
