package minikafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server"
)

// CreateTopic creates a topic, and returns when every broker knows it and its
// leaders serve clients. The options are those of [Topic].
func (c *Cluster) CreateTopic(name string, partitions int, opts ...TopicOption) {
	c.tb.Helper()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	t := topicSpec(name, partitions, opts)
	if wrong := t.wrong(len(c.brokers)); wrong != "" {
		c.check(fmt.Errorf("%w: %s", ErrArgument, wrong))
	}
	c.check(c.cluster.createTopics(ctx, []TopicSpec{t}, false))
}

// DeleteTopic deletes a topic, and returns when every broker knows it.
func (c *Cluster) DeleteTopic(name string) {
	c.tb.Helper()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	c.check(c.cluster.deleteTopic(ctx, name))
}

// Elect has the controller elect a leader: the preferred one, which is the
// first of the partition's replicas, or with unclean any replica that runs, for
// a partition that has no leader (Kafka's ElectLeaders). It returns when the
// leader serves clients.
func (c *Cluster) Elect(topic string, partition int32, unclean bool) *Broker {
	c.tb.Helper()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	c.check(c.cluster.elect(ctx, topic, partition, unclean))
	return c.WaitLeader(topic, partition)
}

// do sends a command to the controller through a broker that reaches it.
func (c *cluster) do(ctx context.Context, cmd election.Command) (any, error) {
	if c.isClosed() {
		return nil, ErrClosed
	}
	var via *server.Broker
	for _, n := range c.brokers {
		life := n.running()
		if life == nil {
			continue
		}
		if c.reachesController(n.name) {
			via = life
			break
		}
		if via == nil {
			via = life
		}
	}
	if via == nil {
		return nil, fmt.Errorf("%w: no broker runs", ErrNotRunning)
	}
	return via.Client().Do(ctx, cmd)
}

// createTopics creates topics and waits for them. With keep it leaves those
// alone that are there already.
func (c *cluster) createTopics(ctx context.Context, topics []TopicSpec, keep bool) error {
	if len(topics) == 0 {
		return nil
	}
	cmd := &election.CreateTopics{}
	for _, t := range topics {
		cmd.Topics = append(cmd.Topics, c.newTopic(t))
	}
	answer, err := c.do(ctx, cmd)
	if err != nil {
		return fmt.Errorf("minikafka: create topics: %w", err)
	}
	var index uint64
	for _, r := range answer.([]election.CreateTopicResult) {
		switch {
		case r.Err == nil:
			index = max(index, r.Index)
		case keep && errors.Is(r.Err, election.ErrTopicExists):
		default:
			return fmt.Errorf("minikafka: create topic %s: %w", r.Name, r.Err)
		}
	}
	return c.wait(ctx, "the leaders of new topics", func() bool {
		if !c.seen(index) {
			return false
		}
		for _, t := range topics {
			if !c.served(t.Name) {
				return false
			}
		}
		return true
	})
}

func (c *cluster) newTopic(t TopicSpec) election.NewTopic {
	n := election.NewTopic{Name: t.Name, Configs: t.Configs}
	if len(t.Replicas) > 0 {
		n.Partitions, n.ReplicationFactor, n.Assignment = -1, -1, t.Replicas
		return n
	}
	replicas := t.ReplicationFactor
	if replicas == 0 {
		replicas = min(maxDefaultReplicas, len(c.brokers))
	}
	n.Partitions, n.ReplicationFactor = int32(t.Partitions), int16(replicas)
	return n
}

// seen tells whether every broker that takes part has the metadata of an index.
func (c *cluster) seen(index uint64) bool {
	image := c.image()
	if image == nil {
		return false
	}
	for _, n := range c.brokers {
		life := n.running()
		if life == nil || !image.Brokers[n.plan.id].Alive() {
			continue
		}
		if own := life.Image(); own == nil || own.Index < index {
			return false
		}
	}
	return true
}

// served tells whether every partition of a topic that has a leader is served
// by it.
func (c *cluster) served(topic string) bool {
	image := c.image()
	if image == nil || image.Topics[topic] == nil {
		return false
	}
	for p, registered := range image.Topics[topic].Partitions {
		if registered.Leader < 0 {
			continue
		}
		if n, _ := c.leading(topic, int32(p)); n == nil {
			return false
		}
	}
	return true
}

func (c *cluster) deleteTopic(ctx context.Context, name string) error {
	answer, err := c.do(ctx, &election.DeleteTopics{Topics: []election.TopicRef{{Name: name}}})
	if err != nil {
		return fmt.Errorf("minikafka: delete topic %s: %w", name, err)
	}
	for _, r := range answer.([]election.TopicResult) {
		if errors.Is(r.Err, election.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("%w: %s", ErrUnknownTopic, name)
		}
		if r.Err != nil {
			return fmt.Errorf("minikafka: delete topic %s: %w", name, r.Err)
		}
		if err := c.wait(ctx, "topic "+name+" to be gone", func() bool { return c.seen(r.Index) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) elect(ctx context.Context, topic string, partition int32, unclean bool) error {
	ref := election.PartitionRef{Topic: topic, Partition: partition}
	answer, err := c.do(ctx, &election.ElectLeaders{Unclean: unclean, Partitions: []election.PartitionRef{ref}})
	if err == nil {
		for _, r := range answer.([]election.ElectResult) {
			if errors.Is(r.Err, election.ErrUnknownTopicOrPartition) {
				return c.unknownPartition(topic, partition)
			}
			err = errors.Join(err, r.Err)
		}
	}
	if err != nil {
		return fmt.Errorf("minikafka: elect a leader of %s/%d: %w", topic, partition, err)
	}
	return nil
}
