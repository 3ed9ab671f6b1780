package groups

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// computeTarget has the assignor make a new target assignment for a group epoch,
// with a member as it will be. The records are those of the members whose part
// changes, and the one that says that it is complete (TargetAssignmentBuilder).
func (s *Shard) computeTarget(
	g *consumerGroup, updated *consumerMember, epoch int32, now time.Time,
) (map[string]assignor.Assignment, []coordinator.Record, error) {
	view := g.view(updated)
	name := view.assignor(s.defaultAssignor())
	a, ok := assignor.ByName(name)
	if !ok {
		return nil, nil, fmt.Errorf("groups: there is no assignor %s: %w", name, kerr.UnknownServerError)
	}
	spec, was := s.assignorGroup(g, view, updated)
	target, err := a.Assign(spec)
	if err != nil {
		return nil, nil, fmt.Errorf("groups: the assignment for epoch %d failed: %w: %w", epoch, err, kerr.UnknownServerError)
	}
	var records []coordinator.Record
	for _, m := range view.members {
		if old, ok := was[m.id]; !ok || !old.Equal(target[m.id]) {
			records = append(records, consumerTargetMemberRecord(g.groupID, m.id, target[m.id]))
		}
	}
	s.ctx.Logger().Debug("a consumer group has a new target assignment", "group", g.groupID, "epoch", epoch, "assignor", name)
	records = append(records, consumerTargetRecord(g.groupID, targetMetadata{epoch, now.UnixMilli()}))
	return target, records, nil
}

// assignorGroup is the group as assignors see it, and the target assignments that
// there are. The member that takes a static one's place has its target.
func (s *Shard) assignorGroup(
	g *consumerGroup, view consumerView, updated *consumerMember,
) (assignor.Group, map[string]assignor.Assignment) {
	image := s.ctx.Image()
	spec := assignor.Group{Homogeneous: view.homogeneous(), NumPartitions: map[log.TopicID]int32{}}
	was := map[string]assignor.Assignment{}
	for _, m := range view.members {
		a, ok := g.target.Get(m.id)
		if old := g.static(m.instanceID); !ok && m.id == updated.id && old != nil {
			a, ok = g.target.Get(old.id)
		}
		if ok {
			was[m.id] = a
		}
		ids := view.topicIDs(m, image)
		for id := range ids {
			spec.NumPartitions[id] = numPartitions(image, id)
		}
		spec.Members = append(spec.Members, assignor.Member{ID: m.id, InstanceID: m.instanceID, Topics: ids, Assigned: a})
	}
	return spec, was
}

func numPartitions(image *election.Image, id log.TopicID) int32 {
	return int32(len(image.TopicsByID[id].Partitions))
}

// defaultAssignor is the first of group.consumer.assignors.
func (s *Shard) defaultAssignor() string {
	if names := s.config.Settings.GroupConsumerAssignors; len(names) > 0 {
		return names[0]
	}
	return assignor.Uniform{}.Name()
}

// consumerTimers are the times of a consumer group: the broker's, or the group's
// own.
type consumerTimers struct {
	session, heartbeat time.Duration
	// assignment is the least time between two target assignments (KIP-1263).
	assignment time.Duration
}

func (s *Shard) consumerTimers(group string) consumerTimers {
	v := s.config.Group(group)
	return consumerTimers{
		session:    v.Ms("consumer.session.timeout.ms"),
		heartbeat:  v.Ms("consumer.heartbeat.interval.ms"),
		assignment: v.Ms("consumer.assignment.interval.ms"),
	}
}
