package log

import (
	"encoding/binary"
	"fmt"
)

// entryVersion is the first byte of every stored entry.
const entryVersion = 1

// headerBytes is the length of the header in front of each stored batch.
const headerBytes = 74

// noTimestamp is what a record without a timestamp carries
// (RecordBatch.NO_TIMESTAMP).
const noTimestamp = -1

// header is what the file keeps of an entry beside its batch, so that offsets,
// times and sizes are found without reading batches.
type header struct {
	kind       Kind
	term       uint64
	base, last int64
	// timestamp is the entry's own largest timestamp; largest is the largest
	// of the log up to and with this entry, as it was when it was appended:
	// exact until the prefix is trimmed, an upper bound after that.
	timestamp, largest int64
	// bytes counts the batch bytes appended to the log up to and with this
	// entry; differences of it are sizes, as long as nothing was compacted.
	bytes int64
	// highWatermark is that of the moment of the append: the checkpoint that
	// rides on appends.
	highWatermark int64
	// appendedMs is the wall clock at the append (Options.Now): what Kafka has
	// as a segment's creation and modification time.
	appendedMs int64
	// producer is the index of the newest entry, up to and with this one, that
	// has a producer id; 0 when none has. Producer state need not be replayed
	// from a snapshot at or past it.
	producer uint64
}

// stored is an entry together with its header.
type stored struct {
	header
	index uint64
	data  []byte
}

func (s *stored) entry() Entry {
	return Entry{Index: s.index, Term: s.term, Kind: s.kind, Base: s.base, Last: s.last, Data: s.data}
}

// end is the log end offset as of the entry.
func (s *stored) end() int64 { return s.last + 1 }

// served tells whether readers get the entry's bytes.
func (s *stored) served() bool { return s.kind == KindBatch && len(s.data) > 0 }

func (h *header) put(b []byte) {
	be := binary.BigEndian
	b[0] = entryVersion
	b[1] = byte(h.kind)
	be.PutUint64(b[2:], h.term)
	be.PutUint64(b[10:], uint64(h.base))
	be.PutUint64(b[18:], uint64(h.last))
	be.PutUint64(b[26:], uint64(h.timestamp))
	be.PutUint64(b[34:], uint64(h.largest))
	be.PutUint64(b[42:], uint64(h.bytes))
	be.PutUint64(b[50:], uint64(h.highWatermark))
	be.PutUint64(b[58:], uint64(h.appendedMs))
	be.PutUint64(b[66:], h.producer)
}

// parseStored reads a value of an entries bucket; data is a part of v.
func parseStored(index uint64, v []byte) (stored, error) {
	if len(v) < headerBytes {
		return stored{}, fmt.Errorf("%w: entry %d has %d bytes", ErrCorruptFile, index, len(v))
	}
	if v[0] != entryVersion {
		return stored{}, fmt.Errorf("%w: entry %d has version %d", ErrFormat, index, v[0])
	}
	be := binary.BigEndian
	s := stored{index: index, data: v[headerBytes:len(v):len(v)], header: header{
		kind:          Kind(v[1]),
		term:          be.Uint64(v[2:]),
		base:          int64(be.Uint64(v[10:])),
		last:          int64(be.Uint64(v[18:])),
		timestamp:     int64(be.Uint64(v[26:])),
		largest:       int64(be.Uint64(v[34:])),
		bytes:         int64(be.Uint64(v[42:])),
		highWatermark: int64(be.Uint64(v[50:])),
		appendedMs:    int64(be.Uint64(v[58:])),
		producer:      be.Uint64(v[66:]),
	}}
	if s.kind > KindStub {
		return stored{}, fmt.Errorf("%w: entry %d is of kind %d", ErrCorruptFile, index, s.kind)
	}
	return s, nil
}

func entryKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, index)
}

func entryIndex(key []byte) (uint64, error) {
	if len(key) != 8 {
		return 0, fmt.Errorf("%w: entry key of %d bytes", ErrCorruptFile, len(key))
	}
	return binary.BigEndian.Uint64(key), nil
}
