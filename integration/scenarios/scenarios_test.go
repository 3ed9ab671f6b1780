package scenarios_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rcrowley/go-metrics"

	"github.com/minikafka/minikafka/internal/scenario"
)

// TestMain takes sarama's metrics out: their goroutine ticks for ever, which no
// bubble survives.
func TestMain(m *testing.M) {
	metrics.UseNilMetrics = true
	os.Exit(m.Run())
}

func run(t *testing.T, client scenario.Client) {
	for _, s := range scenario.For(client) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if s.Virtual {
				synctest.Test(t, func(t *testing.T) {
					// The last cleanup: goroutines of sarama's end a moment after Close.
					t.Cleanup(func() { <-time.After(time.Minute) })
					s.Run(&scenario.Env{TB: t, Client: client, Virtual: true})
				})
				return
			}
			s.Run(&scenario.Env{TB: t, Client: client})
		})
	}
}
