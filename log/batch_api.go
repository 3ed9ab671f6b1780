package log

import "errors"

// Errors of batch validation, in Kafka's words; server/errors.go maps them.
var (
	ErrInvalidRecord       = errors.New("log: invalid record")             // 87
	ErrCorruptMessage      = errors.New("log: corrupt message")            // 2
	ErrMessageTooLarge     = errors.New("log: message too large")          // 10
	ErrInvalidTimestamp    = errors.New("log: invalid timestamp")          // 32
	ErrRecordListTooLarge  = errors.New("log: record list too large")      // 18
	ErrUnsupportedCodec    = errors.New("log: unsupported compression")    // 76
	ErrUndecodableRecords  = errors.New("log: records cannot be decoded")  // -1
	ErrWholeRequestCorrupt = errors.New("log: batch length below minimum") // 2 on every partition of the request
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

// Codec, Transactional, Control and LogAppendTime read the attributes.
func (b *Batch) Codec() Codec        { return Codec(b.Attributes & 7) }
func (b *Batch) Transactional() bool { return b.Attributes&0x10 != 0 }
func (b *Batch) Control() bool       { return b.Attributes&0x20 != 0 }
func (b *Batch) LogAppendTime() bool { return b.Attributes&0x08 != 0 }

// SplitProduced takes the records field of a Produce request apart: exactly one
// whole batch of magic 2 (ProduceRequest.validateRecords, semantics 1.1 #5).
// What trails a whole batch is ignored. It checks framing only.
func SplitProduced(records []byte) (Batch, error) { return splitProduced(records) }

// ParseBatch reads the batch at the front of b, which may hold more behind it;
// rest is what follows. A batch that is cut short gives ErrCorruptMessage.
func ParseBatch(b []byte) (batch Batch, rest []byte, err error) { return parseBatch(b) }

// Rules are the settings a batch is validated by.
type Rules struct {
	MaxMessageBytes      int   // max.message.bytes
	MaxDecompressedBytes int64 // max.decompressed.message.bytes; 0: no limit of the topic's
	SegmentBytes         int64 // segment.bytes, for ErrRecordListTooLarge
	Compacted            bool  // cleanup.policy contains compact: keys must not be null
	LogAppendTime        bool  // message.timestamp.type
	TimestampBeforeMaxMs int64 // message.timestamp.before.max.ms
	TimestampAfterMaxMs  int64 // message.timestamp.after.max.ms
	// Compression is the topic's compression.type; CompressProducer keeps the
	// producer's.
	Recompress bool
	Codec      Codec
	NowMs      int64
	// Internal admits control batches and skips the client-only checks
	// (coordinators append with it).
	Internal bool
}

// RecordError is a record that was refused.
type RecordError struct {
	Index   int32
	Message string
}

// ValidationError is a refused batch, with the records that are to blame.
type ValidationError struct {
	Err     error // one of this package's sentinels
	Message string
	Records []RecordError
}

func (e *ValidationError) Error() string { return e.Message }
func (e *ValidationError) Unwrap() error { return e.Err }

// Validate checks a produced batch (LogValidator, UnifiedLog; the order of
// semantics 1.1 #15-#23) and returns it as it is to be stored: timestamps,
// codec and CRC as the rules want them. Data is decompressed only where a check
// needs the records, and never beyond the limits. It may change b.Raw in place.
func Validate(b Batch, r Rules) (Batch, error) { return validate(b, r) }

// Record is one record of a batch.
type Record struct {
	Offset    int64
	Timestamp int64 // ms
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Header is a record header.
type Header struct {
	Key   string
	Value []byte
}

// Records decodes the records of a batch, decompressing at most maxBytes
// (0: 1 GiB).
func Records(b Batch, maxBytes int64) ([]Record, error) { return decodeRecords(b, maxBytes) }

// BatchOptions say how a batch is built.
type BatchOptions struct {
	Codec         Codec
	ProducerID    int64 // -1: none
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Control       bool
	LeaderEpoch   int32
}

// BuildBatch encodes records as one batch, base offset 0 (or that of the first
// record's Offset when offsets are set ascending from it).
func BuildBatch(records []Record, o BatchOptions) ([]byte, error) { return buildBatch(records, o) }
