package server

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// LeaveGroup (13), versions 0-5. Before v3 one member leaves, and its error is the
// answer's; since then it is a list of members, each with its own; v5 carries
// reasons, for the log.

// leavesByList is the first version with a list of members.
const leavesByList = 3

func leaveGroup(r *request, q *kmsg.LeaveGroupRequest) (kmsg.Response, error) {
	if q.Version < leavesByList {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = q.MemberID
		q.Members = append(q.Members, m)
	}
	var resp *kmsg.LeaveGroupResponse
	err := error(kerr.InvalidGroupID)
	if q.Group != "" {
		resp, err = writeGroups(r, r.broker.groupPartition(q.Group),
			func(s *groups.Shard) (*kmsg.LeaveGroupResponse, coordinator.Outcome, error) { return s.LeaveGroup(q) })
	}
	if errors.Is(err, kerr.UnknownMemberID) { // There is no such group.
		resp = kmsg.NewPtrLeaveGroupResponse()
		for _, m := range q.Members {
			a := kmsg.NewLeaveGroupResponseMember()
			a.MemberID, a.InstanceID, a.ErrorCode = m.MemberID, m.InstanceID, kerr.UnknownMemberID.Code
			resp.Members = append(resp.Members, a)
		}
		err = nil
	}
	if err != nil {
		resp = kmsg.NewPtrLeaveGroupResponse()
		resp.ErrorCode = errorCode(err)
	}
	resp.Version = q.Version
	if q.Version < leavesByList && resp.ErrorCode == 0 {
		if len(resp.Members) != 1 {
			return nil, fmt.Errorf("server: %d members have left", len(resp.Members))
		}
		resp.ErrorCode = resp.Members[0].ErrorCode
	}
	return resp, ended(r.ctx)
}
