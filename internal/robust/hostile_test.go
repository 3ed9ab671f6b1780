package robust_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// mib is a mebibyte.
const mib = 1 << 20

// attack is what somebody does who means no good.
type attack struct {
	name string
	// growth bounds the growth of the heap in bytes, all nodes and the
	// bystander included.
	growth int64
	run    func(*testing.T, *target)
}

// target is the broker under attack: the one that leads the bystander's partition.
type target struct {
	cluster *minikafka.Cluster
	addr    string
	rng     *rand.Rand
}

// TestHostileInput treats a running cluster badly over TCP: each attack ends in
// an error or the end of its connection, memory stays bounded, a bystander is
// not disturbed, and in the end nothing is left.
func TestHostileInput(t *testing.T) {
	before := holds(t)
	c, err := minikafka.New(minikafka.Brokers(3), minikafka.Topic(topic, 1), minikafka.Topic("target", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		before.waitBack(t)
	}()
	other := startBystander(t, c)
	defer other.stop(t, c)
	other.check(t)
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			seed := seed(t)
			c := c.For(t)
			watch := watchHeap()
			a.run(t, &target{c, c.Leader("target", 0).Addr(), rand.New(rand.NewPCG(seed, 0))})
			if grown := watch.growth(); grown > a.growth {
				t.Errorf("the heap grew by %d KiB, at most %d are fine", grown>>10, a.growth>>10)
			} else {
				t.Logf("the heap grew by %d KiB", grown>>10)
			}
			other.check(t)
		})
	}
}

// seed is that of MINIKAFKA_SEED, or a new one; a failed test prints it.
func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(os.Getenv("MINIKAFKA_SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("MINIKAFKA_SEED=%d", n)
		}
	})
	return n
}

// dial connects to the target.
func (x *target) dial(t *testing.T) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := x.cluster.DialContext(ctx, "tcp", x.addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// outcome is what became of bytes sent to a broker.
type outcome int

const (
	closed outcome = iota
	answered
)

// send writes bytes over a connection of their own, and waits for an answer or
// the end of the connection.
func (x *target) send(t *testing.T, b []byte) (outcome, []byte) {
	t.Helper()
	conn := x.dial(t)
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		return closed, nil // While it was still being written.
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("neither an answer nor the end of the connection after % x…", b[:min(len(b), 40)])
		}
		return closed, nil
	}
	frame, err := io.ReadAll(io.LimitReader(conn, int64(binary.BigEndian.Uint32(size[:]))))
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return answered, frame
}

// wantClosed sends bytes that only the end of the connection can answer.
func (x *target) wantClosed(t *testing.T, what string, b []byte) {
	t.Helper()
	if got, frame := x.send(t, b); got != closed {
		t.Errorf("%s: an answer of %d bytes, want a closed connection", what, len(frame))
	}
}

// frame puts the length before a request.
func frame(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// header is a request's header, in the version that its key and version ask for.
func header(key, version int16, flexible bool) []byte {
	b := kbin.AppendInt16(nil, key)
	b = kbin.AppendInt16(b, version)
	b = kbin.AppendInt32(b, 1)
	b = kbin.AppendNullableString(b, kmsg.StringPtr("hostile"))
	if flexible {
		b = append(b, 0)
	}
	return b
}

// request encodes a request without its length.
func request(req kmsg.Request) []byte {
	return req.AppendTo(header(req.Key(), req.GetVersion(), req.IsFlexible()))
}

func attacks(t *testing.T) []attack {
	return []attack{
		{"lengths", 8 * mib, lengths},
		{"other protocols", 8 * mib, otherProtocols},
		{"unknown keys and versions", 8 * mib, unknownKeys},
		{"counts", 16 * mib, counts},
		{"truncated bodies", 32 * mib, truncated},
		{"random bodies", 64 * mib, randomBodies},
		{"changed bodies", 64 * mib, changedBodies},
		{"corrupt batches", 32 * mib, corruptBatches},
		{"bombs", 96 * mib, bombs(t)},
		{"half-open connections", 32 * mib, halfOpen},
		{"large frames that do not come", 32 * mib, largeFrames},
		{"connections that end at once", 32 * mib, connectAndClose},
	}
}

// lengths sends lengths that no frame has.
func lengths(t *testing.T, x *target) {
	for _, n := range []uint32{0xffffffff, 0x80000000, 0x7fffffff, 100<<20 + 1, 0, 1, 7} {
		body := header(18, 0, false)
		x.wantClosed(t, "a length of "+strconv.Itoa(int(int32(n))), append(binary.BigEndian.AppendUint32(nil, n), body...))
	}
}

// otherProtocols speaks TLS and HTTP.
func otherProtocols(t *testing.T, x *target) {
	x.wantClosed(t, "a TLS hello", append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 600)...))
	x.wantClosed(t, "HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

// unknownKeys asks for what there is not.
func unknownKeys(t *testing.T, x *target) {
	for _, key := range []int16{9999, 32767, -1, -32768, 4, 5, 6, 7} {
		x.wantClosed(t, "key "+strconv.Itoa(int(key)), frame(header(key, 0, false)))
	}
	for key := int16(0); key < 93; key++ {
		req := kmsg.RequestForKey(key)
		if req == nil || key == int16(kmsg.ApiVersions) {
			continue
		}
		for _, version := range []int16{-1, 99, 32767, -32768} {
			req.SetVersion(min(max(version, 0), req.MaxVersion()))
			x.wantClosed(t, kmsg.NameForKey(key)+" v"+strconv.Itoa(int(version)), frame(req.AppendTo(header(key, version, req.IsFlexible()))))
		}
	}
	got, answer := x.send(t, frame(header(18, 99, true)))
	if got != answered || len(answer) < 6 || binary.BigEndian.Uint16(answer[4:]) != 35 {
		t.Errorf("ApiVersions v99: answer % x, want UNSUPPORTED_VERSION (35)", answer)
	}
}

// counts sends requests that claim to hold more than there is: the tags and
// arrays of each flexible request, and those in batches of a Produce.
func counts(t *testing.T, x *target) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f} // a uvarint of 2^32-1
	for key := int16(0); key < 93; key++ {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		req.SetVersion(req.MaxVersion())
		if !req.IsFlexible() {
			continue
		}
		h := header(key, req.MaxVersion(), true)
		x.send(t, frame(append(h[:len(h)-1], huge...))) // tags in the header
		if body := request(req); len(body) > len(h) {
			x.send(t, frame(append(body[:len(body)-1], huge...))) // tags at the end
			x.send(t, frame(append(bytes.Clone(h), huge...)))     // whatever comes first
		}
	}
	batch := scenario.NewBatch("a").Bytes()
	for _, n := range []int32{-1, 0, 2, 1 << 30, -1 << 31} {
		b := bytes.Clone(batch)
		binary.BigEndian.PutUint32(b[57:], uint32(n))
		x.refuse(t, "a count of "+strconv.Itoa(int(n)), scenario.Seal(b))
	}
}

// truncated ends bodies at every byte, with a right length.
func truncated(t *testing.T, x *target) {
	for _, req := range samples() {
		body := request(req)
		for n := 8; n < len(body); n++ {
			x.send(t, frame(body[:n]))
		}
	}
}

// randomBodies sends requests whose bodies are noise.
func randomBodies(t *testing.T, x *target) {
	for range 500 {
		req := kmsg.RequestForKey(int16(x.rng.IntN(93)))
		if req == nil {
			continue
		}
		req.SetVersion(int16(x.rng.IntN(int(req.MaxVersion()) + 1)))
		body := header(req.Key(), req.GetVersion(), req.IsFlexible())
		for range x.rng.IntN(200) {
			body = append(body, byte(x.rng.Uint32()))
		}
		x.throw(t, req, frame(body))
	}
}

// changedBodies sends requests in which a few bytes are others.
func changedBodies(t *testing.T, x *target) {
	for range 100 {
		for _, req := range samples() {
			body := request(req)
			start := len(header(req.Key(), req.GetVersion(), req.IsFlexible()))
			for range 1 + x.rng.IntN(3) {
				body[start+x.rng.IntN(len(body)-start)] = byte(x.rng.Uint32())
			}
			x.throw(t, req, frame(body))
		}
	}
}

// throw sends a request, and waits for what becomes of it if that must be soon.
func (x *target) throw(t *testing.T, req kmsg.Request, b []byte) {
	t.Helper()
	if !blocks(req) {
		x.send(t, b)
		return
	}
	conn := x.dial(t)
	defer conn.Close()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// blocks tells of requests that may rightly take their time, or have no answer,
// once their bytes are others.
func blocks(req kmsg.Request) bool {
	switch kmsg.Key(req.Key()) {
	case kmsg.Produce, kmsg.Fetch, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.ShareFetch:
		return true
	default:
		return false
	}
}
