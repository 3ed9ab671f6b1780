package minikafka

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
)

// recorder is a TB that remembers.
type recorder struct {
	logs     []string
	failed   string
	cleanups []func()
}

func (*recorder) Helper()                        {}
func (r *recorder) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(format string, a ...any) { r.logs = append(r.logs, fmt.Sprintf(format, a...)) }

func (r *recorder) Fatalf(format string, a ...any) {
	r.failed = fmt.Sprintf(format, a...)
	runtime.Goexit()
}

// onGoroutine runs f where it may call runtime.Goexit.
func onGoroutine(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func TestFailuresFailTheTest(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	went := false
	onGoroutine(func() {
		c := &Cluster{cluster: &cluster{}, tb: r}
		c.check(nil)
		c.check(fmt.Errorf("%w: broker 7", ErrUnknownNode))
		went = true
	})
	if want := ErrUnknownNode.Error() + ": broker 7"; r.failed != want || went {
		t.Errorf("failed with %q, went on: %v; want %q", r.failed, went, want)
	}
}

func TestTry(t *testing.T) {
	t.Parallel()
	c := &Cluster{cluster: &cluster{}, tb: &recorder{}}
	if err := c.Try(func(*Cluster) {}); err != nil {
		t.Errorf("without a failure: %v", err)
	}
	if err := c.Try(func(c *Cluster) { c.check(ErrNoLeader) }); !errors.Is(err, ErrNoLeader) {
		t.Errorf("with a failure: %v", err)
	}
	outer := c.Try(func(c *Cluster) {
		if inner := c.Try(func(c *Cluster) { c.check(ErrNoLeader) }); !errors.Is(inner, ErrNoLeader) {
			t.Errorf("inner: %v", inner)
		}
		c.check(ErrClosed)
	})
	if !errors.Is(outer, ErrClosed) {
		t.Errorf("outer: %v", outer)
	}
	defer func() {
		if r := recover(); r != "another" {
			t.Errorf("a panic of the caller's own became %v", r)
		}
	}()
	_ = c.Try(func(*Cluster) { panic("another") })
}

func TestWithoutATestItPanics(t *testing.T) {
	t.Parallel()
	c := &Cluster{cluster: &cluster{}, tb: &noTest{}}
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, ErrNoLeader) {
			t.Errorf("panicked with %v", err)
		}
	}()
	c.check(ErrNoLeader)
}

func TestTestLogEndsWithTheTest(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	l := newTestLog(r, slog.LevelWarn)
	logger := slog.New(l).With("broker", 1)
	logger.Info("quiet")
	logger.Warn("loud")
	l.out.close()
	logger.Error("late")
	if len(r.logs) != 1 || !strings.Contains(r.logs[0], "loud") || !strings.Contains(r.logs[0], "broker=1") {
		t.Errorf("logged %q", r.logs)
	}
}
