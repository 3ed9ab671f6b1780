package log

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// The state bucket holds what is kept of a partition beside its entries, under
// the partition's id and one of these bytes.
const (
	stateMeta     = 'm' // meta
	stateEpochs   = 'e' // leader epochs
	stateSnapshot = 's' // + index: producer state as of that entry
	stateAborted  = 'a' // + marker offset: an aborted transaction
	stateValue    = "v" // + name, without a partition: DB.SetValue
)

// idBytes is the length of a partition id in a key.
const idBytes = 20

func appendID(b []byte, id PartitionID) []byte {
	b = append(b, id.Topic[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(id.Partition))
}

func parseID(b []byte) (PartitionID, error) {
	var id PartitionID
	if len(b) != idBytes {
		return id, fmt.Errorf("%w: partition id of %d bytes", ErrCorruptFile, len(b))
	}
	copy(id.Topic[:], b)
	id.Partition = int32(binary.BigEndian.Uint32(b[16:]))
	return id, nil
}

// stateKey is "p", the partition's id, the kind, and a suffix.
func stateKey(id PartitionID, kind byte, suffix []byte) []byte {
	b := make([]byte, 0, 2+idBytes+len(suffix))
	b = append(b, 'p')
	b = appendID(b, id)
	b = append(b, kind)
	return append(b, suffix...)
}

// bucketName is the name of the bucket of a partition's entries.
func bucketName(id PartitionID) []byte {
	return appendID([]byte{'e'}, id)
}

// meta is what is stored of a partition that its entries do not tell.
type meta struct {
	logStart int64
	// The entry before the first one; its log end and byte count are where an
	// empty log starts.
	prevIndex, prevTerm uint64
	prevEnd, prevBytes  int64
	// term is the highest one set; the last entry's may be higher.
	term uint64
	// highWatermark was checkpointed when the log ended at highWatermarkAt; a
	// later entry carries a later one.
	highWatermark   int64
	highWatermarkAt uint64
	// saved is what compaction has taken off the bytes of the entries there.
	saved int64
	// cleanedTo is the first offset that was never compacted (the cleaner's
	// checkpoint in Kafka).
	cleanedTo int64
}

const metaVersion = 1

func (m *meta) encode() []byte {
	b := []byte{metaVersion}
	for _, v := range []uint64{
		uint64(m.logStart), m.prevIndex, m.prevTerm, uint64(m.prevEnd), uint64(m.prevBytes), m.term,
		uint64(m.highWatermark), m.highWatermarkAt, uint64(m.saved), uint64(m.cleanedTo),
	} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func parseMeta(b []byte) (meta, error) {
	if len(b) == 0 || b[0] != metaVersion {
		return meta{}, fmt.Errorf("%w: partition state", ErrFormat)
	}
	if len(b) != 1+10*8 {
		return meta{}, fmt.Errorf("%w: partition state of %d bytes", ErrCorruptFile, len(b))
	}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	m := meta{
		logStart: int64(u(0)), prevIndex: u(1), prevTerm: u(2), prevEnd: int64(u(3)), prevBytes: int64(u(4)), term: u(5),
		highWatermark: int64(u(6)), highWatermarkAt: u(7), saved: int64(u(8)), cleanedTo: int64(u(9)),
	}
	if m.logStart < 0 || m.prevEnd < 0 || m.prevBytes < 0 {
		return meta{}, fmt.Errorf("%w: partition state out of range", ErrCorruptFile)
	}
	return m, nil
}

// tail is what is known of the end of a log.
type tail struct {
	index, term uint64 // the last entry, or the one before the first
	end         int64  // log end offset
	largest     int64  // timestamp
	bytes       int64  // see header.bytes
	producer    uint64 // see header.producer
}

// emptyTail is the tail of a log without entries.
func (m *meta) emptyTail() tail {
	return tail{
		index: m.prevIndex, term: m.prevTerm, end: max(m.prevEnd, m.logStart),
		largest: noTimestamp, bytes: m.prevBytes,
	}
}

func (s *stored) tail(m *meta) tail {
	return tail{
		index: s.index, term: s.term, end: max(s.end(), m.logStart),
		largest: s.largest, bytes: s.bytes, producer: s.producer,
	}
}

func (t *tail) empty(m *meta) bool { return t.index == m.prevIndex }

func encodeEpochs(epochs []EpochStart) []byte {
	b := make([]byte, 0, 12*len(epochs))
	for _, e := range epochs {
		b = binary.BigEndian.AppendUint32(b, uint32(e.Epoch))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Offset))
	}
	return b
}

func parseEpochs(b []byte) ([]EpochStart, error) {
	if len(b)%12 != 0 {
		return nil, fmt.Errorf("%w: leader epochs of %d bytes", ErrCorruptFile, len(b))
	}
	epochs := make([]EpochStart, 0, len(b)/12)
	for ; len(b) > 0; b = b[12:] {
		epochs = append(epochs, EpochStart{
			Epoch:  int32(binary.BigEndian.Uint32(b)),
			Offset: int64(binary.BigEndian.Uint64(b[4:])),
		})
	}
	if !slices.IsSortedFunc(epochs, func(a, b EpochStart) int { return int(a.Epoch) - int(b.Epoch) }) {
		return nil, fmt.Errorf("%w: leader epochs are not in order", ErrCorruptFile)
	}
	return epochs, nil
}
