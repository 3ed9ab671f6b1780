package election

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// memoryFirst is raft's stable store over the file. raft panics where a stable
// store errs, and would take the user's test with it: a failed write is logged,
// and stays in memory until the node ends.
type memoryFirst struct {
	store  *store
	logger *slog.Logger

	mu     sync.Mutex
	values map[string][]byte
}

func (m *memoryFirst) Set(key, value []byte) error {
	m.mu.Lock()
	m.values[string(key)] = bytes.Clone(value)
	m.mu.Unlock()
	if err := m.store.Set(key, value); err != nil {
		m.logger.Error("the controller's term or vote was not written", "error", err)
	}
	return nil
}

func (m *memoryFirst) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	v, ok := m.values[string(key)]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	return m.store.Get(key)
}

func (m *memoryFirst) SetUint64(key []byte, n uint64) error { return m.Set(key, indexKey(n)) }

func (m *memoryFirst) GetUint64(key []byte) (uint64, error) {
	v, err := m.Get(key)
	return index(v, nil), err
}

// raftLogger passes on what raft logs, all of it at debug level: what matters
// of it to a user, the controller says itself.
func raftLogger(l *slog.Logger) hclog.Logger {
	level := hclog.Off
	if l.Enabled(context.Background(), slog.LevelDebug) {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: "raft", Level: level, Output: lineWriter{l}, DisableTime: true,
	})
}

type lineWriter struct{ logger *slog.Logger }

func (w lineWriter) Write(b []byte) (int, error) {
	w.logger.Debug(string(bytes.TrimSpace(b)))
	return len(b), nil
}
