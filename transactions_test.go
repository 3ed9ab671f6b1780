package minikafka_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// committedValues are what a read_committed consumer sees of a topic until it has
// seen the value "end" in each partition.
func committedValues(ctx context.Context, t *testing.T, c *minikafka.Cluster, topic string, partitions int) []string {
	t.Helper()
	cl := client(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	var values []string
	for ends := 0; ends < partitions; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("consuming %s, after %d records and %d ends: %v", topic, len(values), ends, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if v := string(r.Value); v == "end" {
				ends++
			} else {
				values = append(values, v)
			}
		})
	}
	return values
}

// TestTransactions: what is committed is seen, what is aborted is not, and offsets go
// with the transaction.
func TestTransactions(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("out", 2))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p := client(t, c, kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("out"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for i := range 6 {
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for j := range 10 {
			p.Produce(ctx, kgo.StringRecord(fmt.Sprint(i, " ", j)), nil)
		}
		if err := p.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if err := p.EndTransaction(ctx, kgo.TransactionEndTry(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	end(ctx, t, c, "out", 2)
	seen := map[string]int{}
	for _, v := range committedValues(ctx, t, c, "out", 2) {
		seen[v]++
	}
	for i := range 6 {
		for j := range 10 {
			want := 1 - i%2
			if v := fmt.Sprint(i, " ", j); seen[v] != want {
				t.Errorf("%q was seen %d times, want %d", v, seen[v], want)
			}
		}
	}
}

// end writes the record "end" to each partition.
func end(ctx context.Context, t *testing.T, c *minikafka.Cluster, topic string, partitions int32) {
	t.Helper()
	p := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for n := range partitions {
		if err := p.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: n, Value: []byte("end")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExactlyOnceThroughCrashes copies one topic to another, each record and its
// offset in one transaction, while brokers crash: leaders of either topic, and the
// coordinators of the group and of the transaction.
func TestExactlyOnceThroughCrashes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, copyThroughCrashes)
}

func copyThroughCrashes(t *testing.T) {
	const records = 300
	c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Config("min.insync.replicas", "2"),
		minikafka.Topic("in", 3), minikafka.Topic("out", 3), minikafka.Network(minikafka.PipeNetwork()))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	source := client(t, c, kgo.DefaultProduceTopic("in"))
	for i := range records {
		source.Produce(ctx, kgo.StringRecord(strconv.Itoa(i)), nil)
	}
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.DialContext),
		kgo.TransactionalID("copy"), kgo.ConsumerGroup("copiers"), kgo.ConsumeTopics("in"), kgo.DefaultProduceTopic("out"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var restarts sync.WaitGroup
	defer restarts.Wait()
	commits, crashes := 0, 0
	for copied := 0; copied < records; {
		fs := s.PollRecords(ctx, 10)
		if ctx.Err() != nil {
			t.Fatalf("copied %d of %d records in %d transactions", copied, records, commits)
		}
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, kgo.SliceRecord(r.Value), func(r *kgo.Record, err error) {
				if err != nil {
					t.Errorf("%s: %v", r.Value, err)
				}
			})
		})
		if commits >= crashes*4 && crashes < 6 {
			restarts.Wait()
			b := c.Brokers()[crashes%3]
			b.Crash()
			crashes++
			restarts.Go(b.Restart)
		}
		committed, err := s.End(ctx, kgo.TryCommit)
		if err != nil {
			t.Logf("transaction %d: %v", commits, err)
		}
		if committed {
			copied += fs.NumRecords()
			commits++
		}
	}
	restarts.Wait()
	c.WaitHealthy()
	end(ctx, t, c, "out", 3)
	seen := map[string]int{}
	for _, v := range committedValues(ctx, t, c, "out", 3) {
		seen[v]++
	}
	for i := range records {
		if n := seen[strconv.Itoa(i)]; n != 1 {
			t.Errorf("record %d was copied %d times", i, n)
		}
	}
	if crashes < 6 {
		t.Errorf("only %d crashes in %d transactions", crashes, commits)
	}
}

// TestTransactionTimesOut is a producer that falls silent, with Kafka's timings: its
// transaction is aborted after a minute, and consumers go on.
func TestTransactionTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("out", 1),
			minikafka.Network(minikafka.PipeNetwork()), minikafka.Timing(minikafka.KafkaTimings))
		ctx := t.Context()
		p := client(t, c, kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("out"), kgo.TransactionTimeout(time.Minute))
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := p.ProduceSync(ctx, kgo.StringRecord("silence")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		end(ctx, t, c, "out", 1)
		if v := committedValues(ctx, t, c, "out", 1); len(v) != 0 {
			t.Errorf("seen: %q", v)
		}
		if took := time.Since(begin); took < 55*time.Second || took > 75*time.Second {
			t.Errorf("the transaction held up its consumers for %v, want a minute and up to ten seconds", took)
		}
		if err := p.EndTransaction(ctx, kgo.TryCommit); err == nil {
			t.Error("the transaction that had timed out could be committed")
		}
	})
}

// TestRefusedMarker is a partition that refuses the end of a transaction for its size. As
// in Kafka its coordinator gives up, after all other partitions have theirs; the next one
// tries again.
func TestRefusedMarker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("small", 1), minikafka.Topic("out", 1),
			minikafka.Network(minikafka.PipeNetwork()))
		ctx := t.Context()
		p := client(t, c, kgo.TransactionalID("tx"))
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{"small", "out"} {
			if err := p.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		admin := kadm.NewClient(client(t, c))
		largest := func(bytes string) {
			if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &bytes}}, "small"); err != nil {
				t.Fatal(err)
			}
		}
		largest("10")
		if err := p.EndTransaction(ctx, kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		end(ctx, t, c, "out", 1)
		if v := committedValues(ctx, t, c, "out", 1); len(v) != 1 {
			t.Errorf("of the other topic is seen %q, want one record", v)
		}
		largest("1000000")
		<-time.After(5 * time.Second) // many times what lies between two tries
		found, err := admin.DescribeTransactions(ctx, "tx")
		if err != nil {
			t.Fatal(err)
		}
		if state := found["tx"].State; state != "PrepareCommit" {
			t.Errorf("after some time the transaction is %s, want PrepareCommit", state)
		}
		c.Broker(found["tx"].Coordinator).Crash()
		end(ctx, t, c, "small", 1)
		if v := committedValues(ctx, t, c, "small", 1); len(v) != 1 {
			t.Errorf("with the next coordinator is seen %q, want one record", v)
		}
	})
}
