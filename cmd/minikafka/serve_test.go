package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// kafkaClient returns a client of the cluster.
func kafkaClient(t *testing.T, bootstrap string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func (p *place) status() minikafka.Status {
	p.t.Helper()
	var s minikafka.Status
	text := p.must("status", "--json")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		p.t.Fatalf("status --json printed %q: %v", text, err)
	}
	return s
}

func refused(t *testing.T, address string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func TestServeFromStartToEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ready := filepath.Join(p.dir, "ready")
	s := p.serve("--listen", "127.0.0.1:0", "--topic", "orders:2", "--topic", "single:1:1", "--ready-file", ready, "--racks", "a,b,c")
	if text, err := os.ReadFile(ready); err != nil || strings.TrimSpace(string(text)) != s.bootstrap {
		t.Errorf("the ready file holds %q, %v; want %q", text, err, s.bootstrap)
	}
	addresses := strings.Split(s.bootstrap, ",")
	if len(addresses) != 3 {
		t.Fatalf("the first line is %q, want three addresses", s.bootstrap)
	}
	if how := <-s.stdout; !strings.Contains(how, "minikafka crash 2") {
		t.Errorf("the second line does not say how to break a node: %q", how)
	}

	cl := kafkaClient(t, s.bootstrap)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Partition: 0, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}

	if out := p.must("crash", "1"); !strings.Contains(out, "broker 1") {
		t.Errorf("crash printed %q", out)
	}
	if !refused(t, addresses[1]) {
		t.Error("a crashed broker accepts connections")
	}
	now := p.status()
	if b := now.Brokers[1]; b.State != minikafka.Crashed || b.ID != 1 || b.Addr != addresses[1] || b.Rack != "b" {
		t.Errorf("status of the crashed broker: %+v", b)
	}
	if n := len(now.Partitions); n != 3 {
		t.Errorf("status tells %d partitions, want 3", n)
	}
	if code, _, stderr := p.run("crash", "1"); code != exitFailed || !strings.Contains(stderr, "not running") {
		t.Errorf("a second crash: exit %d, %q", code, stderr)
	}
	p.must("restart", "1")
	if refused(t, addresses[1]) {
		t.Error("a restarted broker does not accept connections on its old address")
	}
	if code, _, stderr := p.run("restart", "1"); code != exitFailed || !strings.Contains(stderr, "is running") {
		t.Errorf("restart of a running broker: exit %d, %q", code, stderr)
	}

	if code := s.signal(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit %d\n%s", code, s.stderr)
	}
	if text := s.stderr.String(); text != "" {
		t.Errorf("standard error:\n%s", text)
	}
	if _, err := os.Stat(ready); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ready file is still there: %v", err)
	}
	if left, _ := os.ReadDir(p.temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(p.dir, "minikafka", "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestServeWithoutAReader: a pipe that nobody reads any more ends no cluster.
func TestServeWithoutAReader(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ready := filepath.Join(p.dir, "ready")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	s := &served{place: p, cmd: p.command("serve", "--listen", "127.0.0.1:0", "--ready-file", ready), stderr: &lockedBuffer{}}
	s.cmd.Stdout, s.cmd.Stderr = writer, s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	deadline := time.After(patience)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for serve to be ready\n%s", patience, s.stderr)
		}
	}
	p.must("status")
	if code := s.signal(syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit %d\n%s", code, s.stderr)
	}
	if left, _ := os.ReadDir(p.temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEveryVerbOnARealCluster(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.serve("--listen", "127.0.0.1:0", "--topic", "orders:1", "--broker-ids", "1,2,3", "--controllers", "3")
	for _, line := range []string{
		"hold orders/0", "release orders/0", "groups", "groups readers", "transactions", "transactions copy", "stats", "stats reset", "stats --json",
		"power-off 1", "restart 1",
		"pause 1", "resume 1", "pause controller", "resume controller", "pause 2", "crash 2", "restart 2",
		"shutdown 2", "restart 2",
		"split 1,2 3", "heal", "isolate 3", "heal", "cut 1 2", "delay 1 2 5ms", "delay 2 controller 1ms 2ms", "lose 1 3 0.1", "heal",
		"disk 1 slow-writes=1ms slow-syncs=1ms slow-reads=1ms fail-write=1000 fail-sync=1000 fail-read=1000 full-after=1000000", "disk 1",
		"chaos 100ms 7", "chaos 0", "chaos 1h", "chaos 0",
		"crash controller", "restart controller", "power-off controller", "restart controller",
		"shutdown controller:2", "restart controller:2",
	} {
		p.must(strings.Fields(line)...)
	}
	var answer struct{ Leader int32 }
	if code, out, stderr := p.run("elect", "orders/0", "--json"); code == 0 {
		if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Leader < 1 {
			t.Errorf("elect printed %q", out)
		}
	} else if !strings.Contains(stderr, "not needed") {
		t.Errorf("elect: exit %d, %s", code, stderr)
	}
	for line, want := range map[string]int{
		"crash 9": exitUsage, "crash x": exitUsage, "crash controller:7": exitUsage,
		"groups a b": exitUsage, "transactions a b": exitUsage, "stats now": exitUsage, "stats reset now": exitUsage, "hold orders/9": exitUsage, "hold orders": exitUsage, "release orders/0": exitFailed, "elect nope/0": exitUsage,
		"restart controller": exitUsage, "resume controller": exitUsage, "pause 9": exitUsage,
		"chaos soon": exitUsage, "chaos 1m x": exitUsage, "chaos -1m": exitUsage,
		"disk 9": exitUsage, "disk controller": exitUsage, "disk 1 broken": exitUsage, "disk 1 slow-reads=x": exitUsage, "disk 1 fail-write=-1": exitUsage,
		"delay 1 2 -5ms": exitUsage, "delay 1 2 soon": exitUsage, "delay 1 2": exitUsage, "lose 1 2 1.5": exitUsage, "lose 1 2 x": exitUsage, "cut 1 1": exitUsage,
	} {
		if code, _, stderr := p.run(strings.Fields(line)...); code != want || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, want %d, in one line: %q", line, code, want, stderr)
		}
	}
	for line, want := range map[string]string{"hold orders/0": "held", "pause 1": "paused", "disk 1 slow-syncs=1ms": "disk of broker 1: syncs take 1ms longer", "delay 1 2 5ms": "slow link from broker 1 to broker 2 5ms longer", "isolate 3": "no link"} {
		p.must(strings.Fields(line)...)
		if out := p.must("status"); !strings.Contains(out, want) {
			t.Errorf("after %s the status does not say %q:\n%s", line, want, out)
		}
	}
}

func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // not deferred: the cases are parallel
	p := newPlace(t)
	data := filepath.Join(p.dir, "data")
	p.serve("--listen", "127.0.0.1:0", "--data-dir", data, "--brokers", "1")
	file := filepath.Join(p.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args []string
		says string
	}{
		"a taken port":             {[]string{"--listen", taken.Addr().String(), "--brokers", "1"}, taken.Addr().String() + ": bind: address already in use: choose others with --listen"},
		"a directory in use":       {[]string{"--listen", "127.0.0.1:0", "--data-dir", data, "--brokers", "1"}, data},
		"the same, another socket": {[]string{"--listen", "127.0.0.1:0", "--data-dir", data, "--brokers", "1", "--control", filepath.Join(p.dir, "c")}, "in use"},
		"a file for a directory":   {[]string{"--data-dir", file}, file},
		"a ready file nowhere":     {[]string{"--listen", "127.0.0.1:0", "--ready-file", filepath.Join(p.dir, "no", "ready")}, "ready-file"},
		"a bad value":              {[]string{"--set", "min.insync.replicas=none"}, "min.insync.replicas"},
		"too many replicas":        {[]string{"--topic", "t:1:5"}, "5 replicas"},
		"a bad topic config":       {[]string{"--listen", "127.0.0.1:0", "--topic", "a b:1"}, "a b"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := p.run(append([]string{"serve"}, tc.args...)...)
			if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tc.says) {
				t.Errorf("exit %d, printed %q, said %q; want exit %d and one line that says %q", code, stdout, stderr, exitUsage, tc.says)
			}
		})
	}
}

// TestKillKeepsWhatWasAcknowledged kills the whole process while a client
// produces with acks=all, starts it again over the same files, and looks for
// every record that was acknowledged.
func TestKillKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	data := filepath.Join(p.dir, "data")
	args := []string{"--listen", "127.0.0.1:0", "--data-dir", data, "--topic", "orders:3", "--set", "min.insync.replicas=2"}
	s := p.serve(args...)
	cl := kafkaClient(t, s.bootstrap, kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.AllISRAcks()))
	var mu sync.Mutex
	acked := map[string]bool{}
	enough := make(chan struct{})
	// Produce waits, too, when the cluster is dead and the client's buffer full.
	load, stop := context.WithCancel(t.Context())
	defer stop()
	var producing sync.WaitGroup
	producing.Go(func() {
		for i := 0; load.Err() == nil; i++ {
			value := fmt.Sprintf("order %d", i)
			cl.Produce(load, kgo.StringRecord(value), func(_ *kgo.Record, err error) {
				if err != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				acked[value] = true
				if len(acked) == 5000 {
					close(enough)
				}
			})
		}
	})
	select {
	case <-enough:
	case <-time.After(patience):
		t.Fatalf("too few records were acknowledged\n%s", s.stderr)
	}
	s.signal(syscall.SIGKILL)
	stop()
	producing.Wait()
	cl.Close()

	mu.Lock() // the client may still be telling of the last ones
	promised := maps.Clone(acked)
	mu.Unlock()
	s = p.serve(args...)
	left := len(promised)
	reader := kafkaClient(t, s.bootstrap, kgo.ConsumeTopics("orders"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for left > 0 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if promised[string(r.Value)] {
				promised[string(r.Value)] = false
				left--
			}
		})
	}
	if left > 0 {
		t.Errorf("%d of %d acknowledged records are lost\n%s", left, len(promised), s.stderr)
	}
	if code := s.signal(syscall.SIGINT); code != 0 {
		t.Errorf("SIGINT: exit %d\n%s", code, s.stderr)
	}
}
