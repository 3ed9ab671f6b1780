package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/groups"
)

// DescribeGroups (15), versions 0-6: groups of the classic protocol. v3 tells what
// the client may do, v4 static members; v6 says GROUP_ID_NOT_FOUND, with a
// message, where earlier ones say that the group is dead.

// groupOperations is every AclOperation that groups have, as bits: READ, DELETE,
// DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS (AclEntry.supportedOperations).
const groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11

func describeGroups(r *request, q *kmsg.DescribeGroupsRequest) (kmsg.Response, error) {
	b := r.broker
	resp := q.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, id := range q.Groups {
		found, err := readGroups(r, b.groupPartition(id), func(s *groups.Shard, committed int64) ([]kmsg.DescribeGroupsResponseGroup, error) {
			return s.DescribeGroups([]string{id}, q.Version, committed), nil
		})
		if err != nil {
			g := kmsg.NewDescribeGroupsResponseGroup()
			g.Group, g.ErrorCode = id, errorCode(err)
			found = []kmsg.DescribeGroupsResponseGroup{g}
		}
		for _, g := range found {
			g.AuthorizedOperations = noOperations
			if q.IncludeAuthorizedOperations && g.ErrorCode == 0 {
				g.AuthorizedOperations = groupOperations
			}
			resp.Groups = append(resp.Groups, g)
		}
	}
	return resp, ended(r.ctx)
}
