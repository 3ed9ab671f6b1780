package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// AlterPartitionReassignments (45), versions 0-1: new replicas for partitions, or
// none to go back to those from before. v1 may forbid that their number changes.
// The answer says that the reassignment has begun; ListPartitionReassignments
// tells when it is over.

func alterPartitionReassignments(r *request, q *kmsg.AlterPartitionAssignmentsRequest) (kmsg.Response, error) {
	return r.broker.admin().alterPartitionReassignments(r.ctx, q), nil
}

func (a *adminAPI) alterPartitionReassignments(
	ctx context.Context, req *kmsg.AlterPartitionAssignmentsRequest,
) *kmsg.AlterPartitionAssignmentsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	command := election.AlterReassignments{AllowReplicationFactorChange: req.Version == 0 || req.AllowReplicationFactorChange}
	resp.AllowReplicationFactorChange = command.AllowReplicationFactorChange
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			command.Partitions = append(command.Partitions, election.Reassignment{
				PartitionRef: election.PartitionRef{Topic: t.Topic, Partition: p.Partition}, Replicas: p.Replicas,
			})
		}
	}
	results, err := result[[]election.ElectResult](ctx, a, &command)
	if err != nil {
		e := toAPIError(err).orDefault()
		resp.ErrorCode, resp.ErrorMessage = e.code, e.message
		return resp
	}
	made := electedTopics(results)
	for _, t := range req.Topics {
		answer := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		answer.Topic = t.Topic
		for _, p := range t.Partitions {
			one := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			e := toAPIError(results[0].Err)
			one.Partition, one.ErrorCode, one.ErrorMessage = p.Partition, e.code, e.message
			results = results[1:]
			answer.Partitions = append(answer.Partitions, one)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	if len(made) > 0 {
		a.settle(ctx, made)
	}
	return resp
}
