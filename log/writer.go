package log

import (
	"fmt"
	"runtime"
	"sync"
)

// maxGroup bounds how many requests share one transaction, and maxGroupBytes how
// many bytes of batches, but for a request that is larger by itself.
const (
	maxGroup      = 1024
	maxGroupBytes = 32 << 20
)

// lowEvery is how many commits a waiting background chunk lets go ahead of it
// at most.
const lowEvery = 8

// request is one change of the file, waiting for its transaction.
type request struct {
	// run makes the change. It may be called again, on another transaction,
	// when a request it shared the first one with has failed.
	run func(*txn) error
	// bytes are the batch bytes it writes, for Options.BeforeCommit.
	bytes int
	// sync asks for stable storage, and makes the commit a sync point.
	sync bool
	// low marks a chunk of background work, which goes behind appends.
	low bool
	// alone keeps it from sharing its transaction.
	alone bool
	// exclusive runs on the leader outside of any transaction, and is the
	// last that is done with the file.
	exclusive func()

	err  error
	turn chan bool // true: lead the next commit; false: done
}

// writer groups the requests of all partitions into transactions. It has no
// goroutine: the caller of the first request leads the commit, those that come
// meanwhile wait, and one of them leads the next. So a single append pays for
// no channel, and a busy file commits many requests at once.
type writer struct {
	commit func([]*request)

	mu     sync.Mutex // guards what follows; never held over a commit or a wait
	busy   bool
	closed bool
	// crowded says that the last transaction was shared. Whoever leads the next
	// one then lets the others run first, so that they can share it again; a
	// goroutine that never blocks would keep them from it.
	crowded bool
	queue   []*request
	lows    []*request
	passed  int // commits since a chunk of lows was served
}

// submit runs the request in a transaction and returns its error.
func (w *writer) submit(r *request) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	if r.exclusive != nil {
		w.closed = true
	}
	if !w.busy {
		w.busy = true
		crowded := w.crowded
		w.mu.Unlock()
		if crowded {
			runtime.Gosched()
		}
		w.lead(r)
		return r.err
	}
	r.turn = make(chan bool, 1)
	if r.low {
		w.lows = append(w.lows, r)
	} else {
		w.queue = append(w.queue, r)
	}
	w.mu.Unlock()
	if <-r.turn {
		runtime.Gosched()
		w.lead(r)
	}
	return r.err
}

// shut ends the writer: what waits fails, and then last has the file for
// itself. With drain, what waits is done first.
func (w *writer) shut(drain bool, last func()) error {
	r := &request{exclusive: last}
	if drain {
		return w.submit(r)
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.closed = true
	waiting := append(w.queue, w.lows...)
	w.queue, w.lows = nil, nil
	idle := !w.busy
	w.busy = true
	if !idle {
		r.turn = make(chan bool, 1)
		w.queue = []*request{r}
	}
	w.mu.Unlock()
	for _, q := range waiting {
		q.err = ErrClosed
		q.turn <- false
	}
	if !idle {
		<-r.turn
	}
	w.lead(r)
	return r.err
}

// lead commits r with what has gathered behind it, and passes the lead on.
func (w *writer) lead(r *request) {
	if r.exclusive != nil {
		w.end(r)
		return
	}
	w.mu.Lock()
	group := w.gather(r)
	w.mu.Unlock()
	w.guarded(group)
	w.mu.Lock()
	w.crowded = len(group) > 1
	next := w.next()
	if next == nil {
		w.busy = false
	}
	w.mu.Unlock()
	for _, g := range group[1:] {
		g.turn <- false
	}
	if next != nil {
		next.turn <- true
	}
}

// guarded commits the group; a panic, which can only come from a damaged file
// or a broken invariant, becomes the error of all of it.
func (w *writer) guarded(group []*request) {
	defer func() {
		if p := recover(); p != nil {
			for _, g := range group {
				g.err = fmt.Errorf("%w: %v", ErrCorruptFile, p)
			}
		}
	}()
	w.commit(group)
}

// gather takes the requests that share the transaction of r. Called with mu.
func (w *writer) gather(r *request) []*request {
	group := []*request{r}
	if r.alone {
		return group
	}
	n, bytes := 0, r.bytes
	for n < len(w.queue) && len(group) < maxGroup && w.queue[n].exclusive == nil && !w.queue[n].alone {
		if bytes += w.queue[n].bytes; bytes > maxGroupBytes {
			break
		}
		group = append(group, w.queue[n])
		n++
	}
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil
	}
	if r.low {
		w.passed = 0
		return group
	}
	w.passed++
	if len(w.lows) > 0 && w.passed >= lowEvery {
		group = append(group, w.lows[0])
		w.lows = w.lows[1:]
		w.passed = 0
	}
	return group
}

// next takes the request that leads the next commit. Called with mu.
func (w *writer) next() *request {
	var r *request
	switch {
	case len(w.queue) > 0 && (w.queue[0].exclusive == nil || len(w.lows) == 0):
		r, w.queue = w.queue[0], w.queue[1:]
	case len(w.lows) > 0:
		r, w.lows = w.lows[0], w.lows[1:]
	}
	return r
}

// end gives the file to the exclusive request; busy stays set for ever.
func (w *writer) end(r *request) {
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("%w: %v", ErrCorruptFile, p)
		}
	}()
	r.exclusive()
}
