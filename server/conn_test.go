package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// connLimit is how long these tests wait for anything.
const connLimit = 10 * time.Second

// connBroker is a broker that has nothing but connections, and the given
// handlers instead of its own.
func connBroker(t *testing.T, static map[string]string, table ...api) *broker {
	t.Helper()
	b := newBroker(Config{ID: 1, Listen: "127.0.0.1:0", ClusterID: "c", Static: static})
	b.images.set(&election.Image{ClusterID: "c"})
	for i := range table {
		b.table[table[i].key] = &table[i]
	}
	if err := b.listen(); err != nil {
		t.Fatal(err)
	}
	close(b.imaged)
	b.spawn(b.accept)
	t.Cleanup(func() {
		_ = b.listener.Close()
		b.conns.abort()
		b.cancel()
		b.running.Wait()
	})
	return b
}

func dial(t *testing.T, b *broker) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.listenAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(connLimit))
	return c
}

// frame is a request as it goes over the wire.
func frame(correlationID int32, q kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, q, correlationID)
}

func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// receive reads one answer, and checks whose it is.
func receive(t *testing.T, c net.Conn, correlationID int32) []byte {
	t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatalf("no answer to %d: %v", correlationID, err)
	}
	if id := int32(binary.BigEndian.Uint32(head[4:])); id != correlationID {
		t.Fatalf("answer to %d, want %d", id, correlationID)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	return body
}

// closed expects the connection to end without another byte.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	rest, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection is open: %v", err)
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes instead of the end", len(rest))
	}
}

func versionsRequest(version int16) *kmsg.ApiVersionsRequest {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = version, "test", "1"
	return q
}

// blocked is a handler that waits until it is let go, or its context ends.
type blocked struct {
	begun, release chan struct{}
	ended          atomic.Int32 // of contexts
}

func newBlocked() *blocked {
	return &blocked{begun: make(chan struct{}, 10), release: make(chan struct{})}
}

func (h *blocked) api() api {
	return serve(kmsg.Heartbeat, 0, 4, func(r *request, q *kmsg.HeartbeatRequest) (kmsg.Response, error) {
		h.begun <- struct{}{}
		select {
		case <-h.release:
		case <-r.ctx.Done():
			h.ended.Add(1)
		}
		return q.ResponseKind(), nil
	})
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(connLimit):
		t.Fatalf("waited in vain for %s", what)
	}
}

func TestOneRequestAtATimeInOrder(t *testing.T) {
	t.Parallel()
	h := newBlocked()
	b := connBroker(t, nil, h.api())
	c := dial(t, b)
	both := append(frame(1, kmsg.NewPtrHeartbeatRequest()), frame(2, versionsRequest(0))...)
	send(t, c, both)
	await(t, "the first request", h.begun)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("the second request was answered before the first")
	}
	_ = c.SetReadDeadline(time.Now().Add(connLimit))
	close(h.release)
	receive(t, c, 1)
	receive(t, c, 2)
	if h.ended.Load() != 0 {
		t.Error("the context ended while the client was there")
	}
}

func TestContextEndsWithTheClient(t *testing.T) {
	t.Parallel()
	h := newBlocked()
	b := connBroker(t, nil, h.api())
	c := dial(t, b)
	send(t, c, frame(1, kmsg.NewPtrHeartbeatRequest()))
	await(t, "the request", h.begun)
	_ = c.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			b.conns.mu.Lock()
			n := len(b.conns.open)
			b.conns.mu.Unlock()
			if n == 0 {
				return
			}
			runtime.Gosched() // nothing tells of it; await has the deadline
		}
	}()
	await(t, "the connection's end", gone)
	if h.ended.Load() != 1 {
		t.Error("the request's context did not end with the client")
	}
}

// A connection serves on after a request has waited and been watched.
func TestRequestsAfterAWait(t *testing.T) {
	t.Parallel()
	h := newBlocked()
	close(h.release)
	b := connBroker(t, nil, h.api())
	c := dial(t, b)
	for i := range int32(100) {
		send(t, c, frame(i, kmsg.NewPtrHeartbeatRequest()))
		receive(t, c, i)
		<-h.begun
	}
}

func TestBadFrames(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil)
	size := func(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	header := func(key, version int16) []byte {
		f := binary.BigEndian.AppendUint16(size(10), uint16(key))
		f = binary.BigEndian.AppendUint16(f, uint16(version))
		return append(f, 0, 0, 0, 1, 0xff, 0xff)
	}
	cases := map[string][]byte{
		"a negative length":       size(-1),
		"the smallest length":     size(-1 << 31),
		"the largest length":      size(1<<31 - 1),
		"more than the limit":     size(100<<20 + 1),
		"HTTP":                    []byte("GET / HTTP/1.1\r\n\r\n"),
		"TLS":                     {0x16, 0x03, 0x01, 0x02, 0x00, 0x01},
		"nothing":                 size(0),
		"no header":               append(size(4), 0, 0, 0, 1),
		"an unknown key":          header(9999, 0),
		"a negative key":          header(-1, 0),
		"a key between brokers":   header(4, 0),
		"an old version":          header(1, 3),
		"a version to come":       header(3, 99),
		"a negative version":      header(3, -1),
		"Produce v2":              header(0, 2),
		"a cut body":              header(3, 1),
		"a client id too long":    append(append(size(12), 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff), 1, 2),
		"a huge array":            append(append(size(14), header(3, 1)[4:]...), 0x7f, 0xff, 0xff, 0xff),
		"header tags without end": append(append(size(15), header(18, 3)[4:]...), 0xff, 0xff, 0xff, 0xff, 0x0f),
	}
	for name, bad := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, b)
			send(t, c, append(frame(7, versionsRequest(0)), bad...))
			receive(t, c, 7)
			closed(t, c)
		})
	}
}

func TestUnofferedVersions(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil)
	for _, a := range apis() {
		if a.key == kmsg.ApiVersions {
			continue
		}
		for _, version := range []int16{a.served - 1, a.max + 1, 99, -1, -2} {
			t.Run(fmt.Sprintf("%s v%d", a.key.Name(), version), func(t *testing.T) {
				t.Parallel()
				c := dial(t, b)
				q := binary.BigEndian.AppendUint16(nil, uint16(a.key))
				q = binary.BigEndian.AppendUint16(q, uint16(version))
				q = append(q, 0, 0, 0, 1, 0xff, 0xff, 0)
				send(t, c, append(binary.BigEndian.AppendUint32(nil, uint32(len(q))), q...))
				closed(t, c)
			})
		}
	}
}

// A version of ApiVersions that is not known is answered in version 0, whatever
// the body is, and the connection goes on.
func TestUnknownApiVersions(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil)
	c := dial(t, b)
	for i, version := range []int16{6, 99, -1} {
		q := []byte{0, 18, byte(version >> 8), byte(version), 0, 0, 0, byte(i), 0xff, 0xff, 0, 2, 3}
		send(t, c, append(binary.BigEndian.AppendUint32(nil, uint32(len(q))), q...))
		if got, want := receive(t, c, int32(i)), []byte{0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5}; !bytes.Equal(got, want) {
			t.Errorf("version %d: %v, want %v", version, got, want)
		}
	}
	send(t, c, frame(9, versionsRequest(5)))
	receive(t, c, 9)
}

func TestApiVersionsAreTheTable(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil)
	c := dial(t, b)
	for version := range int16(6) {
		send(t, c, frame(1, versionsRequest(version)))
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.Version = version
		if err := resp.ReadFrom(receive(t, c, 1)); err != nil {
			t.Fatal(err)
		}
		if len(resp.ApiKeys) != len(apis()) || resp.ErrorCode != 0 {
			t.Errorf("version %d: error %d, %d keys, want %d", version, resp.ErrorCode, len(resp.ApiKeys), len(apis()))
		}
		features := map[int16]int{3: 1, 4: 7, 5: 7}[version]
		if len(resp.SupportedFeatures) != features {
			t.Errorf("version %d: %d supported features, want %d", version, len(resp.SupportedFeatures), features)
		}
	}
}

func TestApiVersionsRefusals(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil)
	other, own := "other", "c"
	cases := []struct {
		name    string
		cluster *string
		node    int32
		code    int16
	}{
		{"a", nil, -1, 0},
		{"", nil, -1, 42},
		{"-a", nil, -1, 42},
		{"a b", nil, -1, 42},
		{"a_b", nil, -1, 42},
		{"a", &own, 1, 0},
		{"a", &own, -1, 42},
		{"a", nil, 1, 42},
		{"a", &other, 1, 129},
		{"a", &own, 2, 129},
	}
	for _, tc := range cases {
		q := versionsRequest(5)
		q.ClientSoftwareName, q.ClusterID, q.NodeID = tc.name, tc.cluster, tc.node
		if got := errorCode(b.checkApiVersions(q)); got != tc.code {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}

func TestPanicEndsTheConnectionOnly(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil, serve(kmsg.Heartbeat, 0, 4, func(*request, *kmsg.HeartbeatRequest) (kmsg.Response, error) {
		panic("a bug")
	}))
	other := dial(t, b)
	c := dial(t, b)
	send(t, c, frame(1, kmsg.NewPtrHeartbeatRequest()))
	closed(t, c)
	send(t, other, frame(2, versionsRequest(0)))
	receive(t, other, 2)
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	b := connBroker(t, map[string]string{"connections.max.idle.ms": "50"})
	c := dial(t, b)
	send(t, c, frame(1, versionsRequest(0)))
	receive(t, c, 1)
	closed(t, c)
}

func TestIdleAfterAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newBlocked()
		b := bubbleBroker()
		heartbeat := h.api()
		b.table[kmsg.Heartbeat] = &heartbeat
		c := pipeConn(b)
		send(t, c, frame(1, kmsg.NewPtrHeartbeatRequest()))
		<-h.begun
		time.Sleep(time.Hour) //nolint:forbidigo // Virtual: a wait is not idle.
		close(h.release)
		receive(t, c, 1)
		start := time.Now()
		b.running.Wait()
		if d := time.Since(start); d != 10*time.Minute {
			t.Errorf("closed after %v, want 10 minutes", d)
		}
	})
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"max.connections", "max.connections.per.ip"} {
		b := connBroker(t, map[string]string{config: "2"})
		a, a2 := dial(t, b), dial(t, b)
		for _, c := range []net.Conn{a, a2} {
			send(t, c, frame(1, versionsRequest(0)))
			receive(t, c, 1)
		}
		closed(t, dial(t, b))
		send(t, a, frame(2, versionsRequest(0)))
		receive(t, a, 2)
	}
}

func TestEndResetsConnections(t *testing.T) {
	t.Parallel()
	b := connBroker(t, nil)
	c := dial(t, b)
	send(t, c, frame(1, versionsRequest(0)))
	receive(t, c, 1)
	b.conns.abort()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read of an aborted connection: %v, want a reset", err)
	}
}

// pipeConn starts serving one connection, in a bubble.
func pipeConn(b *broker) net.Conn {
	client, served := net.Pipe()
	b.open(served)
	return client
}

func bubbleBroker() *broker {
	b := newBroker(Config{ID: 1, ClusterID: "c"})
	b.images.set(&election.Image{ClusterID: "c"})
	return b
}

func TestSlowReaderIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bubbleBroker()
		c := pipeConn(b)
		start := time.Now()
		send(t, c, frame(1, versionsRequest(0)))
		b.running.Wait() // the answer is not read
		if d := time.Since(start); d != writeResponseWithin {
			t.Errorf("closed after %v, want %v", d, writeResponseWithin)
		}
	})
}

func TestSlowRequestIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bubbleBroker()
		c := pipeConn(b)
		time.Sleep(time.Minute) //nolint:forbidigo // Virtual: the connection may be idle.
		start := time.Now()
		send(t, c, frame(1, versionsRequest(0))[:6])
		b.running.Wait()
		if d := time.Since(start); d != readRequestWithin {
			t.Errorf("closed after %v, want %v", d, readRequestWithin)
		}
	})
}

func TestAdvertised(t *testing.T) {
	t.Parallel()
	cases := []struct{ advertise, listen, want string }{
		{"", "127.0.0.1:9092", "127.0.0.1:9092"},
		{"", "[::]:9092", "localhost:9092"},
		{"", "0.0.0.0:9092", "localhost:9092"},
		{"kafka", "0.0.0.0:9092", "kafka:9092"},
		{"kafka:0", "0.0.0.0:9092", "kafka:9092"},
		{"kafka:1", "0.0.0.0:9092", "kafka:1"},
		{"[::1]:1", "0.0.0.0:9092", "[::1]:1"},
	}
	for _, tc := range cases {
		if got, err := advertised(tc.advertise, tc.listen); got != tc.want || err != nil {
			t.Errorf("%+v: %q, %v", tc, got, err)
		}
	}
	if got, err := advertised("kafka:x", "0.0.0.0:1"); err == nil || strings.Contains(got, "x") && err == nil {
		t.Errorf("a bad port: %q, %v", got, err)
	}
}
