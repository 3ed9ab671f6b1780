package reference_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/integration/reference"
)

// TestBenchBesideKafka runs the benchmarks with an Apache Kafka of three brokers
// to measure beside. It takes minutes, so it runs only with MINIKAFKA_BENCH set:
// `make bench-kafka`.
func TestBenchBesideKafka(t *testing.T) {
	if os.Getenv("MINIKAFKA_BENCH") == "" {
		t.Skip("set MINIKAFKA_BENCH to run the benchmarks beside Apache Kafka")
	}
	_, c := start(t, reference.Config{Brokers: 3})
	var addrs []string
	for _, a := range c.Addrs() {
		addrs = append(addrs, a)
	}
	slices.Sort(addrs)
	bench := exec.CommandContext(t.Context(), "go", "test", "-run", "^$", "-bench", "Latency|Throughput", "-benchtime", "1x", "./bench")
	bench.Dir = "../.."
	bench.Env = append(os.Environ(), "MINIKAFKA_BENCH_KAFKA="+strings.Join(addrs, ","))
	out, err := bench.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
