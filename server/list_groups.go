package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/groups"
)

// ListGroups (16), versions 0-5: the groups that this broker coordinates. v4 tells
// and filters by states, v5 by types.

func listGroups(r *request, q *kmsg.ListGroupsRequest) (kmsg.Response, error) {
	b := r.broker
	resp := q.ResponseKind().(*kmsg.ListGroupsResponse)
	for _, n := range b.groups.Led() {
		found, err := readGroups(r, n, func(s *groups.Shard, committed int64) ([]kmsg.ListGroupsResponseGroup, error) {
			return s.ListGroups(q.StatesFilter, q.TypesFilter, committed), nil
		})
		switch {
		case errors.Is(err, kerr.NotCoordinator): // Not any more.
		case err != nil:
			resp.Groups, resp.ErrorCode = nil, errorCode(err)
			return resp, ended(r.ctx)
		default:
			resp.Groups = append(resp.Groups, found...)
		}
	}
	return resp, nil
}
