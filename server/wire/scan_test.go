package wire_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/wire"
)

// TestScanAcceptsWhatKmsgWrites sends every request in every version, with
// random content, bytes behind it, and cut off at every byte.
func TestScanAcceptsWhatKmsgWrites(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	eachRequest(func(key, version int16) {
		for range rounds {
			body := randomRequest(r, key, version).AppendTo(nil)
			if err := wire.Scan(key, version, body); err != nil {
				t.Fatalf("%s: %v\n%x", kmsg.NameForKey(key), err, body)
			}
			mustDecode(t, key, version, body)
			if err := wire.Scan(key, version, append(slices.Clone(body), 0xff, 0xff)); err != nil {
				t.Fatalf("with bytes behind it: %v\n%x", err, body)
			}
			for n := range body {
				if err := wire.Scan(key, version, body[:n:n]); !errors.Is(err, wire.ErrMalformed) {
					t.Fatalf("%s v%d cut at %d of %d: %v\n%x", kmsg.NameForKey(key), version, n, len(body), err, body)
				}
			}
		}
	})
}

// TestScanMutations changes valid requests at every byte. What Scan lets
// through, kmsg has to decode without an error, within the bounds.
func TestScanMutations(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	accepted, refused := 0, 0
	eachRequest(func(key, version int16) {
		body := randomRequest(r, key, version).AppendTo(nil)
		for i := range body {
			for _, b := range []byte{0, 0xff, 0x7f, 0x80, byte(r.Uint32())} {
				if mutated(t, key, version, body, i, b) {
					accepted++
				} else {
					refused++
				}
			}
			if r.IntN(4) == 0 {
				mutated(t, key, version, splice(r, body), 0, body[0])
			}
		}
	})
	t.Logf("accepted %d, refused %d", accepted, refused)
	if accepted == 0 || refused == 0 {
		t.Error("the mutations tell nothing")
	}
}

func mutated(t *testing.T, key, version int16, body []byte, i int, b byte) bool {
	t.Helper()
	body = slices.Clone(body)
	body[i] = b
	if wire.Scan(key, version, body) != nil {
		return false
	}
	mustDecode(t, key, version, body)
	return true
}

// splice repeats or leaves out a part of a body.
func splice(r *rand.Rand, body []byte) []byte {
	from := r.IntN(len(body))
	to := from + r.IntN(len(body)-from)
	if r.IntN(2) == 0 {
		return append(slices.Clone(body[:to]), body[from:]...)
	}
	return append(slices.Clone(body[:from+1]), body[to:]...)
}

// mustDecode decodes what Scan has accepted, and holds it to what Scan
// promises.
func mustDecode(t *testing.T, key, version int16, body []byte) {
	t.Helper()
	req := newRequest(key, version)
	start := time.Now()
	if err := req.ReadFrom(body); err != nil {
		t.Fatalf("%s v%d was accepted, but %v\n%x", kmsg.NameForKey(key), version, err, body)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Fatalf("%s v%d of %d bytes took %v\n%x", kmsg.NameForKey(key), version, len(body), d, body)
	}
	if n := memory(reflect.ValueOf(req).Elem()); n > wire.MaxAllocation(len(body)) {
		t.Fatalf("%s v%d of %d bytes holds %d bytes\n%x", kmsg.NameForKey(key), version, len(body), n, body)
	}
}

// TestScanMaxAllocation measures what the densest bodies that Scan accepts cost
// kmsg: for each request, and for each array and set of tags in it, so many
// elements of as few bytes as will pass. It is not parallel to others, as it
// counts what the process allocates.
func TestScanMaxAllocation(t *testing.T) {
	for _, c := range []struct {
		name         string
		key, version int16
		prefix       []byte
		element      []byte
		suffix       []byte
	}{
		{"topics", 3, 9, nil, []byte{1, 0}, []byte{0, 0, 0, 0}},
		{"topics with short names", 3, 9, nil, []byte{3, 'a', 'b', 0}, []byte{0, 0, 0, 0}},
		{"topics with a tag", 3, 9, nil, []byte{1, 1, 100, 0}, []byte{0, 0, 0, 0}},
		{"topics with ids", 3, 12, nil, append(make([]byte, 17), 0), []byte{0, 0, 0, 0}},
		{"partitions", 0, 9, []byte{0, 0, 1, 0, 0, 0, 0, 2, 1}, []byte{0, 0, 0, 0, 0, 0}, []byte{0, 0}},
		{"new topics", 19, 5, nil, []byte{1, 0, 0, 0, 1, 0, 1, 1, 1, 0}, []byte{0, 0, 0, 0, 0, 0}},
		{"groups", 15, 5, nil, []byte{3, 'a', 'b'}, []byte{0, 0}},
		{"epochs", 23, 4, []byte{0, 0, 0, 1, 2, 1}, make([]byte, 13), []byte{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 8, 100, 1000, 10000, 100000} {
				body := binary.AppendUvarint(slices.Clone(c.prefix), uint64(n)+1)
				for range n {
					body = append(body, c.element...)
				}
				body = append(body, c.suffix...)
				err := wire.Scan(c.key, c.version, body)
				if errors.Is(err, wire.ErrTooLarge) {
					t.Logf("%d elements in %d bytes: refused", n, len(body))
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got := allocated(func() { mustDecode(t, c.key, c.version, body) })
				t.Logf("%d elements in %d bytes: %d allocated of %d", n, len(body), got, wire.MaxAllocation(len(body)))
				if got > uint64(wire.MaxAllocation(len(body))) {
					t.Error("more than MaxAllocation")
				}
			}
		})
	}
}

func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestScanTags counts what unknown tagged fields cost, which lie in maps.
func TestScanTags(t *testing.T) {
	for _, n := range []int{0, 1, 2, 8, 9, 29, 100, 300, 1000, 2000, wire.MaxTaggedFields, wire.MaxTaggedFields + 1} {
		body := []byte{1, 0, 0, 0} // Metadata v9, no topics.
		body = binary.AppendUvarint(body, uint64(n))
		for i := range n {
			body = binary.AppendUvarint(body, uint64(100+i))
			body = append(body, 0)
		}
		switch err := wire.Scan(3, 9, body); {
		case n > wire.MaxTaggedFields:
			if !errors.Is(err, wire.ErrTooMany) {
				t.Errorf("%d tagged fields: %v", n, err)
			}
		case errors.Is(err, wire.ErrTooLarge) && n > 300:
			t.Logf("%d tagged fields in %d bytes: refused", n, len(body))
		case err != nil:
			t.Errorf("%d tagged fields: %v", n, err)
		default:
			got := allocated(func() { mustDecode(t, 3, 9, body) })
			t.Logf("%d tagged fields in %d bytes: %d allocated of %d", n, len(body), got, wire.MaxAllocation(len(body)))
			if got > uint64(wire.MaxAllocation(len(body))) {
				t.Error("more than MaxAllocation")
			}
		}
	}
}
