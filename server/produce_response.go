package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// respond makes the answer: one entry for each partition.
func (p *producing) respond() kmsg.Response {
	resp := p.q.ResponseKind().(*kmsg.ProduceResponse)
	places := make(map[log.TopicID]int, len(p.q.Topics)) // v13
	named := make(map[string]int, len(p.q.Topics))       // before
	var leaders leaderHints
	next := 0
	for i := range p.q.Topics {
		t := &p.q.Topics[i]
		at, ok := named[t.Topic]
		if p.q.Version >= 13 {
			at, ok = places[t.TopicID]
		}
		if !ok {
			at = len(resp.Topics)
			places[t.TopicID], named[t.Topic] = at, at
			resp.Topics = append(resp.Topics, kmsg.ProduceResponseTopic{
				Topic: t.Topic, TopicID: t.TopicID,
				Partitions: make([]kmsg.ProduceResponseTopicPartition, 0, len(t.Partitions)),
			})
		}
		for range t.Partitions {
			part := &p.parts[next]
			next++
			if !part.superseded {
				resp.Topics[at].Partitions = append(resp.Topics[at].Partitions, p.respondPart(part, &leaders))
			}
		}
	}
	for _, b := range leaders.brokers {
		n := kmsg.NewProduceResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack = b.ID, b.Host, b.Port, rack(b)
		resp.Brokers = append(resp.Brokers, n)
	}
	return resp
}

func (p *producing) respondPart(part *producePart, leaders *leaderHints) kmsg.ProduceResponseTopicPartition {
	out := kmsg.NewProduceResponseTopicPartition()
	out.Partition = part.partition
	out.ErrorCode = errorCode(part.err)
	out.BaseOffset = part.appended.Base
	out.LogStartOffset = part.appended.LogStartOffset
	out.LogAppendTime = -1
	switch {
	case part.appended.Base < 0:
	case part.appended.Duplicate:
		out.LogAppendTime = part.appended.DuplicateTimestamp
	case part.settings.rules.LogAppendTime:
		out.LogAppendTime = part.batch.MaxTimestamp
	}
	out.ErrorMessage = part.message
	var refused *log.ValidationError
	if errors.As(part.err, &refused) && len(refused.Records) > 0 {
		out.ErrorMessage = &refused.Message
		for _, r := range refused.Records {
			e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			e.RelativeOffset = r.Index
			if r.Message != "" {
				e.ErrorMessage = &r.Message
			}
			out.ErrorRecords = append(out.ErrorRecords, e)
		}
	}
	if out.ErrorCode == kerr.NotLeaderForPartition.Code && p.q.Version >= 10 {
		out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = p.r.broker.currentLeader(part.id, leaders)
	}
	return out
}

// leaderHints are the brokers that an answer names as leaders, each once.
type leaderHints struct {
	brokers []*election.Broker
	known   map[int32]bool
}

// currentLeader tells who leads a partition and since which epoch, as this
// broker's replica or else its metadata has it (KafkaApis.getCurrentLeader); the
// broker is added to the hints if it is alive.
func (b *broker) currentLeader(id log.PartitionID, hints *leaderHints) (leader, epoch int32) {
	m := b.image()
	leader, epoch = -1, -1
	if r := b.replicas.Replica(id); r != nil {
		leader, epoch = replicaLeader(r)
	} else if p := m.Partition(id); p != nil {
		leader, epoch = p.Leader, p.LeaderEpoch
	}
	if n := m.Brokers[leader]; n != nil && !n.Fenced && !hints.known[leader] {
		if hints.known == nil {
			hints.known = map[int32]bool{}
		}
		hints.known[leader] = true
		hints.brokers = append(hints.brokers, n)
	}
	return leader, epoch
}

func replicaLeader(r *replication.Replica) (leader, epoch int32) {
	s := r.State()
	return s.Leader, s.LeaderEpoch
}
