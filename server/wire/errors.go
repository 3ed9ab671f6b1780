package wire

import "errors"

// After any of these the connection is to be closed without an answer, as
// Kafka's SocketServer does it.
var (
	// ErrFrameSize says that the length before a frame is negative or above
	// the limit (InvalidReceiveException).
	ErrFrameSize = errors.New("wire: invalid frame size")

	// ErrStopped says that the wait for memory was ended by [Limits.Stop].
	ErrStopped = errors.New("wire: stopped")

	// ErrHeader says that a request header could not be parsed
	// (InvalidRequestException).
	ErrHeader = errors.New("wire: malformed request header")

	// ErrUnknownRequest says that a request's key or version is none that a
	// client may send.
	ErrUnknownRequest = errors.New("wire: unknown request")

	// ErrMalformed says that a request body ends too early, or has a length,
	// a count or a null where none may be.
	ErrMalformed = errors.New("wire: malformed request body")

	// ErrTooMany says that an array has more than [MaxArrayElements] or a
	// struct more than [MaxTaggedFields].
	ErrTooMany = errors.New("wire: too many elements in request body")

	// ErrTooLarge says that decoding a body would allocate more than
	// [MaxAllocation], or encoding a response take more than 2 GiB.
	ErrTooLarge = errors.New("wire: too large")
)
