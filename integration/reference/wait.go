package reference

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// WaitHealthy waits until every running broker answers and names every running broker in its Metadata. A broker that was
// killed and started again is counted only when it is unfenced, about one session timeout later. An error says what was
// missing and what the node concerned logged last.
func (c *Cluster) WaitHealthy(ctx context.Context) error {
	var running []*node
	for _, id := range c.Brokers() {
		select {
		case <-c.nodes[id].ended():
		default:
			running = append(running, c.nodes[id])
		}
	}
	for _, n := range running {
		if err := waitServing(ctx, n, len(running)); err != nil {
			return fmt.Errorf("%w\n%s", err, n.tail())
		}
	}
	return nil
}

// waitServing asks the broker for the live brokers until it names want of them, itself among them.
func waitServing(ctx context.Context, n *node, want int) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		live, err := liveBrokers(ctx, n.addr)
		if err == nil && len(live) == want && live[n.id] {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("reference: broker %d names the brokers %v, %d were waited for: %w", n.id, live, want, errors.Join(ctx.Err(), err))
		case <-n.ended():
			return fmt.Errorf("reference: broker %d ended while it was waited for: %w", n.id, ErrNotRunning)
		case <-tick.C:
		}
	}
}

func liveBrokers(ctx context.Context, addr string) (map[int32]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := wire.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetTimeout(5 * time.Second)
	req := kmsg.NewMetadataRequest()
	req.Version = 9
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := conn.Request(&req)
	if err != nil {
		return nil, err
	}
	live := map[int32]bool{}
	for _, b := range resp.(*kmsg.MetadataResponse).Brokers {
		live[b.NodeID] = true
	}
	return live, nil
}
