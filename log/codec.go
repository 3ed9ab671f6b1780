package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Coders are made for each batch and not pooled: a zstd decoder has channels,
// which must not pass from one testing/synctest bubble to another.

// zstdWindow bounds the memory a zstd frame may ask for; what producers send by
// default needs 8 MiB at most.
const zstdWindow = 32 << 20

var (
	errUnknownCodec = errors.New("unknown compression codec")
	errTooMuch      = errors.New("decompressed data exceeds the limit")
	errSnappy       = errors.New("damaged snappy data")
)

// payloadReader reads the records of a batch decompressed. close frees it.
func payloadReader(codec Codec, data []byte) (r io.Reader, closer func(), err error) {
	nothing := func() {}
	switch codec {
	case CodecNone:
		return bytes.NewReader(data), nothing, nil
	case CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(data))
		return r, nothing, err
	case CodecSnappy:
		r, err := snappyReader(data)
		return r, nothing, err
	case CodecLz4:
		return lz4.NewReader(bytes.NewReader(data)), nothing, nil
	case CodecZstd:
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, nothing, err
		}
		return r, r.Close, nil
	default:
		return nil, nothing, errUnknownCodec
	}
}

// decompress returns the records of a batch decompressed; data itself when it is
// not compressed.
func decompress(codec Codec, data []byte, limit int64) ([]byte, error) {
	if codec == CodecNone {
		return data, nil
	}
	r, closer, err := payloadReader(codec, data)
	if err != nil {
		return nil, err
	}
	defer closer()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, errTooMuch
	}
	return b.Bytes(), nil
}

// appendCompressed appends the payload to b, compressed. Snappy is written in
// the framing that Java's clients write.
func appendCompressed(b []byte, codec Codec, payload []byte) ([]byte, error) {
	buffer := bytes.NewBuffer(b)
	w, err := payloadWriter(codec, 0, buffer)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(payload); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// payloadWriter compresses what is written to it. Level 0 is the codec's default.
func payloadWriter(codec Codec, level int, w io.Writer) (io.WriteCloser, error) {
	switch codec {
	case CodecNone:
		return nopCloser{w}, nil
	case CodecGzip:
		if level == 0 {
			level = gzip.DefaultCompression
		}
		return gzip.NewWriterLevel(w, level)
	case CodecSnappy:
		return &xerialWriter{w: w}, nil
	case CodecLz4:
		z := lz4.NewWriter(w)
		return z, z.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4Level(level)))
	case CodecZstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
			zstd.WithEncoderLevel(zstdLevel(level)))
	default:
		return nil, errUnknownCodec
	}
}

// lz4Default is Kafka's default level, with which it takes the fast compressor,
// which knows no levels; with the others the one that compresses well
// (Lz4BlockOutputStream).
const lz4Default = 9

// lz4Level finds the library's level, of which there are nine, for Kafka's 1 to
// 17.
func lz4Level(level int) lz4.CompressionLevel {
	levels := [...]lz4.CompressionLevel{
		lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
	}
	if level <= 0 || level == lz4Default {
		return lz4.Fast
	}
	return levels[min(level, len(levels))-1]
}

// zstdLevel finds the library's level, of which there are four, for zstd's own;
// 0 is the default there, too.
func zstdLevel(level int) zstd.EncoderLevel {
	if level == 0 {
		return zstd.SpeedDefault
	}
	return zstd.EncoderLevelFromZstd(level)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Snappy comes in two forms: one raw block, or the framing of Java's
// SnappyOutputStream, a header and blocks behind their lengths.
const (
	xerialHeaderBytes = 16
	xerialBlockBytes  = 32 << 10
	xerialVersion     = 1
	// snappyRatio is more than a snappy block can grow when decompressed.
	snappyRatio = 22
)

func xerialMagic() []byte { return []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0} }

// snappyReader reads either form.
func snappyReader(data []byte) (io.Reader, error) {
	if len(data) >= xerialHeaderBytes && bytes.HasPrefix(data, xerialMagic()) {
		return &xerialReader{rest: data[xerialHeaderBytes:]}, nil
	}
	block, err := snappyBlock(data)
	return bytes.NewReader(block), err
}

// snappyBlock decompresses a raw block, which may claim any length.
func snappyBlock(data []byte) ([]byte, error) {
	n, err := s2.DecodedLen(data)
	if err != nil {
		return nil, err
	}
	if n > snappyRatio*len(data)+64 {
		return nil, errSnappy
	}
	return s2.Decode(nil, data)
}

type xerialReader struct {
	rest, block []byte
}

func (x *xerialReader) Read(p []byte) (int, error) {
	for len(x.block) == 0 {
		if len(x.rest) == 0 {
			return 0, io.EOF
		}
		if len(x.rest) < 4 {
			return 0, io.ErrUnexpectedEOF
		}
		n := int64(int32(binary.BigEndian.Uint32(x.rest)))
		if n < 0 || n > int64(len(x.rest)-4) {
			return 0, fmt.Errorf("%w: block of %d bytes", errSnappy, n)
		}
		block, err := snappyBlock(x.rest[4 : 4+n])
		if err != nil {
			return 0, err
		}
		x.block, x.rest = block, x.rest[4+n:]
	}
	n := copy(p, x.block)
	x.block = x.block[n:]
	return n, nil
}

// xerialWriter writes the framing.
type xerialWriter struct {
	w      io.Writer
	begun  bool
	buffer []byte
}

func (x *xerialWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), xerialBlockBytes-len(x.buffer))
		x.buffer = append(x.buffer, p[:n]...)
		p = p[n:]
		if len(x.buffer) == xerialBlockBytes {
			if err := x.flush(); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

func (x *xerialWriter) flush() error {
	var out []byte
	if !x.begun {
		x.begun = true
		out = append(out, xerialMagic()...)
		out = binary.BigEndian.AppendUint32(out, xerialVersion)
		out = binary.BigEndian.AppendUint32(out, xerialVersion)
	}
	if len(x.buffer) > 0 {
		block := s2.EncodeSnappy(nil, x.buffer)
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out = append(out, block...)
		x.buffer = x.buffer[:0]
	}
	_, err := x.w.Write(out)
	return err
}

func (x *xerialWriter) Close() error { return x.flush() }
