package clients_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// need skips the test where one of the commands is missing, and fails it instead where CI=true.
func need(t *testing.T, commands ...string) {
	t.Helper()
	var missing []string
	for _, name := range commands {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		unavailable(t, "not on the PATH: "+strings.Join(missing, ", "))
	}
}

func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// installed returns the folder of this name in the cache, which install fills the first time. A folder that is there is
// complete, as it is filled under another name first; so several processes may install at once.
func installed(t *testing.T, name string, install func(dir string)) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		unavailable(t, "no cache folder: "+err.Error())
	}
	base = filepath.Join(base, "minikafka-integration")
	dir := filepath.Join(base, name)
	if isDir(dir) {
		return dir
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	filling, err := os.MkdirTemp(base, "filling-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(filling)
	t.Logf("installing %s", name)
	install(filling)
	if err := os.Rename(filling, dir); err != nil && !isDir(dir) {
		t.Fatal(err)
	}
	return dir
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// output runs a command to its end and returns what it printed.
func output(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = append(out, exit.Stderr...)
		}
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(bytes.TrimSpace(out))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
