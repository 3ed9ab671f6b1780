package server

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// AlterPartitionReassignments (45), versions 0-1. Null replicas cancel what is
// under way. v1 says whether the number of replicas may change; before, it may.

func alterPartitionReassignments(r *request, q *kmsg.AlterPartitionAssignmentsRequest) (kmsg.Response, error) {
	return r.broker.admin().alterPartitionReassignments(r.ctx, q), nil
}

func (a *adminAPI) alterPartitionReassignments(ctx context.Context, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	command := election.AlterReassignments{AllowReplicationFactorChange: req.Version < 1 || req.AllowReplicationFactorChange}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			command.Partitions = append(command.Partitions, election.Reassignment{
				PartitionRef: election.PartitionRef{Topic: t.Topic, Partition: p.Partition}, Replicas: p.Replicas,
			})
		}
	}
	results, err := result[[]election.ElectResult](ctx, a, &command)
	if err != nil {
		e := toAPIError(err)
		resp.ErrorCode, resp.ErrorMessage = e.code, e.message
		return resp
	}
	for _, t := range req.Topics {
		answer := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		answer.Topic = t.Topic
		for _, p := range t.Partitions {
			one := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			e := toAPIError(results[0].Err)
			results = results[1:]
			one.Partition, one.ErrorCode, one.ErrorMessage = p.Partition, e.code, e.message
			answer.Partitions = append(answer.Partitions, one)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

// ListPartitionReassignments (46), version 0. Null topics mean all; only
// partitions that are on their way are answered.

func listPartitionReassignments(r *request, q *kmsg.ListPartitionReassignmentsRequest) (kmsg.Response, error) {
	return r.broker.admin().listPartitionReassignments(q), nil
}

func (a *adminAPI) listPartitionReassignments(req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	image := a.image()
	add := func(t *election.Topic, wanted func(int32) bool) {
		answer := kmsg.NewListPartitionReassignmentsResponseTopic()
		answer.Topic = t.Name
		for i, p := range t.Partitions {
			if !p.Reassigning() || !wanted(int32(i)) {
				continue
			}
			one := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			one.Partition, one.Replicas = int32(i), p.Replicas
			one.AddingReplicas, one.RemovingReplicas = p.Adding, p.Removing
			answer.Partitions = append(answer.Partitions, one)
		}
		if len(answer.Partitions) > 0 {
			resp.Topics = append(resp.Topics, answer)
		}
	}
	if req.Topics == nil {
		for _, t := range image.Topics {
			add(t, func(int32) bool { return true })
		}
		return resp
	}
	for _, asked := range req.Topics {
		if t := image.Topics[asked.Topic]; t != nil {
			add(t, func(i int32) bool { return slices.Contains(asked.Partitions, i) })
		}
	}
	return resp
}
