package log

import "errors"

// Errors of this package. They are wrapped with the partition and what was
// asked for; server/errors.go maps them to Kafka's codes.
var (
	ErrNotFound         = errors.New("log: no such entry")
	ErrClosed           = errors.New("log: file is closed")
	ErrOffsetOutOfRange = errors.New("log: offset out of range")
	ErrHole             = errors.New("log: entry does not follow the log end")
	ErrFormat           = errors.New("log: file has an unknown format")
	ErrInUse            = errors.New("log: file is in use by another process")
	ErrCorruptFile      = errors.New("log: file is damaged")
	ErrDisk             = errors.New("log: the disk has failed")
)
