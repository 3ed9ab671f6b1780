package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attributes of a record batch (KIP-98, message format 2).
const (
	// LogAppendTime says that the batch carries the broker's time.
	LogAppendTime int16 = 1 << 3
	// Transactional says that the batch belongs to a transaction.
	Transactional int16 = 1 << 4
	// Control marks a batch that the broker itself writes, such as the end of a transaction.
	Control int16 = 1 << 5
)

// Compression codecs: the lowest three bits of a batch's attributes.
const (
	Gzip   int16 = 1
	Snappy int16 = 2
	LZ4    int16 = 3
	Zstd   int16 = 4
)

// batchOverhead is the size of a batch's header: what Kafka calls RECORD_BATCH_OVERHEAD.
const batchOverhead = 61

// ErrBatch says that bytes are no record batch.
var ErrBatch = errors.New("wire: malformed record batch")

// Record is one record of a batch.
type Record struct {
	Key, Value []byte
	// Timestamp is in milliseconds since 1970.
	Timestamp int64
	// Offset is the record's offset in the log, filled in by ParseBatches.
	Offset int64
}

// Batch is a record batch of message format 2. The zero values of its fields are not all what a plain batch has: start with
// NewBatch.
type Batch struct {
	BaseOffset    int64
	LeaderEpoch   int32
	Magic         int8
	Attributes    int16
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	// MaxTimestamp is filled in by ParseBatches.
	MaxTimestamp int64
	Records      []Record
	// Compressed says that ParseBatches left the records out because the batch is compressed.
	Compressed bool
}

// NewBatch returns an uncompressed batch without a producer id, of one record for each value, without keys, as of now.
func NewBatch(values ...string) Batch {
	b := Batch{LeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}
	for _, v := range values {
		b.Records = append(b.Records, Record{Value: []byte(v), Timestamp: time.Now().UnixMilli()})
	}
	return b
}

// From returns the batch as producer id pid sends it, in its epoch and with the sequence of its first record.
func (b Batch) From(pid int64, epoch int16, sequence int32) Batch {
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = pid, epoch, sequence
	return b
}

// At returns the batch with every record's time set to ms, in milliseconds since 1970.
func (b Batch) At(ms int64) Batch {
	records := make([]Record, len(b.Records))
	copy(records, b.Records)
	for i := range records {
		records[i].Timestamp = ms
	}
	b.Records = records
	return b
}

// LastOffset is the offset of the batch's last record.
func (b Batch) LastOffset() int64 { return b.BaseOffset + int64(len(b.Records)) - 1 }

// Bytes encodes the batch, with a right checksum.
func (b Batch) Bytes() []byte {
	first, latest := int64(0), int64(-1)
	if len(b.Records) > 0 {
		first = b.Records[0].Timestamp
	}
	var records []byte
	for i, r := range b.Records {
		latest = max(latest, r.Timestamp)
		records = appendRecord(records, r, int32(i), r.Timestamp-first)
	}
	kb := kmsg.RecordBatch{
		FirstOffset:          b.BaseOffset,
		Length:               int32(batchOverhead - 12 + len(records)),
		PartitionLeaderEpoch: b.LeaderEpoch,
		Magic:                b.Magic,
		Attributes:           b.Attributes,
		LastOffsetDelta:      int32(len(b.Records) - 1),
		FirstTimestamp:       first,
		MaxTimestamp:         latest,
		ProducerID:           b.ProducerID,
		ProducerEpoch:        b.ProducerEpoch,
		FirstSequence:        b.BaseSequence,
		NumRecords:           int32(len(b.Records)),
		Records:              records,
	}
	return Seal(kb.AppendTo(nil))
}

// Seal writes the checksum that an encoded batch should have into it and returns it.
func Seal(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

func appendRecord(dst []byte, r Record, offsetDelta int32, timestampDelta int64) []byte {
	body := []byte{0} // Attributes, of which there are none.
	body = kbin.AppendVarlong(body, timestampDelta)
	body = kbin.AppendVarint(body, offsetDelta)
	body = kbin.AppendVarintBytes(body, r.Key)
	body = kbin.AppendVarintBytes(body, r.Value)
	body = kbin.AppendVarint(body, 0) // No headers.
	return append(kbin.AppendVarint(dst, int32(len(body))), body...)
}

// ParseBatches reads the batches of a fetch answer and says how many bytes of a further, incomplete batch follow them, which
// Kafka leaves in where the size limit cut.
func ParseBatches(b []byte) (batches []Batch, partial int, err error) {
	for len(b) > 0 {
		if len(b) < 12 {
			return batches, len(b), nil
		}
		size := 12 + int(int32(binary.BigEndian.Uint32(b[8:])))
		if size < batchOverhead {
			return batches, 0, fmt.Errorf("%w: of %d bytes", ErrBatch, size)
		}
		if size > len(b) {
			return batches, len(b), nil
		}
		batch, err := parseBatch(b[:size])
		if err != nil {
			return batches, 0, err
		}
		batches = append(batches, batch)
		b = b[size:]
	}
	return batches, 0, nil
}

func parseBatch(raw []byte) (Batch, error) {
	var kb kmsg.RecordBatch
	if err := kb.ReadFrom(raw); err != nil {
		return Batch{}, fmt.Errorf("%w: %w", ErrBatch, err)
	}
	if got, want := binary.BigEndian.Uint32(raw[17:]), crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)); got != want {
		return Batch{}, fmt.Errorf("%w: checksum %08x, want %08x", ErrBatch, got, want)
	}
	b := Batch{
		BaseOffset:    kb.FirstOffset,
		LeaderEpoch:   kb.PartitionLeaderEpoch,
		Magic:         kb.Magic,
		Attributes:    kb.Attributes,
		ProducerID:    kb.ProducerID,
		ProducerEpoch: kb.ProducerEpoch,
		BaseSequence:  kb.FirstSequence,
		MaxTimestamp:  kb.MaxTimestamp,
		Compressed:    kb.Attributes&7 != 0,
	}
	if b.Compressed {
		return b, nil
	}
	r := kbin.Reader{Src: kb.Records}
	for range kb.NumRecords {
		r.Varint() // Length.
		r.Int8()   // Attributes.
		timestamp, offset := r.Varlong(), r.Varint()
		key, value := r.VarintBytes(), r.VarintBytes()
		for range r.Varint() {
			r.VarintBytes()
			r.VarintBytes()
		}
		b.Records = append(b.Records, Record{Key: key, Value: value, Timestamp: kb.FirstTimestamp + timestamp, Offset: kb.FirstOffset + int64(offset)})
	}
	if err := r.Complete(); err != nil || len(r.Src) > 0 {
		return Batch{}, fmt.Errorf("%w: its records do not fill it: %w", ErrBatch, err)
	}
	return b, nil
}
