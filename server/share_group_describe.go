package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/groups"
)

// ShareGroupDescribe (77), version 1: share groups with their members.

func shareGroupDescribe(r *request, q *kmsg.ShareGroupDescribeRequest) (kmsg.Response, error) {
	b := r.broker
	resp := q.ResponseKind().(*kmsg.ShareGroupDescribeResponse)
	for _, id := range q.GroupIDs {
		var err error = kerr.UnsupportedVersion
		var g kmsg.ShareGroupDescribeResponseGroup
		switch {
		case !b.shareGroupsEnabled():
		case id == "":
			err = kerr.InvalidGroupID
		default:
			g, err = readGroups(r, b.groupPartition(id), func(s *groups.Shard, committed int64) (kmsg.ShareGroupDescribeResponseGroup, error) {
				return s.ShareGroupDescribe(id, committed), nil
			})
		}
		if err != nil {
			g = kmsg.NewShareGroupDescribeResponseGroup()
			g.GroupID, g.ErrorCode = id, errorCode(err)
		}
		g.AuthorizedOperations = noOperations
		if q.IncludeAuthorizedOperations && g.ErrorCode == 0 {
			g.AuthorizedOperations = groupOperations
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp, ended(r.ctx)
}
