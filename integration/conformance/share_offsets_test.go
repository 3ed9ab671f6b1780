package conformance_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sharedOffset is what DescribeShareGroupOffsets says of a partition.
type sharedOffset struct {
	group, code code
	start, lag  int64
}

// describeShare asks for a group's start offset of partition 0, or of all partitions where the topic has no name.
func (e *env) describeShare(g group, t topic, version int16) sharedOffset {
	req := request(kmsg.NewPtrDescribeShareGroupOffsetsRequest(), version)
	req.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{{
		GroupID: g.name, Topics: []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: t.name, Partitions: []int32{0}}},
	}}
	if t.name == "" {
		req.Groups[0].Topics = nil
	}
	resp := ask[*kmsg.DescribeShareGroupOffsetsResponse](e, g.coordinator, req)
	check(e, "groups in the answer", len(resp.Groups), 1)
	if r := resp.Groups[0]; r.ErrorCode != 0 || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return sharedOffset{code(r.ErrorCode), unknownServerError, -99, -99}
	}
	p := resp.Groups[0].Topics[0].Partitions[0]
	return sharedOffset{none, code(p.ErrorCode), p.StartOffset, p.Lag}
}

// shareStart is the start offset of partition 0 as text.
func (e *env) shareStart(s *sharer, t topic) string {
	return fmt.Sprint(e.describeShare(s.group, t, 1).start)
}

// alterShare sets a group's start offset of partition 0 to 1 and returns the code of the answer, and the partition's.
func (e *env) alterShare(g group, t topic) []code {
	req := request(kmsg.NewPtrAlterShareGroupOffsetsRequest(), 0)
	req.GroupID = g.name
	req.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{
		Topic: t.name, Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{StartOffset: 1}},
	}}
	resp := ask[*kmsg.AlterShareGroupOffsetsResponse](e, g.coordinator, req)
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return []code{code(resp.ErrorCode), unknownServerError}
	}
	return []code{none, code(resp.Topics[0].Partitions[0].ErrorCode)}
}

// deleteShare deletes a group's offsets of a topic and returns the code of the answer, and the topic's.
func (e *env) deleteShare(g group, t topic) []code {
	req := request(kmsg.NewPtrDeleteShareGroupOffsetsRequest(), 0)
	req.GroupID, req.Topics = g.name, []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: t.name}}
	resp := ask[*kmsg.DeleteShareGroupOffsetsResponse](e, g.coordinator, req)
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 {
		return []code{code(resp.ErrorCode), unknownServerError}
	}
	return []code{none, code(resp.Topics[0].ErrorCode)}
}

// describeSharers describes a share group.
func (e *env) describeSharers(g group) kmsg.ShareGroupDescribeResponseGroup {
	req := request(kmsg.NewPtrShareGroupDescribeRequest(), 1)
	req.GroupIDs = []string{g.name}
	resp := ask[*kmsg.ShareGroupDescribeResponse](e, g.coordinator, req)
	check(e, "groups in the answer", len(resp.Groups), 1)
	return resp.Groups[0]
}

// listedGroup is what ListGroups says of a group: protocol type, type and state, or nothing.
func (e *env) listedGroup(g group, states, types []string) []string {
	req := request(kmsg.NewPtrListGroupsRequest(), 5)
	req.StatesFilter, req.TypesFilter = states, types
	for _, l := range ask[*kmsg.ListGroupsResponse](e, g.coordinator, req).Groups {
		if l.Group == g.name {
			return []string{l.ProtocolType, l.GroupType, l.GroupState}
		}
	}
	return nil
}

// shareLag is how many records of partition 0 are left to do for a group.
func (e *env) shareLag(s *sharer, t topic) int64 { return e.describeShare(s.group, t, 1).lag }
