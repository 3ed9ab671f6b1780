package server

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// ElectLeaders (43), versions 0-2. v0 knows only preferred elections and has no
// error of its own for the whole request. Without partitions all are meant, and
// those that need no election are not answered.

const (
	electPreferred = 0
	electUnclean   = 1
)

func electLeaders(r *request, q *kmsg.ElectLeadersRequest) (kmsg.Response, error) {
	return r.broker.admin().electLeaders(r.ctx, q), nil
}

func (a *adminAPI) electLeaders(ctx context.Context, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	kind := int8(electPreferred)
	if req.Version >= 1 {
		kind = req.ElectionType
	}
	if kind != electPreferred && kind != electUnclean {
		failElectLeaders(req, resp, refuse(election.ErrInvalidRequest, fmt.Sprintf("Unknown election type %d", kind)))
		return resp
	}
	command := election.ElectLeaders{Unclean: kind == electUnclean}
	if req.Topics != nil {
		command.Partitions = []election.PartitionRef{}
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			command.Partitions = append(command.Partitions, election.PartitionRef{Topic: t.Topic, Partition: p})
		}
	}
	results, err := result[[]election.ElectResult](ctx, a, &command)
	if err != nil {
		failElectLeaders(req, resp, err)
		return resp
	}
	if req.Topics == nil {
		a.answerElectAll(resp, results)
	} else {
		answerElect(req, resp, results)
	}
	if made := electedTopics(results); len(made) > 0 {
		a.settle(ctx, made)
	}
	return resp
}

// failElectLeaders gives every named partition the same error.
func failElectLeaders(req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse, err error) {
	e := toAPIError(err)
	resp.ErrorCode = e.code
	for _, t := range req.Topics {
		answer := kmsg.NewElectLeadersResponseTopic()
		answer.Topic = t.Topic
		for _, p := range t.Partitions {
			answer.Partitions = append(answer.Partitions, electAnswer(p, e))
		}
		resp.Topics = append(resp.Topics, answer)
	}
}

// answerElect gives the results, which are in the request's order, the request's
// form.
func answerElect(req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse, results []election.ElectResult) {
	for _, t := range req.Topics {
		answer := kmsg.NewElectLeadersResponseTopic()
		answer.Topic = t.Topic
		for _, p := range t.Partitions {
			answer.Partitions = append(answer.Partitions, electAnswer(p, toAPIError(results[0].Err).orDefault()))
			results = results[1:]
		}
		resp.Topics = append(resp.Topics, answer)
	}
}

// answerElectAll answers for all topics, as Kafka does, also for those without
// anything to tell.
func (a *adminAPI) answerElectAll(resp *kmsg.ElectLeadersResponse, results []election.ElectResult) {
	byTopic := map[string][]election.ElectResult{}
	for name := range a.image().Topics {
		byTopic[name] = nil
	}
	for _, r := range results {
		byTopic[r.Topic] = append(byTopic[r.Topic], r)
	}
	for _, name := range slices.Sorted(maps.Keys(byTopic)) {
		answer := kmsg.NewElectLeadersResponseTopic()
		answer.Topic = name
		for _, r := range byTopic[name] {
			answer.Partitions = append(answer.Partitions, electAnswer(r.Partition, toAPIError(r.Err).orDefault()))
		}
		resp.Topics = append(resp.Topics, answer)
	}
}

func electAnswer(partition int32, e apiError) kmsg.ElectLeadersResponseTopicPartition {
	answer := kmsg.NewElectLeadersResponseTopicPartition()
	answer.Partition, answer.ErrorCode, answer.ErrorMessage = partition, e.code, e.message
	return answer
}

// electedTopics are the topics in which a leader was elected.
func electedTopics(results []election.ElectResult) []string {
	seen := map[string]bool{}
	for _, r := range results {
		if r.Err == nil {
			seen[r.Topic] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
