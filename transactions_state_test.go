package minikafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// A transaction can be looked at and waited for from its beginning to its end, also with
// another coordinator.
func TestTransactionState(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("out", 2), minikafka.Config("min.insync.replicas", "2"))
	if s := c.Transaction("tx"); s.State != minikafka.DeadTransaction || s.Coordinator != -1 || len(c.Transactions()) != 0 {
		t.Errorf("before anything: %v", s)
	}
	if len(c.Topics()) != 1 {
		t.Errorf("a cluster without transactions has topics %v", c.Topics())
	}
	ctx := within(t, 30*time.Second)
	p := client(t, c, kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(time.Minute))
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.ProduceSync(ctx, &kgo.Record{Topic: "out", Partition: 1, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	id, epoch, err := p.ProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Transaction("tx")
	if s.State != "Ongoing" || s.ProducerID != id || s.ProducerEpoch != epoch || s.Timeout != time.Minute || s.Started.IsZero() ||
		s.Coordinator != c.TransactionCoordinator("tx").ID() {
		t.Errorf("while it is open: %+v", s)
	}
	if pending := s.Pending(); len(pending) != 1 || pending[0] != (minikafka.TransactionPartition{Topic: "out", Partition: 1}) {
		t.Errorf("pending: %+v", pending)
	}
	for _, want := range []string{"tx: Ongoing, producer", "\n  out/1: open since offset 0"} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("it does not say %q:\n%v", want, s)
		}
	}
	if other := c.Transaction("other"); other.State != minikafka.DeadTransaction || other.Coordinator < 0 {
		t.Errorf("an id that nobody has used: %v", other)
	}

	old := c.TransactionCoordinator("tx")
	old.Crash()
	c.Wait("another coordinator", func() bool { return c.Transaction("tx").State == "Ongoing" })
	// A marker that cannot be replicated leaves the transaction decided, and pending.
	release := c.HoldReplication("out", 1)
	if err := p.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if s := c.Transaction("tx"); s.State != "PrepareCommit" || s.Coordinator == old.ID() {
		t.Errorf("with a marker to be written: %v", s)
	}
	release()
	old.Restart()
	c.Wait("the end", func() bool { return c.Transaction("tx").State == "CompleteCommit" })
	if all := c.Transactions(); len(all) != 1 || all[0].ID != "tx" || len(all[0].Partitions) != 0 {
		t.Errorf("all transactions: %v", all)
	}
	for _, b := range c.Brokers() {
		b.Crash()
	}
	if s := c.Transaction("tx"); s.State != "" || !strings.Contains(s.String(), "tx: unknown") {
		t.Errorf("without brokers: %v", s)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Try(func(c *minikafka.Cluster) { c.Transactions() }); !errors.Is(err, minikafka.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
