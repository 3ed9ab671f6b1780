package scenarios_test

import (
	"testing"

	"github.com/minikafka/minikafka/internal/scenario"
)

func run(t *testing.T, client scenario.Client) {
	for _, s := range scenario.For(client) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			s.Run(&scenario.Env{TB: t, Client: client})
		})
	}
}
