package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Validate checks a produced batch (UnifiedLog.analyzeAndValidateRecords, then
// LogValidator; the order of semantics 1.1 #15-#23) and returns it as it is to
// be stored: timestamps, codec and CRC as the rules want them. Base offset and
// leader epoch are set when it is appended. A compressed batch is decompressed
// as a stream. It may change b.Raw in place. What it refuses is a
// *ValidationError.
func Validate(b Batch, r Rules) (Batch, error) {
	if err := checkBatch(&b, &r); err != nil {
		return Batch{}, err
	}
	v := validation{b: &b, r: &r, source: b.Codec(), target: b.Codec()}
	if r.Recompress && (!b.Control() || v.source != CodecNone) {
		v.target = r.Codec
	}
	if v.source == CodecNone {
		v.scanPlain()
	} else {
		v.scanCompressed()
	}
	if v.failed == nil {
		v.failed = v.errors.err()
	}
	if v.failed != nil {
		return Batch{}, v.failed
	}
	stored, err := v.finish()
	if err != nil {
		return Batch{}, err
	}
	if r.SegmentBytes > 0 && int64(len(stored.Raw)) > r.SegmentBytes {
		return Batch{}, refuse(ErrRecordListTooLarge, "Message batch size is %d bytes in append to partition %s, which exceeds "+
			"the maximum configured segment size of %d.", len(stored.Raw), r.TopicPartition, r.SegmentBytes)
	}
	return stored, nil
}

// checkBatch makes the checks that need no records.
func checkBatch(b *Batch, r *Rules) error {
	if !r.Internal && b.BaseOffset != 0 {
		return refuse(ErrInvalidRecord, "The baseOffset of the record batch in the append to %s should be 0, but it is %d", r.TopicPartition, b.BaseOffset)
	}
	if r.MaxMessageBytes > 0 && len(b.Raw) > r.MaxMessageBytes {
		return tooLarge(len(b.Raw), r)
	}
	if !b.ValidCRC() {
		return refuse(ErrCorruptMessage, "Record is corrupt (stored crc = %d) in topic partition %s.", b.CRC, r.TopicPartition)
	}
	if b.Codec() > CodecZstd {
		return refuse(ErrUndecodableRecords, "Unknown compression type id: %d", b.Codec())
	}
	if r.Internal {
		return nil
	}
	switch count := int64(b.LastOffset) + 1; {
	case count <= 0:
		return refuse(ErrInvalidRecord, "Batch has an invalid offset range: [0, %d] in topic partition %s", b.LastOffset, r.TopicPartition)
	case b.NumRecords <= 0:
		return refuse(ErrInvalidRecord, "Invalid reported count for record batch: %d in topic partition %s", b.NumRecords, r.TopicPartition)
	case count != int64(b.NumRecords):
		return refuse(ErrInvalidRecord, "Inconsistent batch offset range [0, %d] and count of records %d in topic partition %s",
			b.LastOffset, b.NumRecords, r.TopicPartition)
	case b.Control():
		return refuse(ErrInvalidRecord, "Clients are not allowed to write control records in topic partition %s", r.TopicPartition)
	case b.ProducerID >= 0 && b.BaseSequence < 0:
		return refuse(ErrInvalidRecord, "Invalid sequence number %d in record batch with producerId %d in topic partition %s",
			b.BaseSequence, b.ProducerID, r.TopicPartition)
	}
	return nil
}

func tooLarge(size int, r *Rules) error {
	return refuse(ErrMessageTooLarge, "The record batch size in the append to %s is %d bytes which exceeds the maximum configured value of %d.",
		r.TopicPartition, size, r.MaxMessageBytes)
}

// validation is the pass over the records of a batch.
type validation struct {
	b              *Batch
	r              *Rules
	source, target Codec

	failed       error // ends the pass, and goes before record errors
	errors       recordErrors
	maxTimestamp int64
	// reorder says that a compressed batch has offset deltas other than
	// 0, 1, 2...
	reorder bool
	out     *rebuild
}

// inPlace tells whether the bytes of the records are stored as they are.
func (v *validation) inPlace() bool { return v.source == v.target }

// scanPlain walks the records of an uncompressed batch.
func (v *validation) scanPlain() {
	v.maxTimestamp = noTimestamp
	payload := v.b.Raw[batchRecordsAt:]
	for i := range v.b.NumRecords {
		raw, rest, err := nextRecord(payload)
		if err != nil {
			v.failed = refuse(ErrInvalidRecord, "Record %d: %v", i, err)
			return
		}
		f, err := parseRecord(raw)
		if err != nil {
			v.failed = refuse(ErrInvalidRecord, "Record %d: %v", i, err)
			return
		}
		payload = rest
		if !v.record(i, &f) {
			return
		}
	}
	if len(payload) > 0 && v.b.NumRecords > 0 {
		v.failed = refuse(ErrInvalidRecord, "Incorrect declared batch size, records still remaining in file")
	}
}

// scanCompressed walks the records of a compressed batch as a stream.
func (v *validation) scanCompressed() {
	v.maxTimestamp = noTimestamp
	r, closer, err := payloadReader(v.source, v.b.Raw[batchRecordsAt:])
	if err != nil {
		v.failed = refuse(ErrUndecodableRecords, "%v", err)
		return
	}
	defer closer()
	s := newRecordStream(r, v.r.MaxDecompressedBytes)
	for i := range v.b.NumRecords {
		f, err := s.next(!v.inPlace())
		if err != nil {
			v.failed = streamError(i, err)
			return
		}
		v.reorder = v.reorder || f.offsetDelta != i
		if !v.record(i, &f) {
			return
		}
	}
	if v.b.NumRecords > 0 {
		if err := s.end(); err != nil {
			v.failed = streamError(v.b.NumRecords, err)
		}
	}
}

// streamError tells damaged records from a damaged stream.
func streamError(index int32, err error) error {
	if errors.Is(err, errRecord) || errors.Is(err, errTooMuch) {
		return refuse(ErrInvalidRecord, "Record %d: %v", index, err)
	}
	return refuse(ErrUndecodableRecords, "Failed to decompress record stream: %v", err)
}

// record checks one record, and copies it if the batch is written anew. false
// ends the pass.
func (v *validation) record(i int32, f *recordFields) bool {
	timestamp := v.b.timestampOf(f)
	if v.r.Compacted && f.key == nil {
		v.errors.add(i, "Compacted topic cannot accept message without key in topic partition %s", v.r.TopicPartition)
	} else if !v.checkTimestamp(i, f, timestamp) {
		v.errors.timestamp = true
	}
	v.maxTimestamp = max(v.maxTimestamp, timestamp)
	if v.inPlace() || len(v.errors.list) > 0 {
		return true
	}
	if v.out == nil {
		if v.out, v.failed = newRebuild(v, timestamp); v.failed != nil {
			return false
		}
	}
	v.failed = v.out.add(i, timestamp, f)
	return v.failed == nil
}

// checkTimestamp is LogValidator.validateTimestamp, overflows included.
func (v *validation) checkTimestamp(i int32, f *recordFields, timestamp int64) bool {
	r := v.r
	if !r.LogAppendTime && timestamp != noTimestamp {
		if diff := r.NowMs - timestamp; diff > r.TimestampBeforeMaxMs || -diff > r.TimestampAfterMaxMs {
			v.errors.add(i, "Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
				timestamp, f.offsetDelta, r.NowMs-r.TimestampBeforeMaxMs, r.NowMs+r.TimestampAfterMaxMs)
			return false
		}
		return true
	}
	if v.b.LogAppendTime() {
		v.errors.add(i, "Invalid timestamp type in message DefaultRecord(offset=%d, timestamp=%d, key=%d bytes, value=%d bytes). "+
			"Producer should not set timestamp type to LogAppendTime.", f.offsetDelta, timestamp, f.keyLen(), f.valueLen())
		return false
	}
	return true
}

// finish makes the batch as it is stored.
func (v *validation) finish() (Batch, error) {
	switch {
	case v.out != nil:
		return v.out.finish()
	case v.reorder:
		// Kafka rewrites such a batch from records whose keys and values it has
		// skipped, and fails.
		return Batch{}, refuse(ErrUndecodableRecords, "Offset deltas of a compressed batch are not consecutive")
	}
	if v.r.LogAppendTime {
		v.maxTimestamp = v.r.NowMs
	}
	setMaxTimestamp(v.b, v.maxTimestamp, v.r.LogAppendTime)
	return *v.b, nil
}

// setMaxTimestamp writes the largest timestamp and its type into the header, and
// signs the batch anew if they differ (DefaultRecordBatch.setMaxTimestamp).
func setMaxTimestamp(b *Batch, ms int64, logAppendTime bool) {
	if b.LogAppendTime() == logAppendTime && b.MaxTimestamp == ms {
		return
	}
	b.Attributes &= attrCodec | attrTransactional | attrControl | attrDeleteHorizon
	if logAppendTime {
		b.Attributes |= attrLogAppendTime
	}
	b.MaxTimestamp = ms
	binary.BigEndian.PutUint16(b.Raw[batchAttributesAt:], uint16(b.Attributes))
	binary.BigEndian.PutUint64(b.Raw[batchMaxTimestampAt:], uint64(ms))
	sign(b.Raw)
	b.CRC = binary.BigEndian.Uint32(b.Raw[batchCRCAt:])
}

// rebuild writes a batch anew in another codec, record by record.
type rebuild struct {
	v             *validation
	baseTimestamp int64
	buffer        *bytes.Buffer
	w             interface {
		Write([]byte) (int, error)
		Close() error
	}
	scratch []byte
}

func newRebuild(v *validation, baseTimestamp int64) (*rebuild, error) {
	o := &rebuild{v: v, baseTimestamp: baseTimestamp, buffer: bytes.NewBuffer(make([]byte, batchRecordsAt))}
	w, err := payloadWriter(v.target, v.r.Level, o.buffer)
	if err != nil {
		return nil, refuse(ErrUndecodableRecords, "%v", err)
	}
	o.w = w
	return o, nil
}

func (o *rebuild) add(i int32, timestamp int64, f *recordFields) error {
	if timestamp < 0 && timestamp != noTimestamp {
		return refuse(ErrUndecodableRecords, "Invalid negative timestamp %d", timestamp)
	}
	o.scratch = appendRecordFields(o.scratch[:0], f, timestamp-o.baseTimestamp, i)
	if _, err := o.w.Write(o.scratch); err != nil {
		return fmt.Errorf("compressing: %w", err)
	}
	if limit := o.v.r.MaxMessageBytes; limit > 0 && o.buffer.Len() > limit {
		return tooLarge(o.buffer.Len(), o.v.r)
	}
	return nil
}

// finish writes the header in front (MemoryRecordsBuilder).
func (o *rebuild) finish() (Batch, error) {
	if err := o.w.Close(); err != nil {
		return Batch{}, fmt.Errorf("compressing: %w", err)
	}
	raw := o.buffer.Bytes()
	if limit := o.v.r.MaxMessageBytes; limit > 0 && len(raw) > limit {
		return Batch{}, tooLarge(len(raw), o.v.r)
	}
	b := *o.v.b
	b.Attributes = b.Attributes&(attrTransactional|attrControl) | int16(o.v.target)
	b.BaseOffset, b.BaseTimestamp, b.MaxTimestamp = 0, o.baseTimestamp, o.v.maxTimestamp
	if o.v.r.LogAppendTime {
		b.Attributes |= attrLogAppendTime
		b.MaxTimestamp = o.v.r.NowMs
	}
	writeHeader(raw, &b)
	return readBatch(raw), nil
}
