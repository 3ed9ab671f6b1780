package conformance_test

import (
	"fmt"
	"sync"

	"github.com/minikafka/minikafka/integration/conformance"
)

// situation is something that happens to a cluster, step by step, while rows look on. An empty one leaves the cluster
// alone.
type situation struct {
	name  string
	kind  bool // stands for its kind of failure where one of each kind is enough
	needs []conformance.Verb
	steps []step
}

// step is one thing that is done, and what has come of it when it is over. Rows name it when they go on.
type step struct {
	name string
	do   func(e *env)
}

// stage performs a situation for the rows that take part in it: a step begins when every row that is still running has asked for
// it, and nobody goes on before it is over.
type stage struct {
	steps []step
	env   *env // the stage's own

	mu      sync.Mutex
	changed *sync.Cond
	running int  // rows that have not ended
	waiting int  // rows of those that wait for the next step
	done    int  // steps that are over
	busy    bool // a step is being done
	failed  string
}

func newStage(steps []step, rows int, e *env) *stage {
	s := &stage{steps: steps, env: e, running: rows}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// next waits until the step called name is over. It must be the one after the last.
func (e *env) next(name string) {
	if e.stage == nil || e.stage.done >= len(e.stage.steps) || e.stage.steps[e.stage.done].name != name {
		panic(fmt.Sprintf("row %s goes on to %q, which is not the next step", e.id, name))
	}
	if failed := e.stage.advance(); failed != "" {
		e.fatalf("staging %q: %s", name, failed)
	}
}

// advance waits for the next step and does it when this is the last row to ask for it.
func (s *stage) advance() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.done
	s.waiting++
	for s.done == mine && s.failed == "" {
		if s.waiting == s.running && !s.busy {
			s.perform()
			continue
		}
		s.changed.Wait()
	}
	return s.failed
}

// leave takes a row that has ended out of the count. When it was the last, the remaining steps are done if any was: they mend
// the cluster.
func (s *stage) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if s.running == 0 && s.done > 0 {
		for s.done < len(s.steps) && s.failed == "" {
			s.perform()
		}
	}
	s.changed.Broadcast()
}

// perform does the next step, without the lock; the rows wait for its end.
func (s *stage) perform() {
	s.busy = true
	do := s.steps[s.done].do
	s.mu.Unlock()
	failure := runRow(s.env, do)
	s.mu.Lock()
	s.busy = false
	s.failed = failure
	s.waiting = 0
	if failure == "" {
		s.done++
	}
	s.changed.Broadcast()
}

// runRow runs a row or a step and returns why it failed, or nothing.
func runRow(e *env, run func(e *env)) string {
	e.failure = ""
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				e.failure = fmt.Sprintf("panic: %v", p)
			}
			for _, c := range e.conns {
				_ = c.Close() // Nothing is read from it any more.
			}
			e.conns = nil
		}()
		run(e)
	}()
	<-done
	return e.failure
}
