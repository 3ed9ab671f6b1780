package sharecoordinator

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/share"
)

// Types of the records of __share_group_state: the first two bytes of a key.
const (
	snapshotType = 0 // ShareSnapshot: the whole state
	updateType   = 1 // ShareUpdate: what has changed
)

// errRecord is returned for a record that cannot be read.
var errRecord = errors.New("sharecoordinator: unreadable record")

// key is a share-partition: a partition for one group (SharePartitionKey).
type key struct {
	group     string
	topic     log.TopicID
	partition int32
}

func (k key) record(typ int16) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(typ))
	b = binary.BigEndian.AppendUint16(b, uint16(len(k.group)))
	b = append(b, k.group...)
	b = append(b, k.topic[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(k.partition))
}

// parseKey reads a key; ok is false for a type that is not known.
func parseKey(b []byte) (k key, typ int16, ok bool, err error) {
	r := reader{b: b}
	typ = int16(r.uint(2))
	if r.err == nil && typ != snapshotType && typ != updateType {
		return key{}, typ, false, nil
	}
	k.group = string(r.bytes(int(r.uint(2))))
	copy(k.topic[:], r.bytes(len(k.topic)))
	k.partition = int32(r.uint(4))
	return k, typ, true, r.end()
}

// state is what is kept of a share-partition (ShareGroupOffset). It is never
// changed, but replaced.
type state struct {
	snapshotEpoch    int32
	stateEpoch       int32
	leaderEpoch      int32
	start            int64
	deliveryComplete int32 // -1: not known
	created, written int64 // ms
	batches          []share.StateBatch
}

func (s *state) snapshot(k key) coordinator.Record {
	b := binary.BigEndian.AppendUint16(nil, 0) // version
	b = binary.BigEndian.AppendUint32(b, uint32(s.snapshotEpoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.stateEpoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.leaderEpoch))
	b = binary.BigEndian.AppendUint64(b, uint64(s.start))
	b = binary.BigEndian.AppendUint64(b, uint64(s.created))
	b = binary.BigEndian.AppendUint64(b, uint64(s.written))
	return coordinator.Record{Key: k.record(snapshotType), Value: s.appendTail(b)}
}

func (s *state) update(k key) coordinator.Record {
	b := binary.BigEndian.AppendUint16(nil, 0) // version
	b = binary.BigEndian.AppendUint32(b, uint32(s.snapshotEpoch))
	b = binary.BigEndian.AppendUint32(b, uint32(s.leaderEpoch))
	b = binary.BigEndian.AppendUint64(b, uint64(s.start))
	return coordinator.Record{Key: k.record(updateType), Value: s.appendTail(b)}
}

// appendTail writes the batches, and the delivery complete count as tag 0.
func (s *state) appendTail(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.batches)+1))
	for _, x := range s.batches {
		b = binary.BigEndian.AppendUint64(b, uint64(x.First))
		b = binary.BigEndian.AppendUint64(b, uint64(x.Last))
		b = append(b, byte(x.DeliveryState))
		b = binary.BigEndian.AppendUint16(b, uint16(x.DeliveryCount))
		b = append(b, 0) // no tags
	}
	if s.deliveryComplete < 0 {
		return append(b, 0)
	}
	b = append(b, 1, 0, 4) // one tag, 0, of four bytes
	return binary.BigEndian.AppendUint32(b, uint32(s.deliveryComplete))
}

// parseValue reads the value of a record of either type.
func parseValue(typ int16, b []byte) (*state, error) {
	r := reader{b: b}
	if version := int16(r.uint(2)); r.err == nil && version != 0 {
		return nil, fmt.Errorf("%w: value of version %d", errRecord, version)
	}
	s := &state{snapshotEpoch: int32(r.uint(4)), stateEpoch: -1, deliveryComplete: -1}
	if typ == snapshotType {
		s.stateEpoch = int32(r.uint(4))
	}
	s.leaderEpoch = int32(r.uint(4))
	s.start = int64(r.uint(8))
	if typ == snapshotType {
		s.created, s.written = int64(r.uint(8)), int64(r.uint(8))
	}
	n := int(r.uvarint()) - 1
	for i := 0; i < n && r.err == nil; i++ {
		s.batches = append(s.batches, share.StateBatch{
			First: int64(r.uint(8)), Last: int64(r.uint(8)),
			DeliveryState: share.RecordState(r.uint(1)), DeliveryCount: int16(r.uint(2)),
		})
		r.tags(nil)
	}
	r.tags(func(tag uint64, v []byte) {
		if tag == 0 && len(v) == 4 {
			s.deliveryComplete = int32(binary.BigEndian.Uint32(v))
		}
	})
	return s, r.end()
}

// reader reads Kafka's encodings, and remembers the first thing that is wrong.
type reader struct {
	b   []byte
	err error
}

func (r *reader) bytes(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = fmt.Errorf("%w: %d bytes are missing", errRecord, n-len(r.b))
	}
	if r.err != nil {
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uint(n int) (v uint64) {
	for _, c := range r.bytes(n) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31 {
		r.err = fmt.Errorf("%w: a length is none", errRecord)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) tags(f func(tag uint64, v []byte)) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag := r.uvarint()
		v := r.bytes(int(r.uvarint()))
		if f != nil && r.err == nil {
			f(tag, v)
		}
	}
}

func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%w: %d bytes too many", errRecord, len(r.b))
	}
	return r.err
}
