package groups

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
)

// Types of records, which are the versions of their keys (CoordinatorRecordType).
const (
	offsetCommitV0 = 0
	offsetCommit   = 1
	groupMetadata  = 2
)

// Versions of the values that are written (GroupCoordinatorRecordHelpers).
const (
	offsetValueWithExpiry = 1
	offsetValue           = 4
	groupMetadataValue    = 3
	// newestGroupMetadataValue is read, and not written yet.
	newestGroupMetadataValue = 4
)

// ErrRecord is returned for records that are not what their types say.
var ErrRecord = errors.New("groups: unreadable record")

// recordType reads a key's first two bytes.
func recordType(key []byte) (int16, error) {
	if len(key) < 2 {
		return 0, fmt.Errorf("%w: a key of %d bytes", ErrRecord, len(key))
	}
	return int16(binary.BigEndian.Uint16(key)), nil
}

// unreadable wraps an error of decoding; nil stays nil.
func unreadable(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrRecord, what, err)
}

func offsetKey(group, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetCommit, Group: group, Topic: topic, Partition: partition}
	return k.AppendTo(nil)
}

func offsetRecord(group, topic string, partition int32, o committed) coordinator.Record {
	v := kmsg.NewOffsetCommitValue()
	v.Version = offsetValue
	v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp = o.offset, o.leaderEpoch, o.metadata, o.timestamp
	v.TopicID = o.topicID
	if o.expires >= 0 {
		v.Version, v.ExpireTimestamp = offsetValueWithExpiry, o.expires
	}
	return coordinator.Record{Key: offsetKey(group, topic, partition), Value: v.AppendTo(nil)}
}

func offsetTombstone(group, topic string, partition int32) coordinator.Record {
	return coordinator.Record{Key: offsetKey(group, topic, partition)}
}

// readOffset decodes a record of types 0 and 1; o is nil for a tombstone.
func readOffset(r coordinator.Record) (key kmsg.OffsetCommitKey, o *committed, err error) {
	if err := unreadable("offset commit key", key.ReadFrom(r.Key)); err != nil {
		return key, nil, err
	}
	if r.Value == nil {
		return key, nil, nil
	}
	v := kmsg.NewOffsetCommitValue()
	v.LeaderEpoch, v.ExpireTimestamp = -1, -1
	if err := checkVersion(r.Value, offsetValue); err != nil {
		return key, nil, err
	}
	if err := unreadable("offset commit value", v.ReadFrom(r.Value)); err != nil {
		return key, nil, err
	}
	o = &committed{offset: v.Offset, leaderEpoch: -1, metadata: v.Metadata, timestamp: v.CommitTimestamp, expires: -1, topicID: v.TopicID}
	if v.Version >= 3 {
		o.leaderEpoch = v.LeaderEpoch
	}
	if v.Version == offsetValueWithExpiry {
		o.expires = v.ExpireTimestamp
	}
	return key, o, nil
}

// checkVersion refuses values of versions that nobody has written yet.
func checkVersion(value []byte, newest int16) error {
	if len(value) < 2 {
		return fmt.Errorf("%w: a value of %d bytes", ErrRecord, len(value))
	}
	if v := int16(binary.BigEndian.Uint16(value)); v < 0 || v > newest {
		return fmt.Errorf("%w: a value of version %d", ErrRecord, v)
	}
	return nil
}

func groupKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupMetadata, Group: group}
	return k.AppendTo(nil)
}

func groupTombstone(group string) coordinator.Record {
	return coordinator.Record{Key: groupKey(group)}
}

// groupRecord persists a classic group with the assignments of a generation.
func groupRecord(g *classicGroup, assignments map[string][]byte) coordinator.Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version = groupMetadataValue
	v.ProtocolType, v.Generation, v.Protocol = g.protocolType, g.generation, g.protocolName
	if g.leader != "" {
		v.Leader = &g.leader
	}
	v.CurrentStateTimestamp = g.since
	for _, m := range g.all() {
		w := kmsg.NewGroupMetadataValueMember()
		w.MemberID, w.InstanceID, w.ClientID, w.ClientHost = m.id, m.instanceID, m.clientID, m.clientHost
		w.RebalanceTimeoutMillis, w.SessionTimeoutMillis = m.rebalanceMs, m.sessionMs
		w.Subscription, w.Assignment = m.metadata(g.protocolOrNone()), assignments[m.id]
		v.Members = append(v.Members, w)
	}
	return coordinator.Record{Key: groupKey(g.groupID), Value: v.AppendTo(nil)}
}

// newGroupRecord persists that there is a group, which nobody has joined yet.
func newGroupRecord(g *classicGroup) coordinator.Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.CurrentStateTimestamp = groupMetadataValue, g.since
	return coordinator.Record{Key: groupKey(g.groupID), Value: v.AppendTo(nil)}
}
