package groups

import (
	"cmp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups are the groups in one of the states and of one of the types, as of an
// epoch of the timeline, by their ids; no states or types stand for all
// (GroupMetadataManager.listGroups).
func (s *Shard) ListGroups(states, types []string, epoch int64) []kmsg.ListGroupsResponseGroup {
	var all []kmsg.ListGroupsResponseGroup
	for _, g := range s.groups.AllAt(epoch) {
		l := listed(g, epoch)
		if anyOf(states, func(want string) bool { return strings.EqualFold(strings.TrimSpace(want), l.GroupState) }) &&
			anyOf(types, func(want string) bool { return strings.EqualFold(want, l.GroupType) }) {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) })
	return all
}

func anyOf(filter []string, f func(string) bool) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, f)
}

// describeKnowsMissingGroups is the first version of DescribeGroups that answers
// GROUP_ID_NOT_FOUND.
const describeKnowsMissingGroups = 6

// DescribeGroups describes groups of the classic protocol as of an epoch of the
// timeline (GroupMetadataManager.describeGroups).
func (s *Shard) DescribeGroups(ids []string, version int16, epoch int64) []kmsg.DescribeGroupsResponseGroup {
	var all []kmsg.DescribeGroupsResponseGroup
	for _, id := range ids {
		all = append(all, s.describe(id, version, epoch))
	}
	return all
}

func (s *Shard) describe(id string, version int16, epoch int64) kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group = id
	known, err := s.group(id, epoch)
	g, ok := known.(*classicGroup)
	if err != nil || !ok {
		d.State = string(stateDead)
		if version >= describeKnowsMissingGroups {
			d.ErrorCode = kerr.GroupIDNotFound.Code
			message := "Group " + id + " not found."
			if err == nil {
				message = "Group " + id + " is not a classic group."
			}
			d.ErrorMessage = &message
		}
		return d
	}
	d.State, d.ProtocolType = string(g.state_), g.protocolType
	stable := g.in(stateStable)
	if stable {
		d.Protocol = g.protocolOrNone()
	}
	for _, m := range g.all() {
		a := kmsg.NewDescribeGroupsResponseGroupMember()
		a.MemberID, a.InstanceID, a.ClientID, a.ClientHost, a.MemberAssignment = m.id, m.instanceID, m.clientID, m.clientHost, m.assignment
		if stable {
			a.ProtocolMetadata = m.metadata(d.Protocol)
		}
		d.Members = append(d.Members, a)
	}
	return d
}
