package wire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/minikafka/minikafka/server/wire"
)

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func TestReadFrame(t *testing.T) {
	t.Parallel()
	sizes := []int{
		0, 1, 10, wire.ChunkSize - 1, wire.ChunkSize, wire.ChunkSize + 1,
		4 * wire.ChunkSize, 4*wire.ChunkSize + 1, 1 << 20,
	}
	var stream []byte
	for _, n := range sizes {
		stream = append(stream, framed(pattern(n))...)
	}
	for name, conn := range map[string]io.Reader{
		"whole":    bytes.NewReader(stream),
		"halves":   iotest.HalfReader(bytes.NewReader(stream)),
		"data+err": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		var reuse []byte
		for _, n := range sizes {
			begun := 0
			limits := wire.Limits{
				MaxBytes: 1 << 20, Reuse: reuse, Begun: func() { begun++ }, Budget: wire.NewBudget(1),
			}
			got, err := wire.ReadFrame(conn, limits)
			if err != nil || !bytes.Equal(got, pattern(n)) {
				t.Fatalf("%s: frame of %d bytes: %d bytes, %v", name, n, len(got), err)
			}
			if begun != 1 {
				t.Errorf("%s: Begun was called %d times", name, begun)
			}
			reuse = got
		}
		if _, err := wire.ReadFrame(conn, wire.Limits{MaxBytes: 1}); err != io.EOF { //nolint:errorlint // Bare, as documented.
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
}

// TestReadFrameOwnership writes over a later frame, which must not reach an
// earlier one.
func TestReadFrameOwnership(t *testing.T) {
	t.Parallel()
	conn := bytes.NewReader(slices.Concat(framed(pattern(100)), framed(pattern(50))))
	first, err := wire.ReadFrame(conn, wire.Limits{MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	second, err := wire.ReadFrame(conn, wire.Limits{MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	clear(second[:cap(second)])
	if !bytes.Equal(first, pattern(100)) {
		t.Error("two frames share memory")
	}
}

func TestReadFrameErrors(t *testing.T) {
	t.Parallel()
	limit := 100 << 20
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"a part of the length", []byte{0, 0}, io.ErrUnexpectedEOF},
		{"length -1", []byte{0xff, 0xff, 0xff, 0xff}, wire.ErrFrameSize},
		{"length -2^31", []byte{0x80, 0, 0, 0}, wire.ErrFrameSize},
		{"length 2^31-1", []byte{0x7f, 0xff, 0xff, 0xff}, wire.ErrFrameSize},
		{"one above the limit", binary.BigEndian.AppendUint32(nil, uint32(limit+1)), wire.ErrFrameSize},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), wire.ErrFrameSize},
		{"TLS", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc}, wire.ErrFrameSize},
		{"the limit, then nothing", binary.BigEndian.AppendUint32(nil, uint32(limit)), io.ErrUnexpectedEOF},
		{"a part of a frame", framed(pattern(9))[:12], io.ErrUnexpectedEOF},
		{"a part of a large frame", framed(pattern(300_000))[:200_000], io.ErrUnexpectedEOF},
	} {
		budget := wire.NewBudget(1)
		got, err := wire.ReadFrame(bytes.NewReader(c.in), wire.Limits{MaxBytes: limit, Budget: budget})
		if got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %d bytes, %v, want %v", c.name, len(got), err, c.want)
		}
		// What failed holds nothing.
		if _, err := wire.ReadFrame(bytes.NewReader(framed(pattern(100_000))), wire.Limits{MaxBytes: limit, Budget: budget, Stop: closed()}); err != nil {
			t.Errorf("%s: the next frame: %v", c.name, err)
		}
	}
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// TestReadFrameMemory claims 100 MiB and sends little of it.
func TestReadFrameMemory(t *testing.T) {
	for _, sent := range []int{0, 1, wire.ChunkSize - 1, 200_000} {
		var before, after runtime.MemStats
		in := append(binary.BigEndian.AppendUint32(nil, 100<<20), pattern(sent)...)
		runtime.ReadMemStats(&before)
		_, err := wire.ReadFrame(bytes.NewReader(in), wire.Limits{MaxBytes: 100 << 20})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		allowed := uint64(wire.ChunkSize + 8*sent + 4096)
		if got := after.TotalAlloc - before.TotalAlloc; got > allowed {
			t.Errorf("%d bytes sent: %d allocated, want at most %d", sent, got, allowed)
		}
	}
}

// TestBudget has frames wait for each other's memory, in virtual time.
func TestBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 200_000
		budget := wire.NewBudget(size + 1)
		read := func(n int, stop <-chan struct{}) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := wire.ReadFrame(bytes.NewReader(framed(pattern(n))), wire.Limits{
					MaxBytes: math.MaxInt32, Budget: budget, Stop: stop,
				})
				done <- err
			}()
			synctest.Wait()
			return done
		}
		done := func(what string, c <-chan error, want error) {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-c:
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			default:
				t.Errorf("%s still waits", what)
			}
		}
		waits := func(what string, c <-chan error) {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-c:
				t.Errorf("%s did not wait: %v", what, err)
			default:
			}
		}
		done("the first", read(size, nil), nil)
		done("the second, on the last byte", read(size, nil), nil)
		third := read(size, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		fourth := read(size, ctx.Done())
		waits("the third", third)
		waits("the fourth", fourth)
		done("a small one", read(wire.ChunkSize, nil), nil)

		for range size / wire.ChunkSize * 2 {
			budget.Release(wire.ChunkSize) // Was free, and returns nothing.
		}
		waits("the third after small ones", third)
		<-ctx.Done()
		done("the fourth, stopped", fourth, wire.ErrStopped)

		budget.Release(size) // One byte is there.
		done("the third", third, nil)
		budget.Release(size)
		budget.Release(size)
		done("one above the whole budget", read(10*size, nil), nil)
	})
}

// TestBudgetStalled has many connections stop in the middle of frames that
// together are larger than the budget: each that goes on comes through.
func TestBudgetStalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size, conns = 300_000, 10
		budget := wire.NewBudget(2 * size)
		body := framed(pattern(size))
		var clients []net.Conn
		done := make(chan error, conns)
		for range conns {
			client, server := net.Pipe()
			clients = append(clients, client)
			go func() {
				frame, err := wire.ReadFrame(server, wire.Limits{MaxBytes: size, Budget: budget})
				budget.Release(len(frame))
				done <- err
			}()
			if _, err := client.Write(body[:1000]); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for _, c := range clients {
			go func() {
				if _, err := c.Write(body[1000:]); err != nil {
					t.Error(err)
				}
			}()
		}
		for range conns {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
