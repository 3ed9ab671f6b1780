package groups

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// Types of the records of consumer groups (CoordinatorRecordType). Their values
// are of version 0, which is flexible.
const (
	consumerGroupMetadata     = 3
	consumerPartitionMetadata = 4 // Up to 4.0; the hash in type 3 took its place.
	consumerMemberMetadata    = 5
	consumerTargetMetadata    = 6
	consumerTargetMember      = 7
	consumerCurrentMember     = 8
	consumerRegex             = 16
)

// consumerKey is the key of a record of a group: names is the group, and what
// else the type's key has (a member, a regular expression).
func consumerKey(kind int16, names ...string) []byte {
	key := kbin.AppendInt16(nil, kind)
	for _, n := range names {
		key = kbin.AppendString(key, n)
	}
	return key
}

// readConsumerKey is the group of a record of types 3 to 8 and 16, and its
// second name, which types 3, 4 and 6 do not have.
func readConsumerKey(kind int16, key []byte) (group, name string, err error) {
	b := kbin.Reader{Src: key}
	b.Int16()
	group = b.String()
	switch kind {
	case consumerMemberMetadata, consumerTargetMember, consumerCurrentMember, consumerRegex:
		name = b.String()
	}
	return group, name, unreadable("a consumer group's key", b.Complete())
}

func consumerTombstone(kind int16, names ...string) coordinator.Record {
	return coordinator.Record{Key: consumerKey(kind, names...)}
}

func consumerValue() []byte { return kbin.AppendInt16(nil, 0) }

// consumerValueReader skips the version, which Kafka does not look at either
// beyond what it knows.
func consumerValueReader(value []byte) (*kbin.Reader, error) {
	b := &kbin.Reader{Src: value}
	if v := b.Int16(); v != 0 {
		return nil, fmt.Errorf("%w: version %d of a value", ErrRecord, v)
	}
	return b, nil
}

// count reads the length of a compact array whose elements take size bytes each
// at least; it ends the reading when they cannot be there.
func count(b *kbin.Reader, size int) int {
	n := int(b.CompactArrayLen())
	if n < 0 || n > len(b.Src)/size {
		if n > 0 {
			b.Span(len(b.Src) + 1)
		}
		return 0
	}
	return n
}

// tags hands the tagged fields to f, which may be nil.
func tags(b *kbin.Reader, f func(tag uint32, value *kbin.Reader)) {
	for range b.Uvarint() {
		if !b.Ok() {
			return
		}
		tag := b.Uvarint()
		field := &kbin.Reader{Src: b.Span(int(b.Uvarint()))}
		if f != nil && b.Ok() {
			f(tag, field)
		}
	}
}

// appendTag adds a tagged field.
func appendTag(to []byte, tag uint32, value []byte) []byte {
	to = kbin.AppendUvarint(to, tag)
	to = kbin.AppendUvarint(to, uint32(len(value)))
	return append(to, value...)
}

// appendTaggedInt64 adds the tags of a value whose only one is a number that is
// left out when it is 0.
func appendTaggedInt64(to []byte, n int64) []byte {
	if n == 0 {
		return kbin.AppendUvarint(to, 0)
	}
	return appendTag(kbin.AppendUvarint(to, 1), 0, kbin.AppendInt64(nil, n))
}

func taggedInt64(b *kbin.Reader) (n int64) {
	tags(b, func(tag uint32, value *kbin.Reader) {
		if tag == 0 {
			n = value.Int64()
		}
	})
	return n
}

func consumerEpochRecord(group string, epoch int32, hash int64) coordinator.Record {
	v := kbin.AppendInt32(consumerValue(), epoch)
	return coordinator.Record{Key: consumerKey(consumerGroupMetadata, group), Value: appendTaggedInt64(v, hash)}
}

// consumerTargetRecord says that the target assignment of an epoch is complete.
func consumerTargetRecord(group string, t targetMetadata) coordinator.Record {
	v := kbin.AppendInt32(consumerValue(), t.epoch)
	return coordinator.Record{Key: consumerKey(consumerTargetMetadata, group), Value: appendTaggedInt64(v, t.timestamp)}
}

// readEpoch decodes the value of types 3 and 6: an epoch, and a number in the tag.
func readEpoch(value []byte) (epoch int32, tagged int64, err error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return 0, 0, err
	}
	epoch = b.Int32()
	tagged = taggedInt64(b)
	return epoch, tagged, unreadable("an epoch of a consumer group", b.Complete())
}

func consumerTargetMemberRecord(group, member string, a assignor.Assignment) coordinator.Record {
	v := kbin.AppendCompactArrayLen(consumerValue(), len(a))
	for _, id := range a.Topics() {
		v = kbin.AppendUuid(v, id)
		v = appendInt32s(v, a[id])
		v = kbin.AppendUvarint(v, 0)
	}
	return coordinator.Record{Key: consumerKey(consumerTargetMember, group, member), Value: kbin.AppendUvarint(v, 0)}
}

func readTargetMember(value []byte) (assignor.Assignment, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	a := assignor.Assignment{}
	for range count(b, 18) {
		id := log.TopicID(b.Uuid())
		ps := int32s(b)
		slices.Sort(ps)
		a[id] = ps
		tags(b, nil)
	}
	tags(b, nil)
	return a, unreadable("a member's target assignment", b.Complete())
}

func appendInt32s(to []byte, ns []int32) []byte {
	to = kbin.AppendCompactArrayLen(to, len(ns))
	for _, n := range ns {
		to = kbin.AppendInt32(to, n)
	}
	return to
}

func int32s(b *kbin.Reader) []int32 {
	ns := make([]int32, count(b, 4))
	for i := range ns {
		ns[i] = b.Int32()
	}
	return ns
}

func appendStrings(to []byte, names []string) []byte {
	to = kbin.AppendCompactArrayLen(to, len(names))
	for _, n := range names {
		to = kbin.AppendCompactString(to, n)
	}
	return to
}

func readStrings(b *kbin.Reader) []string {
	names := make([]string, count(b, 1))
	for i := range names {
		names[i] = b.CompactString()
	}
	return names
}

func consumerMemberRecord(group string, m *consumerMember) coordinator.Record {
	v := kbin.AppendCompactNullableString(consumerValue(), m.instanceID)
	v = kbin.AppendCompactNullableString(v, m.rackID)
	v = kbin.AppendCompactString(v, m.clientID)
	v = kbin.AppendCompactString(v, m.clientHost)
	v = appendStrings(v, m.topics)
	v = kbin.AppendCompactNullableString(v, m.regex)
	v = kbin.AppendInt32(v, m.rebalanceMs)
	v = kbin.AppendCompactNullableString(v, m.assignor)
	v = kbin.AppendUvarint(v, 1)
	v = appendTag(v, 0, appendClassicSide(m.classic))
	return coordinator.Record{Key: consumerKey(consumerMemberMetadata, group, m.id), Value: v}
}

// appendClassicSide writes ClassicMemberMetadata, a structure that may be null.
func appendClassicSide(c *classicSide) []byte {
	if c == nil {
		return kbin.AppendUvarint(nil, 0)
	}
	v := kbin.AppendInt32(kbin.AppendUvarint(nil, 1), c.sessionMs)
	v = kbin.AppendCompactArrayLen(v, len(c.protocols))
	for _, p := range c.protocols {
		v = kbin.AppendCompactString(v, p.name)
		v = kbin.AppendCompactBytes(v, p.metadata)
		v = kbin.AppendUvarint(v, 0)
	}
	return kbin.AppendUvarint(v, 0)
}

// readMember decodes the value of type 5 into a copy of the member.
func readMember(m consumerMember, value []byte) (*consumerMember, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	m.instanceID, m.rackID = b.CompactNullableString(), b.CompactNullableString()
	m.clientID, m.clientHost = b.CompactString(), b.CompactString()
	m.topics = normalized(readStrings(b))
	m.regex = b.CompactNullableString()
	m.rebalanceMs = b.Int32()
	m.assignor = b.CompactNullableString()
	// Kafka takes a value without the tag for that of a classic member without
	// protocols; it always writes it.
	m.classic = &classicSide{}
	tags(b, func(tag uint32, value *kbin.Reader) {
		if tag == 0 {
			m.classic, err = readClassicSide(value)
		}
	})
	if err == nil {
		err = unreadable("a consumer group's member", b.Complete())
	}
	return &m, err
}

func readClassicSide(b *kbin.Reader) (*classicSide, error) {
	if b.Uvarint() == 0 {
		return nil, unreadable("a classic member", b.Complete())
	}
	c := &classicSide{sessionMs: b.Int32()}
	for range count(b, 3) {
		c.protocols = append(c.protocols, classicProtocol{b.CompactString(), b.CompactBytes()})
		tags(b, nil)
	}
	tags(b, nil)
	return c, unreadable("a classic member", b.Complete())
}

func consumerCurrentRecord(group string, m *consumerMember) coordinator.Record {
	v := kbin.AppendInt32(consumerValue(), m.epoch)
	v = kbin.AppendInt32(v, m.previousEpoch)
	v = kbin.AppendInt8(v, int8(m.state))
	v = appendOwned(v, m.assigned)
	v = appendOwned(v, m.revoking)
	return coordinator.Record{Key: consumerKey(consumerCurrentMember, group, m.id), Value: kbin.AppendUvarint(v, 0)}
}

func appendOwned(to []byte, o owned) []byte {
	to = kbin.AppendCompactArrayLen(to, len(o))
	for _, id := range o.topics() {
		to = kbin.AppendUuid(to, id)
		ps := slices.Sorted(maps.Keys(o[id]))
		to = appendInt32s(to, ps)
		epochs := make([]int32, len(ps))
		for i, p := range ps {
			epochs[i] = o[id][p]
		}
		to = kbin.AppendUvarint(to, 1)
		to = appendTag(to, 0, appendInt32s(nil, epochs))
	}
	return to
}

// readCurrent decodes the value of type 8 into a copy of the member.
func readCurrent(m consumerMember, value []byte) (*consumerMember, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	m.epoch, m.previousEpoch = b.Int32(), b.Int32()
	m.state = memberState(b.Int8())
	m.assigned = readOwned(b, m.epoch)
	m.revoking = readOwned(b, m.epoch)
	tags(b, nil)
	return &m, unreadable("a member's current assignment", b.Complete())
}

// readOwned reads partitions with their assignment epochs; those of records from
// before there were any are the member's epoch.
func readOwned(b *kbin.Reader, memberEpoch int32) owned {
	o := owned{}
	for range count(b, 18) {
		id := log.TopicID(b.Uuid())
		ps := int32s(b)
		var epochs []int32
		tags(b, func(tag uint32, value *kbin.Reader) {
			if tag == 0 {
				epochs = int32s(value)
			}
		})
		o[id] = make(map[int32]int32, len(ps))
		for i, p := range ps {
			o[id][p] = max(memberEpoch, 0)
			if len(epochs) == len(ps) {
				o[id][p] = epochs[i]
			}
		}
	}
	return o
}

func consumerRegexRecord(group, regex string, r *resolvedRegex) coordinator.Record {
	v := appendStrings(consumerValue(), r.topics)
	v = kbin.AppendInt64(v, r.version)
	v = kbin.AppendInt64(v, r.timestamp)
	return coordinator.Record{Key: consumerKey(consumerRegex, group, regex), Value: kbin.AppendUvarint(v, 0)}
}

func readRegex(value []byte) (*resolvedRegex, error) {
	b, err := consumerValueReader(value)
	if err != nil {
		return nil, err
	}
	r := &resolvedRegex{topics: normalized(readStrings(b)), version: b.Int64(), timestamp: b.Int64()}
	tags(b, nil)
	return r, unreadable("a resolved regular expression", b.Complete())
}
