package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

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

// errTooLarge is a batch that the format cannot hold.
var errTooLarge = errors.New("log: a batch is limited to 2 GiB")

// BuildBatch encodes records as one batch, base offset 0 (or that of the first
// record's Offset when offsets are set ascending from it).
func BuildBatch(records []Record, o BatchOptions) ([]byte, error) {
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: a batch holds one record at least", ErrInvalidRecord)
	}
	base, deltas := deltasOf(records)
	h := Batch{
		BaseOffset: base, LeaderEpoch: o.LeaderEpoch, Attributes: int16(o.Codec), LastOffset: deltas[len(deltas)-1],
		BaseTimestamp: records[0].Timestamp, MaxTimestamp: records[0].Timestamp,
		ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch, BaseSequence: o.BaseSequence, NumRecords: int32(len(records)),
	}
	if o.ProducerID < 0 {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = -1, -1, noSequence
	}
	if o.Transactional {
		h.Attributes |= attrTransactional
	}
	if o.Control {
		h.Attributes |= attrControl
		h.BaseSequence = noSequence
	}
	var payload []byte
	for i := range records {
		r := &records[i]
		h.MaxTimestamp = max(h.MaxTimestamp, r.Timestamp)
		f := recordFields{key: r.Key, value: r.Value, numHeaders: int32(len(r.Headers)), headers: encodeHeaders(r.Headers)}
		payload = appendRecordFields(payload, &f, r.Timestamp-h.BaseTimestamp, deltas[i])
	}
	return assemble(h, payload)
}

// deltasOf are the base offset and the offset deltas of the records: those of
// their offsets if these ascend, else 0 and 0, 1, 2...
func deltasOf(records []Record) (base int64, deltas []int32) {
	deltas = make([]int32, len(records))
	for i := range records {
		d := records[i].Offset - records[0].Offset
		if i > 0 && (records[i].Offset <= records[i-1].Offset || d > math.MaxInt32) {
			for i := range deltas {
				deltas[i] = int32(i)
			}
			return 0, deltas
		}
		deltas[i] = int32(d)
	}
	return records[0].Offset, deltas
}

// assemble writes a batch with the header's fields, and compresses the payload
// as its attributes say.
func assemble(h Batch, payload []byte) ([]byte, error) {
	raw := make([]byte, batchRecordsAt, batchRecordsAt+len(payload))
	raw, err := appendCompressed(raw, h.Codec(), payload)
	if err != nil {
		return nil, err
	}
	if len(raw) > math.MaxInt32 {
		return nil, errTooLarge
	}
	writeHeader(raw, &h)
	return raw, nil
}

// writeHeader writes the header's fields in front of the records, and signs the
// batch.
func writeHeader(raw []byte, h *Batch) {
	be := binary.BigEndian
	be.PutUint64(raw, uint64(h.BaseOffset))
	be.PutUint32(raw[batchLengthAt:], uint32(len(raw)-batchOverhead))
	be.PutUint32(raw[batchEpochAt:], uint32(h.LeaderEpoch))
	raw[batchMagicAt] = 2
	be.PutUint16(raw[batchAttributesAt:], uint16(h.Attributes))
	be.PutUint32(raw[batchLastDeltaAt:], uint32(h.LastOffset))
	be.PutUint64(raw[batchBaseTimestampAt:], uint64(h.BaseTimestamp))
	be.PutUint64(raw[batchMaxTimestampAt:], uint64(h.MaxTimestamp))
	be.PutUint64(raw[batchProducerIDAt:], uint64(h.ProducerID))
	be.PutUint16(raw[batchProducerEpochAt:], uint16(h.ProducerEpoch))
	be.PutUint32(raw[batchBaseSequenceAt:], uint32(h.BaseSequence))
	be.PutUint32(raw[batchCountAt:], uint32(h.NumRecords))
	sign(raw)
}

func encodeHeaders(headers []Header) []byte {
	var b []byte
	for i := range headers {
		h := &headers[i]
		b = appendVarint(b, int32(len(h.Key)))
		b = append(b, h.Key...)
		b = appendVarBytes(b, h.Value)
	}
	return b
}

// appendRecordFields encodes a record behind its length.
func appendRecordFields(b []byte, f *recordFields, timestampDelta int64, offsetDelta int32) []byte {
	size := 1 + varlongLen(timestampDelta) + varintLen(offsetDelta) + varBytesLen(f.key) + varBytesLen(f.value) +
		varintLen(f.numHeaders) + len(f.headers)
	b = appendVarint(b, int32(size))
	b = append(b, 0)
	b = appendVarlong(b, timestampDelta)
	b = appendVarint(b, offsetDelta)
	b = appendVarBytes(b, f.key)
	b = appendVarBytes(b, f.value)
	b = appendVarint(b, f.numHeaders)
	return append(b, f.headers...)
}

func appendVarint(b []byte, v int32) []byte { return appendVarlong(b, int64(v)) }

func appendVarlong(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

func appendVarBytes(b, data []byte) []byte {
	if data == nil {
		return appendVarint(b, -1)
	}
	b = appendVarint(b, int32(len(data)))
	return append(b, data...)
}

func varintLen(v int32) int { return varlongLen(int64(v)) }

func varlongLen(v int64) int {
	n := 1
	for u := uint64(v)<<1 ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func varBytesLen(data []byte) int {
	if data == nil {
		return 1
	}
	return varintLen(int32(len(data))) + len(data)
}
