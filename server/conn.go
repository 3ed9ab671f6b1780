package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/faults"
	"github.com/minikafka/minikafka/server/wire"
)

const (
	// readBuffer is how much is read from a connection at a time; larger frames
	// are read into their own place.
	readBuffer = 16 << 10
	// readRequestWithin is how long the rest of a frame may take, and
	// writeResponseWithin how long a client may take to read an answer. Kafka
	// has no such limits.
	readRequestWithin   = 30 * time.Second
	writeResponseWithin = 30 * time.Second
	// keepFrame and keepResponse are the largest buffers that are kept for the
	// next request.
	keepFrame    = 64 << 10
	keepResponse = 4 << 20
)

// conn is one client's connection (SocketServer.Processor and RequestChannel).
// Its one goroutine reads a request, answers it, and only then reads the next:
// what the client has sent meanwhile waits in the socket, as in Kafka, where the
// channel is muted. While a request waits for something, a second goroutine
// watches whether the client is still there.
type conn struct {
	b      *broker
	net    net.Conn
	host   string // the client's
	in     *bufio.Reader
	ctx    context.Context // The connection's own life.
	cancel context.CancelFunc
	mu     sync.Mutex
	// busy is set while a request is under way, draining when the connection is to
	// end after it. Both are guarded by mu.
	busy, draining bool
	// watching is closed when the watcher has ended; nil without one. Guarded by
	// mu: a handler may have goroutines of its own.
	watching chan struct{}
	watchErr error // how the watch ended
	// pipelined is set when a request was there already as the watch began: then
	// the watcher must be told to end.
	pipelined bool
	clientID  string
	// frame may be read into again: nothing refers to it.
	frame []byte
}

func newConn(b *broker, nc net.Conn) *conn {
	c := &conn{b: b, net: nc, in: bufio.NewReaderSize(nc, readBuffer)}
	c.ctx, c.cancel = context.WithCancel(b.ctx)
	c.host, _, _ = net.SplitHostPort(nc.RemoteAddr().String())
	return c
}

// end closes the connection: what was answered still arrives.
func (c *conn) end() {
	c.cancel()
	_ = c.net.Close()
}

// reset closes the connection as the death of a process does.
func (c *conn) reset() {
	if l, ok := c.net.(interface{ SetLinger(seconds int) error }); ok {
		_ = l.SetLinger(0)
	}
	c.end()
}

// serve answers requests until the connection ends.
func (c *conn) serve() {
	defer func() {
		c.finish()
		_ = c.unwatch()
		c.b.shares.disconnected(c)
	}()
	for {
		frame, err := c.read()
		if err != nil {
			c.logEnd(err)
			return
		}
		c.begin()
		err = c.answer(frame)
		c.b.budget.Release(len(frame))
		if err != nil {
			c.logEnd(err)
			return
		}
		if c.done() {
			return
		}
	}
}

func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = true
}

// done notes that a request was answered; true when it was the last.
func (c *conn) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return c.draining
}

// drain closes the connection once it has answered what is under way.
func (c *conn) drain() {
	c.mu.Lock()
	c.draining = true
	busy := c.busy
	c.mu.Unlock()
	if !busy {
		c.end()
	}
}

// finish closes the connection so that the client can still read what was
// answered before: closing with unread bytes would reset it.
func (c *conn) finish() {
	if w, ok := c.net.(interface{ CloseWrite() error }); ok && c.ctx.Err() == nil && w.CloseWrite() == nil {
		c.discard()
	}
	c.end()
}

// discard drops what has already come, without waiting for more.
func (c *conn) discard() {
	_ = c.net.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, _ = io.CopyN(io.Discard, c.net, 1<<20)
}

func (c *conn) logEnd(err error) {
	switch {
	case err == io.EOF, c.ctx.Err() != nil: //nolint:errorlint // ReadFrame returns it bare.
	default:
		c.b.logger.Debug("connection closed", "client", c.net.RemoteAddr(), "clientID", c.clientID, "reason", err)
	}
}

// read reads the next frame. A connection is idle until the frame's length has
// come (connections.max.idle.ms); from there on the frame has a deadline.
func (c *conn) read() ([]byte, error) {
	if err := c.unwatch(); err != nil && !c.idleInPause(err) {
		return nil, err
	}
	_ = c.net.SetReadDeadline(deadline(c.b.static.ConnectionsMaxIdleMs))
	head, err := c.in.Peek(4)
	for err != nil && c.idleInPause(err) {
		_ = c.net.SetReadDeadline(deadline(c.b.static.ConnectionsMaxIdleMs))
		head, err = c.in.Peek(4)
	}
	if err != nil {
		if err == io.EOF && len(head) > 0 { //nolint:errorlint // Peek returns the reader's error bare.
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if size := int(int32(binary.BigEndian.Uint32(head))); size > c.in.Buffered()-4 {
		_ = c.net.SetReadDeadline(time.Now().Add(readRequestWithin))
	}
	frame, err := wire.ReadFrame(c.in, wire.Limits{
		MaxBytes: int(c.b.static.SocketRequestMaxBytes),
		Budget:   c.b.budget,
		Stop:     c.ctx.Done(),
		Reuse:    c.frame,
	})
	c.frame = nil
	return frame, err
}

// idleInPause tells whether err is that the connection was idle for too long
// while the broker was paused, and waits for the end of that: a paused process
// closes nothing.
func (c *conn) idleInPause(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && c.b.pauses.gate.closed.Load() && c.b.pauses.gate.pass(c.ctx) == nil
}

// deadline is the time so many ms from now, or none at all.
func deadline(ms int64) time.Time {
	if ms < 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(ms) * time.Millisecond)
}

// answer decodes a request, has it handled, and sends the answer. An error ends
// the connection.
func (c *conn) answer(frame []byte) error {
	if err := c.b.pauses.gate.pass(c.ctx); err != nil {
		return err
	}
	h, body, err := wire.ParseHeader(frame)
	if err != nil {
		return err
	}
	a := c.b.find(h.Key)
	if a == nil || h.Version < a.served || h.Version > a.max {
		if h.Key != int16(kmsg.ApiVersions) {
			return fmt.Errorf("%w: key %d version %d is not served", wire.ErrUnknownRequest, h.Key, h.Version)
		}
		return c.send(h.CorrelationID, unsupportedApiVersions(a), false)
	}
	q := kmsg.RequestForKey(h.Key)
	q.SetVersion(h.Version)
	if err := wire.Scan(h.Key, h.Version, body); err != nil {
		return err
	}
	if err := q.ReadFrom(body); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	if c.clientID != string(h.ClientID) {
		c.clientID = string(h.ClientID)
	}
	if cap(frame) <= keepFrame && !wire.Retains(h.Key, h.Version) {
		c.frame = frame
	}
	resp, cut, err := c.run(a, &request{
		ctx: connContext{c.ctx, c}, broker: c.b,
		key: a.key, version: h.Version, clientID: c.clientID, host: c.host, body: q,
	})
	if err != nil || resp == nil {
		return err
	}
	return c.send(h.CorrelationID, resp, cut)
}

// run calls the handler, with the faults there are; cut tells that one cuts the
// answer off. A panic ends the connection, not the process.
func (c *conn) run(a *api, r *request) (resp kmsg.Response, cut bool, err error) {
	defer c.b.recovered(r, &err)
	if c.b.config.Faults.Any() {
		resp, cut, err = c.fault(a, r)
	} else {
		resp, err = a.handle(r)
	}
	if err == nil && c.b.ctx.Err() != nil {
		// What a handler says once the broker is ending is not true any more.
		return nil, false, replication.ErrStopped
	}
	return resp, cut, err
}

// recovered, deferred, makes a handler's panic its error.
func (b *broker) recovered(r *request, err *error) {
	if p := recover(); p != nil {
		b.logger.Error("a request failed", "api", r.key.Name(), "version", r.version, "panic", p, slog.String("stack", string(debug.Stack())))
		*err = fmt.Errorf("server: panic in %s: %v", r.key.Name(), p)
	}
}

// send writes one answer, with one write, or half of it and an error.
func (c *conn) send(correlationID int32, resp kmsg.Response, cut bool) error {
	buf, _ := c.b.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	out, err := wire.AppendResponse((*buf)[:0], correlationID, resp)
	if err != nil {
		return err
	}
	if err := c.b.pauses.gate.pass(c.ctx); err != nil {
		return err
	}
	_ = c.net.SetWriteDeadline(time.Now().Add(writeResponseWithin))
	if cut {
		if _, err := c.net.Write(out[:len(out)/2]); err != nil {
			return err
		}
		return faults.ErrClosed
	}
	_, err = c.net.Write(out)
	if cap(out) <= keepResponse {
		*buf = out
		c.b.buffers.Put(buf)
	}
	return err
}

// connContext is the context of a connection's requests. Asking for its end has
// the connection watched.
type connContext struct {
	context.Context
	c *conn
}

// Done is context.Context's.
func (x connContext) Done() <-chan struct{} {
	x.c.watch()
	return x.Context.Done()
}

// watch has the connection's context end when the client goes away while a
// request waits.
func (c *conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watching != nil || c.in.Buffered() >= c.in.Size() {
		return
	}
	ended := make(chan struct{})
	n := c.in.Buffered()
	c.watching, c.pipelined = ended, n > 0
	_ = c.net.SetReadDeadline(time.Time{})
	c.b.spawn(func() {
		defer close(ended)
		// What comes stays in the buffer.
		_, c.watchErr = c.in.Peek(n + 1)
		if c.watchErr != nil && !errors.Is(c.watchErr, os.ErrDeadlineExceeded) {
			c.cancel()
		}
	})
}

// unwatch returns when the watcher has ended, and the connection may be read
// from. Mostly that is when the next request begins; the error is that none came
// in time.
func (c *conn) unwatch() error {
	c.mu.Lock()
	watching, pipelined := c.watching, c.pipelined
	c.mu.Unlock()
	if watching == nil {
		return nil
	}
	if pipelined {
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	} else {
		_ = c.net.SetReadDeadline(deadline(c.b.static.ConnectionsMaxIdleMs))
	}
	<-watching
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watching = nil
	if pipelined {
		return nil // the reader finds out what else is wrong
	}
	return c.watchErr
}
