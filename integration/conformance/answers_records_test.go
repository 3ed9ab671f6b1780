package conformance_test

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// produce is Produce in its lowest version that is served, before and after the hints about leaders, and in its highest.
func (s *script) produce() []call {
	write := func(t topic, partition int32, acks int16, batch []byte) func(int16) kmsg.Request {
		return func(v int16) kmsg.Request {
			return write{topic: t, partition: partition, acks: acks, batch: batch, version: v, timeout: 30 * time.Second}.request()
		}
	}
	good := wire.NewBatch("x").At(scriptTime)
	spoilt := good.Bytes()
	spoilt[len(spoilt)-2]++
	old, control, shifted := good, good.From(1, 0, 0), good
	old.Magic, control.Attributes, shifted.BaseOffset = 1, wire.Control, 5
	noKey := wire.NewBatch("x", "y").At(scriptTime)
	future := good.At(time.Now().Add(24 * time.Hour).UnixMilli())
	edge := []int16{3, 9, 13}
	return slices.Concat(
		versions("", write(s.three, 0, acksAll, good.Bytes()), 3, 9, 10, 12, 13),
		versions("with acks=1", write(s.three, 0, acksLeader, good.Bytes()), edge...),
		versions("to an unknown topic", write(unknown(), 0, acksAll, good.Bytes()), edge...),
		versions("to an unknown partition", write(s.one, 9, acksAll, good.Bytes()), edge...),
		versions("to a broker that does not lead", write(s.three, 1, acksAll, good.Bytes()), 3, 9, 10, 13),
		versions("with acks=5", write(s.one, 0, 5, good.Bytes()), edge...),
		versions("of a spoilt batch", write(s.one, 0, acksAll, spoilt), edge...),
		versions("of two batches", write(s.one, 0, acksAll, append(good.Bytes(), good.Bytes()...)), edge...),
		versions("of no batch", write(s.one, 0, acksAll, []byte{}), edge...),
		versions("of an old format", write(s.one, 0, acksAll, old.Bytes()), edge...),
		versions("of a control batch", write(s.one, 0, acksAll, control.Bytes()), edge...),
		versions("of a batch with an offset", write(s.one, 0, acksAll, shifted.Bytes()), edge...),
		versions("without keys to a compacted topic", write(s.compacted, 0, acksAll, noKey.Bytes()), 3, 8, 13),
		versions("from the future", write(s.one, 0, acksAll, future.Bytes()), 3, 8, 13),
		versions("of a duplicate", write(s.sequenced, 0, acksAll, s.batch(3, 7)), edge...),
		versions("out of order", write(s.sequenced, 0, acksAll, s.batch(3, 9)), edge...),
		versions("of an old producer epoch", write(s.sequenced, 0, acksAll, s.batch(2, 8)), edge...),
		versions("of a transactional batch without an id", func(v int16) kmsg.Request {
			b := good.From(producerID, 3, 8)
			b.Attributes = wire.Transactional
			return write(s.one, 0, acksAll, b.Bytes())(v)
		}, edge...),
	)
}

func (s *script) fetch() []call {
	fetch := func(r read) func(int16) kmsg.Request {
		return func(v int16) kmsg.Request {
			r.version = v
			return r.request()
		}
	}
	inSession := func(id, epoch int32) func(int16) kmsg.Request {
		return func(v int16) kmsg.Request {
			req := read{topic: s.one, version: v}.request()
			req.SessionID, req.SessionEpoch = id, epoch
			return req
		}
	}
	edge := []int16{4, 12, 18}
	return slices.Concat(
		versions("", fetch(read{topic: s.one}), edge...),
		versions("read_committed", fetch(read{topic: s.one, committed: true}), edge...),
		versions("from the middle", fetch(read{topic: s.one, offset: 1}), edge...),
		versions("at the end", fetch(read{topic: s.one, offset: 3}), edge...),
		versions("beyond the end", fetch(read{topic: s.one, offset: 9}), edge...),
		versions("before the start", fetch(read{topic: s.one, offset: -1}), edge...),
		versions("of an unknown topic", fetch(read{topic: unknown()}), edge...),
		versions("of an unknown partition", fetch(read{topic: s.one, partition: 9}), edge...),
		versions("at a follower", fetch(read{topic: s.three, partition: 1}), edge...),
		versions("in the leader's epoch", fetch(read{topic: s.one, epoch: 1, lastEpoch: 1, offset: 2}), 12, 18),
		versions("in an epoch to come", fetch(read{topic: s.one, epoch: 2}), 9, 12, 18),
		versions("after an epoch to come", fetch(read{topic: s.one, epoch: 1, lastEpoch: 5, offset: 2}), 12, 18),
		versions("after more records than there are", fetch(read{topic: s.one, epoch: 1, lastEpoch: 1, offset: 9}), 12, 18),
		versions("opening a session", inSession(0, 0), 7, 18),
		versions("in a session that is not there", inSession(12345, 1), 7, 18),
		versions("in no session, with an epoch", inSession(0, 1), 7, 18),
	)
}

func (s *script) listOffsets() []call {
	list := func(l listed) func(int16) kmsg.Request {
		return func(v int16) kmsg.Request {
			l.version = v
			return l.request()
		}
	}
	edge := []int16{1, 4, 11}
	return slices.Concat(
		versions("latest", list(listed{topic: s.one, time: latest}), edge...),
		versions("earliest", list(listed{topic: s.one, time: earliest}), edge...),
		versions("largest time", list(listed{topic: s.one, time: maxTime}), 6, 7, 11),
		versions("earliest local", list(listed{topic: s.one, time: -4}), 7, 8, 11),
		versions("latest tiered", list(listed{topic: s.one, time: -5}), 8, 9, 11),
		versions("earliest to be tiered", list(listed{topic: s.one, time: -6}), 10, 11),
		versions("an unknown special time", list(listed{topic: s.one, time: -9}), edge...),
		versions("a time", list(listed{topic: s.one, time: scriptTime + 5}), edge...),
		versions("a time that no record reaches", list(listed{topic: s.one, time: scriptTime + 99}), edge...),
		versions("of an empty partition", list(listed{topic: s.compacted, time: latest}), edge...),
		versions("earliest of an empty partition", list(listed{topic: s.compacted, time: earliest}), edge...),
		versions("a time in an empty partition", list(listed{topic: s.compacted, time: 0}), edge...),
		versions("largest time of an empty partition", list(listed{topic: s.compacted, time: maxTime}), 7, 11),
		versions("of an unknown topic", list(listed{topic: unknown(), time: latest}), edge...),
		versions("of an unknown partition", list(listed{topic: s.one, partition: 9, time: latest}), edge...),
		versions("at a broker that does not lead", list(listed{topic: s.three, partition: 1, time: latest}), edge...),
		versions("of any replica", list(listed{topic: s.three, partition: 1, time: latest, replica: logEnd}), edge...),
		versions("in an epoch to come", list(listed{topic: s.one, time: latest, epoch: 9}), 4, 11),
	)
}

func (s *script) epochs() []call {
	end := func(t topic, partition, current, epoch, replica int32) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			req.ReplicaID = replica
			p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, epoch
			req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: t.name, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
			return req
		}
	}
	return slices.Concat(
		versions("", end(s.one, 0, -1, 0, -1), 2, 3, 4),
		versions("in the leader's epoch", end(s.one, 0, 0, 0, -1), 2, 4),
		versions("in an epoch to come", end(s.one, 0, 9, 0, -1), 2, 4),
		versions("of an epoch to come", end(s.one, 0, -1, 9, -1), 2, 4),
		versions("of no epoch", end(s.one, 0, -1, -1, -1), 2, 4),
		versions("of an empty partition", end(s.compacted, 0, -1, 0, -1), 2, 4),
		versions("of an unknown topic", end(unknown(), 0, -1, 0, -1), 2, 4),
		versions("of an unknown partition", end(s.one, 9, -1, 0, -1), 2, 4),
		versions("at a broker that does not lead", end(s.three, 1, -1, 0, -1), 2, 4),
		versions("at a broker that does not lead, as a debugger", end(s.three, 1, -1, 0, -2), 3, 4),
	)
}
