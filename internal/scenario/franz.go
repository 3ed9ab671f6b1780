package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// backoff is the time between a client's tries: short, as the brokers are near.
const backoff = 10 * time.Millisecond

// Franz is franz-go.
type Franz struct{}

// Name is the library's name.
func (Franz) Name() string { return "franz-go" }

// Has tells that franz-go has all features.
func (Franz) Has(Feature) bool { return true }

// Code finds Kafka's error code in err.
func (Franz) Code(err error) (int16, bool) {
	var e *kerr.Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}

func franzOpts(addrs []string, dial Dial) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(addrs...),
		kgo.Dialer(dial),
		kgo.RetryBackoffFn(func(int) time.Duration { return backoff }),
		kgo.MetadataMinAge(backoff),
		kgo.DisableClientMetrics(),
	}
}

// Producer starts a producer.
func (Franz) Producer(c ProducerConfig) (Producer, error) {
	opts := append(franzOpts(c.Addrs, c.Dial),
		kgo.DefaultProduceTopic(c.Topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProduceRequestTimeout(c.Timeout),
		kgo.ProducerLinger(c.Linger),
		kgo.UnknownTopicRetries(-1),
	)
	switch c.Acks {
	case AcksNone:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	case AcksOne:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	default:
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	}
	if !c.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(max(c.InFlight, 1)))
	}
	if !c.Retry {
		opts = append(opts, kgo.RecordRetries(0))
	}
	if c.BatchBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(int32(c.BatchBytes)))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	return franzProducer{client}, nil
}

type franzProducer struct{ client *kgo.Client }

func (p franzProducer) Send(value string) <-chan error {
	done := make(chan error, 1)
	p.client.Produce(context.Background(), kgo.StringRecord(value), func(_ *kgo.Record, err error) { done <- err })
	return done
}

func (p franzProducer) Close() { p.client.Close() }

// Consumer starts a consumer.
func (Franz) Consumer(c ConsumerConfig) (Consumer, error) {
	client, err := kgo.NewClient(append(franzOpts(c.Addrs, c.Dial),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxWait(100*time.Millisecond),
	)...)
	if err != nil {
		return nil, err
	}
	return franzConsumer{client}, nil
}

type franzConsumer struct{ client *kgo.Client }

func (c franzConsumer) Poll(ctx context.Context) ([]Record, error) {
	fetches := c.client.PollFetches(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var records []Record
	fetches.EachRecord(func(r *kgo.Record) { records = append(records, Record{r.Offset, string(r.Value)}) })
	return records, errors.Join(fetchErrors(fetches)...)
}

func fetchErrors(fetches kgo.Fetches) (errs []error) {
	fetches.EachError(func(_ string, _ int32, err error) { errs = append(errs, err) })
	return errs
}

func (c franzConsumer) Close() { c.client.Close() }
