package log

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// franzCodec is franz-go's own coder for one of ours.
func franzCodec(c Codec) kgo.CompressionCodec {
	switch c {
	case CodecGzip:
		return kgo.GzipCompression()
	case CodecSnappy:
		return kgo.SnappyCompression()
	case CodecLz4:
		return kgo.Lz4Compression()
	case CodecZstd:
		return kgo.ZstdCompression()
	default:
		return kgo.NoCompression()
	}
}

func allCodecs() []Codec { return []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLz4, CodecZstd} }

// franzBatch encodes records with franz-go's encoders alone.
func franzBatch(t testing.TB, records []Record, c Codec, change func(*kmsg.RecordBatch)) []byte {
	t.Helper()
	var payload []byte
	for i, r := range records {
		k := kmsg.Record{TimestampDelta64: r.Timestamp - records[0].Timestamp, OffsetDelta: int32(i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1)
		payload = k.AppendTo(payload)
	}
	if c != CodecNone {
		z, err := kgo.DefaultCompressor(franzCodec(c))
		if err != nil {
			t.Fatal(err)
		}
		var used kgo.CompressionCodecType
		payload, used = z.Compress(new(bytes.Buffer), payload)
		if Codec(used) != c {
			t.Fatalf("compressed with %d, want %d", used, c)
		}
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: int16(c), LastOffsetDelta: int32(len(records) - 1),
		FirstTimestamp: records[0].Timestamp, MaxTimestamp: records[0].Timestamp, ProducerID: -1, ProducerEpoch: -1,
		FirstSequence: -1, NumRecords: int32(len(records)), Records: payload,
	}
	for _, r := range records {
		b.MaxTimestamp = max(b.MaxTimestamp, r.Timestamp)
	}
	if change != nil {
		change(&b)
	}
	b.Length = int32(49 + len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// franzRecords decodes a batch with franz-go's decoders alone.
func franzRecords(t testing.TB, raw []byte) (kmsg.RecordBatch, []kmsg.Record) {
	t.Helper()
	var b kmsg.RecordBatch
	if err := b.ReadFrom(raw); err != nil {
		t.Fatal(err)
	}
	if int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli))) != b.CRC {
		t.Fatal("franz-go finds another CRC")
	}
	payload, err := kgo.DefaultDecompressor().Decompress(b.Records, kgo.CompressionCodecType(b.Attributes&7))
	if err != nil {
		t.Fatal(err)
	}
	var records []kmsg.Record
	for len(payload) > 0 {
		n, size := binary.Varint(payload)
		var r kmsg.Record
		if err := r.ReadFrom(payload[:size+int(n)]); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
		payload = payload[size+int(n):]
	}
	return b, records
}

func someRecords(n int) []Record {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{
			Offset: int64(i), Timestamp: 1_700_000_000_000 + int64(i*7%5), Key: []byte(fmt.Sprint("key", i)),
			Value: []byte(strings.Repeat("value", i*13%300)),
		}
		switch i % 5 {
		case 1:
			records[i].Key = nil
		case 2:
			records[i].Value = nil
		case 3:
			records[i].Headers = []Header{{Key: "a", Value: []byte("b")}, {Key: "", Value: nil}}
		}
	}
	return records
}

func equalRecords(a, b []Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.Offset != y.Offset || x.Timestamp != y.Timestamp || !bytes.Equal(x.Key, y.Key) || !bytes.Equal(x.Value, y.Value) ||
			(x.Key == nil) != (y.Key == nil) || (x.Value == nil) != (y.Value == nil) || len(x.Headers) != len(y.Headers) {
			return false
		}
		for j := range x.Headers {
			if x.Headers[j].Key != y.Headers[j].Key || !bytes.Equal(x.Headers[j].Value, y.Headers[j].Value) {
				return false
			}
		}
	}
	return true
}

// TestFranzBatches reads what franz-go has encoded, and the other way round.
func TestFranzBatches(t *testing.T) {
	t.Parallel()
	for _, c := range allCodecs() {
		for _, n := range []int{1, 2, 100, 3000} {
			t.Run(fmt.Sprint("codec", c, "records", n), func(t *testing.T) {
				t.Parallel()
				records := someRecords(n)
				b, rest, err := ParseBatch(franzBatch(t, records, c, nil))
				if err != nil || len(rest) > 0 || !b.ValidCRC() {
					t.Fatal(err, len(rest), b.ValidCRC())
				}
				got, err := Records(b, 0)
				if err != nil || !equalRecords(got, records) {
					t.Fatalf("franz-go's batch reads as %d records, %v", len(got), err)
				}
				raw, err := BuildBatch(records, BatchOptions{Codec: c, ProducerID: -1})
				if err != nil {
					t.Fatal(err)
				}
				fb, fr := franzRecords(t, raw)
				if len(fr) != n || fb.NumRecords != int32(n) || fb.ProducerEpoch != -1 || fb.FirstSequence != -1 || fb.MaxTimestamp != b.MaxTimestamp {
					t.Fatalf("franz-go reads %d records of %+v", len(fr), fb)
				}
				for i, r := range fr {
					if !bytes.Equal(r.Key, records[i].Key) || !bytes.Equal(r.Value, records[i].Value) || r.OffsetDelta != int32(i) ||
						fb.FirstTimestamp+r.TimestampDelta64 != records[i].Timestamp || len(r.Headers) != len(records[i].Headers) {
						t.Fatalf("record %d: %+v", i, r)
					}
				}
			})
		}
	}
}

// TestFranzClient validates, stores and serves what a franz-go producer sends.
func TestFranzClient(t *testing.T) {
	t.Parallel()
	for _, c := range allCodecs() {
		t.Run(fmt.Sprint("codec", c), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
			if err != nil {
				t.Fatal(err)
			}
			defer fake.Close()
			var mu sync.Mutex
			var produced [][]byte
			fake.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
				fake.KeepControl()
				for _, topic := range r.(*kmsg.ProduceRequest).Topics {
					for _, p := range topic.Partitions {
						mu.Lock()
						produced = append(produced, bytes.Clone(p.Records))
						mu.Unlock()
					}
				}
				return nil, nil, false
			})
			client, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.DefaultProduceTopic("t"),
				kgo.ProducerBatchCompression(franzCodec(c)), kgo.ProducerLinger(5*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var sent []*kgo.Record
			for i := range 500 {
				sent = append(sent, &kgo.Record{Key: []byte(fmt.Sprint(i)), Value: bytes.Repeat([]byte("v"), i)})
			}
			if err := client.ProduceSync(ctx, sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			p := testPartition(t, testDB(t, Options{}), 0)
			storeProduced(t, p, produced)
			checkServed(t, p, len(sent))
		})
	}
}

func storeProduced(t *testing.T, p *Partition, produced [][]byte) {
	t.Helper()
	for i, raw := range produced {
		b, err := SplitProduced(raw)
		if err != nil {
			t.Fatal(err)
		}
		if b, err = Validate(b, Rules{MaxMessageBytes: 1 << 20, TimestampBeforeMaxMs: 1 << 40, TimestampAfterMaxMs: 1 << 40, NowMs: b.MaxTimestamp}); err != nil {
			t.Fatal(err)
		}
		pb, err := b.Producer()
		if err != nil || pb == nil {
			t.Fatal(pb, err)
		}
		if dup, err := p.CheckProducer(*pb); dup != nil || err != nil {
			t.Fatal(dup, err)
		}
		if err := p.Append([]Entry{{Index: uint64(i + 1), Term: 1, Data: b.Raw}}, true); err != nil {
			t.Fatal(err)
		}
		if dup, err := p.CheckProducer(*pb); dup == nil || err != nil {
			t.Fatalf("the batch sent again: %v, %v", dup, err)
		}
	}
}

func checkServed(t *testing.T, p *Partition, n int) {
	t.Helper()
	served, err := p.Read(0, p.LogEndOffset(), 1<<30, true)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for len(served) > 0 {
		size := 12 + int(binary.BigEndian.Uint32(served[8:]))
		fb, records := franzRecords(t, served[:size])
		for _, r := range records {
			if fb.FirstOffset+int64(r.OffsetDelta) != int64(i) || string(r.Key) != fmt.Sprint(i) || len(r.Value) != i {
				t.Fatalf("record %d is %q at %d", i, r.Key, fb.FirstOffset+int64(r.OffsetDelta))
			}
			i++
		}
		served = served[size:]
	}
	if i != n {
		t.Fatalf("%d records, want %d", i, n)
	}
}
