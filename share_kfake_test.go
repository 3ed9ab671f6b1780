package minikafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// shareScript is a share group's life at one broker; what it returns is what was
// seen.
func shareScript(t *testing.T, address string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	q, value := kmsg.NewPtrIncrementalAlterConfigsRequest(), "earliest"
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, shareGroup
	res.Configs = append(res.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: "share.auto.offset.reset", Value: &value})
	q.Resources = append(q.Resources, res)
	if _, err := q.RequestWith(ctx, cl); err != nil {
		t.Fatal(err)
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{shareGroup}
	if found, err := find.RequestWith(ctx, cl); err != nil || found.Coordinators[0].ErrorCode != 0 {
		t.Fatalf("no coordinator: %+v, %v", found, err)
	}
	var batch []*kgo.Record
	for i := range 6 {
		batch = append(batch, kgo.StringRecord(fmt.Sprint(i)))
	}
	if err := cl.ProduceSync(ctx, batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	see := func(what string, v any) { seen = append(seen, fmt.Sprintf("%s: %v", what, v)) }
	member := func(id string) *sharer {
		w := func() *scenario.Wire {
			w, err := scenario.DialWire(ctx, new(net.Dialer).DialContext, address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = w.Close() })
			return w
		}
		s := &sharer{t: t, id: id, group: w(), leader: w()}
		resp := s.beat(0, "orders")
		for ctx.Err() == nil && resp.ErrorCode == kerr.CoordinatorLoadInProgress.Code {
			resp = s.beat(0, "orders")
		}
		if resp.ErrorCode != 0 {
			t.Fatalf("%s: %v", address, kerr.ErrorForCode(resp.ErrorCode))
		}
		for epoch := resp.MemberEpoch; ctx.Err() == nil && (resp.Assignment == nil || len(resp.Assignment.TopicPartitions) == 0); epoch = resp.MemberEpoch {
			if resp = s.beat(epoch, "orders"); resp.ErrorCode != 0 {
				t.Fatalf("%s: %v, epoch %d", address, kerr.ErrorForCode(resp.ErrorCode), epoch)
			}
		}
		s.topic = resp.Assignment.TopicPartitions[0].TopicID
		return s
	}
	fetched := func(s *sharer) {
		got, err := s.tryFetch(100)
		see(s.id+" fetches", fmt.Sprint(got, code(err)))
	}
	acked := func(s *sharer, first, last int64, typ int8) {
		see(fmt.Sprintf("%s acknowledges %d-%d as %d", s.id, first, last, typ), code(s.ack(first, last, typ)))
	}
	a, b := member("a"), member("b")
	fetched(a)
	fetched(b)
	acked(b, 0, 5, 1)
	acked(a, 0, 1, 1)
	acked(a, 0, 1, 1)
	acked(a, 2, 3, 2)
	acked(a, 4, 4, 3)
	acked(a, 5, 9, 1)
	acked(a, 5, 5, 4)
	fetched(b)
	acked(b, 2, 3, 0)
	acked(a, 5, 5, 1)
	fetched(a)
	a.epoch += 3
	fetched(a)
	acked(a, 5, 5, 1)
	a.epoch = 0
	acked(a, 5, 5, 1)
	b.epoch = -1
	_, err = b.tryFetch(0)
	see("b ends its session", code(err))
	b.epoch = 7
	fetched(b)
	return seen
}

func code(err error) string {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Message
	}
	return fmt.Sprint(err)
}

// TestShareGroupsAsKfake runs the same script here and in kfake.
func TestShareGroupsAsKfake(t *testing.T) {
	t.Parallel()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := minikafka.Start(t, minikafka.Topic("orders", 1))
	here, there := shareScript(t, c.Broker(0).Addr()), shareScript(t, fake.ListenAddrs()[0])
	if !slices.Equal(here, there) {
		for i := range here {
			if here[i] != there[i] {
				t.Errorf("%s; kfake: %s", here[i], there[i])
			}
		}
	}
}
