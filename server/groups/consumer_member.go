package groups

import (
	"bytes"
	"maps"
	"slices"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// Member epochs with a meaning of their own (ConsumerGroupHeartbeatRequest).
const (
	joinEpoch        = 0
	leaveEpoch       = -1
	leaveStaticEpoch = -2
)

// memberState is how far a member is with its target assignment (MemberState).
type memberState int8

const (
	// memberStable: the member has all of its assignment.
	memberStable memberState = 0
	// memberUnrevoked: it has to give partitions up first.
	memberUnrevoked memberState = 1
	// memberUnreleased: others have not given up all of its partitions yet.
	memberUnreleased memberState = 2
)

// owned are partitions and the epochs in which they were assigned (KIP-1251).
// They are shared: nobody changes them. No topic has an empty map.
type owned map[log.TopicID]map[int32]int32

func (o owned) topics() []log.TopicID {
	return slices.SortedFunc(maps.Keys(o), func(a, b log.TopicID) int { return bytes.Compare(a[:], b[:]) })
}

// has is the assignment epoch of a partition.
func (o owned) has(id log.TopicID, partition int32) (epoch int32, ok bool) {
	epoch, ok = o[id][partition]
	return epoch, ok
}

func (o owned) equal(other owned) bool {
	return maps.EqualFunc(o, other, func(a, b map[int32]int32) bool { return maps.Equal(a, b) })
}

// partitions are those of a topic, ascending.
func (o owned) partitions(id log.TopicID) []int32 { return slices.Sorted(maps.Keys(o[id])) }

// assignment leaves the epochs out.
func (o owned) assignment() assignor.Assignment {
	a := assignor.Assignment{}
	for id := range o {
		a[id] = o.partitions(id)
	}
	return a
}

// allAt are the partitions of an assignment, all assigned in one epoch.
func allAt(a assignor.Assignment, epoch int32) owned {
	o := owned{}
	for id, ps := range a {
		o[id] = make(map[int32]int32, len(ps))
		for _, p := range ps {
			o[id][p] = epoch
		}
	}
	return o
}

// consumerMember is a member of a consumer group (ConsumerGroupMember). Those in
// a group are shared: nobody changes them.
type consumerMember struct {
	id                   string
	epoch, previousEpoch int32
	state                memberState
	instanceID, rackID   *string
	rebalanceMs          int32 // -1 until it is known
	clientID, clientHost string
	topics               []string // subscribed to by name; normalized
	regex                *string  // subscribed to; "" and nil are the same
	assignor             *string  // the server assignor it would like
	assigned             owned
	revoking             owned // partitions pending revocation
	// classic is set for a member that uses the classic protocol.
	classic *classicSide
}

// classicSide is what is kept of a member that uses the classic protocol
// (ClassicMemberMetadata).
type classicSide struct {
	sessionMs int32
	protocols []classicProtocol
}

// classicProtocol is an assignment strategy of a classic member, and its
// subscription.
type classicProtocol struct {
	name     string
	metadata []byte
}

func newConsumerMember(id string) *consumerMember {
	none := ""
	return &consumerMember{id: id, previousEpoch: -1, rebalanceMs: -1, regex: &none, assigned: owned{}, revoking: owned{}}
}

// isClassic tells whether the member uses the classic protocol.
func (m *consumerMember) isClassic() bool { return m.classic != nil }

// reconciled tells whether the member is done with the target of an epoch.
func (m *consumerMember) reconciled(epoch int32) bool {
	return m.state == memberStable && m.epoch == epoch
}

// moved is a copy of the member in another epoch and state.
func (m *consumerMember) moved(epoch int32, state memberState, assigned, revoking owned) *consumerMember {
	c := *m
	c.epoch, c.previousEpoch = epoch, m.epoch
	c.state, c.assigned, c.revoking = state, assigned, revoking
	return &c
}

// subscribedRegex is the member's regular expression, "" for none.
func (m *consumerMember) subscribedRegex() string {
	if m == nil || m.regex == nil {
		return ""
	}
	return *m.regex
}

func (m *consumerMember) equal(o *consumerMember) bool {
	return m.id == o.id && m.epoch == o.epoch && m.previousEpoch == o.previousEpoch && m.state == o.state &&
		same(m.instanceID, o.instanceID) && same(m.rackID, o.rackID) && m.rebalanceMs == o.rebalanceMs &&
		m.clientID == o.clientID && m.clientHost == o.clientHost &&
		slices.Equal(m.topics, o.topics) && same(m.regex, o.regex) && same(m.assignor, o.assignor) &&
		m.assigned.equal(o.assigned) && m.revoking.equal(o.revoking) && m.classic.equal(o.classic)
}

func (c *classicSide) equal(o *classicSide) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.sessionMs == o.sessionMs && slices.EqualFunc(c.protocols, o.protocols, func(a, b classicProtocol) bool {
		return a.name == b.name && bytes.Equal(a.metadata, b.metadata)
	})
}

// same compares what may be absent.
func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// normalized sorts names and takes out repetitions.
func normalized(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// targetMetadata says for which group epoch the target assignment is
// (TargetAssignmentMetadata).
type targetMetadata struct {
	epoch     int32
	timestamp int64 // Unix ms of the computation; 0 means that the next may come at once
}

// resolvedRegex is what a regular expression matches
// (ResolvedRegularExpression).
type resolvedRegex struct {
	topics    []string // normalized
	version   int64    // of the metadata
	timestamp int64    // Unix ms
}
