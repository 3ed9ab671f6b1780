// Package wire speaks the Kafka protocol over one plain TCP connection, a request at a time, in the version the caller
// chose and with nothing retried, hidden or corrected: what a test of a broker needs, and what a client library is
// written to keep away from its user.
package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Errors of a connection.
var (
	// ErrClosed says that the broker ended the connection where an answer was waited for.
	ErrClosed = errors.New("wire: the broker closed the connection")
	// ErrTimeout says that neither an answer nor the end of the connection came in time.
	ErrTimeout = errors.New("wire: no answer in time")
)

// maxFrame bounds an answer; a larger length can only be a broken one.
const maxFrame = 256 << 20

// apiVersionsKey is the one API whose response header stays at version 0 in every version, so that a client can read
// the answer before it knows what the broker speaks (KIP-511).
const apiVersionsKey = 18

// Conn is one connection to a broker. Requests may be written ahead of the answers to earlier ones; the broker answers in
// order. A Conn is for one goroutine at a time.
type Conn struct {
	conn        net.Conn
	format      *kmsg.RequestFormatter
	correlation atomic.Int32
	timeout     time.Duration
}

// Dial connects to addr. The context bounds the dial alone; answers are waited for as long as Timeout says (30 s until
// it is set).
func Dial(ctx context.Context, addr string) (*Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("wire: connecting to %s: %w", addr, err)
	}
	return New(conn), nil
}

// New makes a Conn of a connection that is there already.
func New(conn net.Conn) *Conn {
	return &Conn{conn: conn, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("conformance")), timeout: 30 * time.Second}
}

// SetTimeout says how long an answer is waited for from now on.
func (c *Conn) SetTimeout(d time.Duration) { c.timeout = d }

// SetClientID names the client in the headers of the requests to come.
func (c *Conn) SetClientID(id string) {
	c.format = kmsg.NewRequestFormatter(kmsg.FormatterClientID(id))
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Request sends req in the version set in it and returns the answer, in the same version.
func (c *Conn) Request(req kmsg.Request) (kmsg.Response, error) {
	if err := c.Send(req); err != nil {
		return nil, err
	}
	return c.Receive(req)
}

// Send writes req and does not wait.
func (c *Conn) Send(req kmsg.Request) error {
	return c.SendBytes(c.Frame(req))
}

// Frame returns the bytes of req as Send would write them: length, header, body.
func (c *Conn) Frame(req kmsg.Request) []byte {
	return c.format.AppendRequest(nil, req, c.correlation.Add(1))
}

// SendBytes writes b as it is.
func (c *Conn) SendBytes(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return classify(err)
	}
	_, err := c.conn.Write(b)
	return classify(err)
}

// Receive reads the next answer, which must be the one to req. An ApiVersions answer that the broker sent in version 0
// because it does not speak the version asked for comes back with Version 0.
func (c *Conn) Receive(req kmsg.Request) (kmsg.Response, error) {
	frame, err := c.ReceiveBytes()
	if err != nil {
		return nil, fmt.Errorf("%s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return Decode(req, frame)
}

// ReceiveBytes reads the next answer without its length: header and body.
func (c *Conn) ReceiveBytes() ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return nil, classify(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return nil, classify(err)
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > maxFrame {
		return nil, fmt.Errorf("wire: an answer of %d bytes", n)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(c.conn, frame); err != nil {
		return nil, classify(err)
	}
	return frame, nil
}

// WaitClosed waits for the broker to end the connection: nil once it has, an error when it sends anything or keeps the
// connection open.
func (c *Conn) WaitClosed() error {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return classify(err)
	}
	var one [1]byte
	n, err := c.conn.Read(one[:])
	if n > 0 {
		return errors.New("wire: the broker sent bytes where it should have closed the connection")
	}
	if err = classify(err); errors.Is(err, ErrClosed) {
		return nil
	}
	return fmt.Errorf("wire: the connection is still open: %w", err)
}

// Decode reads an answer to req from a frame without its length.
func Decode(req kmsg.Request, frame []byte) (kmsg.Response, error) {
	resp := req.ResponseKind()
	b := kbin.Reader{Src: frame}
	b.Int32() // The correlation id; the broker answers in order.
	if resp.IsFlexible() && req.Key() != apiVersionsKey {
		for range b.Uvarint() {
			b.Uvarint()
			b.Span(int(b.Uvarint()))
		}
	}
	if err := b.Complete(); err != nil {
		return nil, fmt.Errorf("wire: %s v%d: answer header: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	if req.Key() == apiVersionsKey && len(b.Src) >= 2 && binary.BigEndian.Uint16(b.Src) == 35 {
		resp.SetVersion(0) // UNSUPPORTED_VERSION is always told in the layout of version 0.
	}
	if err := resp.ReadFrom(b.Src); err != nil {
		return nil, fmt.Errorf("wire: %s v%d: answer: %w", kmsg.NameForKey(req.Key()), resp.GetVersion(), err)
	}
	return resp, nil
}

// classify folds the ways in which the network says the same thing.
func classify(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ErrClosed
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	}
	return err
}
