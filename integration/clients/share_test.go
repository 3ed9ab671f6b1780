package clients_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

// shareGroups runs a share consumer that can do all.
func shareGroups(t *testing.T, client client) {
	t.Run("explicit", func(t *testing.T) { shareExplicitly(t, client) })
	t.Run("implicit, and crashes", func(t *testing.T) { shareThroughCrashes(t, client) })
}

// fromTheBeginning has the group begin at the beginning.
func (r *reading) fromTheBeginning() {
	r.t.Helper()
	q, value := kmsg.NewPtrIncrementalAlterConfigsRequest(), "earliest"
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, readers
	res.Configs = append(res.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: "share.auto.offset.reset", Value: &value})
	q.Resources = append(q.Resources, res)
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.c.Addrs()...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	resp, err := q.RequestWith(ctx, cl)
	if err != nil || resp.Resources[0].ErrorCode != 0 {
		r.t.Fatalf("the group's config: %+v, %v", resp, err)
	}
}

// until waits for what members tell.
func (r *reading) until(what string, f func() bool) {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !f() {
		select {
		case <-r.told:
		case <-limit.C:
			var all []string
			for _, m := range r.members {
				all = append(all, fmt.Sprint(m.all("read"), m.all("failed")))
			}
			r.t.Fatalf("after %s still waiting for %s: %v", patience, what, all)
		}
	}
}

func (r *reading) readAll(kind string) []string {
	var all []string
	for _, m := range r.members {
		all = append(all, m.all(kind)...)
	}
	return all
}

func shareExplicitly(t *testing.T, client client) {
	r := newReading(t, client)
	r.fromTheBeginning()
	r.c.Produce(topic, 0, minikafka.Values("accept-1", "release-2", "reject-3", "renew-4", "accept-5")...)
	m := r.join("explicit", topic)
	want := []string{"accept-1 1", "accept-5 1", "reject-3 1", "release-2 1", "release-2 2", "release-2 3", "release-2 4", "release-2 5"}
	got := func() (list []string) {
		for _, v := range m.all("read") {
			if v[:5] != "renew" {
				list = append(list, v)
			}
		}
		slices.Sort(list)
		return list
	}
	r.until("every delivery", func() bool { return len(got()) >= len(want) && slices.Contains(m.all("read"), "renew-4 1") })
	m.leave()
	if !slices.Equal(got(), want) {
		t.Errorf("read %v, want %v", got(), want)
	}
	if failed := m.all("failed"); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
}

func shareThroughCrashes(t *testing.T, client client) {
	r := newReading(t, client)
	r.fromTheBeginning()
	r.produce(topic, 4)
	a := r.join("implicit", topic)
	r.join("implicit", topic)
	seen := func() map[string]bool {
		all := map[string]bool{}
		for _, v := range r.readAll("read") {
			all[v[:len(v)-2]] = true
		}
		return all
	}
	r.until("the first records", func() bool { return len(seen()) == r.values })
	for i := range 3 {
		r.c.Broker(int32(i)).Crash()
		r.produce(topic, 4)
		r.until(fmt.Sprintf("the records after the crash of broker %d", i), func() bool { return len(seen()) == r.values })
		r.c.Broker(int32(i)).Restart()
		r.c.WaitHealthy()
	}
	a.leave()
	r.produce(topic, 4)
	r.until("the records that one member reads", func() bool { return len(seen()) == r.values })
	r.members[1].leave()
}
