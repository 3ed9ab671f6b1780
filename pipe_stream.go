package minikafka

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeBuffer is how many bytes a connection of [Pipes] holds each way before
// its writer waits.
const pipeBuffer = 256 << 10

// stream is one direction of a connection: a bounded buffer between the writing
// and the reading end.
type stream struct {
	mu      sync.Mutex // guards all below
	changed sync.Cond
	buf     []byte // a ring, which grows up to pipeBuffer
	start   int    // of what is unread
	size    int

	finished    bool // the writer will write no more: EOF when all is read
	writeClosed bool // the writing end is closed
	readClosed  bool // the reading end is closed
	broken      bool // reset

	readDeadline, writeDeadline deadline
}

type deadline struct {
	timer   *time.Timer
	expired bool
}

func newStream() *stream {
	s := &stream{}
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readClosed:
			return 0, net.ErrClosed
		case s.readDeadline.expired:
			return 0, os.ErrDeadlineExceeded
		case s.broken:
			return 0, syscall.ECONNRESET
		case len(p) == 0:
			return 0, nil
		case s.size > 0:
			n := s.take(p)
			s.changed.Broadcast()
			return n, nil
		case s.finished:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := 0
	for {
		switch {
		case s.writeClosed:
			return written, net.ErrClosed
		case s.writeDeadline.expired:
			return written, os.ErrDeadlineExceeded
		case s.broken:
			return written, syscall.ECONNRESET
		case s.readClosed, s.finished:
			return written, syscall.EPIPE
		case written == len(p):
			return written, nil
		case s.size < pipeBuffer:
			written += s.put(p[written:])
			s.changed.Broadcast()
			if written == len(p) {
				return written, nil
			}
		default:
			s.changed.Wait()
		}
	}
}

// take moves bytes out of the ring; s.mu is held and the ring is not empty.
func (s *stream) take(p []byte) int {
	n := copy(p, s.buf[s.start:min(s.start+s.size, len(s.buf))])
	if n < s.size && n < len(p) {
		n += copy(p[n:], s.buf[:s.size-n])
	}
	s.start = (s.start + n) % len(s.buf)
	s.size -= n
	return n
}

// put moves bytes into the ring, as many as fit; s.mu is held.
func (s *stream) put(p []byte) int {
	if free := len(s.buf) - s.size; free < len(p) && len(s.buf) < pipeBuffer {
		s.grow(s.size + len(p))
	}
	n := 0
	for n < len(p) && s.size < len(s.buf) {
		end := (s.start + s.size) % len(s.buf)
		limit := len(s.buf)
		if end < s.start {
			limit = s.start
		}
		m := copy(s.buf[end:limit], p[n:])
		n += m
		s.size += m
	}
	return n
}

// grow makes the ring hold at least want bytes, or as many as it may.
func (s *stream) grow(want int) {
	size := max(len(s.buf), 4<<10)
	for size < want && size < pipeBuffer {
		size *= 2
	}
	buf := make([]byte, size)
	kept := s.size
	if kept > 0 {
		s.take(buf[:kept])
	}
	s.buf, s.start, s.size = buf, 0, kept
}

// closeRead closes the reading end, and tells whether bytes were left unread
// and whether it had been closed before.
func (s *stream) closeRead() (unread, already bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unread, already = s.size > 0, s.readClosed
	s.readClosed = true
	s.readDeadline.stop()
	s.changed.Broadcast()
	return unread, already
}

func (s *stream) closeWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeClosed, s.finished = true, true
	s.writeDeadline.stop()
	s.changed.Broadcast()
}

func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.changed.Broadcast()
}

// reset drops what was not read and makes both ends fail.
func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	s.buf, s.start, s.size = nil, 0, 0
	s.changed.Broadcast()
}

// setDeadline sets d, which is one of the stream's own.
func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (d == &s.readDeadline && s.readClosed) || (d == &s.writeDeadline && s.writeClosed) {
		return net.ErrClosed
	}
	d.stop()
	d.expired = false
	if t.IsZero() {
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.expired = true
		s.changed.Broadcast()
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.timer == timer { // else it was set anew meanwhile
			d.expired = true
			s.changed.Broadcast()
		}
	})
	d.timer = timer
	return nil
}

// stop ends the timer; the stream's mu is held.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
