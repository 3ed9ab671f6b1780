package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersions is the one key whose response header has no tagged fields in
// flexible versions either: a client reads it before it knows what the broker
// speaks.
const apiVersions = 18

// AppendResponse appends a response as it goes onto the wire: its length, a
// header of version 1 for flexible versions and 0 for others and for
// ApiVersions, and the body in the version that resp was set to. It returns
// ErrTooLarge, and dst as it was, if the length does not fit.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, 9+recordBytes(resp))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if resp.IsFlexible() && resp.Key() != apiVersions {
		dst = append(dst, 0)
	}
	dst = resp.AppendTo(dst)
	size := len(dst) - start - 4
	if size > math.MaxInt32 {
		return dst[:start], fmt.Errorf("%w: response of %d bytes", ErrTooLarge, size)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(size))
	return dst, nil
}

// recordBytes says about how long a Fetch response will be, so that its records
// are copied once and not again each time the slice grows.
func recordBytes(resp kmsg.Response) int {
	fetch, ok := resp.(*kmsg.FetchResponse)
	if !ok {
		return 0
	}
	size := 64
	for i := range fetch.Topics {
		t := &fetch.Topics[i]
		size += 32 + len(t.Topic)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			size += 64 + 16*len(p.AbortedTransactions) + len(p.RecordBatches)
		}
	}
	return size
}
