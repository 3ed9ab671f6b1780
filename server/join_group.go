package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// JoinGroup (11), versions 0-9.
//
// v1 has a rebalance timeout of its own; from v4 on a member is told its id first
// and joins with it (MEMBER_ID_REQUIRED); v5 has static members; v7 tells the
// protocol type; v8 carries a reason, for the log; v9 tells a leader that it has
// nothing to assign. The answer waits for the rebalance.

func joinGroup(r *request, q *kmsg.JoinGroupRequest) (kmsg.Response, error) {
	b := r.broker
	var err error
	memberID := q.MemberID
	switch {
	case q.Group == "":
		err = kerr.InvalidGroupID
	case q.SessionTimeoutMillis < b.static.GroupMinSessionTimeoutMs || q.SessionTimeoutMillis > b.static.GroupMaxSessionTimeoutMs:
		err = kerr.InvalidSessionTimeout
	default:
		memberID = ""
		answer := groups.NewPromise[*kmsg.JoinGroupResponse]()
		err = b.groups.Run(r.ctx, b.groupPartition(q.Group), func(s *groups.Shard) (coordinator.Outcome, error) {
			return s.JoinGroup(r.client(), q, answer)
		})
		if err == nil {
			return promised(r.ctx, q, answer)
		}
	}
	resp := q.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.Generation, resp.MemberID, resp.ErrorCode = -1, memberID, errorCode(err)
	if q.Version < 7 {
		resp.Protocol = new(string) // It may be null from then on.
	}
	return resp, ended(r.ctx)
}
