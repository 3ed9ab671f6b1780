package groups

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What classic members tell each other through the coordinator, which is not looked
// at before a group of both protocols has to be made of it (ConsumerProtocol). It
// comes from clients: no length in it is believed.

// protocolVersion is the version of what a member says of itself in the consumers'
// embedded protocol.
func protocolVersion(metadata []byte) (int16, error) {
	const versionBytes = 2
	if len(metadata) < versionBytes {
		return 0, unreadable("a consumer's protocol", ErrRecord)
	}
	return int16(binary.BigEndian.Uint16(metadata)), nil
}

// elements reads the length of an array whose elements take size bytes each at
// least; it ends the reading when they cannot be there.
func elements(b *kbin.Reader, size int) int {
	n := int(b.ArrayLen())
	if n > len(b.Src)/size {
		b.Span(len(b.Src) + 1)
		return 0
	}
	return max(n, 0)
}

// readSubscription reads what a member wants. What versions beyond 3 add is not
// read.
func readSubscription(metadata []byte) (*kmsg.ConsumerMemberMetadata, error) {
	version, err := protocolVersion(metadata)
	if err != nil {
		return nil, err
	}
	b := &kbin.Reader{Src: metadata[2:]}
	s := kmsg.NewConsumerMemberMetadata()
	s.Version = version
	s.Topics = readTopics(b)
	s.UserData = b.NullableBytes()
	if version >= 1 {
		s.OwnedPartitions = make([]kmsg.ConsumerMemberMetadataOwnedPartition, elements(b, 6))
		for i := range s.OwnedPartitions {
			s.OwnedPartitions[i].Topic, s.OwnedPartitions[i].Partitions = b.String(), partitionsOf(b)
		}
	}
	if version >= 2 {
		s.Generation = b.Int32()
	}
	if version >= 3 {
		s.Rack = b.NullableString()
	}
	return &s, unreadable("a subscription", b.Complete())
}

func readTopics(b *kbin.Reader) []string {
	topics := make([]string, elements(b, 2))
	for i := range topics {
		topics[i] = b.String()
	}
	return topics
}

// subscribedTopics reads the topics alone, which come first in every version.
func subscribedTopics(metadata []byte) ([]string, error) {
	if _, err := protocolVersion(metadata); err != nil {
		return nil, err
	}
	b := &kbin.Reader{Src: metadata[2:]}
	topics := readTopics(b)
	b.NullableBytes()
	return topics, unreadable("a subscription", b.Complete())
}

func partitionsOf(b *kbin.Reader) []int32 {
	ps := make([]int32, elements(b, 4))
	for i := range ps {
		ps[i] = b.Int32()
	}
	return ps
}

// readAssignment reads what a leader has assigned to a member.
func readAssignment(assignment []byte) (*kmsg.ConsumerMemberAssignment, error) {
	version, err := protocolVersion(assignment)
	if err != nil {
		return nil, err
	}
	b := &kbin.Reader{Src: assignment[2:]}
	a := kmsg.NewConsumerMemberAssignment()
	a.Version = version
	a.Topics = make([]kmsg.ConsumerMemberAssignmentTopic, elements(b, 6))
	for i := range a.Topics {
		a.Topics[i].Topic, a.Topics[i].Partitions = b.String(), partitionsOf(b)
	}
	a.UserData = b.NullableBytes()
	return &a, unreadable("an assignment", b.Complete())
}
