package scenario

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrWire is an answer that is none.
var ErrWire = errors.New("scenario: not an answer")

// maxAnswer bounds an answer's length in bytes; a larger one is a broken one.
const maxAnswer = 128 << 20

// answerTimeout is how long the wire waits for an answer; it only matters where
// a broker is broken.
const answerTimeout = 30 * time.Second

// Wire is one connection to a broker on which requests are what their sender
// makes them: nothing is retried or corrected. It is for one goroutine at a
// time.
type Wire struct {
	conn        net.Conn
	format      *kmsg.RequestFormatter
	correlation int32
}

// DialWire connects to a broker.
func DialWire(ctx context.Context, dial Dial, address string) (*Wire, error) {
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Wire{conn: conn, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("wire"))}, nil
}

// Close ends the connection.
func (w *Wire) Close() error { return w.conn.Close() }

// Request sends a request in the version set in it, and reads the answer.
func (w *Wire) Request(req kmsg.Request) (kmsg.Response, error) {
	if err := w.Write(w.Frame(req)); err != nil {
		return nil, err
	}
	return w.Receive(req)
}

// Frame is a request as it goes over the wire.
func (w *Wire) Frame(req kmsg.Request) []byte {
	w.correlation++
	return w.format.AppendRequest(nil, req, w.correlation)
}

// Write writes bytes as they are.
func (w *Wire) Write(b []byte) error {
	if err := w.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// ReadFrame reads what comes next: an answer's header and body.
func (w *Wire) ReadFrame() ([]byte, error) {
	if err := w.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(w.conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > maxAnswer {
		return nil, fmt.Errorf("%w: of %d bytes", ErrWire, int32(n))
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(w.conn, frame)
	return frame, err
}

// Receive reads the answer to req.
func (w *Wire) Receive(req kmsg.Request) (kmsg.Response, error) {
	frame, err := w.ReadFrame()
	if err != nil {
		return nil, fmt.Errorf("%s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	resp := req.ResponseKind()
	b := kbin.Reader{Src: frame}
	if got := b.Int32(); got != w.correlation {
		return nil, fmt.Errorf("%w: correlation id %d, not %d", ErrWire, got, w.correlation)
	}
	// The answer to ApiVersions has no tags in its header in any version.
	if resp.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		for range b.Uvarint() {
			b.Uvarint()
			b.Span(int(b.Uvarint()))
		}
	}
	if err := errors.Join(b.Complete(), resp.ReadFrom(b.Src)); err != nil {
		return nil, fmt.Errorf("%s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return resp, nil
}

// Batch is a record batch of magic 2, not compressed.
type Batch struct {
	BaseOffset    int64
	LeaderEpoch   int32
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Values        []string
}

// NewBatch is a batch of no producer id.
func NewBatch(values ...string) Batch {
	return Batch{LeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Values: values}
}

// From is the batch as an idempotent producer sends it.
func (b Batch) From(producerID int64, epoch int16, sequence int32) Batch {
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = producerID, epoch, sequence
	return b
}

// InTransaction is the batch as a part of its producer's transaction.
func (b Batch) InTransaction() Batch {
	b.Transactional = true
	return b
}

// transactional is the attribute of batches in transactions.
const transactional = 0x10

// Bytes is the batch encoded.
func (b Batch) Bytes() []byte {
	now := time.Now().UnixMilli()
	var attributes int16
	if b.Transactional {
		attributes |= transactional
	}
	var records []byte
	for i, v := range b.Values {
		records = append(records, record(int32(i), v)...)
	}
	kb := kmsg.RecordBatch{
		FirstOffset:          b.BaseOffset,
		Length:               int32(49 + len(records)),
		PartitionLeaderEpoch: b.LeaderEpoch,
		Magic:                2,
		Attributes:           attributes,
		LastOffsetDelta:      int32(len(b.Values) - 1),
		FirstTimestamp:       now,
		MaxTimestamp:         now,
		ProducerID:           b.ProducerID,
		ProducerEpoch:        b.ProducerEpoch,
		FirstSequence:        b.BaseSequence,
		NumRecords:           int32(len(b.Values)),
		Records:              records,
	}
	return Seal(kb.AppendTo(nil))
}

func record(delta int32, value string) []byte {
	body := []byte{0} // no attributes
	body = kbin.AppendVarlong(body, 0)
	body = kbin.AppendVarint(body, delta)
	body = kbin.AppendVarintBytes(body, nil)
	body = kbin.AppendVarintBytes(body, []byte(value))
	body = kbin.AppendVarint(body, 0) // no headers
	return append(kbin.AppendVarint(nil, int32(len(body))), body...)
}

// Seal writes the right checksum into an encoded batch.
func Seal(batch []byte) []byte {
	sum := crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(batch[17:], sum)
	return batch
}

// ParseBatches reads the whole batches of a Fetch answer.
func ParseBatches(raw []byte) ([]Batch, error) {
	var batches []Batch
	for len(raw) >= 12 {
		size := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		if size > len(raw) {
			break // cut off where the answer's limit was
		}
		b, err := parseBatch(raw[:size])
		if err != nil {
			return nil, err
		}
		batches = append(batches, b)
		raw = raw[size:]
	}
	return batches, nil
}

func parseBatch(raw []byte) (Batch, error) {
	var kb kmsg.RecordBatch
	if err := kb.ReadFrom(raw); err != nil {
		return Batch{}, fmt.Errorf("%w: %w", ErrWire, err)
	}
	b := Batch{
		BaseOffset: kb.FirstOffset, LeaderEpoch: kb.PartitionLeaderEpoch,
		ProducerID: kb.ProducerID, ProducerEpoch: kb.ProducerEpoch, BaseSequence: kb.FirstSequence,
		Transactional: kb.Attributes&transactional != 0,
	}
	if kb.Attributes&7 != 0 {
		return Batch{}, fmt.Errorf("%w: a compressed batch", ErrWire)
	}
	r := kbin.Reader{Src: kb.Records}
	for range kb.NumRecords {
		r.Varint() // length
		r.Int8()   // attributes
		r.Varlong()
		r.Varint()
		r.VarintBytes() // key
		b.Values = append(b.Values, string(r.VarintBytes()))
		for range r.Varint() {
			r.VarintBytes()
			r.VarintBytes()
		}
	}
	return b, r.Complete()
}
