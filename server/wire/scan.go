package wire

import (
	"encoding/binary"
	"fmt"
)

const (
	// MaxArrayElements is the most elements an array in a request may have,
	// as in Apache Kafka 4.4.0.
	MaxArrayElements = 1_000_000

	// MaxTaggedFields is the most tagged fields a struct in a request may
	// have, as in Apache Kafka 4.4.0.
	MaxTaggedFields = 10_000

	// MaxStringBytes is the longest string (a 16 bit length in the versions
	// that are not flexible, and held to in those that are).
	MaxStringBytes = 0x7fff
)

// MaxAllocation returns how many bytes kmsg may at most allocate to decode a
// body of so many bytes that Scan has accepted. Kafka has no such limit: it
// refuses a body of over 64 KiB that consists of next to nothing but empty
// elements, such as 10,000 topics with names of two letters in one Metadata
// request. Requests of ordinary names come to four times their bytes.
func MaxAllocation(bodyLen int) int {
	return min(64<<10+16*bodyLen, 256<<20)
}

// Scan walks the body of a request as kmsg will decode it, and says whether
// that is safe. It holds every length and count against the bytes that are
// left, accepts a null only where Kafka does, and adds up what decoding will
// allocate. It does not judge values: a boolean may be 2, a string need not be
// UTF-8. Bytes after the body are ignored, as Kafka ignores them.
//
// It returns ErrUnknownRequest, ErrMalformed, ErrTooMany or ErrTooLarge. It
// allocates nothing unless it fails.
func Scan(key, version int16, body []byte) error {
	p, ok := find(key, version)
	if !ok {
		return fmt.Errorf("%w: key %d version %d", ErrUnknownRequest, key, version)
	}
	w := walker{buf: body, left: MaxAllocation(len(body))}
	if !w.walk(ops[p.start:p.end]) {
		return fmt.Errorf("%w: key %d version %d, at byte %d of %d", w.err, key, version, w.pos, len(body))
	}
	return nil
}

// A walker is at one place of one body.
type walker struct {
	buf  []byte
	pos  int
	left int   // What decoding may still allocate.
	err  error // Set before a method returns false.
}

func (w *walker) fail(err error) bool {
	w.err = err
	return false
}

// walk goes over the fields of one struct.
func (w *walker) walk(fields []op) bool {
	for i := 0; i < len(fields); i++ {
		f := &fields[i]
		ok := false
		switch f.do {
		case skip:
			ok = w.skip(int(f.n))
		case str:
			ok = w.str(f)
		case byt:
			ok = w.byt(f)
		case arr:
			ok = w.arr(f, fields[i+1:i+1+int(f.body)])
		case opt:
			ok = w.opt(f, fields[i+1:i+1+int(f.body)])
		case tags:
			ok = w.tags(fields[i+1 : i+1+int(f.body)])
		case tag:
			panic("wire: a tagged field outside of tags")
		}
		if !ok {
			return false
		}
		i += int(f.body)
	}
	return true
}

func (w *walker) skip(n int) bool {
	if n > len(w.buf)-w.pos {
		return w.fail(ErrMalformed)
	}
	w.pos += n
	return true
}

// spend takes from what decoding may allocate.
func (w *walker) spend(n int) bool {
	w.left -= n
	if w.left < 0 {
		return w.fail(ErrTooLarge)
	}
	return true
}

// rounded is what the allocator may make of n bytes: its size classes lie up to
// a fifth apart.
func rounded(n int) int { return n + n/4 + 16 }

func (w *walker) str(f *op) bool {
	n, ok := w.length(f, 2)
	switch {
	case !ok:
		return false
	case n < 0:
		return true
	case n > MaxStringBytes:
		return w.fail(ErrMalformed)
	}
	if !w.skip(n) {
		return false
	}
	// No allocation is made for the strings of up to one byte.
	cost := int(f.mem)
	if n > 1 {
		cost += rounded(n)
	}
	return w.spend(cost)
}

// byt goes over bytes, which are not copied.
func (w *walker) byt(f *op) bool {
	n, ok := w.length(f, 4)
	return ok && (n < 0 || w.skip(n))
}

func (w *walker) arr(f *op, elem []op) bool {
	n, ok := w.length(f, 4)
	switch {
	case !ok:
		return false
	case n <= 0:
		return true
	case n > MaxArrayElements:
		return w.fail(ErrTooMany)
	}
	// kmsg wants at least a byte for each element.
	if n*max(int(f.n), 1) > len(w.buf)-w.pos {
		return w.fail(ErrMalformed)
	}
	if !w.spend(rounded(n * int(f.mem))) {
		return false
	}
	if len(elem) == 0 {
		return w.skip(n * int(f.n))
	}
	for range n {
		if !w.walk(elem) {
			return false
		}
	}
	return true
}

// opt goes over a struct that may be null. kmsg takes only −1 for that, Kafka
// anything below zero; nobody sends that.
func (w *walker) opt(f *op, fields []op) bool {
	if !w.skip(1) {
		return false
	}
	switch present := int8(w.buf[w.pos-1]); {
	case present == -1:
		return true
	case present < 0:
		return w.fail(ErrMalformed)
	}
	return w.spend(rounded(int(f.mem))) && w.walk(fields)
}

// What unknown tagged fields cost kmsg, which keeps them in a map.
const (
	firstTagsBytes = 384 // A map of up to 8.
	moreTagBytes   = 192 // Each of the others, with what growing leaves behind.
)

// tags goes over the tagged fields of a struct, of which those in known have a
// content that is decoded. Numbers may come in any order and more than once.
func (w *walker) tags(known []op) bool {
	n, ok := w.uvarint()
	if !ok {
		return false
	}
	if n == 0 {
		return true
	}
	if n > MaxTaggedFields {
		return w.fail(ErrTooMany)
	}
	unknown := 0
	for range n {
		tag, ok1 := w.uvarint()
		size, ok2 := w.uvarint()
		if !ok1 || !ok2 {
			return false
		}
		if uint64(size) > uint64(len(w.buf)-w.pos) {
			return w.fail(ErrMalformed)
		}
		if fields := content(known, tag); fields == nil {
			unknown++
			w.pos += int(size)
		} else if !w.within(int(size), fields) {
			return false
		}
	}
	if unknown == 0 {
		return true
	}
	return w.spend(firstTagsBytes + moreTagBytes*max(unknown-8, 0))
}

// content returns the fields of a known tag, or nil.
func content(known []op, tag uint32) []op {
	for i := 0; i < len(known); i += 1 + int(known[i].body) {
		if uint32(known[i].n) == tag {
			return known[i+1 : i+1+int(known[i].body)]
		}
	}
	return nil
}

// within goes over the content of a known tagged field, which has to be as long
// as it says: Kafka reads on from where the content ends, kmsg from where the
// size ends.
func (w *walker) within(size int, fields []op) bool {
	end := w.pos + size
	if !w.walk(fields) {
		return false
	}
	if w.pos != end {
		return w.fail(ErrMalformed)
	}
	return true
}

// length reads the length of a string, bytes or array: of the given width, or a
// uvarint of one more. Anything below zero is null, and −1 is returned.
func (w *walker) length(f *op, width int) (int, bool) {
	var n int
	if f.compact {
		u, ok := w.uvarint()
		if !ok {
			return 0, false
		}
		// Java and kmsg's arrays subtract in 32 bits; kmsg's strings and
		// bytes in 64, but fail for want of bytes.
		n = int(int32(u - 1))
		if n < -1 && f.do != arr {
			return 0, w.fail(ErrMalformed)
		}
	} else {
		if !w.skip(width) {
			return 0, false
		}
		if width == 2 {
			n = int(int16(binary.BigEndian.Uint16(w.buf[w.pos-2:])))
		} else {
			n = int(int32(binary.BigEndian.Uint32(w.buf[w.pos-4:])))
		}
	}
	if n < 0 {
		if !f.null {
			return 0, w.fail(ErrMalformed)
		}
		return -1, true
	}
	return n, true
}

// uvarint reads a number of at most 5 bytes and 32 bits.
func (w *walker) uvarint() (uint32, bool) {
	if w.pos < len(w.buf) && w.buf[w.pos] < 0x80 {
		w.pos++
		return uint32(w.buf[w.pos-1]), true
	}
	var x uint32
	for i, b := range w.buf[w.pos:] {
		if i == 4 && b > 0x0f {
			break
		}
		x |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			w.pos += i + 1
			return x, true
		}
	}
	return 0, w.fail(ErrMalformed)
}
