package reference

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/minikafka/minikafka/integration/reference/child"
)

// Errors of the verbs.
var (
	ErrUnknownNode = errors.New("reference: no such node")
	ErrRunning     = errors.New("reference: the node is running")
	ErrNotRunning  = errors.New("reference: the node is not running")
	ErrNoLinks     = errors.New("reference: links cannot be cut without Config.Links")
)

// node is a controller or a broker: its folder and address, which stay, and its process, which comes and goes.
type node struct {
	id         int32
	controller bool
	addr       string // where clients of a broker, or all other nodes, reach it
	peer       string // where other nodes reach a broker when links can be cut
	inner      string // where those connections are passed on to; a controller's may be its addr
	dir        string

	mu   sync.Mutex // guards proc
	proc *process   // nil before the first start
}

// process is one life of a node.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

func (n *node) file(name string) string { return filepath.Join(n.dir, name) }

// java returns a command that runs class with the node's logging configuration.
func (n *node) java(ctx context.Context, jars string, flags []string, class string, args ...string) *exec.Cmd {
	all := append([]string{}, flags...)
	all = append(all, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=file:"+n.file("log4j2.properties"),
		"-cp", filepath.Join(jars, "*"), class)
	return exec.CommandContext(ctx, "java", append(all, args...)...)
}

// start runs the node's server.
func (n *node) start(jars string, heapMB int, starter *child.Starter) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return fmt.Errorf("%w: node %d", ErrRunning, n.id)
	}
	out, err := os.OpenFile(n.file("out.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("reference: node %d: %w", n.id, err)
	}
	defer out.Close()
	flags := []string{fmt.Sprintf("-Xmx%dm", heapMB), "-Xms64m", "-Dkafka.logs.dir=" + n.dir}
	cmd := n.java(context.Background(), jars, flags, "kafka.Kafka", n.file("server.properties"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := starter.Start(cmd); err != nil {
		return fmt.Errorf("reference: node %d: %w", n.id, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	n.proc = p
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return nil
}

// running says whether the process is there; mu is held.
func (n *node) running() bool {
	if n.proc == nil {
		return false
	}
	select {
	case <-n.proc.done:
		return false
	default:
		return true
	}
}

// signal sends s to the running process and returns it.
func (n *node) signal(s os.Signal) (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return nil, fmt.Errorf("%w: node %d", ErrNotRunning, n.id)
	}
	if err := n.proc.cmd.Process.Signal(s); err != nil {
		return nil, fmt.Errorf("reference: node %d: %w", n.id, err)
	}
	return n.proc, nil
}

// ended is closed while no process is running.
func (n *node) ended() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return n.proc.done
}

// tail returns the last lines of what the node logged, for errors.
func (n *node) tail() string {
	b, err := os.ReadFile(n.file("out.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	return strings.Join(lines, "\n")
}
