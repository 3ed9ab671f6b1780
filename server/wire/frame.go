package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// ChunkSize is how many bytes ReadFrame allocates before any byte of a frame
// has arrived.
const ChunkSize = 64 << 10

// growth is by how much more than what has arrived ReadFrame allocates next.
const growth = 4

// Limits are what ReadFrame holds a connection to.
type Limits struct {
	// MaxBytes is the largest frame that is read (socket.request.max.bytes).
	MaxBytes int

	// Budget is shared by the connections of a broker, or nil for none.
	Budget *Budget

	// Stop ends a wait for the budget when it is closed. Reads are ended by
	// closing the connection.
	Stop <-chan struct{}

	// Begun, if not nil, is called when the length of a frame has been read:
	// the time to set the deadline of one request in place of that of an idle
	// connection.
	Begun func()

	// Reuse, if not nil, is a slice that the frame may be read into. Nothing
	// may refer to it any more.
	Reuse []byte
}

// ReadFrame reads one frame: a length of 4 bytes and as many bytes as it says,
// which it returns without the length. The caller owns them, and has to give
// them back to the budget with [Budget.Release].
//
// What a client claims costs nothing: the frame grows as its bytes arrive, to
// at most four times what is there and at least [ChunkSize]. A frame above
// ChunkSize takes its whole length from the budget once its first ChunkSize
// bytes are there, and waits for it then; so whoever holds a share never waits
// for another.
//
// It returns io.EOF if the connection ended between two frames,
// io.ErrUnexpectedEOF if it ended within one, ErrFrameSize, ErrStopped, or the
// connection's error. A reader with a buffer (bufio.Reader) saves a system call
// for each small frame.
func ReadFrame(conn io.Reader, limits Limits) ([]byte, error) {
	size, err := readSize(conn, limits)
	if err != nil {
		return nil, err
	}
	if limits.Begun != nil {
		limits.Begun()
	}
	buf := limits.Reuse[:0]
	first := min(size, ChunkSize)
	if cap(buf) < first {
		buf = make([]byte, 0, first)
	}
	if buf, err = fill(conn, buf, first); err != nil || first == size {
		return buf, err
	}
	if limits.Budget != nil && !limits.Budget.take(size, limits.Stop) {
		return nil, ErrStopped
	}
	for len(buf) < size {
		next := min(size, max(growth*len(buf), cap(buf)))
		if cap(buf) < next {
			buf = append(make([]byte, 0, next), buf...)
		}
		if buf, err = fill(conn, buf, next); err != nil {
			limits.Budget.Release(size)
			return nil, err
		}
	}
	return buf, nil
}

func readSize(conn io.Reader, limits Limits) (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return 0, err
	}
	size := int(int32(binary.BigEndian.Uint32(b[:])))
	if size < 0 || size > limits.MaxBytes {
		return 0, fmt.Errorf("%w: %d, at most %d allowed", ErrFrameSize, size, limits.MaxBytes)
	}
	return size, nil
}

// fill reads until buf is n bytes long; its capacity allows for that.
func fill(conn io.Reader, buf []byte, n int) ([]byte, error) {
	have := len(buf)
	got, err := io.ReadFull(conn, buf[have:n])
	if err == io.EOF && n > have {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return buf[:have+got], nil
}
