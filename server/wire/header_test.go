package wire_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/wire"
)

// header encodes what stands before a body: a client id of nil is null.
func header(key, version int16, clientID []byte, tags ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 77)
	if clientID == nil {
		b = append(b, 0xff, 0xff)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
		b = append(b, clientID...)
	}
	return append(b, tags...)
}

// TestParseHeader takes apart what kmsg writes, for every key and version.
func TestParseHeader(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	eachRequest(func(key, version int16) {
		for _, f := range []*kmsg.RequestFormatter{
			kmsg.NewRequestFormatter(kmsg.FormatterClientID("me")),
			kmsg.NewRequestFormatter(),
		} {
			req := randomRequest(r, key, version)
			frame := f.AppendRequest(nil, req, -5)[4:]
			h, body, err := wire.ParseHeader(frame)
			if err != nil {
				t.Fatalf("key %d version %d: %v", key, version, err)
			}
			if h.Key != key || h.Version != version || h.CorrelationID != -5 {
				t.Fatalf("got %+v", h)
			}
			if h.ClientID != nil && string(h.ClientID) != "me" {
				t.Fatalf("client id %q", h.ClientID)
			}
			if want := req.AppendTo(nil); !slices.Equal(body, want) {
				t.Fatalf("key %d version %d: body %x, want %x", key, version, body, want)
			}
		}
	})
}

func TestParseHeaderCases(t *testing.T) {
	t.Parallel()
	tags := func(n int) []byte {
		b := binary.AppendUvarint(nil, uint64(n))
		for range n {
			b = append(b, 9, 0)
		}
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
		left int
	}{
		{"empty", nil, wire.ErrHeader, 0},
		{"seven bytes", header(18, 0, nil)[:7], wire.ErrHeader, 0},
		{"nine bytes", header(18, 0, nil)[:9], wire.ErrHeader, 0},
		{"null client id", header(18, 0, nil), nil, 0},
		{"empty client id", header(18, 0, []byte{}), nil, 0},
		{"client id -2", append(header(18, 0, nil)[:8], 0xff, 0xfe), nil, 0},
		{"client id past the end", append(header(18, 0, nil)[:8], 0x7f, 0xff, 1, 2, 3), wire.ErrHeader, 0},
		{"client id one byte past the end", header(18, 0, []byte("me"))[:11], wire.ErrHeader, 0},
		{"no tags", header(18, 3, nil), wire.ErrHeader, 0},
		{"tags and a body", header(18, 3, []byte("me"), 0, 1, 2, 3), nil, 3},
		{"tags out of order, twice", header(3, 12, nil, 3, 9, 1, 0xff, 4, 0, 9, 2, 1, 1), nil, 0},
		{"tag past the end", header(3, 12, nil, 1, 9, 2, 0), wire.ErrHeader, 0},
		{"tag size -1", header(3, 12, nil, 1, 9, 0xff, 0xff, 0xff, 0xff, 0x0f), wire.ErrHeader, 0},
		{"tag count 1000", header(3, 12, nil, 0xe8, 0x07), wire.ErrHeader, 0},
		{"tag count 2^31-1", header(3, 12, nil, 0xff, 0xff, 0xff, 0xff, 0x07), wire.ErrHeader, 0},
		{"tag count 2^32-1", header(3, 12, nil, 0xff, 0xff, 0xff, 0xff, 0x0f), wire.ErrHeader, 0},
		{"tag count of six bytes", header(3, 12, nil, 0x80, 0x80, 0x80, 0x80, 0x80, 0), wire.ErrHeader, 0},
		{"10,000 tags", header(3, 12, nil, tags(wire.MaxTaggedFields)...), nil, 0},
		{"10,001 tags", header(3, 12, nil, tags(wire.MaxTaggedFields+1)...), wire.ErrTooMany, 0},
		{"ApiVersions of a version to come", header(18, 99, nil, 0, 5), nil, 1},
		{"ApiVersions -1", header(18, -1, nil, 5), nil, 1},
		{"key -1", header(-1, 0, nil), wire.ErrUnknownRequest, 0},
		{"key 9999", header(9999, 0, nil), wire.ErrUnknownRequest, 0},
		{"LeaderAndIsr", header(4, 0, nil), wire.ErrUnknownRequest, 0},
		{"ControlledShutdown", header(7, 0, nil), wire.ErrUnknownRequest, 0},
		{"Vote", header(52, 0, nil), wire.ErrUnknownRequest, 0},
		{"AlterPartition", header(56, 0, nil), wire.ErrUnknownRequest, 0},
		{"UpdateRaftVoter", header(82, 0, nil), wire.ErrUnknownRequest, 0},
	} {
		_, body, err := wire.ParseHeader(c.in)
		if !errors.Is(err, c.want) || len(body) != c.left {
			t.Errorf("%s: %d bytes of body, %v, want %d, %v", c.name, len(body), err, c.left, c.want)
		}
	}
}

// TestRetains checks those requests whose bytes a broker keeps.
func TestRetains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, version int16
		want         bool
	}{
		{0, 3, true},
		{0, 13, true},
		{1, 18, false},
		{3, 13, false},
		{8, 10, false},
		{11, 9, true},
		{12, 4, false},
		{14, 5, true},
		{36, 2, true},
		{-1, 0, true},
	} {
		if got := wire.Retains(c.key, c.version); got != c.want {
			t.Errorf("Retains(%d, %d) = %t", c.key, c.version, got)
		}
	}
}
