package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

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

// Rules are the settings a batch is validated by.
type Rules struct {
	// TopicPartition is how messages name the partition, such as "orders-0".
	TopicPartition  string
	MaxMessageBytes int // max.message.bytes; 0: no limit
	// MaxDecompressedBytes is max.decompressed.message.bytes: the largest body
	// a record of a compressed batch may have; 0: no limit of the topic's.
	MaxDecompressedBytes int64
	SegmentBytes         int64 // segment.bytes, for ErrRecordListTooLarge; 0: no limit
	Compacted            bool  // cleanup.policy contains compact: keys must not be null
	LogAppendTime        bool  // message.timestamp.type
	TimestampBeforeMaxMs int64 // message.timestamp.before.max.ms
	TimestampAfterMaxMs  int64 // message.timestamp.after.max.ms
	// Recompress says that the topic's compression.type is not "producer", and
	// Codec which it is. Level is how hard to compress, counted as Kafka does
	// (compression.gzip.level and so on); 0 is the codec's default.
	Recompress bool
	Codec      Codec
	Level      int
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

// refuse makes a ValidationError.
func refuse(err error, format string, args ...any) error {
	return &ValidationError{Err: err, Message: fmt.Sprintf(format, args...)}
}

// The smallest length field a batch of any format has (LegacyRecord.
// RECORD_OVERHEAD_V0), and how much must be there to see the magic.
const (
	leastBatchLength = 14
	magicEnd         = batchMagicAt + 1
)

// SplitProduced takes the records field of a Produce request apart: exactly one
// whole batch of magic 2 (ProduceRequest.validateRecords, semantics 1.1 #5).
// What trails a whole batch is ignored unless it is one too. It checks framing
// only; a batch shorter than a header comes back with Raw and is refused by
// Validate.
func SplitProduced(records []byte) (Batch, error) {
	size, err := nextBatchSize(records)
	if err != nil {
		return Batch{}, err
	}
	if size == 0 {
		return Batch{}, refuse(ErrInvalidRecord, "Produce requests must have at least one record batch per partition")
	}
	if records[batchMagicAt] != 2 {
		return Batch{}, refuse(ErrInvalidRecord, "Produce requests are only allowed to contain record batches with magic version 2")
	}
	more, err := nextBatchSize(records[size:])
	if err != nil {
		return Batch{}, err
	}
	if more > 0 {
		return Batch{}, refuse(ErrInvalidRecord, "Produce requests are only allowed to contain exactly one record batch per partition")
	}
	raw := records[:size:size]
	if size < batchRecordsAt {
		padded := make([]byte, batchRecordsAt)
		copy(padded, raw)
		b := readBatch(padded)
		b.Raw = raw
		return b, nil
	}
	return readBatch(raw), nil
}

// nextBatchSize is the size of the whole batch at the front of b, or 0
// (ByteBufferLogInputStream.nextBatchSize).
func nextBatchSize(b []byte) (int, error) {
	if len(b) < batchOverhead {
		return 0, nil
	}
	length := int32(binary.BigEndian.Uint32(b[batchLengthAt:]))
	if length < leastBatchLength {
		return 0, refuse(ErrWholeRequestCorrupt, "Record size %d is less than the minimum record overhead (%d)", length, leastBatchLength)
	}
	if len(b) < magicEnd {
		return 0, nil
	}
	if magic := int8(b[batchMagicAt]); magic < 0 || magic > 2 {
		return 0, refuse(ErrWholeRequestCorrupt, "Invalid magic found in record: %d", magic)
	}
	if int64(len(b)) < int64(length)+batchOverhead {
		return 0, nil
	}
	return int(length) + batchOverhead, nil
}

// recordErrors collects the records of a batch that are refused.
type recordErrors struct {
	list      []RecordError
	timestamp bool
}

func (r *recordErrors) add(index int32, format string, args ...any) {
	r.list = append(r.list, RecordError{Index: index, Message: fmt.Sprintf(format, args...)})
}

// err is the refusal of the batch, if a record was refused
// (LogValidator.processRecordErrors).
func (r *recordErrors) err() error {
	if len(r.list) == 0 {
		return nil
	}
	if r.timestamp {
		return &ValidationError{
			Err: ErrInvalidTimestamp, Records: r.list,
			Message: "One or more records have been rejected due to invalid timestamp",
		}
	}
	var shown []string
	for _, e := range r.list[:min(3, len(r.list))] {
		shown = append(shown, fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", e.Index, e.Message))
	}
	return &ValidationError{
		Err: ErrInvalidRecord, Records: r.list,
		Message: fmt.Sprintf("One or more records have been rejected due to %d record errors in total, "+
			"and only showing the first three errors at most: [%s]", len(r.list), strings.Join(shown, ", ")),
	}
}
