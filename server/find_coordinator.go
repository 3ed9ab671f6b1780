package server

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// FindCoordinator (10), versions 0-6: who coordinates groups (key type 0),
// transactions (1), and the states of shares (2, from v6 on). v4 takes several
// keys, and answers each by itself.
//
// It creates the internal topic where it is missing. Kafka answers
// COORDINATOR_NOT_AVAILABLE at once then, and clients back off; here the answer
// waits shortly for the topic. It does not wait for the coordinator to have loaded.

// The types of a coordinator key (FindCoordinatorRequest.CoordinatorType).
const (
	groupKey int8 = iota
	transactionKey
	shareKey
)

// createWithin is how long an answer waits for an internal topic.
const createWithin = 3 * time.Second

func findCoordinator(r *request, q *kmsg.FindCoordinatorRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.FindCoordinatorResponse)
	b := r.broker
	if q.Version < 4 {
		node, err := b.findCoordinator(r.ctx, q, q.CoordinatorKey)
		resp.NodeID, resp.Host, resp.Port = node.ID, node.Host, node.Port
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), coordinatorMessage(err)
		return resp, nil
	}
	unknown := q.CoordinatorType < groupKey || q.CoordinatorType > shareKey
	for _, key := range q.CoordinatorKeys {
		node, err := b.findCoordinator(r.ctx, q, key)
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Host, c.Port = key, node.ID, node.Host, node.Port
		c.ErrorCode, c.ErrorMessage = errorCode(err), new(string)
		if unknown { // refused as a whole
			c.ErrorMessage = coordinatorMessage(err)
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp, nil
}

// coordinatorMessage is Errors.message.
func coordinatorMessage(err error) *string {
	s := "NONE"
	switch errorCode(err) {
	case 0:
	case kerr.CoordinatorNotAvailable.Code:
		s = "The coordinator is not available."
	default:
		s = "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."
	}
	return &s
}

// findCoordinator is KafkaApis.getCoordinator.
func (b *broker) findCoordinator(ctx context.Context, q *kmsg.FindCoordinatorRequest, key string) (election.Broker, error) {
	nobody, topic := election.Broker{ID: -1, Port: -1}, consumerOffsets
	switch q.CoordinatorType {
	case groupKey:
	case transactionKey:
		topic = transactionState
	case shareKey:
		if q.Version < 6 || !isSharePartition(key) {
			return nobody, kerr.InvalidRequest
		}
		topic = shareGroupState
	default:
		return nobody, kerr.InvalidRequest
	}
	m := b.awaitTopic(ctx, topic)
	t := m.Topics[topic]
	if t == nil {
		return nobody, kerr.CoordinatorNotAvailable
	}
	p := t.Partitions[CoordinatorPartition(key, int32(len(t.Partitions)))]
	leader := m.Brokers[p.Leader]
	if leader == nil || leader.Fenced {
		return nobody, kerr.CoordinatorNotAvailable
	}
	return *leader, nil
}

// isSharePartition says whether a key is group:topic-id:partition
// (SharePartitionKey.validate).
func isSharePartition(key string) bool {
	parts := strings.Split(key, ":")
	if len(parts) != 3 || strings.TrimSpace(parts[0]) == "" {
		return false
	}
	id, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(id) != 16 {
		return false
	}
	_, err = strconv.ParseInt(parts[2], 10, 32)
	return err == nil
}

// awaitTopic has an internal topic created, and returns the metadata that has it,
// or that does not have it shortly after.
func (b *broker) awaitTopic(ctx context.Context, name string) *election.Image {
	m := b.image()
	if m.Topics[name] != nil {
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, createWithin)
	defer cancel()
	select {
	case <-b.autoCreate([]string{name}):
	case <-ctx.Done():
	}
	return b.image()
}
