package wire_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/minikafka/minikafka/server/wire"
)

// FuzzFrame reads whatever comes as frames with requests in them.
func FuzzFrame(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	eachRequest(func(key, version int16) {
		body := randomRequest(r, key, version).AppendTo(nil)
		f.Add(framed(append(header(key, version, []byte("fuzz"), 0), body...)))
	})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := bytes.NewReader(in)
		for {
			before := conn.Len()
			frame, err := wire.ReadFrame(conn, wire.Limits{MaxBytes: 1 << 20})
			if err != nil {
				if before == 0 != errors.Is(err, io.EOF) {
					t.Fatalf("%d bytes were left: %v", before, err)
				}
				return
			}
			if len(frame) != before-conn.Len()-4 {
				t.Fatalf("a frame of %d bytes from %d", len(frame), before-conn.Len())
			}
			h, body, err := wire.ParseHeader(frame)
			if err != nil {
				continue
			}
			if len(h.ClientID)+len(body) > len(frame) {
				t.Fatalf("%d bytes of client id and %d of body in a frame of %d", len(h.ClientID), len(body), len(frame))
			}
			if wire.Scan(h.Key, h.Version, body) == nil {
				mustDecode(t, h.Key, h.Version, body)
			}
		}
	})
}

// FuzzScan walks whatever comes, and has kmsg decode what is accepted.
func FuzzScan(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	eachRequest(func(key, version int16) {
		f.Add(key, version, randomRequest(r, key, version).AppendTo(nil))
	})
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		if wire.Scan(key, version, body) == nil {
			mustDecode(t, key, version, body)
		}
	})
}
