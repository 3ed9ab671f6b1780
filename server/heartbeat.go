package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// Heartbeat (12), versions 0-4. v3 has static members. While the coordinator
// loads, members are told that all is well.

func heartbeat(r *request, q *kmsg.HeartbeatRequest) (kmsg.Response, error) {
	var resp *kmsg.HeartbeatResponse
	err := error(kerr.InvalidGroupID)
	if q.Group != "" {
		resp, err = writeGroups(r, r.broker.groupPartition(q.Group),
			func(s *groups.Shard) (*kmsg.HeartbeatResponse, coordinator.Outcome, error) { return s.Heartbeat(q) })
	}
	if err == nil {
		resp.Version = q.Version
		return resp, nil
	}
	if errors.Is(err, kerr.CoordinatorLoadInProgress) {
		err = nil
	}
	failed := q.ResponseKind().(*kmsg.HeartbeatResponse)
	failed.ErrorCode = errorCode(err)
	return failed, ended(r.ctx)
}
