package server

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// ListPartitionReassignments (46), version 0: the reassignments that are under
// way, of all topics or of the named partitions.

func listPartitionReassignments(r *request, q *kmsg.ListPartitionReassignmentsRequest) (kmsg.Response, error) {
	return r.broker.admin().listPartitionReassignments(q), nil
}

func (a *adminAPI) listPartitionReassignments(
	req *kmsg.ListPartitionReassignmentsRequest,
) *kmsg.ListPartitionReassignmentsResponse {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	image := a.image()
	if req.Topics == nil {
		for _, name := range slices.Sorted(maps.Keys(image.Topics)) {
			addReassignments(resp, image.Topics[name], nil)
		}
		return resp
	}
	for _, t := range req.Topics {
		if topic := image.Topics[t.Topic]; topic != nil {
			addReassignments(resp, topic, notNil(t.Partitions))
		}
	}
	return resp
}

// addReassignments adds a topic with those of its partitions that are on their
// way; nil partitions are all.
func addReassignments(resp *kmsg.ListPartitionReassignmentsResponse, t *election.Topic, partitions []int32) {
	answer := kmsg.NewListPartitionReassignmentsResponseTopic()
	answer.Topic = t.Name
	for i, p := range t.Partitions {
		index := int32(i)
		if !p.Reassigning() || partitions != nil && !slices.Contains(partitions, index) {
			continue
		}
		one := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		one.Partition, one.Replicas = index, p.Replicas
		one.AddingReplicas, one.RemovingReplicas = p.Adding, p.Removing
		answer.Partitions = append(answer.Partitions, one)
	}
	if len(answer.Partitions) > 0 {
		resp.Topics = append(resp.Topics, answer)
	}
}
