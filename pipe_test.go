package minikafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// testSeed prints the seed of a randomised test, and takes it from the
// environment when it is there.
func testSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// pipe returns both ends of a connection through a new network.
func pipe(t *testing.T) (client, server net.Conn) {
	t.Helper()
	p := PipeNetwork()
	l, err := p.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err = p.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
		l.Close()
	})
	return client, server
}

func TestPipeCarriesBytesInOrder(t *testing.T) {
	t.Parallel()
	r := testSeed(t)
	sent := make([]byte, 3*pipeBuffer+12345)
	for i := range sent {
		sent[i] = byte(r.Uint32())
	}
	sizes := func(seed uint64) func() int {
		r := rand.New(rand.NewPCG(seed, 1))
		return func() int { return 1 + r.IntN(100_000) }
	}
	client, server := pipe(t)
	var wg sync.WaitGroup
	next := sizes(r.Uint64())
	wg.Go(func() {
		for rest := sent; len(rest) > 0; {
			n := min(next(), len(rest))
			if m, err := client.Write(rest[:n]); err != nil || m != n {
				t.Errorf("Write = %d, %v; want %d", m, err, n)
				return
			}
			rest = rest[n:]
		}
		client.Close()
	})
	var got bytes.Buffer
	size := sizes(r.Uint64())
	for {
		buf := make([]byte, size())
		n, err := server.Read(buf)
		got.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if !bytes.Equal(got.Bytes(), sent) {
		t.Fatalf("read %d bytes, not the %d that were written", got.Len(), len(sent))
	}
}

func TestPipeBufferIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(t)
		if n, err := client.Write(make([]byte, pipeBuffer)); n != pipeBuffer || err != nil {
			t.Fatalf("filling the buffer: %d, %v", n, err)
		}
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			if _, err := client.Write([]byte{1}); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		select {
		case <-wrote:
			t.Fatal("a write above the buffer did not wait for the reader")
		default:
		}
		if _, err := io.ReadFull(server, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		<-wrote
	})
}

func TestPipeDeadlinesAreInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(t)
		start := time.Now()
		if err := client.SetDeadline(start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, err := client.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("Read after its deadline = %v", err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Fatalf("Read waited %v, not the hour of its deadline", took)
		}
		if _, err := client.Write(make([]byte, 2*pipeBuffer)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write after its deadline = %v", err)
		}
		// A later deadline makes the connection usable again.
		if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Fatalf("Read with a new deadline = %v", err)
		}
		// So does none; the old timer must not fire into it.
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(2*time.Hour, func() { _, _ = server.Write([]byte("y")) })
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Fatalf("Read without a deadline = %v", err)
		}
	})
}

func TestPipeClose(t *testing.T) {
	t.Parallel()
	one := make([]byte, 1)
	cases := []struct {
		name string
		do   func(client, server net.Conn) error
		want error
	}{
		{"read after the other end closed", func(c, s net.Conn) error {
			s.Close()
			_, err := c.Read(one)
			return err
		}, io.EOF},
		{"what was written before a close is still read", func(c, s net.Conn) error {
			_, _ = s.Write(one)
			s.Close()
			_, err := c.Read(one)
			return err
		}, nil},
		{"write after the other end closed", func(c, s net.Conn) error {
			s.Close()
			_, err := c.Write(one)
			return err
		}, syscall.EPIPE},
		{"linger 0 resets, and what was written is lost", func(c, s net.Conn) error {
			_, _ = s.Write(one)
			_ = s.(interface{ SetLinger(int) error }).SetLinger(0)
			s.Close()
			_, err := c.Read(one)
			return err
		}, syscall.ECONNRESET},
		{"closing with unread bytes resets", func(c, s net.Conn) error {
			_, _ = c.Write(one)
			s.Close()
			_, err := c.Read(one)
			return err
		}, syscall.ECONNRESET},
		{"read of a closed end", func(c, _ net.Conn) error {
			c.Close()
			_, err := c.Read(one)
			return err
		}, net.ErrClosed},
		{"write of a closed end", func(c, _ net.Conn) error {
			c.Close()
			_, err := c.Write(one)
			return err
		}, net.ErrClosed},
		{"closing twice", func(c, _ net.Conn) error {
			c.Close()
			return c.Close()
		}, net.ErrClosed},
		{"half close: the other way stays open", func(c, s net.Conn) error {
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
			if _, err := s.Read(one); !errors.Is(err, io.EOF) {
				return fmt.Errorf("read of a finished stream: %w", err)
			}
			_, _ = s.Write(one)
			_, err := c.Read(one)
			return err
		}, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client, server := pipe(t)
			if err := tc.do(client, server); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestPipeCloseWakesWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(t)
		if _, err := client.Write(make([]byte, pipeBuffer)); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 3)
		go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := client.Write(make([]byte, 1)); errs <- err }()
		go func() { _, err := server.Read(make([]byte, pipeBuffer+1)); errs <- err }()
		if err := <-errs; err != nil {
			t.Fatalf("the server's read: %v", err)
		}
		synctest.Wait()
		client.Close()
		for range 2 {
			if err := <-errs; err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("a waiter was woken with %v", err)
			}
		}
	})
}

func TestPipeNetworkAddresses(t *testing.T) {
	t.Parallel()
	p := PipeNetwork()
	if _, err := p.Dial(t.Context(), "127.0.0.1:9092"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dialing where nobody listens: %v", err)
	}
	l, err := p.Listen("127.0.0.1:9092")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Listen("localhost:9092"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("listening on a taken port: %v", err)
	}
	if _, err := PipeNetwork().Dial(t.Context(), "127.0.0.1:9092"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("two networks meet: %v", err)
	}
	waiting, err := p.Dial(t.Context(), "broker-1.example:9092")
	if err != nil {
		t.Fatalf("dialing by another name: %v", err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("accepting on a closed listener: %v", err)
	}
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("a connection nobody accepted: %v", err)
	}
	if _, err := p.Dial(t.Context(), "127.0.0.1:9092"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dialing a closed listener: %v", err)
	}
	again, err := p.Listen("127.0.0.1:9092")
	if err != nil {
		t.Fatalf("listening again: %v", err)
	}
	again.Close()
}

func TestPipeDialHeedsItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := PipeNetwork()
		l, err := p.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for range pipeBacklog {
			if _, err := p.Dial(t.Context(), l.Addr().String()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Dial(ctx, l.Addr().String()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dialing a full listener: %v", err)
		}
	})
}
