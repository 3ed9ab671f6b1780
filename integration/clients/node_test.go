package clients_test

import (
	"path/filepath"
	"testing"

	"github.com/minikafka/minikafka/internal/scenario"
)

const kafkajs = "2.2.4"

func TestKafkaJS(t *testing.T) {
	t.Parallel()
	client := node(t)
	t.Run("exactly once", func(t *testing.T) { exactlyOnce(t, client) })
	t.Run("admin", func(t *testing.T) { admin(t, client) })
	t.Run("classic group", func(t *testing.T) { classicGroup(t, client) })
	t.Run("transactions", func(t *testing.T) { transactions(t, client, scenario.CopyOptions{}) })
}

// node is kafkajs, which consumes as a member of a group only. It has no dependencies.
func node(t *testing.T) client {
	t.Helper()
	need(t, "node", "npm")
	dir := installed(t, "kafkajs-"+kafkajs, func(dir string) {
		output(t, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "kafkajs@"+kafkajs)
	})
	return client{
		command: []string{"node", filepath.Join("programs", "kafkajs.js")},
		env:     []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")},
	}
}
