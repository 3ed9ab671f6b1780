package wire_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/wire"
)

// TestScanHostile has bodies that were tried on a running Apache Kafka, with
// what it does: those with an error close the connection.
func TestScanHostile(t *testing.T) {
	t.Parallel()
	max32 := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	for _, c := range []struct {
		name         string
		key, version int16
		body         []byte
		want         error
	}{
		{"the seven bytes that cost 75 s", 18, 3, []byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, wire.ErrTooMany},
		{"tag count 2^31-1", 18, 3, []byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0x07}, wire.ErrTooMany},
		{"tag count past the end", 18, 3, []byte{1, 1, 100}, wire.ErrMalformed},
		{"tag size past the end", 18, 3, []byte{1, 1, 1, 7, 2, 0}, wire.ErrMalformed},
		{"tag size -1", 18, 3, slices.Concat([]byte{1, 1, 1, 7}, max32), wire.ErrMalformed},
		{"unknown tags out of order, twice", 18, 3, []byte{1, 1, 3, 9, 1, 0xff, 4, 0, 9, 0}, nil},
		{"uvarint of six bytes", 18, 3, []byte{0x81, 0x80, 0x80, 0x80, 0x80, 0, 1, 0}, wire.ErrMalformed},
		{"uvarint of 33 bits", 18, 3, []byte{0x81, 0x80, 0x80, 0x80, 0x10, 1, 0}, wire.ErrMalformed},
		{"uvarint of five bytes", 18, 3, []byte{0x81, 0x80, 0x80, 0x80, 0, 1, 0}, nil},
		{"uvarint without an end", 18, 3, []byte{1, 0x80}, wire.ErrMalformed},
		{"string of 32767", 18, 3, longString(32767), nil},
		{"string of 32768", 18, 3, longString(32768), wire.ErrMalformed},
		{"null string", 18, 3, []byte{0, 1, 0}, wire.ErrMalformed},
		{"string of 2^32-1", 18, 3, slices.Concat(max32, []byte{1, 0}), wire.ErrMalformed},
		{"bytes behind the body", 18, 3, []byte{1, 1, 0, 1, 2, 3}, nil},
		{"no body where there is none", 18, 0, nil, nil},
		{"no body", 18, 3, nil, wire.ErrMalformed},

		{"null array where that is all topics", 3, 1, []byte{0xff, 0xff, 0xff, 0xff}, nil},
		{"array -2", 3, 1, []byte{0xff, 0xff, 0xff, 0xfe}, nil},
		{"compact array -2", 3, 9, append(slices.Clone(max32), 1, 0, 0, 0), nil},
		{"null array where it may not be", 3, 0, []byte{0xff, 0xff, 0xff, 0xff}, wire.ErrMalformed},
		{"null array of partitions", 2, 1, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'a', 0xff, 0xff, 0xff, 0xff}, wire.ErrMalformed},
		{"array 2^31-1", 3, 1, []byte{0x7f, 0xff, 0xff, 0xff}, wire.ErrTooMany},
		{"array past the end", 3, 1, []byte{0, 0, 0, 2, 0, 1, 'a'}, wire.ErrMalformed},
		{"compact array 2^31-1", 3, 9, []byte{0x80, 0x80, 0x80, 0x80, 0x08, 0, 0, 0}, wire.ErrTooMany},
		{"boolean 2", 3, 9, []byte{0, 2, 2, 2, 0}, nil},
		{"string -1", 3, 0, []byte{0, 0, 0, 1, 0xff, 0xff}, wire.ErrMalformed},
		{"string past the end", 3, 0, []byte{0, 0, 0, 1, 0x7f, 0xff, 'a'}, wire.ErrMalformed},

		{"null records", 0, 3, []byte{0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, nil},
		{"records past the end", 0, 3, []byte{0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0, 0, 0}, wire.ErrMalformed},
		{"null bytes where they may not be", 36, 0, []byte{0xff, 0xff, 0xff, 0xff}, wire.ErrMalformed},
		{"null compact bytes where they may not be", 36, 2, []byte{0, 0}, wire.ErrMalformed},

		{"a known tag twice", 1, 15, fetchTags([]byte{2, 1, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0}), nil},
		{"a known tag with too little", 1, 15, fetchTags([]byte{1, 1, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0}), wire.ErrMalformed},
		{"a known tag with too much", 1, 15, fetchTags([]byte{1, 1, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0}), wire.ErrMalformed},
		{"a tag bomb within a known tag", 1, 15, fetchTags(slices.Concat([]byte{1, 1, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}, max32)), wire.ErrTooMany},

		{"null cursor", 75, 0, []byte{1, 0, 0, 0, 1, 0xff, 0}, nil},
		{"cursor", 75, 0, []byte{1, 0, 0, 0, 1, 1, 2, 'a', 0, 0, 0, 0, 0, 0}, nil},
		{"cursor -2", 75, 0, []byte{1, 0, 0, 0, 1, 0xfe, 2, 'a', 0, 0, 0, 0, 0, 0}, wire.ErrMalformed},
		{"cursor past the end", 75, 0, []byte{1, 0, 0, 0, 1, 1}, wire.ErrMalformed},

		{"unknown key", 9999, 0, nil, wire.ErrUnknownRequest},
		{"a key between brokers", 4, 0, nil, wire.ErrUnknownRequest},
		{"version -1", 3, -1, nil, wire.ErrUnknownRequest},
		{"version to come", 3, 99, nil, wire.ErrUnknownRequest},
	} {
		if err := wire.Scan(c.key, c.version, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		} else if err == nil {
			mustDecode(t, c.key, c.version, c.body)
		}
	}
}

// longString returns an ApiVersions request with a client name of so many
// bytes.
func longString(n int) []byte {
	body := binary.AppendUvarint(nil, uint64(n)+1)
	body = append(body, slices.Repeat([]byte{'a'}, n)...)
	return append(body, 1, 0)
}

// fetchTags returns an empty Fetch request of version 15 with tagged fields.
func fetchTags(tags []byte) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 15
	body := req.AppendTo(nil)
	return append(body[:len(body)-1], tags...)
}

// TestScanJunk sends every request in its highest version an empty body and 200
// bytes of 0xff.
func TestScanJunk(t *testing.T) {
	t.Parallel()
	for _, key := range clientKeys() {
		version := kmsg.RequestForKey(key).MaxVersion()
		for _, body := range [][]byte{nil, slices.Repeat([]byte{0xff}, 200)} {
			if err := wire.Scan(key, version, body); !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, wire.ErrTooMany) {
				t.Errorf("key %d version %d, %d bytes: %v", key, version, len(body), err)
			}
		}
	}
}

// TestScanElementLimit has one element more than Kafka takes, all of them
// there.
func TestScanElementLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{wire.MaxArrayElements, wire.MaxArrayElements + 1} {
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version = 1
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Partitions = make([]kmsg.ListOffsetsRequestTopicPartition, n)
		req.Topics = append(req.Topics, topic)
		want := error(nil)
		if n > wire.MaxArrayElements {
			want = wire.ErrTooMany
		}
		if err := wire.Scan(2, 1, req.AppendTo(nil)); !errors.Is(err, want) {
			t.Errorf("%d elements: %v, want %v", n, err, want)
		}
	}
}

// TestScanAllocatesNothing holds for what is accepted.
func TestScanAllocatesNothing(t *testing.T) {
	r := newRand(t)
	eachRequest(func(key, version int16) {
		body := randomRequest(r, key, version).AppendTo(nil)
		if n := testing.AllocsPerRun(5, func() {
			if err := wire.Scan(key, version, body); err != nil {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("key %d version %d: %v allocations", key, version, n)
		}
	})
}
