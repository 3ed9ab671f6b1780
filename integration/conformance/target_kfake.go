package conformance

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// kfakeTarget is franz-go's fake: one log a partition, shared by its brokers. A broker can be taken away and put back; it
// cannot be frozen or stopped in an orderly way.
func kfakeTarget() Target {
	return Target{
		Name:     "kfake",
		File:     "kfake.json",
		Software: "kfake",
		Timing:   Timing{Session: 200 * time.Millisecond, CrashSeen: true, Patience: time.Second, Poll: 5 * time.Millisecond},
		Verbs:    []Verb{Kill, Start},
		Fresh:    true,
		Unable: map[string]string{
			"all brokers are killed":                      "its last broker cannot be taken away",
			"a coordinator is killed":                     "it keeps no groups in a topic",
			"the offsets topic cannot be replicated":      "it keeps no groups in a topic",
			"a coordinator of transactions is killed":     "it keeps no transactions in a topic",
			"the transactions topic cannot be replicated": "it keeps no transactions in a topic",
		},
		Differs: map[string]string{
			"A24": "an unknown API key ends the process (nil pointer dereference)",
			"E05": "removing a broker gives every partition a random leader",
			"I12": "removing a broker gives every partition a random leader",
			"P02": "removing a broker gives every partition a random leader",
		},
		Start: func(ctx context.Context, _ Config) (Cluster, error) {
			c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(Properties()))
			if err != nil {
				return nil, err
			}
			addrs, err := discover(ctx, c.ListenAddrs())
			return &fake{c, addrs}, err
		},
	}
}

type fake struct {
	cluster *kfake.Cluster
	addrs   map[int32]string
}

func (f *fake) Addrs() map[int32]string { return f.addrs }
func (f *fake) Controllers() []int32    { return nil }

func (f *fake) Do(verb Verb, node int32) error {
	switch verb {
	case Kill:
		return f.cluster.RemoveNode(node)
	case Start:
		_, port, err := net.SplitHostPort(f.addrs[node])
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		_, _, err = f.cluster.AddNode(node, n)
		return err
	default:
		return ErrVerb
	}
}

// Place implements Placer: kfake gives a new partition a random leader.
func (f *fake) Place(topic string, partition int32, replicas []int32) error {
	if err := f.cluster.MoveTopicPartition(topic, partition, replicas[0]); err != nil {
		return err
	}
	f.cluster.SetFollowers(topic, partition, replicas[1:])
	return nil
}

func (f *fake) Close() error {
	f.cluster.Close()
	return nil
}
