package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
)

// DeleteTopics (20), versions 1-6. v3 has a code of its own for a cluster that
// does not delete topics, v5 messages, v6 topic ids. Kafka shuffles the answers;
// here they stand in the order of the request.

func deleteTopics(r *request, q *kmsg.DeleteTopicsRequest) (kmsg.Response, error) {
	return r.broker.admin().deleteTopics(r.ctx, q), nil
}

func (a *adminAPI) deleteTopics(ctx context.Context, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	refs := deleteTopicRefs(req)
	var command election.DeleteTopics
	var places []int
	for _, r := range refs {
		answer := kmsg.NewDeleteTopicsResponseTopic()
		answer.Topic, answer.TopicID = r.name, r.id
		if r.err != nil {
			setDeleteError(&answer, r.err, req.Version)
		} else {
			places = append(places, len(resp.Topics))
			command.Topics = append(command.Topics, r.ref())
		}
		resp.Topics = append(resp.Topics, answer)
	}
	if len(command.Topics) == 0 {
		return resp
	}
	results, err := result[[]election.TopicResult](ctx, a, &command)
	made := false
	for i, place := range places {
		answer := &resp.Topics[place]
		if err != nil {
			setDeleteError(answer, err, req.Version)
			continue
		}
		r := &results[i]
		if r.Err != nil {
			setDeleteError(answer, r.Err, req.Version)
			continue
		}
		answer.Topic, answer.TopicID = &r.Name, r.ID
		made = true
	}
	if made {
		a.settle(ctx, nil)
	}
	return resp
}

func setDeleteError(t *kmsg.DeleteTopicsResponseTopic, err error, version int16) {
	if errors.Is(err, election.ErrTopicDeletionDisabled) && version < 3 {
		err = refuse(election.ErrInvalidRequest, "Topic deletion is disabled.")
	}
	e := toAPIError(err)
	if e.code == kerr.UnknownTopicOrPartition.Code || e.code == kerr.UnknownTopicID.Code {
		e = e.orDefault()
	}
	t.ErrorCode, t.ErrorMessage = e.code, e.message
}

// deleteRef is one topic of the request; name is nil when an id was given.
type deleteRef struct {
	name *string
	id   log.TopicID
	err  error
}

func (r *deleteRef) ref() election.TopicRef {
	if r.name != nil {
		return election.TopicRef{Name: *r.name}
	}
	return election.TopicRef{ID: r.id}
}

// deleteTopicRefs reads names and ids of every version, one entry for each that
// was named once and one error for each that was named more often.
func deleteTopicRefs(req *kmsg.DeleteTopicsRequest) []deleteRef {
	all := deletions(req)
	names, ids := map[string]int{}, map[log.TopicID]int{}
	for i := range all {
		r := &all[i]
		switch zero := r.id == (log.TopicID{}); {
		case r.name == nil && zero:
			r.err = refuse(election.ErrInvalidRequest, "Neither topic name nor id were specified.")
		case r.name != nil && !zero:
			r.err = refuse(election.ErrInvalidRequest, "You may not specify both topic name and topic id.")
		case r.name != nil && *r.name == "":
			r.err = election.ErrUnknownTopicOrPartition // An empty name means an id to the controller.
		case r.name != nil:
			names[*r.name]++
		default:
			ids[r.id]++
		}
	}
	refs := all[:0]
	for _, r := range all {
		if r.err == nil {
			if r.name != nil {
				r.err = keepFirst(names, *r.name, "Duplicate topic name.")
			} else {
				r.err = keepFirst(ids, r.id, "Duplicate topic id.")
			}
		}
		if !errors.Is(r.err, errRepeated) {
			refs = append(refs, r)
		}
	}
	return refs
}

// deletions lists what is to be deleted, as the request has it.
func deletions(req *kmsg.DeleteTopicsRequest) []deleteRef {
	var all []deleteRef
	if req.Version < 6 {
		for i := range req.TopicNames {
			all = append(all, deleteRef{name: &req.TopicNames[i]})
		}
		return all
	}
	for i := range req.Topics {
		all = append(all, deleteRef{name: req.Topics[i].Topic, id: req.Topics[i].TopicID})
	}
	return all
}

var errRepeated = errors.New("server: already answered")

// keepFirst is nil for a key that occurs once, the error for the first of
// several, and errRepeated for the others.
func keepFirst[K comparable](count map[K]int, key K, message string) error {
	switch count[key] {
	case 0:
		return errRepeated
	case 1:
		return nil
	}
	count[key] = 0
	return refuse(election.ErrInvalidRequest, message)
}
