package robust_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/internal/scenario"
)

// produce sends a batch and returns the error code of its answer.
func (x *target) produce(t *testing.T, what string, batch []byte) int16 {
	t.Helper()
	req := produceRequest(batch)
	got, answer := x.send(t, frame(request(req)))
	if got != answered {
		t.Errorf("%s: the connection was closed, want an answer", what)
		return -1
	}
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	if err := resp.ReadFrom(answer[5:]); err != nil { // correlation id, no tags
		t.Fatalf("%s: %v", what, err)
	}
	return resp.Topics[0].Partitions[0].ErrorCode
}

// refuse sends a batch that must be refused.
func (x *target) refuse(t *testing.T, what string, batch []byte) {
	t.Helper()
	if code := x.produce(t, what, batch); code == 0 {
		t.Errorf("%s was stored", what)
	}
}

// corruptBatches sends batches in which bytes are others, with wrong and with
// right checksums; those with a wrong one must be refused.
func corruptBatches(t *testing.T, x *target) {
	whole := scenario.NewBatch("one", "two", "three").Bytes()
	for range 300 {
		b := bytes.Clone(whole)
		at := 21 + x.rng.IntN(len(b)-21) // what the checksum covers
		b[at] ^= byte(1 + x.rng.IntN(255))
		x.refuse(t, "a batch with a wrong checksum", b)
		x.produce(t, "a batch that was changed", scenario.Seal(b))
	}
	for n := range len(whole) {
		x.refuse(t, "a batch that was cut off", whole[:n])
	}
	for _, length := range []uint32{0, 1, 13, 14, 48, 0xffffffff, 0x7fffffff, 0x80000000} {
		b := bytes.Clone(whole)
		binary.BigEndian.PutUint32(b[8:], length)
		x.produce(t, "a batch of a wrong length", b)
	}
}

// bombSize is what a bomb unpacks to.
const bombSize = 64 * mib

// bombRecord is how a record of bombSize zeros begins.
func bombRecord() []byte {
	head := []byte{0, 0, 0} // attributes, time, offset
	head = kbin.AppendVarintBytes(head, nil)
	head = kbin.AppendVarint(head, bombSize)
	length := int32(len(head)) + bombSize + 1
	return append(kbin.AppendVarint(nil, length), head...)
}

// packed wraps packed records as a batch of one record in a codec.
func packed(codec byte, records []byte) []byte {
	b := scenario.NewBatch("x").Bytes()[:61]
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[22] = codec
	return scenario.Seal(b)
}

// bomb packs one whole record of bombSize zeros.
func bomb(t *testing.T, w io.WriteCloser) {
	t.Helper()
	zeros := make([]byte, mib)
	pieces := append([][]byte{bombRecord()}, slices.Repeat([][]byte{zeros}, bombSize/len(zeros))...)
	for _, p := range append(pieces, []byte{0}) { // no headers
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// bombs makes batches that are small and unpack to much, or claim to, and sends
// them. Kafka unpacks them piece by piece, and stores those that are well formed.
func bombs(t *testing.T) func(*testing.T, *target) {
	var gz, zs, lz bytes.Buffer
	g, _ := gzip.NewWriterLevel(&gz, gzip.BestSpeed) // The level is a good one.
	bomb(t, g)
	z, err := zstd.NewWriter(&zs, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	bomb(t, z)
	bomb(t, lz4.NewWriter(&lz))
	whole := map[string][]byte{"gzip": packed(1, gz.Bytes()), "lz4": packed(3, lz.Bytes()), "zstd": packed(4, zs.Bytes())}
	broken := map[string][]byte{
		"snappy that claims 4 GiB": packed(2, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0}),
		"snappy in blocks that claim 2 GiB": packed(2, append([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7},
			0xff, 0xff, 0xff, 0xff, 0x07, 0, 0)),
		"zstd with a window of 2 GiB":  packed(4, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0}),
		"zstd that claims to be 4 EiB": packed(4, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0}),
	}
	return func(t *testing.T, x *target) {
		var all sync.WaitGroup
		for range 2 {
			for name, batch := range whole {
				all.Go(func() {
					if code := x.produce(t, name, batch); code != 0 {
						t.Errorf("%s, %d bytes: error code %d, want 0", name, len(batch), code)
					}
				})
			}
			for name, batch := range broken {
				all.Go(func() { x.refuse(t, name, batch) })
			}
		}
		all.Wait()
	}
}

// open opens connections and leaves what it wrote to them unfinished, until the
// test ends.
func (x *target) open(t *testing.T, n int, b []byte) {
	t.Helper()
	for range n {
		conn := x.dial(t)
		t.Cleanup(func() { _ = conn.Close() }) // Nothing was to come of it.
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// halfOpen opens a thousand connections on which no request ever ends.
func halfOpen(t *testing.T, x *target) {
	x.open(t, 500, []byte{0, 0})
	x.open(t, 500, append([]byte{0, 0, 1, 0}, header(18, 0, false)...))
	x.stillAnswers(t)
}

// largeFrames announces 50 frames as large as they may be, and sends nothing of
// them.
func largeFrames(t *testing.T, x *target) {
	x.open(t, 50, append(binary.BigEndian.AppendUint32(nil, 100<<20), header(0, 9, true)...))
	x.stillAnswers(t)
}

// stillAnswers checks that the broker answers a new connection.
func (x *target) stillAnswers(t *testing.T) {
	t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	if got, _ := x.send(t, frame(request(req))); got != answered {
		t.Error("a new connection was closed")
	}
}

// connectAndClose opens connections and ends them at once, in both ways.
func connectAndClose(t *testing.T, x *target) {
	for i := range 1000 {
		conn := x.dial(t)
		if tcp, ok := conn.(*net.TCPConn); ok && i%2 == 0 {
			if err := tcp.SetLinger(0); err != nil { // a reset
				t.Fatal(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	x.stillAnswers(t)
}
