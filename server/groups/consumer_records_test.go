package groups

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// recordTopic is the topic of the records below.
func recordTopic() log.TopicID {
	return log.TopicID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
}

func text(s string) *string { return &s }

// consumerRecords are records, and what Apache Kafka 4.4.0 writes for them.
func consumerRecords() map[string]struct {
	record     coordinator.Record
	key, value string
} {
	id := recordTopic()
	member := newConsumerMember("m")
	member.instanceID, member.clientID, member.clientHost = text("i"), "c", "/h"
	member.topics, member.rebalanceMs, member.assignor = []string{"a", "b"}, 5, text("range")
	classicMember := newConsumerMember("m")
	classicMember.rackID, classicMember.clientID, classicMember.clientHost = text("r"), "c", "/h"
	classicMember.regex, classicMember.rebalanceMs = text("x.*"), 5
	classicMember.classic = &classicSide{sessionMs: 9, protocols: []classicProtocol{{"range", []byte{1, 2}}}}
	current := newConsumerMember("m")
	current.epoch, current.previousEpoch, current.state = 7, 6, memberUnrevoked
	current.assigned = owned{id: {0: 5, 2: 6}}
	return map[string]struct {
		record     coordinator.Record
		key, value string
	}{
		"epoch":            {consumerEpochRecord("g", 7, -2), "0003000167", "000000000007010008fffffffffffffffe"},
		"epoch, no topics": {consumerEpochRecord("g", 7, 0), "0003000167", "00000000000700"},
		"member": {
			consumerMemberRecord("g", member), "000500016700016d",
			"00000269000263032f68030261026201000000050672616e676501000100",
		},
		"classic member": {
			consumerMemberRecord("g", classicMember), "000500016700016d",
			"00000002720263032f680104782e2a00000005000100110100000009020672616e67650301020000",
		},
		"target":           {consumerTargetRecord("g", targetMetadata{7, 1000}), "0006000167", "000000000007010008" + "00000000000003e8"},
		"target of member": {consumerTargetMemberRecord("g", "m", assignor.Assignment{id: {0, 2}}), "000700016700016d", "0000020102030405060708090a0b0c0d0e0f100300000000000000020000"},
		"current": {
			consumerCurrentRecord("g", current), "000800016700016d",
			"0000000000070000000601020102030405060708090a0b0c0d0e0f10030000000000000002010009030000000500000006" + "0100",
		},
		"regular expression": {
			consumerRegexRecord("g", "x.*", &resolvedRegex{topics: []string{"xa", "xb"}, version: 3, timestamp: 1000}),
			"00100001670003782e2a", "000003037861037862000000000000000300000000000003e800",
		},
	}
}

func TestConsumerRecordsAreKafkas(t *testing.T) {
	t.Parallel()
	for what, c := range consumerRecords() {
		expect(t, hex.EncodeToString(c.record.Key), c.key)
		if got := hex.EncodeToString(c.record.Value); got != c.value {
			t.Errorf("%s: got %s, want %s", what, got, c.value)
		}
	}
}

// TestOldConsumerRecords: those of Kafka before 4.3 have no assignment epochs.
func TestOldConsumerRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	value, err := hex.DecodeString("0000000000070000000601020102030405060708090a0b0c0d0e0f10030000000000000002010009030000000500000006" +
		"020102030405060708090a0b0c0d0e0f1002000000030100010000")
	if err != nil {
		t.Fatal(err)
	}
	r.apply(outcomeOf(coordinator.Record{Key: consumerKey(consumerCurrentMember, "g", "m"), Value: value}))
	m, err := r.consumer().member("m")
	if err != nil {
		t.Fatal(err)
	}
	if !m.assigned.equal(owned{recordTopic(): {0: 5, 2: 6}}) || !m.revoking.equal(owned{recordTopic(): {3: 7}}) {
		t.Errorf("read %v and %v", m.assigned, m.revoking)
	}
	// A record of type 4, of before 4.1, is removed with the next new epoch.
	r.apply(outcomeOf(coordinator.Record{Key: consumerKey(consumerPartitionMetadata, "g"), Value: []byte{0, 0, 1, 0}}))
	r.topics(map[string]int{"a": 1})
	r.beat("m2", 0, topics("a"))
	if r.consumer().oldMetadata.Get() {
		t.Error("there is still a record of type 4")
	}
}

// TestBadConsumerRecords: what cannot be read is an error, whatever it is.
func TestBadConsumerRecords(t *testing.T) {
	t.Parallel()
	random, rig := randomOf(t), newRig(t, nil)
	for what, c := range consumerRecords() {
		for n := range len(c.record.Value) {
			tryRecord(t, rig, what, coordinator.Record{Key: c.record.Key, Value: c.record.Value[:n]})
		}
		for range 2000 {
			bad := coordinator.Record{Key: append([]byte{}, c.record.Key...), Value: append([]byte{}, c.record.Value...)}
			of := bad.Value
			if random.IntN(8) == 0 {
				of = bad.Key[2:]
			}
			of[random.IntN(len(of))] = byte(random.Uint32())
			tryRecord(t, rig, what, bad)
		}
	}
}

func tryRecord(t *testing.T, rig *rig, what string, r coordinator.Record) {
	t.Helper()
	s := New(rig, Config{})
	if err := s.Replay(coordinator.Position{}, r); err != nil && !errors.Is(err, ErrRecord) {
		t.Errorf("%s: %v", what, err)
	}
}

func FuzzConsumerRecords(f *testing.F) {
	for _, c := range consumerRecords() {
		f.Add(c.record.Key, c.record.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) > 1 && key[0] == 0 && key[1] > 2 {
			tryRecord(t, newRig(t, nil), "fuzz", coordinator.Record{Key: key, Value: value})
		}
	})
}
