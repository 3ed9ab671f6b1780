//go:build !linux

package minikafka

import "errors"

// memory is for Linux alone; elsewhere files are in a temporary directory.
type memory struct{}

func newMemory(string) *memory { return nil }

func (m *memory) path(string) (string, error) { return "", errors.ErrUnsupported }

func (m *memory) close() error { return nil }
