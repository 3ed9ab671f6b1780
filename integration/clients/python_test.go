package clients_test

import (
	"hash/crc32"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/internal/scenario"
)

// requirements are the packages of the Python clients, with all that they need.
const requirements = `
aiokafka==0.14.0
async-timeout==5.0.1
confluent-kafka==2.16.1
kafka-python==3.0.12
packaging==26.3
typing_extensions==4.16.0
`

func TestPython(t *testing.T) {
	t.Parallel()
	packages := pythonPackages(t)
	for _, program := range []struct {
		name   string
		admin  bool
		groups bool // It speaks the new group protocol.
		copies scenario.CopyOptions
	}{
		// confluent-kafka, which is librdkafka. Its send_offsets_to_transaction waits for ever for a group's coordinator that
		// is no more in the metadata.
		{name: "confluent", admin: true, groups: true, copies: scenario.CopyOptions{SpareGroup: true}},
		// Its transactions wait 30 s for a coordinator that has gone, and then some, before they look for the next.
		{name: "kafka_python", copies: scenario.CopyOptions{SpareTransaction: true}},
		{name: "aio"}, // aiokafka.
	} {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			client := client{
				command:  []string{"python3", filepath.Join("programs", program.name+".py")},
				env:      []string{"PYTHONPATH=" + packages, "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"},
				consumes: true,
			}
			t.Run("exactly once", func(t *testing.T) { exactlyOnce(t, client) })
			if program.admin {
				t.Run("admin", func(t *testing.T) { admin(t, client) })
			}
			t.Run("classic group", func(t *testing.T) { classicGroup(t, client) })
			t.Run("transactions", func(t *testing.T) { transactions(t, client, program.copies) })
			if program.groups {
				t.Run("groups", func(t *testing.T) { consumerGroups(t, client) })
			}
		})
	}
}

// pythonPackages returns the folder of the Python clients.
func pythonPackages(t *testing.T) string {
	t.Helper()
	need(t, "python3")
	if exec.CommandContext(t.Context(), "python3", "-m", "pip", "--version").Run() != nil {
		unavailable(t, "python3 has no pip")
	}
	// Packages with compiled parts are for one version of Python.
	version := output(t, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(requirements))), 16)
	return installed(t, "python"+version+"-"+sum, func(dir string) {
		list := filepath.Join(t.TempDir(), "requirements.txt")
		write(t, list, strings.TrimSpace(requirements))
		output(t, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
			"--only-binary", ":all:", "--target", dir, "--requirement", list)
	})
}
