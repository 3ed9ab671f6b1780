package log

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long opening waits for another process to let go of the file.
const lockWait = 100 * time.Millisecond

// allocBytes is by how much bbolt lets the file grow at a time.
const allocBytes = 16 << 20

// openBolt opens or creates the bbolt file.
//
// The freelist is not written with each commit: it grows with what was ever
// deleted, and after 260 MB were trimmed each append took 1 ms of processor time
// with it, 0.03 ms without (2 ms after 1 GB). Without it, though, bbolt walks all
// pages at opening: 0.2 s for a log of 1 kB batches of 260 MB, 1.4 s for 1 GB, with
// checkFile's own walk. So it is written once, when the file is closed (by Close,
// Crash and PowerOff), which takes opening to 7 ms and 35 ms; only a file whose
// process died has to be walked.
func openBolt(path string) (b *bolt.DB, file *os.File, whole bool, err error) {
	if whole, err = checkFile(path); err != nil {
		return nil, nil, false, err
	}
	err = guard(func() (err error) {
		b, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:         lockWait,
			NoGrowSync:      true,
			NoFreelistSync:  true,
			NoStatistics:    true,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: initialMmapBytes(),
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := os.OpenFile(name, flag, mode)
				file = f
				return f, err
			},
		})
		return err
	})
	if err != nil {
		if errors.Is(err, ErrCorruptFile) && file != nil {
			_ = file.Close()
		}
		return nil, nil, false, openError(err)
	}
	b.AllocSize = allocBytes
	return b, file, whole, nil
}

// initialMmapBytes is the address space reserved for the file, so that growing
// it seldom has to wait for readers to remap it. It costs no memory, but on
// Windows the file would grow to it.
func initialMmapBytes() int {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" {
		return 1 << 20
	}
	return 1 << 30
}

// openError names bbolt's reasons in this package's errors.
func openError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrInUse
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", ErrFormat, err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		strings.Contains(err.Error(), "file size too small"): // it has no name
		return fmt.Errorf("%w: %w", ErrCorruptFile, err)
	}
	return err
}
