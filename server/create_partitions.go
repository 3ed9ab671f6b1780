package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// CreatePartitions (37), versions 0-3, which differ in nothing but their
// encoding. Topics that are named more than once are answered first. Unlike
// Kafka's, the answer waits until the leaders serve.

func createPartitions(r *request, q *kmsg.CreatePartitionsRequest) (kmsg.Response, error) {
	return r.broker.admin().createPartitions(r.ctx, q), nil
}

func (a *adminAPI) createPartitions(
	ctx context.Context, req *kmsg.CreatePartitionsRequest,
) *kmsg.CreatePartitionsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	topics, repeated := split(req.Topics, func(t kmsg.CreatePartitionsRequestTopic) string { return t.Topic })
	add := func(name string, e apiError) {
		answer := kmsg.NewCreatePartitionsResponseTopic()
		answer.Topic, answer.ErrorCode, answer.ErrorMessage = name, e.code, e.message
		resp.Topics = append(resp.Topics, answer)
	}
	for _, name := range repeated {
		add(name, toAPIError(refuse(election.ErrInvalidRequest, "Duplicate topic name.")))
	}
	if len(topics) == 0 {
		return resp
	}
	command := election.CreatePartitions{ValidateOnly: req.ValidateOnly}
	for i := range topics {
		command.Topics = append(command.Topics, morePartitions(&topics[i]))
	}
	results, err := result[[]election.TopicResult](ctx, a, &command)
	var made []string
	for i := range topics {
		switch {
		case err != nil:
			add(topics[i].Topic, toAPIError(err))
		case results[i].Err != nil:
			e := toAPIError(results[i].Err)
			if e.code == kerr.UnknownTopicOrPartition.Code {
				e.message = nil
			}
			add(topics[i].Topic, e)
		default:
			add(topics[i].Topic, apiError{})
			made = append(made, topics[i].Topic)
		}
	}
	if len(made) > 0 && !req.ValidateOnly {
		a.settle(ctx, made)
	}
	return resp
}

func morePartitions(t *kmsg.CreatePartitionsRequestTopic) election.MorePartitions {
	m := election.MorePartitions{Name: t.Topic, Count: t.Count}
	if t.Assignment != nil {
		m.Assignment = make([][]int32, 0, len(t.Assignment))
	}
	for _, p := range t.Assignment {
		m.Assignment = append(m.Assignment, p.Replicas)
	}
	return m
}
