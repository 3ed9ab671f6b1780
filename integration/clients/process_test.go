package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long one answer of a client may take: clients back off, and the machine may be busy.
const patience = 60 * time.Second

// client is a program that uses a client library: programs says what its arguments are.
type client struct {
	command []string
	env     []string
	// consumes tells whether it can read a partition without a consumer group.
	consumes bool
}

// process is a running program of a client.
type process struct {
	t     *testing.T
	name  string
	in    io.WriteCloser
	lines chan []byte
	ended chan error
}

// start runs the program of a client, and ends it with the test.
func (c client) start(t *testing.T, args ...string) *process {
	t.Helper()
	argv := append(append([]string(nil), c.command...), args...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: args[0], in: in, lines: make(chan []byte, 1), ended: make(chan error, 1)}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		p.read(out)
		p.ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		<-finished
		if t.Failed() {
			t.Logf("%s wrote to its log:\n%s", p.name, last(log.String(), 40))
		}
	})
	return p
}

// read passes on what the program prints, until its end or that of the test.
func (p *process) read(out io.Reader) {
	defer close(p.lines)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		select {
		case p.lines <- bytes.Clone(lines.Bytes()):
		case <-p.t.Context().Done():
			return
		}
	}
}

// next waits for the next line and decodes it; what says what is waited for. It tells whether there was one.
func (p *process) next(what string, into any) bool {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case line, ok := <-p.lines:
		if !ok {
			return false
		}
		if err := json.Unmarshal(line, into); err != nil {
			p.t.Fatalf("%s printed %q: %v", p.name, line, err)
		}
		return true
	case <-deadline.C:
		p.t.Fatalf("%s: after %s still waiting for %s", p.name, patience, what)
		return false
	}
}

func (p *process) write(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatalf("%s does not read its input: %v", p.name, err)
	}
}

// finish says that there is no more input, and waits until the program has ended well.
func (p *process) finish() {
	p.t.Helper()
	_ = p.in.Close() // What is wrong with the program its end tells.
	var extra json.RawMessage
	for p.next("its end", &extra) {
		p.t.Errorf("%s printed more than was asked for: %s", p.name, extra)
	}
	if err := <-p.ended; err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// last returns the last lines of a text.
func last(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
