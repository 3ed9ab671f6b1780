package scenarios_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/minikafka/minikafka/internal/scenario"
)

// backoff is the time between a client's tries: short, as the brokers are near.
const backoff = 10 * time.Millisecond

// tries are more than any scenario waits for.
const tries = 2000

func TestSarama(t *testing.T) {
	t.Parallel()
	run(t, saramaClient{})
}

// saramaClient is github.com/IBM/sarama, through its AsyncProducer. However many requests it may have in flight, it
// has one for each partition.
type saramaClient struct{}

func (saramaClient) Name() string                { return "sarama" }
func (saramaClient) Has(f scenario.Feature) bool { return f != scenario.InFlight }

func (saramaClient) Code(err error) (int16, bool) {
	var e sarama.KError
	if errors.As(err, &e) {
		return int16(e), true
	}
	return 0, false
}

// saramaDialer is a scenario's network as sarama takes it.
type saramaDialer struct{ dial scenario.Dial }

func (d saramaDialer) Dial(network, address string) (net.Conn, error) {
	return d.dial(context.Background(), network, address)
}

func saramaConfig(dial scenario.Dial) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V4_1_0_0
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, saramaDialer{dial}
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = tries, backoff
	c.Metadata.AllowAutoTopicCreation = false
	c.Consumer.Retry.Backoff = backoff
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	return c
}

func (saramaClient) Producer(c scenario.ProducerConfig) (scenario.Producer, error) {
	cfg := saramaConfig(c.Dial)
	p := &cfg.Producer
	p.RequiredAcks = sarama.RequiredAcks(c.Acks)
	p.Timeout = c.Timeout
	p.Partitioner = sarama.NewManualPartitioner
	p.Idempotent = c.Idempotent
	p.Retry.Max = 0
	if c.Retry {
		p.Retry.Max, p.Retry.Backoff = tries, backoff
	}
	if c.Idempotent {
		cfg.Net.MaxOpenRequests = 1
	}
	p.Return.Successes = true
	p.Flush.Frequency = c.Linger
	if c.BatchBytes > 0 {
		p.MaxMessageBytes = c.BatchBytes
	}
	async, err := sarama.NewAsyncProducer(c.Addrs, cfg)
	if err != nil {
		return nil, err
	}
	out := &saramaProducer{async: async, topic: c.Topic}
	out.answers.Go(func() {
		for m := range async.Successes() {
			m.Metadata.(chan error) <- nil
		}
	})
	out.answers.Go(func() {
		for e := range async.Errors() {
			e.Msg.Metadata.(chan error) <- e.Err
		}
	})
	return out, nil
}

type saramaProducer struct {
	async   sarama.AsyncProducer
	topic   string
	answers sync.WaitGroup
}

func (p *saramaProducer) Send(value string) <-chan error {
	done := make(chan error, 1)
	p.async.Input() <- &sarama.ProducerMessage{Topic: p.topic, Value: sarama.StringEncoder(value), Metadata: done}
	return done
}

func (p *saramaProducer) Close() {
	p.async.AsyncClose()
	p.answers.Wait()
}

func (saramaClient) Consumer(c scenario.ConsumerConfig) (scenario.Consumer, error) {
	consumer, err := sarama.NewConsumer(c.Addrs, saramaConfig(c.Dial))
	if err != nil {
		return nil, err
	}
	partition, err := consumer.ConsumePartition(c.Topic, 0, sarama.OffsetOldest)
	if err != nil {
		return nil, errors.Join(err, consumer.Close())
	}
	return &saramaConsumer{consumer, partition}, nil
}

type saramaConsumer struct {
	consumer  sarama.Consumer
	partition sarama.PartitionConsumer
}

func (c *saramaConsumer) Poll(ctx context.Context) ([]scenario.Record, error) {
	select {
	case m, ok := <-c.partition.Messages():
		if !ok {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []scenario.Record{{Offset: m.Offset, Value: string(m.Value)}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *saramaConsumer) Close() {
	_ = c.partition.Close() // Its errors are those of brokers that crashed.
	_ = c.consumer.Close()  // As above.
}
