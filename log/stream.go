package log

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// recordStream reads records from decompressed data that is not all in memory
// (StreamRecordIterator).
type recordStream struct {
	r     *bufio.Reader
	limit int64 // of the body of one record
	left  int64 // of all of them
	body  []byte
}

func newRecordStream(r io.Reader, limit int64) *recordStream {
	if limit <= 0 {
		limit = maxRecordsBytes
	}
	return &recordStream{r: bufio.NewReaderSize(r, 4<<10), limit: limit, left: maxRecordsBytes}
}

// next reads a record; its fields are valid until the next call. Without keep,
// keys and values are skipped, and are told only by their presence and length.
func (s *recordStream) next(keep bool) (recordFields, error) {
	size, err := s.varint()
	if err != nil {
		return recordFields{}, err
	}
	if int64(size) > s.limit {
		return recordFields{}, fmt.Errorf("%w: record of %d bytes", errTooMuch, size)
	}
	if s.left -= int64(max(size, 1)); s.left < 0 {
		return recordFields{}, errTooMuch
	}
	if keep {
		return s.whole(size)
	}
	return s.skim()
}

// whole reads the body of a record, growing only as bytes arrive.
func (s *recordStream) whole(size int32) (recordFields, error) {
	if size < 0 {
		return recordFields{}, fmt.Errorf("%w: length %d", errRecord, size)
	}
	s.body = s.body[:0]
	for len(s.body) < int(size) {
		n := min(int(size)-len(s.body), 64<<10)
		at := len(s.body)
		s.body = append(s.body, make([]byte, n)...)
		if _, err := io.ReadFull(s.r, s.body[at:]); err != nil {
			return recordFields{}, s.ended(err)
		}
	}
	return parseRecord(s.body)
}

// skim reads what validation needs of a record (readPartiallyFrom). Whether the
// record has the length it claims is not looked at, as in Kafka.
func (s *recordStream) skim() (f recordFields, err error) {
	if _, err := s.r.ReadByte(); err != nil {
		return f, s.ended(err)
	}
	if f.timestampDelta, err = s.varlong(10); err != nil {
		return f, err
	}
	if f.offsetDelta, err = s.varint(); err != nil {
		return f, err
	}
	if f.skippedKey, err = s.skip(); err != nil {
		return f, err
	}
	if f.skippedKey >= 0 {
		f.key = []byte{}
	}
	if f.skippedValue, err = s.skip(); err != nil {
		return f, err
	}
	if f.numHeaders, err = s.varint(); err != nil {
		return f, err
	}
	if f.numHeaders < 0 {
		return f, fmt.Errorf("%w: %d headers", errRecord, f.numHeaders)
	}
	for range f.numHeaders {
		n, err := s.skip()
		if err != nil {
			return f, err
		}
		if n < 0 {
			return f, fmt.Errorf("%w: header without a key", errRecord)
		}
		if _, err := s.skip(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// end checks that nothing follows the last record.
func (s *recordStream) end() error {
	_, err := s.r.ReadByte()
	switch {
	case err == nil:
		return fmt.Errorf("%w: records still remaining", errRecord)
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	}
	return err
}

// skip passes over bytes behind their length, and returns the length; null is
// negative.
func (s *recordStream) skip() (int32, error) {
	n, err := s.varint()
	if err != nil || n <= 0 {
		return n, err
	}
	if s.left -= int64(n); s.left < 0 {
		return n, errTooMuch
	}
	if _, err := s.r.Discard(int(n)); err != nil {
		return n, s.ended(err)
	}
	return n, nil
}

func (s *recordStream) varint() (int32, error) {
	v, err := s.varlong(5)
	return int32(v), err
}

// varlong reads a zigzag varint of at most so many bytes.
func (s *recordStream) varlong(most int) (int64, error) {
	var u uint64
	for i := range most {
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, s.ended(err)
		}
		u |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if most == 5 {
				u = uint64(uint32(u))
			}
			return int64(u>>1) ^ -int64(u&1), nil
		}
	}
	return 0, errRecord
}

// ended tells a record that is cut short from a stream that is damaged.
func (s *recordStream) ended(err error) error {
	if err == io.EOF { //nolint:errorlint // A wrapped one comes from a damaged stream.
		return fmt.Errorf("%w: premature end", errRecord)
	}
	return err
}
