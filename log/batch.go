package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Where the fields of a record batch (magic 2) lie; see DefaultRecordBatch.
const (
	batchLengthAt        = 8
	batchEpochAt         = 12
	batchMagicAt         = 16
	batchCRCAt           = 17
	batchAttributesAt    = 21
	batchLastDeltaAt     = 23
	batchBaseTimestampAt = 27
	batchMaxTimestampAt  = 35
	batchProducerIDAt    = 43
	batchProducerEpochAt = 51
	batchBaseSequenceAt  = 53
	batchCountAt         = 57
	batchRecordsAt       = 61
	// batchOverhead lies in front of what the length field counts.
	batchOverhead = 12
)

// The bits of a batch's attributes.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

// Codec is a batch's compression codec (attribute bits 0-2).
type Codec int8

// The codecs, numbered as in the attributes.
const (
	CodecNone Codec = iota
	CodecGzip
	CodecSnappy
	CodecLz4
	CodecZstd
)

// Batch is the header of a record batch (magic 2), and its bytes.
type Batch struct {
	BaseOffset    int64
	LeaderEpoch   int32
	Magic         int8
	CRC           uint32
	Attributes    int16
	LastOffset    int32 // last offset delta
	BaseTimestamp int64
	MaxTimestamp  int64
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	NumRecords    int32
	// Raw is the whole batch.
	Raw []byte
}

// Codec is the compression codec; 5 to 7 are none of Kafka's.
func (b *Batch) Codec() Codec { return Codec(b.Attributes & attrCodec) }

// Transactional tells whether the batch belongs to a transaction.
func (b *Batch) Transactional() bool { return b.Attributes&attrTransactional != 0 }

// Control tells whether the batch holds control records (markers).
func (b *Batch) Control() bool { return b.Attributes&attrControl != 0 }

// LogAppendTime tells whether MaxTimestamp is the time of all of its records.
func (b *Batch) LogAppendTime() bool { return b.Attributes&attrLogAppendTime != 0 }

// deleteHorizon is the time from which on the tombstones of the batch may go,
// set by compaction in place of the base timestamp.
func (b *Batch) deleteHorizon() (ms int64, ok bool) {
	return b.BaseTimestamp, b.Attributes&attrDeleteHorizon != 0
}

// castagnoli returns the table of the batches' CRC; crc32 makes it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum is the CRC that the batch should have.
func checksum(raw []byte) uint32 { return crc32.Checksum(raw[batchAttributesAt:], castagnoli()) }

// ValidCRC tells whether the batch is whole and its CRC-32C is right.
func (b *Batch) ValidCRC() bool {
	return len(b.Raw) >= batchRecordsAt && checksum(b.Raw) == b.CRC
}

// sign writes the CRC of the batch.
func sign(raw []byte) { binary.BigEndian.PutUint32(raw[batchCRCAt:], checksum(raw)) }

func lastOffsetDelta(raw []byte) int32 {
	return int32(binary.BigEndian.Uint32(raw[batchLastDeltaAt:]))
}

// ParseBatch reads the batch at the front of b, which may hold more behind it;
// rest is what follows. A batch that is cut short, or of another magic, gives
// ErrCorruptMessage. The CRC is not checked; see [Batch.ValidCRC].
func ParseBatch(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) < batchRecordsAt {
		return Batch{}, nil, fmt.Errorf("%w: %d bytes are no batch", ErrCorruptMessage, len(b))
	}
	length := int64(int32(binary.BigEndian.Uint32(b[batchLengthAt:]))) + batchOverhead
	if length < batchRecordsAt || length > int64(len(b)) {
		return Batch{}, nil, fmt.Errorf("%w: batch length %d, %d bytes there", ErrCorruptMessage, length, len(b))
	}
	if b[batchMagicAt] != 2 {
		return Batch{}, nil, fmt.Errorf("%w: magic %d", ErrCorruptMessage, int8(b[batchMagicAt]))
	}
	return readBatch(b[:length:length]), b[length:], nil
}

// readBatch reads the header of a whole batch.
func readBatch(raw []byte) Batch {
	be := binary.BigEndian
	return Batch{
		BaseOffset:    int64(be.Uint64(raw)),
		LeaderEpoch:   int32(be.Uint32(raw[batchEpochAt:])),
		Magic:         int8(raw[batchMagicAt]),
		CRC:           be.Uint32(raw[batchCRCAt:]),
		Attributes:    int16(be.Uint16(raw[batchAttributesAt:])),
		LastOffset:    lastOffsetDelta(raw),
		BaseTimestamp: int64(be.Uint64(raw[batchBaseTimestampAt:])),
		MaxTimestamp:  int64(be.Uint64(raw[batchMaxTimestampAt:])),
		ProducerID:    int64(be.Uint64(raw[batchProducerIDAt:])),
		ProducerEpoch: int16(be.Uint16(raw[batchProducerEpochAt:])),
		BaseSequence:  int32(be.Uint32(raw[batchBaseSequenceAt:])),
		NumRecords:    int32(be.Uint32(raw[batchCountAt:])),
		Raw:           raw,
	}
}
