package server

import (
	"slices"

	"github.com/minikafka/minikafka/server/configs"
)

// noPreferredReplica is what stands where no other replica is recommended.
const noPreferredReplica = -1

// selectsByRack tells whether consumers are sent to a replica in their rack
// (KIP-392): replica.selector.class is Kafka's RackAwareReplicaSelector. Other classes
// have no effect.
func (b *broker) selectsByRack() bool {
	class, _ := configs.BrokerValues{Static: b.config.Static}.Value("replica.selector.class")
	return class == "org.apache.kafka.common.replica.RackAwareReplicaSelector"
}

// prefer sends a consumer to the most caught-up replica in its rack that is in sync
// and has the offset; true when it did, and there is nothing to read here
// (ReplicaManager.findPreferredReadReplica).
func (f *fetching) prefer(p *fetchPart) bool {
	if !f.rackAware || p.replica == nil {
		return false
	}
	s := p.replica.State()
	leader := f.image.Brokers[f.r.broker.config.ID]
	if !s.Leading || leader == nil || leader.Rack == f.q.Rack {
		return false
	}
	if _, err := p.replica.Available(f.request(p)); err != nil {
		return false // reading tells
	}
	best, end := int32(noPreferredReplica), int64(-1)
	for _, id := range s.Replicas {
		b := f.image.Brokers[id]
		switch {
		case id == s.Leader, b == nil, b.Rack != f.q.Rack, !b.Alive(), !slices.Contains(s.ISR, id):
		case s.Ends[id] >= p.want.offset && s.LogStartOffset <= p.want.offset && s.Ends[id] > end:
			best, end = id, s.Ends[id]
		}
	}
	if best < 0 {
		return false
	}
	p.out.PreferredReadReplica = best
	p.out.HighWatermark, p.out.LastStableOffset, p.out.LogStartOffset = s.HighWatermark, s.LastStable, s.LogStartOffset
	return true
}

// sendsElsewhere tells whether a request may be answered with another replica.
func (f *fetching) sendsElsewhere() bool {
	return f.replica < 0 && f.q.Version >= 11 && f.q.Rack != "" && f.r.broker.selectsByRack()
}
