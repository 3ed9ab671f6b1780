package assignor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf16"

	"github.com/minikafka/minikafka/log"
)

// ErrUnknownTopic is returned when a member is subscribed to a topic whose number
// of partitions is not given (PartitionAssignorException).
var ErrUnknownTopic = errors.New("assignor: subscribed to a topic that does not exist")

// Partitions are the partitions of a topic, ascending and without repetition.
// They are shared: nobody changes them.
type Partitions []int32

// Assignment says which partitions of which topics a member has. No topic has an
// empty list. Assignments are shared: nobody changes them.
type Assignment map[log.TopicID]Partitions

// Equal tells whether both hold the same partitions.
func (a Assignment) Equal(b Assignment) bool {
	return maps.EqualFunc(a, b, func(x, y Partitions) bool { return slices.Equal(x, y) })
}

// Topics are the ids of the topics, ascending.
func (a Assignment) Topics() []log.TopicID {
	return slices.SortedFunc(maps.Keys(a), compareTopics)
}

// Len is the number of partitions.
func (a Assignment) Len() int {
	n := 0
	for _, ps := range a {
		n += len(ps)
	}
	return n
}

// Member is one member as the assignors see it (MemberSubscription,
// MemberAssignment).
type Member struct {
	ID string
	// InstanceID is group.instance.id, or nil.
	InstanceID *string
	// Topics are the ids of the existing topics that the member is subscribed to.
	Topics map[log.TopicID]struct{}
	// Assigned is the target assignment as it was.
	Assigned Assignment
}

// Group is what is to be assigned (GroupSpec, SubscribedTopicDescriber).
type Group struct {
	Members []Member
	// Homogeneous tells that all members are subscribed to the same topics
	// (SubscriptionType).
	Homogeneous bool
	// NumPartitions are the partitions of every topic in Member.Topics.
	NumPartitions map[log.TopicID]int32
}

// Assignor computes a new target assignment (ConsumerGroupPartitionAssignor).
type Assignor interface {
	// Name is what group.consumer.assignors and members call it.
	Name() string
	// Assign gives the new assignment by member id; a member that is not in it
	// gets nothing. The only error is ErrUnknownTopic.
	Assign(Group) (map[string]Assignment, error)
}

// ByName finds one of the assignors that come with Kafka: "uniform" or "range".
func ByName(name string) (Assignor, bool) {
	for _, a := range []Assignor{Uniform{}, Range{}} {
		if a.Name() == name {
			return a, true
		}
	}
	return nil, false
}

func (g Group) partitions(id log.TopicID) (int32, error) {
	n, ok := g.NumPartitions[id]
	if !ok {
		return 0, fmt.Errorf("%w: %x", ErrUnknownTopic, id)
	}
	return n, nil
}

func compareTopics(a, b log.TopicID) int { return bytes.Compare(a[:], b[:]) }

func sortedTopics(topics map[log.TopicID]struct{}) []log.TopicID {
	return slices.SortedFunc(maps.Keys(topics), compareTopics)
}

// hashOrder are the members in the order in which a Java HashMap that grew to
// their number has their ids.
func hashOrder(members []Member) []Member {
	buckets := uint32(16)
	for uint32(len(members))*4 > buckets*3 {
		buckets *= 2
	}
	type keyed struct {
		bucket uint32
		member Member
	}
	all := make([]keyed, len(members))
	for i, m := range members {
		h := javaHash(m.ID)
		all[i] = keyed{(h ^ h>>16) & (buckets - 1), m}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.member.ID, b.member.ID))
	})
	out := make([]Member, len(all))
	for i, k := range all {
		out[i] = k.member
	}
	return out
}

// javaHash is Java's String.hashCode.
func javaHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = h*31 + uint32(unit)
	}
	return h
}
