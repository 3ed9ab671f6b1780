package server

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// DescribeTopicPartitions (75), version 0: topics sorted by name, as many
// partitions as the request and max.request.partition.size.limit allow, and a
// cursor where the rest begins. It tells the eligible leader replicas, which
// Metadata does not (DescribeTopicPartitionsRequestHandler).

const partitionSizeLimit = "max.request.partition.size.limit"

func describeTopicPartitions(r *request, q *kmsg.DescribeTopicPartitionsRequest) (kmsg.Response, error) {
	return r.broker.admin().describeTopicPartitions(q), nil
}

func (a *adminAPI) describeTopicPartitions(
	req *kmsg.DescribeTopicPartitionsRequest,
) *kmsg.DescribeTopicPartitionsResponse {
	image := a.image()
	all := len(req.Topics) == 0
	names, ok := describedTopics(image, req)
	if !ok {
		return refuseDescribeTopicPartitions(req)
	}
	left := max(min(req.ResponsePartitionLimit, int32(a.values().Int(partitionSizeLimit))), 1)
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	for _, name := range names {
		if left == 0 {
			resp.NextCursor = nextCursor(name, 0)
			break
		}
		topic := image.Topics[name]
		if topic == nil {
			if !all {
				resp.Topics = append(resp.Topics, unknownDescribed(name))
			}
			continue
		}
		from := int32(0)
		if req.Cursor != nil && req.Cursor.Topic == name {
			from = req.Cursor.Partition
		}
		answer, next := describeTopic(image, topic, from, left)
		resp.Topics = append(resp.Topics, answer)
		if next >= 0 {
			resp.NextCursor = nextCursor(name, next)
			break
		}
		left -= int32(len(answer.Partitions))
	}
	return resp
}

// describedTopics are the names from the cursor on; false when the cursor is not
// one that an answer can have given.
func describedTopics(image *election.Image, req *kmsg.DescribeTopicPartitionsRequest) ([]string, bool) {
	var names []string
	if len(req.Topics) == 0 {
		names = slices.Collect(maps.Keys(image.Topics))
	} else {
		for _, t := range req.Topics {
			names = append(names, t.Topic)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor == nil {
		return names, true
	}
	at, found := slices.BinarySearch(names, req.Cursor.Topic)
	if req.Cursor.Partition < 0 || (len(req.Topics) > 0 && !found) {
		return nil, false
	}
	return names[at:], true
}

func refuseDescribeTopicPartitions(req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	for _, t := range req.Topics {
		answer := kmsg.NewDescribeTopicPartitionsResponseTopic()
		answer.Topic = kmsg.StringPtr(t.Topic)
		answer.ErrorCode = kerr.InvalidRequest.Code
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

func unknownDescribed(name string) kmsg.DescribeTopicPartitionsResponseTopic {
	answer := kmsg.NewDescribeTopicPartitionsResponseTopic()
	answer.Topic = &name
	answer.IsInternal = internalTopic(name)
	answer.AuthorizedOperations = allTopicOperations
	answer.ErrorCode = kerr.UnknownTopicOrPartition.Code
	if election.ValidateTopicName(name) != nil {
		answer.ErrorCode = kerr.InvalidTopicException.Code
	}
	return answer
}

// describeTopic describes up to limit partitions; next is the first one left
// out, or -1.
func describeTopic(
	image *election.Image, t *election.Topic, from, limit int32,
) (answer kmsg.DescribeTopicPartitionsResponseTopic, next int32) {
	answer = kmsg.NewDescribeTopicPartitionsResponseTopic()
	answer.Topic = kmsg.StringPtr(t.Name)
	answer.TopicID = t.ID
	answer.IsInternal = internalTopic(t.Name)
	answer.AuthorizedOperations = allTopicOperations
	from = min(from, int32(len(t.Partitions)))
	end := min(int32(len(t.Partitions))-from, limit) + from
	for i := from; i < end; i++ {
		answer.Partitions = append(answer.Partitions, describePartition(image, t.Partitions[i], i))
	}
	if end < int32(len(t.Partitions)) {
		return answer, end
	}
	return answer, -1
}

func describePartition(
	image *election.Image, p *election.Partition, index int32,
) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	answer := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	answer.Partition = index
	answer.LeaderID = p.Leader
	if image.Brokers[p.Leader] == nil {
		answer.LeaderID = -1
	}
	answer.LeaderEpoch = p.LeaderEpoch
	answer.Replicas = p.Replicas
	answer.ISR = p.ISR
	answer.EligibleLeaderReplicas = notNil(p.ELR)
	answer.LastKnownELR = notNil(p.LastKnownELR)
	for _, id := range p.Replicas {
		if b := image.Brokers[id]; b == nil || b.Fenced {
			answer.OfflineReplicas = append(answer.OfflineReplicas, id)
		}
	}
	return answer
}

func notNil(ids []int32) []int32 {
	if ids == nil {
		return []int32{}
	}
	return ids
}

func nextCursor(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}
