package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func plainRules() Rules {
	return Rules{
		TopicPartition: "t-0", MaxMessageBytes: 1 << 20, SegmentBytes: 1 << 30,
		TimestampBeforeMaxMs: math.MaxInt64, TimestampAfterMaxMs: 3_600_000, NowMs: 1_700_000_000_000,
	}
}

// forge encodes a batch of n records, changed before it is signed.
func forge(t testing.TB, n int, c Codec, change func(*kmsg.RecordBatch)) []byte {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Timestamp: 1_700_000_000_000 + int64(i), Key: []byte{'k'}, Value: []byte{'v'}}
	}
	return franzBatch(t, records, c, change)
}

func TestSplitProduced(t *testing.T) {
	t.Parallel()
	one := forge(t, 2, CodecNone, nil)
	edit := func(at int, b ...byte) []byte {
		raw := bytes.Clone(one)
		copy(raw[at:], b)
		return raw
	}
	cases := []struct {
		what string
		in   []byte
		want error
	}{
		{"one batch", one, nil},
		{"null", nil, ErrInvalidRecord},
		{"empty", []byte{}, ErrInvalidRecord},
		{"a cut batch", one[:len(one)-1], ErrInvalidRecord},
		{"a cut header", one[:16], ErrInvalidRecord},
		{"two batches", append(bytes.Clone(one), one...), ErrInvalidRecord},
		{"a batch and a cut one", append(bytes.Clone(one), one[:len(one)-1]...), nil},
		{"a batch and eleven bytes", append(bytes.Clone(one), make([]byte, 11)...), nil},
		{"a batch and zeroes", append(bytes.Clone(one), make([]byte, 12)...), ErrWholeRequestCorrupt},
		{"magic 0", edit(16, 0), ErrInvalidRecord},
		{"magic 1", edit(16, 1), ErrInvalidRecord},
		{"magic 3", edit(16, 3), ErrWholeRequestCorrupt},
		{"magic -1", edit(16, 255), ErrWholeRequestCorrupt},
		{"length 13", edit(8, 0, 0, 0, 13), ErrWholeRequestCorrupt},
		{"length -1", edit(8, 255, 255, 255, 255), ErrWholeRequestCorrupt},
		{"length of more than there is", edit(8, 127, 255, 255, 255), ErrInvalidRecord},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			b, err := SplitProduced(c.in)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err == nil && !bytes.Equal(b.Raw, one) {
				t.Fatal("another batch came back")
			}
		})
	}
	// A length that leaves no room for the header is found by Validate.
	short := edit(8, 0, 0, 0, 14)[:26]
	b, err := SplitProduced(short)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Validate(b, plainRules()); !errors.Is(err, ErrCorruptMessage) {
		t.Fatalf("a batch of 26 bytes: %v", err)
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	now := plainRules().NowMs
	records := func(n int, edit func(i int, r *Record)) func(Codec) []byte {
		return func(c Codec) []byte {
			list := make([]Record, n)
			for i := range list {
				list[i] = Record{Timestamp: now, Key: []byte("k"), Value: []byte("v")}
				if edit != nil {
					edit(i, &list[i])
				}
			}
			return franzBatch(t, list, c, nil)
		}
	}
	header := func(change func(*kmsg.RecordBatch)) func(Codec) []byte {
		return func(c Codec) []byte { return forge(t, 2, c, change) }
	}
	cases := []struct {
		what    string
		batch   func(Codec) []byte
		rules   func(*Rules)
		want    error
		message string  // part of it
		records []int32 // refused
	}{
		{what: "a good batch", batch: header(nil)},
		{what: "base offset", batch: header(func(b *kmsg.RecordBatch) { b.FirstOffset = 5 }), want: ErrInvalidRecord, message: "should be 0, but it is 5"},
		{what: "too large", batch: records(1, func(_ int, r *Record) { r.Value = make([]byte, 200); binary.BigEndian.PutUint64(r.Value, 1) }), rules: func(r *Rules) { r.MaxMessageBytes = 70 }, want: ErrMessageTooLarge},
		{what: "CRC", batch: func(c Codec) []byte { b := forge(t, 2, c, nil); b[18] ^= 1; return b }, want: ErrCorruptMessage},
		{what: "too large goes before CRC", batch: func(c Codec) []byte { b := forge(t, 2, c, nil); b[18] ^= 1; return b }, rules: func(r *Rules) { r.MaxMessageBytes = 70 }, want: ErrMessageTooLarge},
		{what: "base offset goes before too large", batch: header(func(b *kmsg.RecordBatch) { b.FirstOffset = 5 }), rules: func(r *Rules) { r.MaxMessageBytes = 70 }, want: ErrInvalidRecord},
		{what: "codec 5", batch: header(func(b *kmsg.RecordBatch) { b.Attributes = 5 }), want: ErrUndecodableRecords},
		{what: "negative last offset delta", batch: header(func(b *kmsg.RecordBatch) { b.LastOffsetDelta = -1 }), want: ErrInvalidRecord, message: "[0, -1]"},
		{what: "no records", batch: header(func(b *kmsg.RecordBatch) { b.NumRecords = 0 }), want: ErrInvalidRecord, message: "reported count"},
		{what: "fewer records than offsets", batch: header(func(b *kmsg.RecordBatch) { b.LastOffsetDelta = 2 }), want: ErrInvalidRecord, message: "Inconsistent"},
		{what: "a control batch", batch: header(func(b *kmsg.RecordBatch) { b.Attributes |= attrControl }), want: ErrInvalidRecord, message: "control records"},
		{what: "a producer without a sequence", batch: header(func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch = 1, 0 }), want: ErrInvalidRecord, message: "Invalid sequence number -1"},
		{what: "a sequence without a producer", batch: header(func(b *kmsg.RecordBatch) { b.FirstSequence = 7 })},
		{what: "a producer without an epoch", batch: header(func(b *kmsg.RecordBatch) { b.ProducerID, b.FirstSequence = 1, 0 })},
		{what: "attribute bits 0x40 and 0x8000", batch: header(func(b *kmsg.RecordBatch) { b.Attributes |= 0x40 | -0x8000 })},
		{what: "more records than there are", batch: header(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 3, 2 }), want: ErrInvalidRecord},
		{what: "fewer records than there are", batch: header(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 1, 0 }), want: ErrInvalidRecord},
		{
			what: "null keys", batch: records(5, func(i int, r *Record) {
				if i != 2 {
					r.Key = nil
				}
			}), rules: func(r *Rules) { r.Compacted = true }, want: ErrInvalidRecord, records: []int32{0, 1, 3, 4},
			message: "due to 4 record errors in total, and only showing the first three errors at most: [RecordError(batchIndex=0, message='Compacted topic cannot accept message without key in topic partition t-0'), ",
		},
		{what: "empty keys are no null keys", batch: records(1, func(_ int, r *Record) { r.Key = []byte{} }), rules: func(r *Rules) { r.Compacted = true }},
		{
			what: "too late", batch: records(2, func(i int, r *Record) { r.Timestamp = now + 3_600_000 + int64(i) }), want: ErrInvalidTimestamp, records: []int32{1},
			message: "One or more records have been rejected due to invalid timestamp",
		},
		{what: "too early", batch: records(2, func(i int, r *Record) { r.Timestamp = now - 10 - int64(i) }), rules: func(r *Rules) { r.TimestampBeforeMaxMs = 10 }, want: ErrInvalidTimestamp, records: []int32{1}},
		{what: "no timestamp", batch: records(2, func(_ int, r *Record) { r.Timestamp = -1 }), rules: func(r *Rules) { r.TimestampBeforeMaxMs = 10 }},
		{what: "timestamps win over null keys", batch: records(2, func(i int, r *Record) {
			if i == 0 {
				r.Key = nil
			} else {
				r.Timestamp = now * 2
			}
		}), rules: func(r *Rules) { r.Compacted = true }, want: ErrInvalidTimestamp, records: []int32{0, 1}},
		{
			what: "claims log append time on such a topic", batch: header(func(b *kmsg.RecordBatch) { b.Attributes |= attrLogAppendTime }),
			rules: func(r *Rules) { r.LogAppendTime = true }, want: ErrInvalidTimestamp, records: []int32{0, 1},
		},
		{what: "claims log append time on a create time topic", batch: header(func(b *kmsg.RecordBatch) { b.Attributes |= attrLogAppendTime })},
		{what: "larger than a segment", batch: header(nil), rules: func(r *Rules) { r.SegmentBytes = 10 }, want: ErrRecordListTooLarge},
		{what: "timestamps go before segment size", batch: records(1, func(_ int, r *Record) { r.Timestamp = now * 2 }), rules: func(r *Rules) { r.SegmentBytes = 10 }, want: ErrInvalidTimestamp, records: []int32{0}},
	}
	for _, c := range cases {
		for _, codec := range allCodecs() {
			t.Run(fmt.Sprintf("%s/%d", c.what, codec), func(t *testing.T) {
				t.Parallel()
				b, err := SplitProduced(c.batch(codec))
				if err != nil {
					t.Fatal(err)
				}
				r := plainRules()
				if c.rules != nil {
					c.rules(&r)
				}
				_, err = Validate(b, r)
				checkRefusal(t, err, c.want, c.message, c.records)
			})
		}
	}
}

func checkRefusal(t *testing.T, err, want error, message string, records []int32) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	var v *ValidationError
	if !errors.Is(err, want) || !errors.As(err, &v) {
		t.Fatalf("%v, want %v", err, want)
	}
	if !strings.Contains(v.Message, message) {
		t.Errorf("message %q, want %q", v.Message, message)
	}
	if len(v.Records) != len(records) {
		t.Fatalf("records %v, want %v", v.Records, records)
	}
	for i := range records {
		if v.Records[i].Index != records[i] || v.Records[i].Message == "" {
			t.Errorf("record error %+v, want index %d", v.Records[i], records[i])
		}
	}
}

// TestTimestampMessage holds the text that Kafka answers with.
func TestTimestampMessage(t *testing.T) {
	t.Parallel()
	r := plainRules()
	r.TimestampBeforeMaxMs, r.TimestampAfterMaxMs = 1000, 2000
	raw := franzBatch(t, []Record{{Timestamp: r.NowMs}, {Timestamp: r.NowMs + 2001}}, CodecNone, nil)
	_, err := Validate(readBatch(raw), r)
	var v *ValidationError
	if !errors.As(err, &v) || len(v.Records) != 1 {
		t.Fatal(err)
	}
	want := fmt.Sprintf("Timestamp %d of message with offset 1 is out of range. The timestamp should be within [%d, %d]",
		r.NowMs+2001, r.NowMs-1000, r.NowMs+2000)
	if v.Records[0].Message != want {
		t.Errorf("%q, want %q", v.Records[0].Message, want)
	}
}

// TestValidateStores looks at the batch that comes back.
func TestValidateStores(t *testing.T) {
	t.Parallel()
	now := plainRules().NowMs
	list := someRecords(50)
	for _, source := range allCodecs() {
		for _, target := range allCodecs() {
			for _, logAppendTime := range []bool{false, true} {
				t.Run(fmt.Sprint(source, target, logAppendTime), func(t *testing.T) {
					t.Parallel()
					raw := franzBatch(t, list, source, func(b *kmsg.RecordBatch) {
						b.MaxTimestamp = 5 // too low: computed anew
						b.ProducerID, b.ProducerEpoch, b.FirstSequence, b.Attributes = 9, 3, 70, b.Attributes|attrTransactional
					})
					r := plainRules()
					r.Recompress, r.Codec, r.LogAppendTime = true, target, logAppendTime
					b, err := Validate(readBatch(raw), r)
					if err != nil {
						t.Fatal(err)
					}
					want := now + 4 // the largest of someRecords
					if logAppendTime {
						want = r.NowMs
					}
					if b.Codec() != target || b.MaxTimestamp != want || b.LogAppendTime() != logAppendTime || !b.ValidCRC() ||
						b.ProducerID != 9 || b.ProducerEpoch != 3 || b.BaseSequence != 70 || !b.Transactional() || b.LastOffset != 49 {
						t.Fatalf("stored as %+v", b)
					}
					fb, fr := franzRecords(t, b.Raw)
					if len(fr) != len(list) || fb.MaxTimestamp != want {
						t.Fatalf("franz-go reads %d records, largest timestamp %d", len(fr), fb.MaxTimestamp)
					}
					got, err := Records(b, 0)
					if err != nil {
						t.Fatal(err)
					}
					expect := someRecords(50)
					for i := range expect {
						if logAppendTime {
							expect[i].Timestamp = r.NowMs
						}
					}
					if !equalRecords(got, expect) {
						t.Fatal("the records have changed")
					}
				})
			}
		}
	}
}

// TestOffsetDeltas: an uncompressed batch may have any, a compressed one is
// rewritten, which fails unless the codec changes.
func TestOffsetDeltas(t *testing.T) {
	t.Parallel()
	batch := func(c Codec) Batch {
		list := []Record{{Key: []byte("a"), Timestamp: 1}, {Key: []byte("b"), Timestamp: 1}}
		var payload []byte
		for i := range list {
			f := recordFields{key: list[i].Key}
			payload = appendRecordFields(payload, &f, 0, int32(i+1)) // 1, 2
		}
		raw, err := assemble(Batch{Attributes: int16(c), LastOffset: 1, BaseTimestamp: 1, MaxTimestamp: 1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, NumRecords: 2}, payload)
		if err != nil {
			t.Fatal(err)
		}
		return readBatch(raw)
	}
	r := plainRules()
	if _, err := Validate(batch(CodecNone), r); err != nil {
		t.Errorf("uncompressed: %v", err)
	}
	if _, err := Validate(batch(CodecGzip), r); !errors.Is(err, ErrUndecodableRecords) {
		t.Errorf("gzip: %v", err)
	}
	r.Recompress, r.Codec = true, CodecZstd
	b, err := Validate(batch(CodecGzip), r)
	if err != nil {
		t.Fatal(err)
	}
	if records, err := Records(b, 0); err != nil || records[0].Offset != 0 || records[1].Offset != 1 {
		t.Errorf("%v %v", records, err)
	}
}

// TestDamagedPayload: what cannot be decompressed is Kafka's -1.
func TestDamagedPayload(t *testing.T) {
	t.Parallel()
	for _, c := range allCodecs()[1:] {
		raw := forge(t, 50, c, func(b *kmsg.RecordBatch) { b.Records = b.Records[:len(b.Records)/2] })
		if _, err := Validate(readBatch(raw), plainRules()); !errors.Is(err, ErrUndecodableRecords) && !errors.Is(err, ErrInvalidRecord) {
			t.Errorf("codec %d, cut: %v", c, err)
		}
		raw = forge(t, 50, c, func(b *kmsg.RecordBatch) { b.Records = []byte("nonsense, and not compressed") })
		if _, err := Validate(readBatch(raw), plainRules()); !errors.Is(err, ErrUndecodableRecords) {
			t.Errorf("codec %d, nonsense: %v", c, err)
		}
	}
}

// TestDecompressionLimits: bombs cost neither memory nor time beyond the limits.
func TestDecompressionLimits(t *testing.T) {
	t.Parallel()
	for _, c := range allCodecs()[1:] {
		raw := franzBatch(t, []Record{{Key: []byte("k"), Value: make([]byte, 10_000_000)}}, c, nil)
		r := plainRules()
		r.MaxMessageBytes = 0
		r.MaxDecompressedBytes = 1_000_000
		if _, err := Validate(readBatch(raw), r); !errors.Is(err, ErrInvalidRecord) {
			t.Errorf("codec %d: a record above the limit: %v", c, err)
		}
		r.MaxDecompressedBytes = 0
		if _, err := Validate(readBatch(raw), r); err != nil {
			t.Errorf("codec %d: without a limit: %v", c, err)
		}
		if _, err := Records(readBatch(raw), 9_000_000); !errors.Is(err, ErrUndecodableRecords) {
			t.Errorf("codec %d: Records above its limit: %v", c, err)
		}
		// Recompression stops when the result is too large.
		r.Recompress, r.Codec, r.MaxMessageBytes = true, CodecNone, 1<<20
		if _, err := Validate(readBatch(raw), r); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("codec %d: blown up: %v", c, err)
		}
	}
}
