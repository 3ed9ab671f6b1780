package minikafka_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/minikafka/minikafka"
)

// Whatever is asked of a cluster that has been closed fails, and says so.
func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(2), minikafka.Topic("orders", 1))
	run := c.Chaos(1, minikafka.ChaosOptions{For: time.Hour, Every: time.Hour})
	var fault *minikafka.FaultHandle
	if err := c.Try(func(c *minikafka.Cluster) {
		fault = c.Fault(minikafka.Fault{Effect: minikafka.Observe})
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		fault.Wait(1)
	}); !errors.Is(err, minikafka.ErrClosed) {
		t.Errorf("waiting for a request: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	run.Stop()
	fails := map[string]func(c *minikafka.Cluster){
		"Crash":                  func(c *minikafka.Cluster) { c.Broker(0).Crash() },
		"PowerOff":               func(c *minikafka.Cluster) { c.Broker(0).PowerOff() },
		"Shutdown":               func(c *minikafka.Cluster) { c.Broker(0).Shutdown() },
		"Restart":                func(c *minikafka.Cluster) { c.Broker(0).Restart() },
		"Pause":                  func(c *minikafka.Cluster) { c.Broker(0).Pause() },
		"Resume":                 func(c *minikafka.Cluster) { c.Broker(0).Resume() },
		"Disk":                   func(c *minikafka.Cluster) { c.Broker(0).Disk(minikafka.Disk{}) },
		"CloseClientConnections": func(c *minikafka.Cluster) { c.Broker(0).CloseClientConnections() },
		"Crash of a controller":  func(c *minikafka.Cluster) { c.Controllers()[0].Crash() },
		"Pause of a controller":  func(c *minikafka.Cluster) { c.Controllers()[0].Pause() },
		"Restart of one":         func(c *minikafka.Cluster) { c.Controllers()[0].Restart() },
		"Controller":             func(c *minikafka.Cluster) { c.Controller() },
		"Split":                  func(c *minikafka.Cluster) { c.Split(minikafka.Group(c.Broker(0)), minikafka.Group(c.Broker(1))) },
		"Isolate":                func(c *minikafka.Cluster) { c.Isolate(c.Broker(0)) },
		"Cut":                    func(c *minikafka.Cluster) { c.Cut(c.Broker(0), c.Broker(1)) },
		"Delay":                  func(c *minikafka.Cluster) { c.Delay(c.Broker(0), c.Broker(1), 1, 1) },
		"Lose":                   func(c *minikafka.Cluster) { c.Lose(c.Broker(0), c.Broker(1), 1) },
		"Heal":                   func(c *minikafka.Cluster) { c.Heal() },
		"HoldReplication":        func(c *minikafka.Cluster) { c.HoldReplication("orders", 0) },
		"Fault":                  func(c *minikafka.Cluster) { c.Fault(minikafka.Fault{Error: "REQUEST_TIMED_OUT"}) },
		"Chaos":                  func(c *minikafka.Cluster) { c.Chaos(1, minikafka.ChaosOptions{For: time.Hour}) },
		"Elect":                  func(c *minikafka.Cluster) { c.Elect("orders", 0, false) },
		"CreateTopic":            func(c *minikafka.Cluster) { c.CreateTopic("more", 1) },
		"DeleteTopic":            func(c *minikafka.Cluster) { c.DeleteTopic("orders") },
		"Produce":                func(c *minikafka.Cluster) { c.Produce("orders", 0, minikafka.Values("x")...) },
		"Records":                func(c *minikafka.Cluster) { c.Records("orders", 0) },
		"Records of a broker":    func(c *minikafka.Cluster) { c.Broker(0).Records("orders", 0) },
		"PartitionState":         func(c *minikafka.Cluster) { c.PartitionState("orders", 0) },
		"Leader":                 func(c *minikafka.Cluster) { c.Leader("orders", 0) },
		"WaitLeader":             func(c *minikafka.Cluster) { c.WaitLeader("orders", 0) },
		"WaitISR":                func(c *minikafka.Cluster) { c.WaitISR("orders", 0) },
		"WaitHealthy":            func(c *minikafka.Cluster) { c.WaitHealthy() },
		"Wait":                   func(c *minikafka.Cluster) { c.Wait("nothing", func() bool { return false }) },
		"Group":                  func(c *minikafka.Cluster) { c.Group("readers") },
		"Groups":                 func(c *minikafka.Cluster) { c.Groups() },
		"Coordinator":            func(c *minikafka.Cluster) { c.Coordinator("readers") },
		"Transaction":            func(c *minikafka.Cluster) { c.Transaction("copy") },
		"Transactions":           func(c *minikafka.Cluster) { c.Transactions() },
		"TransactionCoordinator": func(c *minikafka.Cluster) { c.TransactionCoordinator("copy") },
	}
	for name, do := range fails {
		if err := c.Try(do); !errors.Is(err, minikafka.ErrClosed) {
			t.Errorf("%s: %v, want %v", name, err, minikafka.ErrClosed)
		}
	}
	if _, err := c.Broker(0).Produce("orders", 0, minikafka.Values("x")...); !errors.Is(err, minikafka.ErrClosed) {
		t.Errorf("Broker.Produce: %v", err)
	}
	// What only looks goes on: a report of a test may need it.
	if s := c.Status(); len(s.Brokers) != 2 || len(c.Addrs()) != 2 || c.Broker(0).State() == minikafka.Running {
		t.Errorf("the status of a closed cluster: %+v", s)
	}
	if fault.Hits() != 0 || len(c.Faults()) != 1 || len(c.Batches().Producers) != 0 || len(c.Topics()) != 0 {
		t.Errorf("a closed cluster has %d faults, %d producers and topics %v", len(c.Faults()), len(c.Batches().Producers), c.Topics())
	}
	fault.Remove()
	looks := []string{
		"Addrs", "Batches", "Bootstrap", "Broker", "Brokers", "Close", "Controllers", "DataDir", "DialContext", "Faults", "For", "ID",
		"ResetBatches", "Status", "Topics", "Try",
	}
	for method := range reflect.TypeFor[*minikafka.Cluster]().Methods() {
		if fails[method.Name] == nil && !slices.Contains(looks, method.Name) {
			t.Errorf("what does %s do on a closed cluster?", method.Name)
		}
	}
}
