package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testEnv is an environment with a place of its own.
func testEnv(t *testing.T) environment {
	t.Helper()
	dir, err := os.MkdirTemp("", "mk") // short: socket paths are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return func(name string) string {
		if name == "XDG_RUNTIME_DIR" {
			return dir
		}
		return ""
	}
}

// fakeCluster answers requests, and remembers them.
type fakeCluster struct {
	mu   sync.Mutex
	seen []request
}

func (f *fakeCluster) do(req request) response {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, req)
	switch {
	case slices.Contains(req.Args, "9"):
		return response{Error: "there is no broker 9", Usage: true}
	case slices.Contains(req.Args, "8"):
		return response{Error: "minikafka: the node is not running: broker 8"}
	}
	return response{Text: "done: " + req.Verb, Result: json.RawMessage(fmt.Sprintf(`{"verb":%q}`, req.Verb))}
}

// running starts a control socket with a fake behind it.
func running(t *testing.T, env environment, path, dataDir string) (*control, *fakeCluster) {
	t.Helper()
	c, err := openControl(env, path, dataDir)
	if err != nil {
		t.Fatal(err)
	}
	fake := &fakeCluster{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.serve(fake.do)
	}()
	t.Cleanup(func() {
		c.close()
		<-ended
	})
	return c, fake
}

// command runs a command line and returns what it printed.
func command(t *testing.T, env environment, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), env, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestVerbsReachTheCluster(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	_, fake := running(t, env, "", "")
	lines := []string{
		"status", "crash 1", "restart 1", "pause 1", "resume 1", "shutdown controller", "power-off 2", "split 1,2 3", "isolate controller:2",
		"cut 1 2", "heal", "hold orders/0", "release orders/0", "elect orders/0", "elect orders/0 --unclean",
		"--json status", "elect --unclean --json orders/1",
	}
	for _, line := range lines {
		code, stdout, stderr := command(t, env, strings.Fields(line)...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit %d, %q", line, code, stderr)
		}
		if strings.Contains(line, "--json") {
			var v map[string]any
			if err := json.Unmarshal([]byte(stdout), &v); err != nil {
				t.Errorf("%s: printed %q: %v", line, stdout, err)
			}
		} else if !strings.HasPrefix(stdout, "done: ") {
			t.Errorf("%s: printed %q", line, stdout)
		}
	}
	if len(fake.seen) != len(lines) {
		t.Fatalf("%d requests arrived of %d", len(fake.seen), len(lines))
	}
	for i, want := range []request{{Verb: "status"}, {Verb: "crash", Args: []string{"1"}}} {
		if got := fake.seen[i]; got.Verb != want.Verb || !slices.Equal(got.Args, want.Args) || got.Unclean {
			t.Errorf("request %d was %+v, want %+v", i, got, want)
		}
	}
	if !fake.seen[14].Unclean || fake.seen[13].Unclean {
		t.Error("--unclean did not arrive, or arrived uncalled for")
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	lonely, empty := testEnv(t), testEnv(t) // a serve that fails has a socket for a moment
	running(t, env, "", "")
	cases := []struct {
		line string
		env  environment
		code int
		says string
	}{
		{"crash 8", env, exitFailed, "broker 8"},
		{"crash 9", env, exitUsage, "broker 9"},
		{"crash", env, exitUsage, "use it as minikafka crash NODE"},
		{"crash 1 2", env, exitUsage, "2 arguments for crash"},
		{"status now", env, exitUsage, "use it as minikafka status"},
		{"delay 0 1 -5ms", env, exitUsage, "-5ms: delay takes nothing negative"},
		{"lose 0 1 -.5", env, exitUsage, "lose takes nothing negative"},
		{"nonsense", env, exitUsage, "nonsense"},
		{"status --nonsense", env, exitUsage, "see minikafka status --help"},
		{"status", empty, exitFailed, "no cluster is running"},
		{"status --control /nonexistent/socket", env, exitFailed, "/nonexistent/socket"},
		{"serve --timings slow", lonely, exitUsage, "slow"},
		{"serve --topic orders", lonely, exitUsage, "orders"},
		{"serve --brokers many", lonely, exitUsage, `--brokers "many": it takes a number`},
		{"serve --brokers 99999999999999999999", lonely, exitUsage, "too large"},
		{"serve --brokers 3 --broker-ids 1,2", lonely, exitUsage, "give one of them"},
		{"serve --brokers 0", lonely, exitUsage, "0 brokers"},
		{"serve --set no.such.config=1", lonely, exitUsage, "no.such.config"},
		{"serve --log-level loud", lonely, exitUsage, "loud"},
		{"serve something", lonely, exitUsage, "something"},
	}
	for _, tc := range cases {
		t.Run(tc.line, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, tc.env, strings.Fields(tc.line)...)
			if code != tc.code || stdout != "" {
				t.Errorf("exit %d, printed %q; want exit %d", code, stdout, tc.code)
			}
			if !strings.HasPrefix(stderr, "minikafka: ") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tc.says) {
				t.Errorf("said %q; want one line that says %q", stderr, tc.says)
			}
		})
	}
}

func TestControlIsFound(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	dir := t.TempDir()
	first, _ := running(t, env, filepath.Join(dir, "a.sock"), "")
	if got, err := findControl(env, ""); err != nil || got != first.path {
		t.Fatalf("found %q, %v; want the only one, %s", got, err, first.path)
	}
	if got, err := findControl(env, "other"); err != nil || got != "other" {
		t.Errorf("a flag does not come first: %q, %v", got, err)
	}
	named := func(name string) string {
		if name == controlEnv {
			return "from-env"
		}
		return env(name)
	}
	if got, err := findControl(named, ""); err != nil || got != "from-env" {
		t.Errorf("$%s does not come first: %q, %v", controlEnv, got, err)
	}
	first.close()
	if _, err := findControl(env, ""); err == nil {
		t.Error("a closed one is found")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.sock")); len(left) != 0 {
		t.Errorf("close leaves %v", left)
	}
}

func TestControlInDataDirectory(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	dir := filepath.Join(env("XDG_RUNTIME_DIR"), "data")
	c, _ := running(t, env, "", dir)
	if c.path != filepath.Join(dir, "control.sock") {
		t.Errorf("the socket is %s", c.path)
	}
	if info, err := os.Stat(c.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may use the socket: %v, %v", info, err)
	}
	if _, err := openControl(env, "", dir); err == nil || !strings.Contains(err.Error(), "another cluster is running") {
		t.Errorf("a second cluster in the same directory: %v", err)
	}
	long := filepath.Join(dir, strings.Repeat("x", 200))
	elsewhere, err := openControl(env, "", long)
	if err != nil {
		t.Fatalf("a long data directory: %v", err)
	}
	elsewhere.close()
	if _, err := openControl(env, filepath.Join(long, "c.sock"), ""); err == nil {
		t.Error("a socket path that is too long was taken")
	}
}

func TestControlReplacesNothingElse(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	path := filepath.Join(env("XDG_RUNTIME_DIR"), "precious")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, filepath.Dir(path)} {
		if _, err := openControl(env, path, ""); err == nil || !strings.Contains(err.Error(), "--control "+path) {
			t.Errorf("a socket over %s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "text" {
		t.Errorf("the file that was there holds %q, %v", text, err)
	}
}

func TestControlReplacesADeadSocket(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	path := filepath.Join(env("XDG_RUNTIME_DIR"), "c.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	// A process that another test is just starting has the socket, too, until
	// it runs its program.
	for until := time.Now().Add(patience); alive(path); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("waited %v for nobody to have the socket", patience)
		}
	}
	c, err := openControl(env, path, "")
	if err != nil {
		t.Fatalf("over the socket of a killed process: %v", err)
	}
	c.close()
}

func TestControlSurvivesBadRequests(t *testing.T) {
	t.Parallel()
	env := testEnv(t)
	c, fake := running(t, env, "", "")
	for _, text := range []string{"", "{", "nonsense\n", "[]\n"} {
		conn, err := net.Dial("unix", c.path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text))
		conn.Close()
	}
	if code, _, stderr := command(t, env, "status"); code != 0 {
		t.Errorf("status afterwards: exit %d, %s", code, stderr)
	}
	if len(fake.seen) != 1 {
		t.Errorf("%d requests arrived, want 1", len(fake.seen))
	}
}
