package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A Header is what stands before every request (RequestHeader).
type Header struct {
	// Key is the API key.
	Key int16

	// Version is the version of the API. It may be one that nobody offers.
	Version int16

	// CorrelationID is to be returned with the response.
	CorrelationID int32

	// ClientID is what the client calls itself, nil if it was null, which
	// Kafka takes for "". It is a part of the frame: copy it to keep it.
	ClientID []byte
}

// ParseHeader splits a frame into its request's header and body. Whether the
// version is offered is not looked at: an ApiVersions request of an unknown
// version has to be answered.
//
// It returns ErrUnknownRequest for a key that no client may use, and ErrHeader
// for what cannot be parsed. Tagged fields of the header are skipped.
func ParseHeader(frame []byte) (Header, []byte, error) {
	if len(frame) < 10 {
		return Header{}, nil, fmt.Errorf("%w: %d bytes", ErrHeader, len(frame))
	}
	h := Header{
		Key:           int16(binary.BigEndian.Uint16(frame)),
		Version:       int16(binary.BigEndian.Uint16(frame[2:])),
		CorrelationID: int32(binary.BigEndian.Uint32(frame[4:])),
	}
	if !known(h.Key) {
		return h, nil, fmt.Errorf("%w: key %d", ErrUnknownRequest, h.Key)
	}
	// The client id has a length of 2 bytes in flexible versions too
	// (RequestHeader.json).
	size := int(int16(binary.BigEndian.Uint16(frame[8:])))
	rest := frame[10:]
	if size > len(rest) {
		return h, nil, fmt.Errorf("%w: client id of %d bytes, %d left", ErrHeader, size, len(rest))
	}
	if size >= 0 {
		h.ClientID, rest = rest[:size:size], rest[size:]
	}
	if from := requests[h.Key].flexible; from >= 0 && h.Version >= int16(from) {
		w := walker{buf: rest, left: math.MaxInt}
		if !w.tags(nil) {
			return h, nil, fmt.Errorf("%w: tagged fields: %w", ErrHeader, w.err)
		}
		rest = rest[w.pos:]
	}
	return h, rest, nil
}

// Retains says whether a decoded request may keep parts of the body it was
// decoded from, apart from unknown tagged fields: kmsg copies strings, but not
// bytes.
func Retains(key, version int16) bool {
	p, ok := find(key, version)
	return !ok || p.retains
}
