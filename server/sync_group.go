package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// SyncGroup (14), versions 0-5. v3 has static members; v5 names the protocol, which
// has to be there. The answer waits for the leader's assignment.

func syncGroup(r *request, q *kmsg.SyncGroupRequest) (kmsg.Response, error) {
	b := r.broker
	var err error
	switch {
	case q.Version >= 5 && (q.ProtocolType == nil || q.Protocol == nil):
		err = kerr.InconsistentGroupProtocol
	case q.Group == "":
		err = kerr.InvalidGroupID
	default:
		answer := groups.NewPromise[*kmsg.SyncGroupResponse]()
		err = b.groups.Run(r.ctx, b.groupPartition(q.Group), func(s *groups.Shard) (coordinator.Outcome, error) {
			return s.SyncGroup(q, answer)
		})
		if err == nil {
			return promised(r.ctx, q, answer)
		}
	}
	resp := q.ResponseKind().(*kmsg.SyncGroupResponse)
	resp.ErrorCode = errorCode(err)
	return resp, ended(r.ctx)
}
