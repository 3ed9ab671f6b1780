package scenario_test

import (
	"testing"
	"testing/synctest"

	"github.com/minikafka/minikafka/internal/scenario"
)

func TestFranz(t *testing.T) {
	t.Parallel()
	for _, s := range scenario.For(scenario.Franz{}) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if s.Virtual {
				synctest.Test(t, func(t *testing.T) { s.Run(&scenario.Env{TB: t, Client: scenario.Franz{}, Virtual: true}) })
				return
			}
			s.Run(&scenario.Env{TB: t, Client: scenario.Franz{}})
		})
	}
}

func TestSequences(t *testing.T) {
	t.Parallel()
	scenario.Sequences(&scenario.Env{TB: t})
}
