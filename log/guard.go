package log

import (
	"errors"
	"fmt"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// errPanic is a panic that was caught.
var errPanic = errors.New("panic")

// guard turns panics and memory faults that a damaged file causes in bbolt into
// ErrCorruptFile.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w: %v", ErrCorruptFile, errPanic, p)
		}
	}()
	return fn()
}

// view runs fn in a read-only transaction.
func (d *DB) view(fn func(tx *bolt.Tx) error) error {
	if d.broken.Load() {
		return ErrCorruptFile
	}
	begun := false
	err := guard(func() error {
		return d.bolt.View(func(tx *bolt.Tx) error {
			begun = true
			return fn(tx)
		})
	})
	switch {
	case errors.Is(err, errPanic) && !begun:
		d.broken.Store(true)
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	}
	return err
}

// update runs fn in a transaction that writes. Only the writer may call it.
func (d *DB) update(fn func(tx *bolt.Tx) error) error {
	if d.broken.Load() {
		return ErrCorruptFile
	}
	err := guard(func() (err error) {
		// Not bolt.Update: after a panic that looks for the free pages, in a
		// goroutine whose own panic nobody could recover from.
		tx, err := d.bolt.Begin(true)
		if err != nil {
			return err
		}
		done := false
		defer func() {
			if !done {
				err = errors.Join(err, tx.Rollback())
			}
		}()
		if err := fn(tx); err != nil {
			return err
		}
		err = tx.Commit()
		done = true
		return err
	})
	if errors.Is(err, errPanic) {
		d.broken.Store(true)
	}
	return err
}

// closeBolt closes the file, whatever state a panic may have left bbolt in.
func (d *DB) closeBolt() error {
	if d.broken.Load() {
		return errors.Join(ErrCorruptFile, d.file.Close())
	}
	err := guard(d.bolt.Close)
	if errors.Is(err, errPanic) {
		_ = d.file.Close() // frees the lock
	}
	return err
}
