package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/minikafka/minikafka/integration/reference/child"
)

// serveTarget is the minikafka command: a cluster in a process of its own, which is broken and mended through the command's
// verbs. Its rows have the outcomes of minikafkaTarget.
func serveTarget() Target {
	t := minikafkaTarget()
	t.Name = "serve"
	t.Fresh = false
	t.Start = startServe
	return t
}

// served is a running `minikafka serve`.
type served struct {
	running
	binary  string
	dir     string // has the binary, the control socket and the log
	cmd     *exec.Cmd
	starter *child.Starter
}

func startServe(ctx context.Context, cfg Config) (Cluster, error) {
	dir, err := os.MkdirTemp("", "serve-") // Short, for the socket's sake.
	if err != nil {
		return nil, err
	}
	s := &served{dir: dir, binary: filepath.Join(dir, "minikafka"), starter: child.NewStarter()}
	build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "./cmd/minikafka")
	if build.Dir, err = repository(); err != nil {
		return nil, err
	}
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("conformance: building the command: %w\n%s", err, out)
	}
	ready := filepath.Join(dir, "ready")
	args := []string{"serve", "--broker-ids", "1,2,3", "--racks", "r1,r2,r3", "--listen", "127.0.0.1:0", "--control", s.socket(), "--ready-file", ready}
	for name, value := range minikafkaProperties(cfg) {
		args = append(args, "--set", name+"="+value)
	}
	if cfg.WithoutELR {
		args = append(args, "--feature", "eligible.leader.replicas.version=0")
	}
	if cfg.Defaults {
		args = append(args, "--timings", "kafka")
	}
	var stderr bytes.Buffer
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.Stderr = &stderr
	if err := s.starter.Start(s.cmd); err != nil {
		return nil, fmt.Errorf("conformance: starting the command: %w", err)
	}
	bootstrap, err := waitFile(ctx, ready)
	if err == nil {
		s.addrs, err = discover(ctx, strings.Split(bootstrap, ","))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(), errors.New(stderr.String()))
	}
	return s, nil
}

// repository finds the root of the repository from a folder below it.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "minikafka")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("conformance: the command's source is not above the working directory")
}

// waitFile waits for a file and returns what it holds.
func waitFile(ctx context.Context, path string) (string, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("conformance: waiting for %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *served) socket() string { return filepath.Join(s.dir, "control") }

// run runs a verb of the command.
func (s *served) run(args ...string) error {
	out, err := exec.Command(s.binary, append(args, "--control", s.socket())...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("conformance: minikafka %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (s *served) Controllers() []int32 { return []int32{firstController} }

func (s *served) Do(verb Verb, node int32) error {
	name := fmt.Sprint(node)
	if node >= firstController {
		name = fmt.Sprintf("controller:%d", node-firstController)
	}
	switch verb {
	case Kill:
		return s.run("crash", name)
	case Stop:
		return s.run("shutdown", name)
	case Start:
		return s.run("restart", name)
	case Pause:
		return s.run("pause", name)
	case Resume:
		return s.run("resume", name)
	case FailDisk:
		return s.run("disk", name, "fail-write=1")
	case MendDisk:
		return s.run("disk", name)
	default:
		return s.doLinks(verb, node, name)
	}
}

func (s *served) doLinks(verb Verb, node int32, name string) error {
	switch verb {
	case Isolate:
		return s.run("isolate", name)
	case CutController:
		return errors.Join(s.run("cut", name, "controller"), s.run("cut", "controller", name))
	case HoldReplication:
		var err error
		for other := range s.addrs {
			if other != node {
				err = errors.Join(err, s.run("cut", name, fmt.Sprint(other)))
			}
		}
		return err
	case Rejoin:
		return s.run("heal")
	default:
		return ErrVerb
	}
}

// Close ends the command as SIGINT does, and removes what it left.
func (s *served) Close() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	if err == nil {
		err = s.cmd.Wait()
	}
	s.starter.Close()
	return errors.Join(err, os.RemoveAll(s.dir))
}
