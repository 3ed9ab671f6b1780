package reference

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// firstController is the id of the first controller; the others follow it. Brokers are numbered from 1.
const firstController = 100

// Config says what to run. The zero value is one controller and three brokers as a newly formatted cluster has them.
type Config struct {
	// Brokers is the number of brokers, ids 1 and up; 3 when it is 0. Broker N is in rack "rN".
	Brokers int
	// Controllers is the number of controllers, ids 100 and up; 1 when it is 0.
	Controllers int
	// WithoutELR formats the storage with eligible leader replicas (KIP-966) switched off, as clusters upgraded from
	// before 4.1 have it.
	WithoutELR bool
	// Links lets what nodes say to each other pass through this process, so that links can be cut.
	Links bool
	// Properties are server properties for every node, on top of those that make the cluster what it is.
	Properties map[string]string
	// HeapMB is the largest heap of each JVM in MiB; 400 when it is 0. A request of 100 MiB needs that.
	HeapMB int
	// Dir keeps data and logs, one folder a node. When it is empty a temporary folder is made, and removed by Close.
	Dir string
	// Logf, when set, is told what happens: a line for each process started or ended.
	Logf func(format string, args ...any)
}

func (c Config) withDefaults() Config {
	if c.Brokers == 0 {
		c.Brokers = 3
	}
	if c.Controllers == 0 {
		c.Controllers = 1
	}
	if c.HeapMB == 0 {
		c.HeapMB = 400
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	return c
}

// write puts the node's server.properties and the logging configuration into its folder.
func (n *node) write(cfg Config, bootstrap string) error {
	props := map[string]string{
		"node.id":                             fmt.Sprint(n.id),
		"controller.quorum.bootstrap.servers": bootstrap,
		"controller.listener.names":           "CONTROLLER",
		"listener.security.protocol.map":      "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT",
		"log.dirs":                            filepath.Join(n.dir, "data"),
		// The log cleaner reserves this much heap at once; the default of 128 MiB is for logs larger than a test's.
		"log.cleaner.dedupe.buffer.size": "16777216",
	}
	switch {
	case n.controller:
		props["process.roles"] = "controller"
		props["listeners"] = "CONTROLLER://" + n.inner
		props["advertised.listeners"] = "CONTROLLER://" + n.addr
	case cfg.Links:
		props["process.roles"] = "broker"
		props["listeners"] = "PLAINTEXT://" + n.addr + ",REPLICATION://" + n.inner
		props["advertised.listeners"] = "PLAINTEXT://" + n.addr + ",REPLICATION://" + n.peer
		props["inter.broker.listener.name"] = "REPLICATION"
	default:
		props["process.roles"] = "broker"
		props["listeners"] = "PLAINTEXT://" + n.addr
		props["advertised.listeners"] = "PLAINTEXT://" + n.addr
		props["inter.broker.listener.name"] = "PLAINTEXT"
	}
	if !n.controller {
		props["broker.rack"] = fmt.Sprintf("r%d", n.id)
	}
	maps.Copy(props, cfg.Properties)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(props)) {
		fmt.Fprintf(&b, "%s=%s\n", k, props[k])
	}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(n.file("server.properties"), []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(n.file("log4j2.properties"), []byte(loggingProperties), 0o644)
}

const loggingProperties = `status=ERROR
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=OUT
`
