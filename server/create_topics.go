package server

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// CreateTopics (19), versions 2-7. From v4 on -1 means the broker's default for
// partitions and replication factor; v5 answers with the topic's configs, v7
// with its id. Unlike Kafka's, the answer waits until the leaders serve.

func createTopics(r *request, q *kmsg.CreateTopicsRequest) (kmsg.Response, error) {
	return r.broker.admin().createTopics(r.ctx, q), nil
}

func (a *adminAPI) createTopics(ctx context.Context, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	topics, repeated := split(req.Topics, func(t kmsg.CreateTopicsRequestTopic) string { return t.Topic })

	var command election.CreateTopics
	command.ValidateOnly = req.ValidateOnly
	answers := make([]int, 0, len(topics)) // places in resp of the command's topics
	metadataTopic := false
	for i := range topics {
		t := &topics[i]
		if t.Topic == clusterMetadata {
			metadataTopic = true
			continue
		}
		answer := newCreateTopicsAnswer(t.Topic)
		if err := a.checkNullConfigs(t); err != nil {
			answer.fail(toAPIError(err))
		} else {
			answers = append(answers, len(resp.Topics))
			command.Topics = append(command.Topics, newTopic(t))
		}
		resp.Topics = append(resp.Topics, answer.CreateTopicsResponseTopic)
	}
	a.runCreateTopics(ctx, &command, resp.Topics, answers)

	for _, name := range repeated {
		resp.Topics = append(resp.Topics, refusedTopic(name, "Duplicate topic name."))
	}
	if metadataTopic {
		resp.Topics = append(resp.Topics, refusedTopic(clusterMetadata,
			"Creation of internal topic "+clusterMetadata+" is prohibited."))
	}
	return resp
}

// runCreateTopics sends the command and writes its results to the given places.
func (a *adminAPI) runCreateTopics(
	ctx context.Context, command *election.CreateTopics, into []kmsg.CreateTopicsResponseTopic, places []int,
) {
	if len(command.Topics) == 0 {
		return
	}
	results, err := result[[]election.CreateTopicResult](ctx, a, command)
	var made []string
	for i, place := range places {
		answer := &createTopicsAnswer{into[place]}
		switch {
		case err != nil:
			answer.fail(toAPIError(err))
		case results[i].Err != nil:
			answer.fail(toAPIError(results[i].Err).orDefault())
		default:
			a.fillCreateTopicsAnswer(answer, &results[i])
			made = append(made, results[i].Name)
		}
		into[place] = answer.CreateTopicsResponseTopic
	}
	if len(made) > 0 && !command.ValidateOnly {
		a.settle(ctx, made)
	}
}

func newTopic(t *kmsg.CreateTopicsRequestTopic) election.NewTopic {
	n := election.NewTopic{
		Name:              t.Topic,
		Partitions:        t.NumPartitions,
		ReplicationFactor: t.ReplicationFactor,
	}
	if len(t.ReplicaAssignment) > 0 {
		n.Assignment = make(map[int32][]int32, len(t.ReplicaAssignment))
	}
	for _, p := range t.ReplicaAssignment {
		if _, twice := n.Assignment[p.Partition]; twice {
			n.DuplicatePartitions = true
		}
		n.Assignment[p.Partition] = p.Replicas
	}
	if len(t.Configs) > 0 {
		n.Configs = make(map[string]string, len(t.Configs))
	}
	for _, c := range t.Configs {
		n.Configs[c.Name] = *c.Value // checkNullConfigs was here before
	}
	return n
}

// checkNullConfigs refuses configs without a value. They cannot go to the
// controller, so the checks that Kafka makes before this one come first here.
func (a *adminAPI) checkNullConfigs(t *kmsg.CreateTopicsRequestTopic) error {
	var null []string
	for _, c := range t.Configs {
		if c.Value == nil {
			null = append(null, c.Name)
		}
	}
	if null == nil {
		return nil
	}
	if err := election.ValidateTopicName(t.Topic); err != nil {
		return err
	}
	if a.image().Topics[t.Topic] != nil {
		return refuse(election.ErrTopicExists, "Topic '"+t.Topic+"' already exists.")
	}
	return refuse(election.ErrInvalidConfig,
		"Null value not supported for topic configs: "+strings.Join(null, ","))
}

type createTopicsAnswer struct{ kmsg.CreateTopicsResponseTopic }

func newCreateTopicsAnswer(name string) *createTopicsAnswer {
	a := &createTopicsAnswer{kmsg.NewCreateTopicsResponseTopic()}
	a.Topic = name
	a.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	return a
}

func (a *createTopicsAnswer) fail(e apiError) { a.ErrorCode, a.ErrorMessage = e.code, e.message }

func refusedTopic(name, message string) kmsg.CreateTopicsResponseTopic {
	a := newCreateTopicsAnswer(name)
	a.fail(toAPIError(refuse(election.ErrInvalidRequest, message)))
	return a.CreateTopicsResponseTopic
}

func (a *adminAPI) fillCreateTopicsAnswer(t *createTopicsAnswer, r *election.CreateTopicResult) {
	t.TopicID = r.ID
	t.NumPartitions = r.Partitions
	t.ReplicationFactor = r.ReplicationFactor
	// Kafka's controller tells them: it does not look at this broker's own.
	values := a.values()
	values.Own = nil
	for _, c := range values.CreatedTopic(r.Configs) {
		entry := kmsg.NewCreateTopicsResponseTopicConfig()
		entry.Name = c.Name
		entry.Value = c.Value
		entry.Source = int8(c.Source)
		entry.IsSensitive = c.Sensitive
		t.Configs = append(t.Configs, entry)
	}
}
