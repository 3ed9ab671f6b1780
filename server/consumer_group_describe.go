package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/groups"
)

// ConsumerGroupDescribe (69), versions 0-1: groups of KIP-848 as of what is
// replicated, with what their members have and what they should have. v1 tells
// which members use the classic protocol.

func consumerGroupDescribe(r *request, q *kmsg.ConsumerGroupDescribeRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	for _, id := range q.Groups {
		for _, g := range r.broker.describeConsumerGroup(r, id) {
			if q.IncludeAuthorizedOperations && g.ErrorCode == 0 {
				g.AuthorizedOperations = groupOperations
			}
			resp.Groups = append(resp.Groups, g)
		}
	}
	return resp, ended(r.ctx)
}

func (b *broker) describeConsumerGroup(r *request, id string) []kmsg.ConsumerGroupDescribeResponseGroup {
	refuse := func(code *kerr.Error) []kmsg.ConsumerGroupDescribeResponseGroup {
		return []kmsg.ConsumerGroupDescribeResponseGroup{groups.ConsumerGroupDescribeError(id, code, "")}
	}
	switch {
	case !b.servesConsumerGroups():
		return refuse(kerr.UnsupportedVersion)
	case id == "":
		return refuse(kerr.InvalidGroupID)
	}
	found, err := readGroups(r, b.groupPartition(id), func(s *groups.Shard, committed int64) ([]kmsg.ConsumerGroupDescribeResponseGroup, error) {
		return s.ConsumerGroupDescribe([]string{id}, committed), nil
	})
	if err == nil {
		return found
	}
	var code *kerr.Error
	if !errors.As(err, &code) {
		code = kerr.UnknownServerError
	}
	return refuse(code)
}
