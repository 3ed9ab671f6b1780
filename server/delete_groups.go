package server

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups"
)

// DeleteGroups (42), versions 0-3: groups without members, with their offsets. v3
// has messages. Groups of one partition are deleted together.

func deleteGroups(r *request, q *kmsg.DeleteGroupsRequest) (kmsg.Response, error) {
	b := r.broker
	resp := q.ResponseKind().(*kmsg.DeleteGroupsResponse)
	r.deleteSharesOf(q.Groups)
	var partitions []int32
	groupsOf := map[int32][]string{}
	for i, id := range q.Groups {
		if slices.Contains(q.Groups[:i], id) {
			continue
		}
		n := b.groupPartition(id)
		if groupsOf[n] == nil {
			partitions = append(partitions, n)
		}
		groupsOf[n] = append(groupsOf[n], id)
	}
	answers := make([][]kmsg.DeleteGroupsResponseGroup, len(partitions))
	var all sync.WaitGroup
	for i, n := range partitions {
		all.Go(func() { answers[i] = deleteGroupsOf(r, n, groupsOf[n]) })
	}
	all.Wait()
	resp.Groups = slices.Concat(answers...)
	return resp, ended(r.ctx)
}

// deleteGroupsOf deletes groups of one partition.
func deleteGroupsOf(r *request, partition int32, ids []string) []kmsg.DeleteGroupsResponseGroup {
	deleted, err := writeGroups(r, partition, func(s *groups.Shard) ([]kmsg.DeleteGroupsResponseGroup, coordinator.Outcome, error) {
		return s.DeleteGroups(ids)
	})
	if err == nil {
		return deleted
	}
	for _, id := range ids {
		g := kmsg.NewDeleteGroupsResponseGroup()
		g.Group, g.ErrorCode = id, errorCode(err)
		deleted = append(deleted, g)
	}
	return deleted
}
