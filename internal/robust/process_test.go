package robust_test

import (
	"context"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that is due at once.
const patience = 30 * time.Second

// within waits until cond holds, looking now and then at what nobody tells of:
// this process.
func within(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s; files:\n%s\ngoroutines:\n%s", what, strings.Join(files(), "\n"), stacks())
		}
	}
}

func stacks() string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // A Builder takes everything.
	return b.String()
}

// base is what the process holds.
type base struct{ goroutines, files int }

// holds tells what there is, with what the runtime opens once and for all.
func holds(t *testing.T) base {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return base{runtime.NumGoroutine(), len(files())}
}

// waitBack waits until the process holds no more than it did.
func (b base) waitBack(t *testing.T) {
	t.Helper()
	within(t, "the goroutines and files that there were before", func() bool {
		return runtime.NumGoroutine() <= b.goroutines && len(files()) <= b.files
	})
}

// files are the files and sockets this process has open; none where the system
// does not tell.
func files() []string {
	const dir = "/proc/self/fd/"
	entries, _ := os.ReadDir(dir) // There is no such directory on other systems.
	var names []string
	for _, e := range entries {
		if name, err := os.Readlink(dir + e.Name()); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// peak watches the heap and tells the highest that it was.
type peak struct {
	start uint64
	stop  chan struct{}
	done  sync.WaitGroup
	max   uint64
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap starts to watch, from a heap without garbage.
func watchHeap() *peak {
	runtime.GC()
	p := &peak{start: heap(), stop: make(chan struct{})}
	p.done.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			p.max = max(p.max, heap())
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// growth is how many bytes the heap grew at most since the start. It ends the watching.
func (p *peak) growth() int64 {
	close(p.stop)
	p.done.Wait()
	return int64(p.max) - int64(p.start)
}
