package minikafka_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/requests"
	"github.com/minikafka/minikafka/internal/scenario"
)

// places tells where the answer to a request has the error STALE_CONTROLLER_EPOCH,
// which no broker answers by itself.
func places(t *testing.T, dial scenario.Dial, address string, q kmsg.Request) (whole, entries bool) {
	t.Helper()
	w, err := scenario.DialWire(t.Context(), dial, address)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	resp, err := w.Request(q)
	if err != nil {
		t.Fatal(err)
	}
	all, each, err := requests.Codes(resp)
	if err != nil {
		t.Fatal(err)
	}
	code := kerr.StaleControllerEpoch.Code
	return slices.Contains(all, code), slices.Contains(each, code)
}

// offered are the highest versions of the requests that a broker serves.
func offered(t *testing.T, dial scenario.Dial, address string) map[int16]int16 {
	t.Helper()
	w, err := scenario.DialWire(t.Context(), dial, address)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	q := kmsg.NewPtrApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = "test", "1"
	resp, err := w.Request(q)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int16]int16{}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		out[k.ApiKey] = k.MaxVersion
	}
	return out
}

// TestFaultsAsKfake sets the same faults here and in kfake, for every request that
// both serve: where kfake answers the error, so is it here, in the same place. kfake
// looks for faults later, so that a request may fail by itself before.
func TestFaultsAsKfake(t *testing.T) {
	t.Parallel()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	c := minikafka.Start(t, minikafka.Topic("orders", 1))
	theirs := offered(t, dial, fake.ListenAddrs()[0])
	id, compared := topicID(t, c), 0
	for key, version := range offered(t, dial, c.Broker(0).Addr()) {
		both, known := theirs[key]
		if !known {
			continue
		}
		for what, f := range map[string]kfake.Fault{
			"everything": {}, "a topic": {Topic: "orders"}, "another topic": {Topic: "nobody"}, "a group": {Group: "g"},
			"a partition": {Topic: "orders", Partitions: []int32{0}}, "a transactional id": {TxnID: "tx"}, "the whole": {TopLevel: true},
		} {
			request := func(id [16]byte) kmsg.Request {
				q, err := requests.New(key, min(version, both), requests.Names{
					Topic: "orders", TopicID: id, Group: "g", TransactionalID: "tx", Other: "r",
				})
				if err != nil {
					t.Fatal(err)
				}
				return q
			}
			api := kmsg.NameForKey(key)
			h := c.Fault(minikafka.Fault{
				APIs: []string{api}, Topic: f.Topic, Partitions: f.Partitions, Group: f.Group, TransactionalID: f.TxnID,
				TopLevel: f.TopLevel, Error: "STALE_CONTROLLER_EPOCH",
			})
			whole, entries := places(t, dial, c.Broker(0).Addr(), request(id))
			h.Remove()
			f.Keys, f.Err = []kmsg.Key{kmsg.Key(key)}, kerr.StaleControllerEpoch
			fh := fake.Fault(f)
			fakeWhole, fakeEntries := places(t, dial, fake.ListenAddrs()[0], request(fake.TopicInfo("orders").TopicID))
			fh.Remove()
			if shares := kmsg.Key(key) == kmsg.ShareFetch || kmsg.Key(key) == kmsg.ShareAcknowledge; shares && entries {
				// Such an error is a partition's in Kafka; kfake has it for the request.
				continue
			}
			if fakeWhole && !whole || fakeEntries && !entries {
				t.Errorf("%s, %s: for the whole request %v, kfake %v; in entries %v, kfake %v", api, what, whole, fakeWhole, entries, fakeEntries)
			}
			if fakeWhole || fakeEntries {
				compared++
			}
		}
	}
	if compared < 60 {
		t.Errorf("kfake has failed %d requests only", compared)
	}
}
