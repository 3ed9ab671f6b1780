package reference_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/reference"
)

func start(t *testing.T, cfg reference.Config) (context.Context, *reference.Cluster) {
	t.Helper()
	reference.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cfg.Logf = t.Logf
	c, err := reference.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, c
}

// A record that was acknowledged is still there after the only broker was killed and started again, also when it was paused before.
func TestRecordSurvivesKill(t *testing.T) {
	ctx, c := start(t, reference.Config{Brokers: 1, Properties: map[string]string{"broker.session.timeout.ms": "3000"}})
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()[1]), kgo.DefaultProduceTopic("orders"), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	sent, err := cl.ProduceSync(ctx, kgo.StringRecord("first")).First()
	if err != nil {
		t.Fatalf("producing before the kill: %v", err)
	}
	must(t, c.Pause(1))
	must(t, c.Kill(1))
	if err := c.Kill(1); !errors.Is(err, reference.ErrNotRunning) {
		t.Errorf("killing a dead broker: %v, want %v", err, reference.ErrNotRunning)
	}
	must(t, c.Start(1))
	must(t, c.WaitHealthy(ctx))
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()[1]), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	fetches := reader.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		t.Fatalf("reading after the restart: %v", err)
	}
	if got := fetches.Records()[0]; string(got.Value) != "first" || got.Offset != sent.Offset {
		t.Errorf("read %q at offset %d, want %q at %d", got.Value, got.Offset, "first", sent.Offset)
	}
	must(t, c.Pause(1))
	must(t, c.Resume(1))
	must(t, c.Stop(ctx, 1))
}

// Three controllers form a quorum, and eligible leader replicas can be switched off.
func TestThreeControllersWithoutELR(t *testing.T) {
	ctx, c := start(t, reference.Config{Brokers: 1, Controllers: 3, WithoutELR: true})
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 4
	req.ClientSoftwareName, req.ClientSoftwareVersion = "reference", "1"
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "eligible.leader.replicas.version" && f.MaxVersionLevel > 0 {
			t.Errorf("eligible leader replicas are at version %d, want them off", f.MaxVersionLevel)
		}
	}
	quorum := kmsg.NewPtrDescribeQuorumRequest()
	quorum.Topics = []kmsg.DescribeQuorumRequestTopic{{
		Topic:      "__cluster_metadata",
		Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}},
	}}
	answer, err := quorum.RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	if voters := answer.Topics[0].Partitions[0].CurrentVoters; len(voters) != 3 {
		t.Errorf("the metadata quorum has %d voters, want 3", len(voters))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
