// Package child starts processes that end with the one that started them, however that ends.
package child

import (
	"os/exec"
	"runtime"
	"sync"
)

// Starter starts processes, all from one thread that lives until Close: Linux kills a child when the thread that started it ends, and
// Go ends threads as it likes.
type Starter struct {
	forks chan func()
	once  sync.Once
}

// NewStarter returns a Starter. Close it when its children have ended.
func NewStarter() *Starter {
	s := &Starter{forks: make(chan func())}
	go func() {
		runtime.LockOSThread() // It ends with the goroutine.
		for f := range s.forks {
			f()
		}
	}()
	return s
}

// Start starts cmd, which must not have been started.
func (s *Starter) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = attr()
	done := make(chan error)
	s.forks <- func() { done <- cmd.Start() }
	return <-done
}

// Close ends the thread, and with it what was started and still runs.
func (s *Starter) Close() { s.once.Do(func() { close(s.forks) }) }
