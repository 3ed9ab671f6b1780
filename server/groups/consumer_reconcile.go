package groups

import (
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// reconciliation moves one member towards the target assignment
// (CurrentAssignmentBuilder). A partition goes to a member only once nobody else
// has it.
type reconciliation struct {
	member *consumerMember
	epoch  int32 // of the target assignment
	target assignor.Assignment
	// subscribed are the topics that the member is subscribed to and that exist.
	subscribed map[log.TopicID]struct{}
	// subscriptionChanged has partitions of other topics taken away at once.
	subscriptionChanged bool
	// taken tells whether some member has a partition, or is still to revoke it.
	taken func(log.TopicID, int32) bool
	// owned are the partitions that the member says it has; nil when it says
	// nothing.
	owned assignor.Assignment
}

// next is the member's next state, or the member itself when it can not move on.
func (r *reconciliation) next() (*consumerMember, error) {
	m := r.member
	switch m.state {
	case memberStable:
		if m.epoch != r.epoch {
			return r.compute(m.epoch), nil
		}
		return r.unsubscribe(), nil
	case memberUnrevoked:
		if r.owns(m.revoking) {
			return r.unsubscribe(), nil
		}
		return r.compute(m.epoch), nil
	case memberUnreleased:
		return r.compute(m.epoch), nil
	}
	// A state of a later Kafka: the member has to begin from nothing.
	if r.owned == nil || len(r.owned) > 0 {
		return nil, refuse(kerr.FencedMemberEpoch, "The state of the member is unknown: it has to give up its partitions and join again.")
	}
	return r.compute(r.epoch), nil
}

// owns tells whether the member has, or may have, any of the partitions.
func (r *reconciliation) owns(revoked owned) bool {
	if r.owned == nil {
		return true
	}
	for id, ps := range r.owned {
		for _, p := range ps {
			if _, ok := revoked.has(id, p); ok {
				return true
			}
		}
	}
	return false
}

// unsubscribe takes away the partitions of topics that the member is not
// subscribed to any more.
func (r *reconciliation) unsubscribe() *consumerMember {
	m := r.member
	if !r.subscriptionChanged {
		return m
	}
	assigned, revoking := maps.Clone(m.assigned), maps.Clone(m.revoking)
	for id, ps := range m.assigned {
		if _, ok := r.subscribed[id]; ok {
			continue
		}
		delete(assigned, id)
		both := maps.Clone(ps)
		maps.Copy(both, revoking[id])
		maps.Copy(both, ps)
		revoking[id] = both
	}
	if len(assigned) == len(m.assigned) {
		return m
	}
	if len(revoking) > 0 && r.owns(revoking) {
		return m.moved(m.epoch, memberUnrevoked, assigned, revoking)
	}
	return m.moved(m.epoch, m.state, assigned, m.revoking)
}

// compute finds what the member keeps, has to give up, and gets. While it has
// something to give up it stays in its epoch.
func (r *reconciliation) compute(epoch int32) *consumerMember {
	m := r.member
	assigned, revoking, waiting := owned{}, owned{}, false
	for id, ps := range m.assigned {
		for p, at := range ps {
			if r.wants(id, p) {
				put(assigned, id, p, at)
			} else {
				put(revoking, id, p, at)
			}
		}
	}
	fresh := owned{}
	for id, ps := range r.target {
		if _, ok := r.subscribed[id]; !ok {
			continue
		}
		for _, p := range ps {
			if _, has := m.assigned.has(id, p); has {
				continue
			}
			// What the member itself has just revoked is free for it.
			if _, own := m.revoking.has(id, p); r.taken(id, p) && !own {
				waiting = true
				continue
			}
			put(fresh, id, p, r.epoch)
		}
	}
	if len(revoking) > 0 && r.owns(revoking) {
		return m.moved(epoch, memberUnrevoked, assigned, revoking)
	}
	for id, ps := range fresh {
		for p, at := range ps {
			put(assigned, id, p, at)
		}
	}
	state := memberStable
	if waiting {
		state = memberUnreleased
	}
	return m.moved(r.epoch, state, assigned, owned{})
}

// wants tells whether a partition is in the member's target.
func (r *reconciliation) wants(id log.TopicID, p int32) bool {
	if _, ok := r.subscribed[id]; !ok {
		return false
	}
	return contains(r.target[id], p)
}

func put(o owned, id log.TopicID, p, epoch int32) {
	if o[id] == nil {
		o[id] = map[int32]int32{}
	}
	o[id][p] = epoch
}
