package wire_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/wire"
)

// TestAppendResponse reads every response back as a client does.
func TestAppendResponse(t *testing.T) {
	t.Parallel()
	eachRequest(func(key, version int16) {
		req := newRequest(key, version)
		resp := req.ResponseKind()
		resp.SetVersion(version)
		out, err := wire.AppendResponse([]byte("before"), 42, resp)
		if err != nil {
			t.Fatal(err)
		}
		out, ok := bytes.CutPrefix(out, []byte("before"))
		if !ok {
			t.Fatal("what was there has been overwritten")
		}
		if size := binary.BigEndian.Uint32(out); int(size) != len(out)-4 {
			t.Errorf("key %d version %d: says %d bytes, has %d", key, version, size, len(out)-4)
		}
		if id := binary.BigEndian.Uint32(out[4:]); id != 42 {
			t.Errorf("correlation id %d", id)
		}
		out = out[8:]
		if req.IsFlexible() && key != 18 {
			if out[0] != 0 {
				t.Errorf("key %d version %d: header tags %d", key, version, out[0])
			}
			out = out[1:]
		}
		if want := resp.AppendTo(nil); !bytes.Equal(out, want) {
			t.Errorf("key %d version %d: %x, want %x", key, version, out, want)
		}
	})
}

func fetchResponse(partitions, recordBytes int) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 13
	topic := kmsg.NewFetchResponseTopic()
	for range partitions {
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches = make([]byte, recordBytes)
		topic.Partitions = append(topic.Partitions, p)
	}
	resp.Topics = append(resp.Topics, topic)
	return resp
}

// TestAppendFetchResponse has the slice grow once, before it is filled.
func TestAppendFetchResponse(t *testing.T) {
	resp := fetchResponse(100, 10_000)
	room := make([]byte, 0, 2_000_000)
	least := testing.AllocsPerRun(3, func() { room = resp.AppendTo(room[:0]) })
	got := testing.AllocsPerRun(3, func() {
		if _, err := wire.AppendResponse(nil, 1, resp); err != nil {
			t.Error(err)
		}
	})
	if got > least+2 {
		t.Errorf("%v allocations, kmsg makes %v", got, least)
	}
}

func BenchmarkAppendFetchResponse(b *testing.B) {
	resp := fetchResponse(10, 100_000)
	b.SetBytes(1_000_000)
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			if _, err := wire.AppendResponse(nil, 1, resp); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reused", func(b *testing.B) {
		var dst []byte
		for b.Loop() {
			var err error
			if dst, err = wire.AppendResponse(dst[:0], 1, resp); err != nil {
				b.Fatal(err)
			}
		}
	})
}
