package oracle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
	"github.com/minikafka/minikafka/internal/scenario"
)

// patience is how long anything may take; it is used up only where something is broken.
const patience = 30 * time.Second

// server is one of the two that are compared, with three brokers.
type server struct {
	name  string
	addrs []string
	dial  scenario.Dial
}

func startKfake(t *testing.T) server {
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.DefaultNumPartitions(1), kfake.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return server{"kfake", c.ListenAddrs(), (&net.Dialer{}).DialContext}
}

func startMinikafka(t *testing.T) server {
	c := minikafka.Start(t, minikafka.Brokers(3))
	return server{"minikafka", c.Addrs(), c.DialContext}
}

// sight is one thing that a script saw.
type sight struct{ what, how string }

// session is one run of a script.
type session struct {
	*testing.T
	server server
	ctx    context.Context
	seen   []sight
	wires  map[string]*scenario.Wire // by address

	controller string // its address
}

func newSession(t *testing.T, s server) *session {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return &session{T: t, server: s, ctx: ctx, wires: map[string]*scenario.Wire{}}
}

// saw notes something to be compared; what must be told once.
func (s *session) saw(what string, how any) {
	s.Helper()
	for _, old := range s.seen {
		if old.what == what {
			s.Fatalf("%q is told twice", what)
		}
	}
	s.seen = append(s.seen, sight{what, fmt.Sprint(how)})
}

// code notes an error code by its name.
func (s *session) code(what string, code int16) {
	s.Helper()
	s.saw(what, codeName(code))
}

func codeName(code int16) string {
	err := kerr.ErrorForCode(code)
	var e *kerr.Error
	switch {
	case err == nil:
		return "NONE"
	case errors.As(err, &e):
		return e.Message
	}
	return err.Error()
}

// client starts a franz-go client.
func (s *session) client(opts ...kgo.Opt) *kgo.Client {
	s.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(s.server.addrs...), kgo.Dialer(s.server.dial),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }), kgo.MetadataMinAge(10 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c
}

// wire is a connection to an address.
func (s *session) wire(addr string) *scenario.Wire {
	s.Helper()
	if w := s.wires[addr]; w != nil {
		return w
	}
	w, err := scenario.DialWire(s.ctx, s.server.dial, addr)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = w.Close() }) // Nothing is read from it any more.
	s.wires[addr] = w
	return w
}

// ask sends a request, in its version, to the broker that Metadata calls the controller, as clients do with requests
// that change something.
func (s *session) ask(req kmsg.Request) kmsg.Response {
	s.Helper()
	if s.controller == "" {
		s.controller = s.broker(s.metadata().ControllerID)
	}
	return s.askAt(s.controller, req)
}

// broker is a broker's address.
func (s *session) broker(id int32) string {
	s.Helper()
	for _, b := range s.metadata().Brokers {
		if b.NodeID == id {
			return net.JoinHostPort(b.Host, fmt.Sprint(b.Port))
		}
	}
	s.Fatalf("%s: there is no broker %d", s.server.name, id)
	return ""
}

func (s *session) askAt(addr string, req kmsg.Request) kmsg.Response {
	s.Helper()
	resp, err := s.wire(addr).Request(req)
	if err != nil {
		s.Fatalf("%s: %s v%d: %v", s.server.name, kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return resp
}

// skipUnless skips the script when the server lacks a key.
func (s *session) skipUnless(needs []kmsg.Key) {
	s.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	has := map[int16]bool{}
	for _, k := range s.askAt(s.server.addrs[0], req).(*kmsg.ApiVersionsResponse).ApiKeys {
		has[k.ApiKey] = true
	}
	for _, k := range needs {
		if !has[int16(k)] {
			s.Skipf("%s does not serve %s", s.server.name, k.Name())
		}
	}
}

// metadata asks for topics, or for all of them.
func (s *session) metadata(topics ...string) *kmsg.MetadataResponse {
	s.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(12)
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return s.askAt(s.server.addrs[0], req).(*kmsg.MetadataResponse)
}

// leader is the address of a partition's leader, once it has one.
func (s *session) leader(topic string, partition int32) string {
	s.Helper()
	for s.ctx.Err() == nil {
		m := s.metadata(topic)
		for _, p := range m.Topics[0].Partitions {
			for _, b := range m.Brokers {
				if p.Partition == partition && b.NodeID == p.Leader {
					return net.JoinHostPort(b.Host, fmt.Sprint(b.Port))
				}
			}
		}
	}
	s.Fatalf("%s: waited in vain for a leader of %s/%d", s.server.name, topic, partition)
	return ""
}

// create creates a topic with all that is needed for a script to go on.
func (s *session) create(name string, partitions int32, configs ...string) {
	s.Helper()
	req := createTopics(newTopic(name, partitions, 3, configs...))
	resp := s.ask(req).(*kmsg.CreateTopicsResponse)
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		s.Fatalf("%s: creating %s: %v", s.server.name, name, err)
	}
	for p := range partitions {
		s.leader(name, p)
	}
}

func createTopics(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	req.TimeoutMillis = int32(patience.Milliseconds())
	req.Topics = topics
	return req
}

func newTopic(name string, partitions int32, replicas int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for _, c := range configs {
		name, value, _ := strings.Cut(c, "=")
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = name, &value
		t.Configs = append(t.Configs, cfg)
	}
	return t
}
