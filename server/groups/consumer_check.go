package groups

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CheckConsumerHeartbeat refuses heartbeats that no group would take, whatever its
// state (throwIfConsumerGroupHeartbeatRequestIsInvalid): INVALID_REQUEST and
// UNSUPPORTED_ASSIGNOR. assignors are the names of group.consumer.assignors.
func CheckConsumerHeartbeat(q *kmsg.ConsumerGroupHeartbeatRequest, assignors []string) error {
	// With version 0 the coordinator makes the ids of members.
	if q.Version >= 1 || q.MemberEpoch > 0 || q.MemberEpoch == leaveEpoch {
		if blank(&q.MemberID) {
			return invalid("MemberId can't be empty.")
		}
	}
	switch {
	case blank(&q.Group):
		return invalid("GroupId can't be empty.")
	case blank(q.InstanceID):
		return invalid("InstanceId can't be empty.")
	case blank(q.RackID):
		return invalid("RackId can't be empty.")
	case q.MemberEpoch == leaveStaticEpoch && q.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case q.MemberEpoch < leaveStaticEpoch:
		return invalid("MemberEpoch is invalid.")
	}
	if q.MemberEpoch == joinEpoch {
		if err := checkJoin(q); err != nil {
			return err
		}
	}
	if q.ServerAssignor != nil && !slices.Contains(assignors, *q.ServerAssignor) {
		return refuse(kerr.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.",
			*q.ServerAssignor, strings.Join(assignors, ", "))
	}
	return nil
}

// checkJoin refuses first heartbeats that do not tell all.
func checkJoin(q *kmsg.ConsumerGroupHeartbeatRequest) error {
	switch {
	case q.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case q.Topics == nil || len(q.Topics) > 0:
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case q.SubscribedTopicNames == nil && q.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	}
	return nil
}

func invalid(message string) error { return refuse(kerr.InvalidRequest, "%s", message) }

// blank tells whether a string is there and has nothing in it.
func blank(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
