package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxRecordsBytes bounds decompression where the caller sets no limit.
const maxRecordsBytes = 1 << 30

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

// errRecord is a record that does not have the form of one.
var errRecord = errors.New("invalid record structure")

// Records decodes the records of a batch, decompressing at most maxBytes
// (0: 1 GiB). Keys and values are parts of the batch's bytes or of a copy, and
// must not be changed.
func Records(b Batch, maxBytes int64) ([]Record, error) {
	if maxBytes <= 0 {
		maxBytes = maxRecordsBytes
	}
	payload, err := decompress(b.Codec(), b.Raw[batchRecordsAt:], maxBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodableRecords, err)
	}
	return decodeRecords(&b, payload)
}

// decodeRecords decodes the records in a payload that is not compressed.
func decodeRecords(b *Batch, payload []byte) ([]Record, error) {
	// A record takes seven bytes at least.
	if b.NumRecords < 0 || int64(b.NumRecords) > int64(len(payload)/7) {
		return nil, fmt.Errorf("%w: %d records in %d bytes", ErrInvalidRecord, b.NumRecords, len(payload))
	}
	records := make([]Record, b.NumRecords)
	for i := range records {
		raw, rest, err := nextRecord(payload)
		if err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrInvalidRecord, i, err)
		}
		f, err := parseRecord(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrInvalidRecord, i, err)
		}
		r := &records[i]
		r.Offset, r.Timestamp = b.BaseOffset+int64(f.offsetDelta), b.timestampOf(&f)
		r.Key, r.Value = f.key, f.value
		if r.Headers, err = decodeHeaders(f.headers, f.numHeaders); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrInvalidRecord, i, err)
		}
		payload = rest
	}
	if len(payload) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last record", ErrInvalidRecord, len(payload))
	}
	return records, nil
}

// timestampOf is the time of a record: that of the batch, if appended by log
// append time.
func (b *Batch) timestampOf(f *recordFields) int64 {
	if b.LogAppendTime() {
		return b.MaxTimestamp
	}
	return b.BaseTimestamp + f.timestampDelta
}

// recordFields are the parts of an encoded record.
type recordFields struct {
	timestampDelta int64
	offsetDelta    int32
	key, value     []byte
	numHeaders     int32
	headers        []byte
	// Lengths of what a stream has skipped, where key and value are not set.
	skippedKey, skippedValue int32
}

func (f *recordFields) keyLen() int   { return max(len(f.key), int(f.skippedKey)) }
func (f *recordFields) valueLen() int { return max(len(f.value), int(f.skippedValue)) }

// nextRecord cuts the record at the front of a payload, without its length.
func nextRecord(b []byte) (raw, rest []byte, err error) {
	n, b, err := varint(b)
	if err != nil {
		return nil, nil, err
	}
	if n < 0 || int(n) > len(b) {
		return nil, nil, fmt.Errorf("%w: length %d, %d bytes there", errRecord, n, len(b))
	}
	return b[:n:n], b[n:], nil
}

// parseRecord takes a record apart, whose bytes must be used up (DefaultRecord.
// readFrom).
func parseRecord(b []byte) (f recordFields, err error) {
	if len(b) == 0 {
		return f, errRecord
	}
	b = b[1:] // attributes, unused
	if f.timestampDelta, b, err = varlong(b); err != nil {
		return f, err
	}
	if f.offsetDelta, b, err = varint(b); err != nil {
		return f, err
	}
	if f.key, b, err = varBytes(b); err != nil {
		return f, err
	}
	if f.value, b, err = varBytes(b); err != nil {
		return f, err
	}
	if f.numHeaders, b, err = varint(b); err != nil {
		return f, err
	}
	if f.numHeaders < 0 || int(f.numHeaders) > len(b) {
		return f, fmt.Errorf("%w: %d headers", errRecord, f.numHeaders)
	}
	f.headers = b
	return f, skipHeaders(b, f.numHeaders)
}

// skipHeaders checks that the headers end where the record does.
func skipHeaders(b []byte, n int32) error {
	for ; n > 0; n-- {
		key, rest, err := varBytes(b)
		if err != nil {
			return err
		}
		if key == nil {
			return fmt.Errorf("%w: header without a key", errRecord)
		}
		if _, b, err = varBytes(rest); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: %d bytes left", errRecord, len(b))
	}
	return nil
}

func decodeHeaders(b []byte, n int32) ([]Header, error) {
	if n == 0 {
		return nil, nil
	}
	headers := make([]Header, n)
	for i := range headers {
		key, rest, err := varBytes(b)
		if err != nil {
			return nil, err
		}
		headers[i].Key = string(key)
		if headers[i].Value, b, err = varBytes(rest); err != nil {
			return nil, err
		}
	}
	return headers, nil
}

// varint reads a zigzag varint of at most five bytes (ByteUtils.readVarint).
func varint(b []byte) (int32, []byte, error) {
	var u uint32
	for i := range min(len(b), binary.MaxVarintLen32) {
		u |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return int32(u>>1) ^ -int32(u&1), b[i+1:], nil
		}
	}
	return 0, nil, errRecord
}

// varlong reads a zigzag varint of at most ten bytes.
func varlong(b []byte) (int64, []byte, error) {
	var u uint64
	for i := range min(len(b), binary.MaxVarintLen64) {
		u |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return int64(u>>1) ^ -int64(u&1), b[i+1:], nil
		}
	}
	return 0, nil, errRecord
}

// varBytes reads bytes behind their length; a negative length is null.
func varBytes(b []byte) (data, rest []byte, err error) {
	n, b, err := varint(b)
	if err != nil {
		return nil, nil, err
	}
	if n < 0 {
		return nil, b, nil
	}
	if int(n) > len(b) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", errRecord, n, len(b))
	}
	return b[:n:n], b[n:], nil
}

// Producer is what the producer state must know of the batch; nil when it has
// no producer id, or is a control batch that marks no transaction. A marker that
// cannot be read is ErrCorruptMessage.
func (b *Batch) Producer() (*ProducerBatch, error) {
	if b.ProducerID < 0 {
		return nil, nil
	}
	pb := &ProducerBatch{
		ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch, BaseSequence: b.BaseSequence,
		Records: b.LastOffset + 1, MaxTimestamp: b.MaxTimestamp, Base: b.BaseOffset, Transactional: b.Transactional(),
	}
	if !b.Control() {
		return pb, nil
	}
	if b.NumRecords == 0 {
		return nil, nil // compaction has emptied it
	}
	return markerOf(b, pb)
}

// MarkerRecord is the record of an end of transaction, to be built into a control
// batch (EndTransactionMarker). It has no timestamp yet.
func MarkerRecord(coordinatorEpoch int32, commit bool) (r Record) {
	be := binary.BigEndian
	kind := uint16(0)
	if commit {
		kind = 1
	}
	r.Key = be.AppendUint16(be.AppendUint16(nil, 0), kind)
	r.Value = be.AppendUint32(be.AppendUint16(nil, 0), uint32(coordinatorEpoch))
	return r
}

// markerOf reads the end marker of a transaction (EndTransactionMarker).
func markerOf(b *Batch, pb *ProducerBatch) (*ProducerBatch, error) {
	records, err := Records(*b, math.MaxInt16)
	if err != nil {
		return nil, fmt.Errorf("%w: control batch: %w", ErrCorruptMessage, err)
	}
	be := binary.BigEndian
	r := records[0]
	if len(r.Key) < 4 {
		return nil, fmt.Errorf("%w: control record with a key of %d bytes", ErrCorruptMessage, len(r.Key))
	}
	kind := be.Uint16(r.Key[2:])
	if kind > 1 {
		return nil, nil // not of a transaction
	}
	if len(r.Value) < 6 {
		return nil, fmt.Errorf("%w: transaction marker of %d bytes", ErrCorruptMessage, len(r.Value))
	}
	pb.Control, pb.Commit = true, kind == 1
	pb.CoordinatorEpoch = int32(be.Uint32(r.Value[2:]))
	pb.MaxTimestamp = r.Timestamp
	return pb, nil
}

// producerBatchOf is Producer for the bytes of a whole batch.
func producerBatchOf(raw []byte) (*ProducerBatch, error) {
	if int64(binary.BigEndian.Uint64(raw[batchProducerIDAt:])) < 0 {
		return nil, nil
	}
	b := readBatch(raw)
	return b.Producer()
}
