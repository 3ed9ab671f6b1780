package conformance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// Targets returns the targets that have a name.
func Targets() []Target {
	return []Target{minikafkaTarget(), serveTarget(), referenceTarget(), kfakeTarget()}
}

// FindTarget returns the target that -target names: one of Targets, or a list of addresses.
func FindTarget(name string) (Target, error) {
	var known []string
	for _, t := range Targets() {
		if t.Name == name {
			return t, nil
		}
		known = append(known, t.Name)
	}
	if !strings.Contains(name, ":") {
		return Target{}, fmt.Errorf("conformance: no target %q: want %s or a list of host:port", name, strings.Join(known, ", "))
	}
	return addressTarget(strings.Split(name, ",")), nil
}

// addressTarget is a cluster that is running already. Nothing can be done to its nodes.
func addressTarget(seeds []string) Target {
	return Target{
		Name:     strings.Join(seeds, ","),
		Software: strings.Join(seeds, ","),
		Timing:   Timing{Session: 9 * time.Second, Lag: 30 * time.Second, Patience: 30 * time.Second, Poll: 50 * time.Millisecond},
		Forwards: true,
		Found:    true,
		Start: func(ctx context.Context, _ Config) (Cluster, error) {
			addrs, err := discover(ctx, seeds)
			return running{addrs}, err
		},
	}
}

// running is a cluster that was found, not started.
type running struct{ addrs map[int32]string }

func (r running) Addrs() map[int32]string { return r.addrs }
func (r running) Controllers() []int32    { return nil }
func (r running) Do(Verb, int32) error    { return ErrVerb }
func (r running) Close() error            { return nil }

// discover asks the first seed that answers for the cluster's brokers.
func discover(ctx context.Context, seeds []string) (map[int32]string, error) {
	var last error
	for _, seed := range seeds {
		conn, err := wire.Dial(ctx, seed)
		if err != nil {
			last = err
			continue
		}
		req := kmsg.NewMetadataRequest()
		req.Version = 9
		req.Topics = []kmsg.MetadataRequestTopic{}
		resp, err := conn.Request(&req)
		_ = conn.Close() // It was only read from.
		if err != nil {
			last = err
			continue
		}
		addrs := map[int32]string{}
		for _, b := range resp.(*kmsg.MetadataResponse).Brokers {
			addrs[b.NodeID] = fmt.Sprintf("%s:%d", b.Host, b.Port)
		}
		return addrs, nil
	}
	return nil, fmt.Errorf("conformance: none of %v answers: %w", seeds, last)
}

// Offered returns the API keys that a cluster's first broker offers.
func Offered(ctx context.Context, c Cluster) (map[int16]bool, error) {
	addrs := c.Addrs()
	conn, err := wire.Dial(ctx, addrs[slices.Min(slices.Collect(maps.Keys(addrs)))])
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	req := kmsg.NewApiVersionsRequest()
	resp, err := conn.Request(&req)
	if err != nil {
		return nil, err
	}
	keys := map[int16]bool{}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		keys[k.ApiKey] = true
	}
	return keys, nil
}
