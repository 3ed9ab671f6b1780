package minikafka

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// TB is what a cluster needs of a test; *testing.T and *testing.B are ones.
type TB interface {
	Helper()
	Cleanup(f func())
	Logf(format string, args ...any)
	// Fatalf must not return.
	Fatalf(format string, args ...any)
}

// check fails the test unless err is nil.
func (c *Cluster) check(err error) {
	if err == nil {
		return
	}
	c.tb.Helper()
	if t, ok := c.tb.(*noTest); ok {
		t.fail(err)
	}
	c.tb.Fatalf("%s", strings.TrimSpace(err.Error()))
}

// checkOpen fails the test when the cluster is closed.
func (c *Cluster) checkOpen() {
	c.tb.Helper()
	if c.cluster.isClosed() {
		c.check(ErrClosed)
	}
}

// For returns the same cluster, whose methods fail another test: that of a
// subtest.
func (c *Cluster) For(tb TB) *Cluster { return c.cluster.view(tb) }

// Try calls f with the same cluster, and returns what would have failed the
// test: for programs, and for tests that expect a failure. f ends where the
// failure is.
func (c *Cluster) Try(f func(*Cluster)) (err error) {
	t := &noTest{tried: true}
	defer func() {
		r := recover()
		if failed, ok := r.(*failure); ok && failed.of == t {
			err = failed.err
		} else if r != nil {
			panic(r)
		}
	}()
	f(c.For(t))
	return nil
}

// noTest stands where there is no test.
type noTest struct{ tried bool }

// failure is what a noTest panics with on the way to Try.
type failure struct {
	of  *noTest
	err error
}

func (t *noTest) fail(err error) {
	if t.tried {
		panic(&failure{of: t, err: err})
	}
	panic(err)
}

func (*noTest) Helper()                             {}
func (*noTest) Cleanup(func())                      {}
func (*noTest) Logf(string, ...any)                 {}
func (t *noTest) Fatalf(format string, args ...any) { t.fail(fmt.Errorf(format, args...)) }

// testLog is a slog.Handler that writes to a test's log, until closed: a test
// that has ended must not be written to.
type testLog struct {
	slog.Handler
	out *testWriter
}

type testWriter struct {
	mu     sync.Mutex
	tb     TB
	closed bool
}

func newTestLog(tb TB, level slog.Level) *testLog {
	out := &testWriter{tb: tb}
	return &testLog{slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}), out}
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.tb.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}

func (w *testWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}
