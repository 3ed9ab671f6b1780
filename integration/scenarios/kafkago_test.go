package scenarios_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/minikafka/minikafka/internal/scenario"
)

func TestKafkaGo(t *testing.T) {
	t.Parallel()
	run(t, kafkaGo{})
}

// metadataTTL is how old kafka-go lets metadata become, and how long it waits for them.
const metadataTTL = 500 * time.Millisecond

// kafkaGo is github.com/segmentio/kafka-go. It has no idempotent producer, and refuses a record whose partition has no
// leader, however often it is to try.
type kafkaGo struct{}

func (kafkaGo) Name() string                { return "kafka-go" }
func (kafkaGo) Has(f scenario.Feature) bool { return f == scenario.BatchBytes }

func (kafkaGo) Code(err error) (int16, bool) {
	var e kafka.Error
	if errors.As(err, &e) {
		return int16(e), true
	}
	return 0, false
}

func (kafkaGo) Producer(c scenario.ProducerConfig) (scenario.Producer, error) {
	transport := &kafka.Transport{Dial: c.Dial, MetadataTTL: metadataTTL}
	w := &kafka.Writer{
		Addr:            kafka.TCP(c.Addrs...),
		Topic:           c.Topic,
		RequiredAcks:    kafka.RequiredAcks(c.Acks),
		WriteTimeout:    c.Timeout,
		ReadTimeout:     c.Timeout,
		MaxAttempts:     1,
		WriteBackoffMin: backoff,
		WriteBackoffMax: backoff,
		BatchTimeout:    max(c.Linger, time.Millisecond),
		BatchBytes:      int64(c.BatchBytes),
		Async:           true,
		Transport:       transport,
		Completion: func(messages []kafka.Message, err error) {
			for _, m := range messages {
				m.WriterData.(chan error) <- err
			}
		},
	}
	if c.Retry {
		w.MaxAttempts = tries
	}
	return &kafkaGoProducer{w, transport}, nil
}

type kafkaGoProducer struct {
	writer    *kafka.Writer
	transport *kafka.Transport
}

func (p *kafkaGoProducer) Send(value string) <-chan error {
	done := make(chan error, 1)
	m := kafka.Message{Value: []byte(value), WriterData: done}
	// The writer asks for the number of partitions first, which it does not try again.
	if err := p.writer.WriteMessages(context.Background(), m); err != nil {
		done <- err
	}
	return done
}

func (p *kafkaGoProducer) Close() {
	_ = p.writer.Close() // What went wrong with records has been told.
	p.transport.CloseIdleConnections()
}

func (kafkaGo) Consumer(c scenario.ConsumerConfig) (scenario.Consumer, error) {
	return kafkaGoConsumer{kafka.NewReader(kafka.ReaderConfig{
		Brokers:        c.Addrs,
		Topic:          c.Topic,
		Dialer:         &kafka.Dialer{DialFunc: c.Dial},
		MinBytes:       1,
		MaxBytes:       1 << 20,
		MaxWait:        100 * time.Millisecond,
		ReadBackoffMin: backoff,
		ReadBackoffMax: backoff,
	})}, nil
}

type kafkaGoConsumer struct{ reader *kafka.Reader }

func (c kafkaGoConsumer) Poll(ctx context.Context) ([]scenario.Record, error) {
	m, err := c.reader.FetchMessage(ctx)
	if err != nil {
		return nil, err
	}
	return []scenario.Record{{Offset: m.Offset, Value: string(m.Value)}}, nil
}

func (c kafkaGoConsumer) Close() { _ = c.reader.Close() } // Nothing is read from it any more.
