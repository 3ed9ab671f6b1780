package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asCommand makes the test binary be the command.
const asCommand = "MINIKAFKA_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience is how long a process may take for anything.
const patience = 30 * time.Second

// place is the environment of some processes: nothing of it is shared with
// other tests.
type place struct {
	t    *testing.T
	dir  string // short, as socket paths are
	temp string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "mk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &place{t: t, dir: dir, temp: filepath.Join(dir, "tmp")}
	if err := os.Mkdir(p.temp, 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) command(args ...string) *exec.Cmd {
	p.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(p.t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "XDG_RUNTIME_DIR="+p.dir, "TMPDIR="+p.temp, controlEnv+"=")
	return cmd
}

// run runs a command to its end.
func (p *place) run(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	cmd := p.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	stop := bounded(cmd)
	defer stop()
	_ = cmd.Wait() // the exit code tells
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// bounded has a process that takes too long print its goroutines and end, until
// the function it returns is called.
func bounded(cmd *exec.Cmd) (stop func() bool) {
	return time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) }).Stop
}

// must runs a command that has to succeed, and returns what it printed.
func (p *place) must(args ...string) string {
	p.t.Helper()
	code, stdout, stderr := p.run(args...)
	if code != 0 || stderr != "" {
		p.t.Fatalf("minikafka %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// served is a cluster in a process of its own.
type served struct {
	place     *place
	cmd       *exec.Cmd
	bootstrap string
	stdout    chan string // lines after the first; closed at the end
	stderr    *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// serve starts a cluster, and returns when clients can connect.
func (p *place) serve(args ...string) *served {
	p.t.Helper()
	s := &served{place: p, cmd: p.command(append([]string{"serve"}, args...)...), stdout: make(chan string, 100), stderr: &lockedBuffer{}}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	go func() {
		defer close(s.stdout)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.stdout <- lines.Text()
		}
	}()
	select {
	case line, ok := <-s.stdout:
		if !ok {
			p.t.Fatalf("serve ended:\n%s", s.stderr)
		}
		s.bootstrap = line
	case <-time.After(patience):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		_ = s.cmd.Wait()
		p.t.Fatalf("serve printed no bootstrap list:\n%s", s.stderr)
	}
	return s
}

// signal sends a signal and waits for the end; it returns the exit code, -1
// when the signal ended the process.
func (s *served) signal(sig syscall.Signal) int {
	s.place.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.place.t.Fatal(err)
	}
	stop := bounded(s.cmd)
	defer stop()
	_ = s.cmd.Wait() // the exit code tells
	return s.cmd.ProcessState.ExitCode()
}
