package election_test

import (
	"testing"
	"testing/synctest"

	"github.com/minikafka/minikafka/election"
)

// TestNamedConfigs keeps a group's configs over a restart of the controller, and
// forgets them with the last one.
func TestNamedConfigs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, fast(), 1).run()
		defer c.stop()
		c.startBrokers(1)
		b := c.brokers[1]
		group := election.NamedResource{Kind: 32, Name: "g:1"}
		alter := func(change election.ConfigChange) {
			if err := do[[]error](c, b, &election.AlterConfigs{Resources: []election.ResourceChange{{
				Resource: election.ConfigResource{Named: group}, Changes: []election.ConfigChange{change},
			}}})[0]; err != nil {
				t.Fatal(err)
			}
		}
		alter(election.ConfigChange{Name: "a", Value: new("1")})
		b.wait(c, "the group's configs", func(m *election.Image) bool { return m.NamedConfigs[group]["a"] == "1" })
		if err := c.controllers[1].Crash(); err != nil {
			t.Fatal(err)
		}
		c.startController(1)
		alter(election.ConfigChange{Name: "b", Value: new("2")})
		b.wait(c, "the group's configs after a restart", func(m *election.Image) bool {
			return m.NamedConfigs[group]["a"] == "1" && m.NamedConfigs[group]["b"] == "2"
		})
		alter(election.ConfigChange{Name: "a", Op: election.OpDelete})
		alter(election.ConfigChange{Name: "b", Op: election.OpDelete})
		b.wait(c, "no configs of the group", func(m *election.Image) bool { _, ok := m.NamedConfigs[group]; return !ok })
	})
}
