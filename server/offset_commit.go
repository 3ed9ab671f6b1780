package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// OffsetCommit (8), versions 2-10.
//
// v5 has no retention time any more; v6 has leader epochs, v7 static members; v9
// serves groups of the new protocol, and knows groups that are not there; v10
// names topics by their ids. Partitions that do not exist are refused one by one,
// the others are committed together. The answer waits until they are replicated.

// commitsByID is the first version with topic ids.
const commitsByID = 10

func offsetCommit(r *request, q *kmsg.OffsetCommitRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.OffsetCommitResponse)
	valid := *q
	valid.Topics = committable(r.broker.image(), q, resp)
	if len(valid.Topics) == 0 {
		return resp, nil
	}
	committed, err := writeGroups(r, r.broker.groupPartition(q.Group),
		func(s *groups.Shard) (*kmsg.OffsetCommitResponse, coordinator.Outcome, error) {
			return s.CommitOffsets(r.client(), &valid)
		})
	if err != nil {
		committed = commitError(&valid, errorCode(err))
	}
	mergeCommits(resp, committed)
	return resp, ended(r.ctx)
}

// committable are the partitions of a request that exist, their topics with name
// and id. The others are answered.
func committable(m *election.Image, q *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) []kmsg.OffsetCommitRequestTopic {
	var valid []kmsg.OffsetCommitRequestTopic
	for _, t := range q.Topics {
		known := m.Topics[t.Topic]
		missing := kerr.UnknownTopicOrPartition
		if q.Version >= commitsByID {
			known, missing = m.TopicsByID[t.TopicID], kerr.UnknownTopicID
		}
		refused := kmsg.NewOffsetCommitResponseTopic()
		refused.Topic, refused.TopicID = t.Topic, t.TopicID
		var there []kmsg.OffsetCommitRequestTopicPartition
		for _, p := range t.Partitions {
			switch {
			case known == nil:
				refused.Partitions = append(refused.Partitions, committedPartition(p.Partition, missing.Code))
			case p.Partition < 0 || int(p.Partition) >= len(known.Partitions):
				refused.Partitions = append(refused.Partitions, committedPartition(p.Partition, kerr.UnknownTopicOrPartition.Code))
			default:
				there = append(there, p)
			}
		}
		if len(refused.Partitions) > 0 || known == nil {
			resp.Topics = append(resp.Topics, refused)
		}
		if len(there) > 0 {
			t.Topic, t.TopicID, t.Partitions = known.Name, known.ID, there
			valid = append(valid, t)
		}
	}
	return valid
}

func committedPartition(partition int32, code int16) kmsg.OffsetCommitResponseTopicPartition {
	p := kmsg.NewOffsetCommitResponseTopicPartition()
	p.Partition, p.ErrorCode = partition, code
	return p
}

// commitError answers every partition with an error.
func commitError(q *kmsg.OffsetCommitRequest, code int16) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	for _, t := range q.Topics {
		a := kmsg.NewOffsetCommitResponseTopic()
		a.Topic, a.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			a.Partitions = append(a.Partitions, committedPartition(p.Partition, code))
		}
		resp.Topics = append(resp.Topics, a)
	}
	return resp
}

// mergeCommits adds answers to those that there are, each topic once
// (OffsetCommitResponse.Builder.merge).
func mergeCommits(to, from *kmsg.OffsetCommitResponse) {
	type topic struct {
		name string
		id   [16]byte
	}
	key := func(t *kmsg.OffsetCommitResponseTopic) topic {
		if to.Version >= commitsByID {
			return topic{id: t.TopicID}
		}
		return topic{name: t.Topic}
	}
	at := map[topic]int{}
	for i := range to.Topics {
		at[key(&to.Topics[i])] = i
	}
	for i := range from.Topics {
		t := &from.Topics[i]
		if n, ok := at[key(t)]; ok {
			to.Topics[n].Partitions = append(to.Topics[n].Partitions, t.Partitions...)
			continue
		}
		at[key(t)] = len(to.Topics)
		to.Topics = append(to.Topics, *t)
	}
}
