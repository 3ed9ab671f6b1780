package conformance

import (
	"context"
	"time"

	"github.com/minikafka/minikafka/integration/reference"
)

// referenceTarget is a real Apache Kafka: a controller and three brokers, with Kafka's own timings.
func referenceTarget() Target {
	return Target{
		Name:        "reference",
		File:        "reference-" + reference.Version + ".json",
		Software:    "Apache Kafka " + reference.Version,
		Timing:      Timing{Session: 9 * time.Second, Lag: 30 * time.Second, Patience: 60 * time.Second, Poll: 50 * time.Millisecond},
		Verbs:       []Verb{Kill, Stop, Start, Pause, Resume},
		Configs:     true,
		Controllers: true,
		Forwards:    true,
		Start: func(ctx context.Context, cfg Config) (Cluster, error) {
			c, err := reference.Start(ctx, reference.Config{WithoutELR: cfg.WithoutELR, Properties: cfg.properties()})
			if err != nil {
				return nil, err
			}
			return referenceCluster{c}, nil
		},
	}
}

// stopWithin bounds an orderly end, which Kafka draws out while a partition cannot be moved.
const stopWithin = 2 * time.Minute

type referenceCluster struct{ *reference.Cluster }

func (c referenceCluster) Do(verb Verb, node int32) error {
	switch verb {
	case Kill:
		return c.Kill(node)
	case Stop:
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		return c.Stop(ctx, node)
	case Start:
		return c.Start(node)
	case Pause:
		return c.Pause(node)
	case Resume:
		return c.Resume(node)
	default:
		return ErrVerb
	}
}
