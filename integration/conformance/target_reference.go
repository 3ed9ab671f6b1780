package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/minikafka/minikafka/integration/reference"
)

// referenceTarget is a real Apache Kafka: a controller and three brokers, with Kafka's own timings but for
// replica.lag.time.max.ms, which is 30 s by default.
func referenceTarget() Target {
	const lag = 10 * time.Second
	return Target{
		Name:        "reference",
		File:        "reference-" + reference.Version + ".json",
		Software:    "Apache Kafka " + reference.Version,
		Timing:      Timing{Session: 9 * time.Second, Lag: lag, Patience: 60 * time.Second, Poll: 50 * time.Millisecond},
		Verbs:       []Verb{Kill, Stop, Start, Pause, Resume, Isolate, CutController, HoldReplication, Rejoin, FailDisk, MendDisk},
		Configs:     true,
		Controllers: true,
		Forwards:    true,
		Start: func(ctx context.Context, cfg Config) (Cluster, error) {
			properties := maps.Clone(cfg.properties())
			if !cfg.Defaults {
				properties["replica.lag.time.max.ms"] = fmt.Sprint(lag.Milliseconds())
			}
			c, err := reference.Start(ctx, reference.Config{WithoutELR: cfg.WithoutELR, Links: !cfg.Defaults, Properties: properties})
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
	case Isolate:
		return errors.Join(c.cut(node, c.others(node)), c.cut(node, c.Controllers()))
	case CutController:
		return c.cut(node, c.Controllers())
	case HoldReplication:
		return c.cut(node, c.others(node))
	case Rejoin:
		c.Mend()
		return nil
	case FailDisk:
		return c.FailDisk(node)
	case MendDisk:
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		return c.MendDisk(ctx, node)
	default:
		return ErrVerb
	}
}

// others are the brokers but this one.
func (c referenceCluster) others(node int32) []int32 {
	return slices.DeleteFunc(c.Brokers(), func(id int32) bool { return id == node })
}

// cut breaks the links between a node and others, both ways.
func (c referenceCluster) cut(node int32, others []int32) (err error) {
	for _, other := range others {
		err = errors.Join(err, c.Cut(node, other), c.Cut(other, node))
	}
	return err
}
