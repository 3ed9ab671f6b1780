package child_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minikafka/minikafka/integration/reference/child"
)

// A child is killed when the process that started it is.
func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0], "-test.run=TestParent")
	parent.Env = append(os.Environ(), "CHILD_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("reading the child's id: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // It was killed.
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) || isZombie(pid) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("child %d is still there, 10 s after its parent was killed", pid)
		case <-tick.C:
		}
	}
}

// isZombie says whether the process has ended, and nobody has asked how.
func isZombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

// TestParent is the parent of the other test.
func TestParent(t *testing.T) {
	if os.Getenv("CHILD_TEST_PARENT") == "" {
		t.Skip("it is run by TestChildEndsWithItsParent")
	}
	cmd := exec.Command("sleep", "600")
	if err := child.NewStarter().Start(cmd); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(os.Stdout, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // Until this process is killed.
}
