package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// OffsetDelete (47), version 0. Partitions that do not exist are refused one by
// one; the group is asked even when none is left.

func offsetDelete(r *request, q *kmsg.OffsetDeleteRequest) (kmsg.Response, error) {
	b := r.broker
	resp := q.ResponseKind().(*kmsg.OffsetDeleteResponse)
	valid := *q
	valid.Topics = b.deletable(q, resp)
	var deleted *kmsg.OffsetDeleteResponse
	err := error(kerr.InvalidGroupID)
	if q.Group != "" {
		deleted, err = writeGroups(r, b.groupPartition(q.Group),
			func(s *groups.Shard) (*kmsg.OffsetDeleteResponse, coordinator.Outcome, error) {
				return s.DeleteOffsets(&valid)
			})
	}
	if err != nil {
		resp.Topics, resp.ErrorCode = nil, errorCode(err)
		return resp, ended(r.ctx)
	}
	at := map[string]int{}
	for i := range resp.Topics {
		at[resp.Topics[i].Topic] = i
	}
	for _, t := range deleted.Topics {
		if n, ok := at[t.Topic]; ok {
			resp.Topics[n].Partitions = append(resp.Topics[n].Partitions, t.Partitions...)
		} else {
			resp.Topics = append(resp.Topics, t)
		}
	}
	return resp, nil
}

// deletable are the partitions of a request that exist. The others are answered.
func (b *broker) deletable(q *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse) []kmsg.OffsetDeleteRequestTopic {
	m := b.image()
	var valid []kmsg.OffsetDeleteRequestTopic
	for _, t := range q.Topics {
		known := m.Topics[t.Topic]
		refused := kmsg.NewOffsetDeleteResponseTopic()
		refused.Topic = t.Topic
		var there []kmsg.OffsetDeleteRequestTopicPartition
		for _, p := range t.Partitions {
			if known != nil && p.Partition >= 0 && int(p.Partition) < len(known.Partitions) {
				there = append(there, p)
				continue
			}
			a := kmsg.NewOffsetDeleteResponseTopicPartition()
			a.Partition, a.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
			refused.Partitions = append(refused.Partitions, a)
		}
		if len(refused.Partitions) > 0 {
			resp.Topics = append(resp.Topics, refused)
		}
		if len(there) > 0 {
			t.Partitions = there
			valid = append(valid, t)
		}
	}
	return valid
}
