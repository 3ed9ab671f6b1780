package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/minikafka/minikafka"
)

// environment is os.Getenv, or what a test has instead.
type environment func(name string) string

// controlEnv names the socket when --control does not.
const controlEnv = "MINIKAFKA_CONTROL"

// maxSocketPath is what the address of a Unix socket can hold on every system.
const maxSocketPath = 103

// request is one verb on its way to the cluster, as a line of JSON.
type request struct {
	Verb    string   `json:"verb"`
	Args    []string `json:"args,omitempty"`
	Unclean bool     `json:"unclean,omitempty"`
	// Fault is that of fault add.
	Fault *minikafka.Fault `json:"fault,omitempty"`
}

// response is its answer, as a line of JSON. Result is for programs, Text for
// people.
type response struct {
	Error string `json:"error,omitempty"`
	// Usage tells that the request was at fault, not the cluster.
	Usage  bool            `json:"usage,omitempty"`
	Text   string          `json:"text,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// control is the socket of a cluster that runs.
type control struct {
	listener *net.UnixListener
	path     string
	link     string // in the user's place, so that it is found; "" when path is there
	requests sync.WaitGroup
	once     sync.Once
}

// openControl listens on the socket that is asked for, by flag or environment,
// else in the data directory, else in the user's place.
func openControl(env environment, path, dataDir string) (*control, error) {
	place, err := userPlace(env)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(place, fmt.Sprintf("%d-%04x.sock", os.Getpid(), rand.N(1<<16)))
	if path == "" {
		path = env(controlEnv)
	}
	if path == "" && dataDir != "" {
		if err := os.MkdirAll(dataDir, 0o755); err != nil {
			return nil, fmt.Errorf("--data-dir: %w", err)
		}
		if p, err := filepath.Abs(filepath.Join(dataDir, "control.sock")); err == nil && len(p) <= maxSocketPath {
			path = p
		}
	}
	if path == "" {
		path = own
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("--control %s: the path of a Unix socket has at most %d bytes", path, maxSocketPath)
	}
	c := &control{path: path}
	if c.listener, err = listenUnix(path); err != nil {
		return nil, fmt.Errorf("--control %s: %w", path, err)
	}
	if path != own {
		if err := os.Symlink(path, own); err == nil {
			c.link = own
		}
	}
	return c, nil
}

// listenUnix listens, over a socket that a killed process has left too, but
// over nothing else.
func listenUnix(path string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().IsRegular() || info.IsDir() {
			return nil, errors.New("there is something else, which is no socket")
		}
		if alive(path) {
			return nil, errors.New("another cluster is running here: the socket is in use")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// alive tells whether a process listens on the socket.
func alive(path string) bool {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// userPlace is the directory, private to the user, where clusters are found.
func userPlace(env environment) (string, error) {
	dir := env("XDG_RUNTIME_DIR")
	if dir != "" {
		dir = filepath.Join(dir, "minikafka")
	} else {
		dir = filepath.Join(tempDir(env), "minikafka-"+strconv.Itoa(os.Getuid()))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" && (!info.IsDir() || info.Mode().Perm()&0o077 != 0) {
		return "", fmt.Errorf("%s must be a directory that only you can enter", dir)
	}
	return dir, nil
}

func tempDir(env environment) string {
	if dir := env("TMPDIR"); dir != "" {
		return dir
	}
	return os.TempDir()
}

// serve answers requests until close, and returns when the last is answered.
func (c *control) serve(do func(request) response) {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			break
		}
		c.requests.Go(func() { answer(conn, do) })
	}
	c.requests.Wait()
}

// answer reads one request and writes its response.
func answer(conn net.Conn, do func(request) response) {
	defer conn.Close()
	// A client that has connected sends its request at once.
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	var req request
	if err := json.NewDecoder(conn).Decode(&req); err != nil {
		return // somebody looked whether we are alive
	}
	// A client that has gone does not read; the verb was carried out all the same.
	_ = json.NewEncoder(conn).Encode(do(req))
}

// close stops listening and takes the socket away.
func (c *control) close() {
	c.once.Do(func() {
		_ = c.listener.Close() // removes the socket too
		if c.link != "" {
			_ = os.Remove(c.link)
		}
	})
}

// findControl finds the socket of the cluster that is meant.
func findControl(env environment, path string) (string, error) {
	if path == "" {
		path = env(controlEnv)
	}
	if path != "" {
		return path, nil
	}
	place, err := userPlace(env)
	if err != nil {
		return "", err
	}
	sockets, err := filepath.Glob(filepath.Join(place, "*.sock"))
	if err != nil {
		return "", err
	}
	var found []string
	for _, s := range sockets {
		if alive(s) {
			if target, err := os.Readlink(s); err == nil {
				s = target
			}
			found = append(found, s)
		} else {
			_ = os.Remove(s) // of a process that was killed
		}
	}
	switch len(found) {
	case 0:
		return "", &failedError{fmt.Errorf("no cluster is running: start one with minikafka serve, or name its socket with --control")}
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("%d clusters are running, choose one with --control: %v", len(found), found)
	}
}

// call sends a request and reads its response. Its own errors mean that no
// cluster could be asked.
func call(path string, req request) (response, error) {
	conn, err := net.Dial("unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return response{}, fmt.Errorf("no cluster is running at %s", path)
	}
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return response{}, err
	}
	var resp response
	if err := json.NewDecoder(conn).Decode(&resp); err != nil {
		return response{}, fmt.Errorf("the cluster ended before it answered: %w", err)
	}
	return resp, nil
}
