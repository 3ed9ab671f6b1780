package minikafka_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/requests"
	"github.com/minikafka/minikafka/internal/scenario"
)

// dialWire connects to a broker.
func dialWire(t *testing.T, c *minikafka.Cluster, b *minikafka.Broker) *scenario.Wire {
	t.Helper()
	w, err := scenario.DialWire(t.Context(), c.DialContext, b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// produce is a Produce request for these partitions of the topic orders, with the
// value in each.
func produce(acks int16, value string, partitions ...int32) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 9, acks, 10_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "orders"
	for _, n := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = n, scenario.NewBatch(value).Bytes()
		topic.Partitions = append(topic.Partitions, p)
	}
	q.Topics = append(q.Topics, topic)
	return q
}

// TestEveryServedRequestCanFail has every request that brokers serve fail, in every
// version they offer, and reads the error out of the answer.
func TestEveryServedRequestCanFail(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Topic("orders", 1))
	offer := kmsg.NewPtrApiVersionsRequest()
	offer.ClientSoftwareName, offer.ClientSoftwareVersion = "test", "1"
	served, err := dialWire(t, c, c.Broker(0)).Request(offer)
	if err != nil {
		t.Fatal(err)
	}
	names := requests.Names{Topic: "orders", Group: "g", TransactionalID: "tx", Other: "r", TopicID: topicID(t, c)}
	for _, k := range served.(*kmsg.ApiVersionsResponse).ApiKeys {
		api := kmsg.NameForKey(k.ApiKey)
		for version := k.MinVersion; version <= k.MaxVersion; version++ {
			if api == "Produce" && version < 3 {
				continue // offered, and not served, as by Kafka
			}
			q, err := requests.New(k.ApiKey, version, names)
			if err != nil {
				t.Fatal(err)
			}
			h := c.Fault(minikafka.Fault{APIs: []string{api}, Error: "STALE_CONTROLLER_EPOCH"})
			resp, err := dialWire(t, c, c.Broker(0)).Request(q)
			if err != nil {
				t.Errorf("%s %d: %v", api, version, err)
				h.Remove()
				continue
			}
			whole, entries, err := requests.Codes(resp)
			if err != nil {
				t.Fatal(err)
			}
			if code := kerr.StaleControllerEpoch.Code; !slices.Contains(whole, code) && !slices.Contains(entries, code) || h.Hits() != 1 {
				t.Errorf("%s %d: %d hits, and no error in %+v", api, version, h.Hits(), resp)
			}
			h.Remove()
		}
	}
	c.WaitHealthy()
	if topics := c.Topics(); len(topics) != 1 {
		t.Errorf("something was done: %v", topics)
	}
}

func topicID(t *testing.T, c *minikafka.Cluster) [16]byte {
	t.Helper()
	q := kmsg.NewPtrMetadataRequest()
	q.Version = 12
	resp, err := dialWire(t, c, c.Broker(0)).Request(q)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.MetadataResponse).Topics[0].TopicID
}

// Only the partition that is meant fails, before the work or after.
func TestFaultOfAPartition(t *testing.T) {
	t.Parallel()
	for effect, stored := range map[minikafka.Effect]string{"": "", minikafka.ErrorAfterWork: "v"} {
		synctest.Test(t, func(t *testing.T) {
			c := minikafka.Start(t, minikafka.Topic("orders", 2), minikafka.Network(minikafka.PipeNetwork()))
			h := c.Fault(minikafka.Fault{
				APIs: []string{"produce"}, Topic: "orders", Partitions: []int32{1},
				Error: "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Effect: effect,
			})
			w := dialWire(t, c, c.Broker(0))
			for try, want := range []int16{20, 0} {
				resp, err := w.Request(produce(-1, "v", 0, 1))
				if err != nil {
					t.Fatal(err)
				}
				got := map[int32]int16{}
				for _, p := range resp.(*kmsg.ProduceResponse).Topics[0].Partitions {
					got[p.Partition] = p.ErrorCode
				}
				if len(got) != 2 || got[0] != 0 || got[1] != want {
					t.Errorf("try %d: %v", try, got)
				}
				if try == 0 {
					if a, b := values(c.Records("orders", 0)), values(c.Records("orders", 1)); a != "v" || b != stored {
						t.Errorf("%q: stored %q and %q", effect, a, b)
					}
				}
			}
			if h.Hits() != 1 {
				t.Errorf("%d hits", h.Hits())
			}
		})
	}
}

// What a client that sends again makes of each effect: the fault meets the first
// try, and the record is there once, or twice.
func TestRetriesAfterFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		fault       minikafka.Fault
		idempotent  bool
		want        string
		overSockets bool
	}{
		{"refused", minikafka.Fault{Error: "NOT_LEADER_OR_FOLLOWER"}, false, "v", false},
		{"timed out, and done", minikafka.Fault{Error: "REQUEST_TIMED_OUT", Effect: minikafka.ErrorAfterWork}, false, "v v", false},
		{"timed out, and done, idempotent", minikafka.Fault{Error: "REQUEST_TIMED_OUT", Effect: minikafka.ErrorAfterWork}, true, "v", false},
		{"never arrived", minikafka.Fault{Effect: minikafka.CloseBeforeWork}, false, "v", true},
		{"answer lost", minikafka.Fault{Effect: minikafka.LoseAnswer}, false, "v v", true},
		{"answer lost, idempotent", minikafka.Fault{Effect: minikafka.LoseAnswer}, true, "v", true},
		{"answer cut", minikafka.Fault{Effect: minikafka.CutAnswer}, false, "v v", true},
		{"answer cut, idempotent", minikafka.Fault{Effect: minikafka.CutAnswer}, true, "v", false},
		{"broker dead, idempotent", minikafka.Fault{DelayAnswer: minikafka.UntilRemoved}, true, "v", false},
		{"answer late", minikafka.Fault{DelayAnswer: time.Minute}, false, "v v", false},
	} {
		run := func(t *testing.T, c *minikafka.Cluster) {
			opts := []kgo.Opt{
				kgo.DefaultProduceTopic("orders"), kgo.ProduceRequestTimeout(2 * time.Second), kgo.RequestTimeoutOverhead(time.Second),
			}
			if !tc.idempotent {
				opts = append(opts, kgo.DisableIdempotentWrite())
			}
			cl := client(t, c, opts...)
			defer cl.Close()
			fault := tc.fault
			fault.APIs = []string{"Produce"}
			h := c.Fault(fault)
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if got := values(c.Records("orders", 0)); got != tc.want || h.Hits() != 1 {
				t.Errorf("%d hits, the log has %q, want %q", h.Hits(), got, tc.want)
			}
		}
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, run)
		})
		if tc.overSockets {
			t.Run(tc.name+" over TCP", func(t *testing.T) {
				t.Parallel()
				run(t, minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1)))
			})
		}
	}
}

// A client that sends a second batch before it knows of the first has them the
// wrong way round when the first fails, unless it is idempotent. franz-go sends the
// second again, too.
func TestReordering(t *testing.T) {
	t.Parallel()
	for idempotent, want := range map[bool]string{false: "before second first second", true: "before first second"} {
		inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
			opts := []kgo.Opt{kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0)}
			if !idempotent {
				opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
			}
			cl := client(t, c, opts...)
			defer cl.Close()
			// franz-go has one request in flight until the broker has taken one.
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("before")).FirstErr(); err != nil {
				t.Fatal(err)
			}
			h := c.Fault(minikafka.Fault{
				APIs: []string{"Produce"}, Topic: "orders", Error: "NOT_ENOUGH_REPLICAS", DelayRequest: time.Second,
			})
			results := make(chan error, 2)
			cl.Produce(t.Context(), kgo.StringRecord("first"), func(_ *kgo.Record, err error) { results <- err })
			h.Wait(1)
			cl.Produce(t.Context(), kgo.StringRecord("second"), func(_ *kgo.Record, err error) { results <- err })
			if err := errors.Join(<-results, <-results); err != nil {
				t.Fatal(err)
			}
			if got := values(c.Records("orders", 0)); got != want {
				t.Errorf("idempotent %v: the log has %q, want %q", idempotent, got, want)
			}
		})
	}
}

// A delay is exact in virtual time; that of a request comes before the work, that
// of an answer after it. The next request on the connection waits.
func TestDelays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault  minikafka.Fault
		during string // what is stored before the end of the delay
	}{
		{minikafka.Fault{DelayRequest: 10 * time.Second}, ""},
		{minikafka.Fault{DelayAnswer: 10 * time.Second}, "v"},
		{minikafka.Fault{DelayRequest: 7 * time.Second, DelayAnswer: 3 * time.Second, Error: "7"}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := minikafka.Start(t, minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
			h := c.Fault(tc.fault)
			w := dialWire(t, c, c.Broker(0))
			begin := time.Now()
			q := produce(-1, "v", 0)
			if err := w.Write(w.Frame(q)); err != nil {
				t.Fatal(err)
			}
			h.Wait(1)
			<-time.After(9 * time.Second)
			if got := values(c.Records("orders", 0)); got != tc.during {
				t.Errorf("%+v: %q is stored after nine seconds, want %q", tc.fault, got, tc.during)
			}
			resp, err := w.Receive(q)
			if took := time.Since(begin); err != nil || took != 10*time.Second {
				t.Errorf("%+v: answered after %v: %v", tc.fault, took, err)
			}
			if code := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; fmt.Sprint(code) != cmp.Or(tc.fault.Error, "0") {
				t.Errorf("%+v: error %d", tc.fault, code)
			}
		})
	}
}

// A broker does not notice that the client of a delayed request has gone: the
// request is done all the same, after what came later.
func TestDelayedRequestOfAClientThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		h := c.Fault(minikafka.Fault{APIs: []string{"Produce"}, DelayRequest: minikafka.UntilRemoved})
		gone := dialWire(t, c, c.Broker(0))
		if err := gone.Write(gone.Frame(produce(-1, "late", 0))); err != nil {
			t.Fatal(err)
		}
		h.Wait(1)
		_ = gone.Close()
		<-time.After(time.Hour)
		c.Produce("orders", 0, minikafka.Values("early")...)
		if got := values(c.Records("orders", 0)); got != "early" {
			t.Errorf("before the delay ends: %q", got)
		}
		h.Remove()
		c.Wait("the late record", func() bool { return values(c.Records("orders", 0)) == "early late" })
	})
}

// Delays end with pauses respected, and with the broker or the cluster.
func TestDelaysAndNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := minikafka.Start(t, minikafka.Brokers(3), minikafka.Topic("orders", 1), minikafka.Network(minikafka.PipeNetwork()))
		b := c.Leader("orders", 0)
		c.Fault(minikafka.Fault{APIs: []string{"Produce"}, DelayRequest: time.Second, Count: minikafka.Always})

		paused := dialWire(t, c, b)
		q := produce(1, "paused", 0)
		if err := paused.Write(paused.Frame(q)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Pause()
		<-time.After(5 * time.Second)
		if got := values(b.Records("orders", 0)); got != "" {
			t.Errorf("a paused broker has stored %q", got)
		}
		b.Resume()
		if _, err := paused.Receive(q); err != nil {
			t.Error(err)
		}
		c.WaitHealthy()

		b = c.Leader("orders", 0)
		crashed := dialWire(t, c, b)
		if err := crashed.Write(crashed.Frame(produce(1, "crashed", 0))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Crash()
		if _, err := crashed.ReadFrame(); err == nil {
			t.Error("a crashed broker has answered")
		}
		b.Restart()
		c.WaitHealthy()

		// The fault outlives the broker.
		c.Fault(minikafka.Fault{DelayAnswer: minikafka.UntilRemoved, Brokers: []int32{b.ID()}})
		again := dialWire(t, c, b)
		begin := time.Now()
		if err := again.Write(again.Frame(kmsg.NewPtrApiVersionsRequest())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Shutdown()
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("a delay has held up a shutdown for %v", took)
		}
		b.Restart()
		held := dialWire(t, c, b)
		c.Fault(minikafka.Fault{APIs: []string{"ApiVersions"}, DelayRequest: minikafka.UntilRemoved})
		if err := held.Write(held.Frame(kmsg.NewPtrApiVersionsRequest())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A cut answer is half a frame, and then the end.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Topic("orders", 1))
	c.Fault(minikafka.Fault{APIs: []string{"Metadata"}, Effect: minikafka.CutAnswer})
	w := dialWire(t, c, c.Broker(0))
	q := kmsg.NewPtrMetadataRequest()
	if _, err := w.Request(q); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut answer: %v", err)
	}
	if _, err := dialWire(t, c, c.Broker(0)).Request(q); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// A consumer gets the error of its partition although its session does not name it
// again, and reads on afterwards.
func TestFaultOfAFetchSession(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		cl := client(t, c, kgo.ConsumeTopics("orders"), kgo.KeepRetryableFetchErrors())
		defer cl.Close()
		c.Produce("orders", 0, minikafka.Values("one")...)
		if got := cl.PollFetches(t.Context()).Records(); len(got) != 1 {
			t.Fatalf("read %v", got)
		}
		<-time.After(10 * time.Second) // with a session
		begin := time.Now()
		h := c.Fault(minikafka.Fault{APIs: []string{"Fetch"}, Topic: "orders", Partitions: []int32{0}, Error: "KAFKA_STORAGE_ERROR"})
		var failed error
		cl.PollFetches(t.Context()).EachError(func(_ string, _ int32, err error) { failed = err })
		if !errors.Is(failed, kerr.KafkaStorageError) || h.Hits() != 1 {
			t.Errorf("%d hits, the consumer saw %v after %v", h.Hits(), failed, time.Since(begin))
		}
		c.Produce("orders", 0, minikafka.Values("two")...)
		if got := cl.PollFetches(t.Context()).Records(); len(got) != 1 || string(got[0].Value) != "two" || got[0].Offset != 1 {
			t.Errorf("afterwards it read %v", got)
		}
	})
}

// A function can answer in the broker's place, or around its work.
func TestFaultHandle(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		b := c.Leader("orders", 0)
		var asked []string
		c.Fault(minikafka.Fault{
			APIs: []string{"Produce"}, Count: 2,
			Handle: func(r *minikafka.FaultedRequest) (kmsg.Response, error) {
				asked = append(asked, fmt.Sprintf("%s asks %d", r.ClientID, r.Broker))
				resp, err := r.Work()
				if err == nil {
					resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].BaseOffset += 100
				}
				return resp, err
			},
		})
		w := dialWire(t, c, b)
		for _, want := range []int64{100, 101, 2} {
			resp, err := w.Request(produce(-1, "v", 0))
			if err != nil || resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].BaseOffset != want {
				t.Errorf("%+v, %v, want %d", resp, err, want)
			}
		}
		if want := fmt.Sprintf("wire asks %d", b.ID()); !slices.Equal(asked, []string{want, want}) {
			t.Errorf("%q", asked)
		}

		// A panic ends the connection, no more.
		c.Fault(minikafka.Fault{APIs: []string{"Produce"}, Handle: func(*minikafka.FaultedRequest) (kmsg.Response, error) { panic("on purpose") }})
		if _, err := w.Request(produce(-1, "v", 0)); err == nil {
			t.Error("a panic was answered")
		}
		if _, err := dialWire(t, c, b).Request(produce(-1, "v", 0)); err != nil {
			t.Error(err)
		}
	}, minikafka.LogLevel(12)) // the panic is logged as an error
}

// Faults can be counted and waited for; the deadline tells of them.
func TestObserve(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, c *minikafka.Cluster) {
		h := c.Fault(
			minikafka.Fault{APIs: []string{"Produce"}, ClientID: "wire", Effect: minikafka.Observe, Count: minikafka.Always},
			minikafka.Fault{APIs: []string{"ApiVersions"}, Effect: minikafka.Observe},
		)
		w := dialWire(t, c, c.Leader("orders", 0))
		for range 2 {
			if _, err := w.Request(produce(-1, "v", 0)); err != nil {
				t.Fatal(err)
			}
		}
		h.Wait(2)
		begin := time.Now()
		err := c.Try(func(c *minikafka.Cluster) { c.Faults()[0].Wait(3) })
		if !errors.Is(err, minikafka.ErrTimeout) || !strings.Contains(err.Error(), "fault 1: Produce by client wire: observe") {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("waited %v", took)
		}
		if s := h.Status(); s.Hits != 2 || s.Left != minikafka.Always || len(c.Status().Faults) != 1 {
			t.Errorf("%+v", s)
		}
		h.Remove()
		h.Remove()
		if len(c.Faults()) != 0 || len(c.Status().Faults) != 0 || h.Status().Left != 0 {
			t.Errorf("after Remove: %v", c.Status().Faults)
		}
	}, minikafka.WaitTimeout(time.Minute))
}
