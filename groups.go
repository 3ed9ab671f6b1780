package minikafka

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server"
)

// The topics that groups and transactions live in.
const (
	consumerOffsets  = "__consumer_offsets"
	transactionState = "__transaction_state"
)

// DeadGroup is the state of a group that does not exist.
const DeadGroup = "Dead"

// GroupState is a group as its coordinator describes it to clients: as of what is
// replicated.
type GroupState struct {
	ID string `json:"id"`
	// Type is classic, consumer (KIP-848) or share (KIP-932), "" if there is no such
	// group.
	Type string `json:"type,omitempty"`
	// State is Kafka's, such as Empty, PreparingRebalance, CompletingRebalance and
	// Stable, or Assigning and Reconciling; [DeadGroup] when there is no such
	// group, and "" while no coordinator can be asked.
	State string `json:"state"`
	// ProtocolType of a classic group is "consumer" for those of consumers.
	ProtocolType string `json:"protocol_type,omitempty"`
	// Protocol is the assignor in use.
	Protocol string `json:"protocol,omitempty"`
	// Epoch is the group epoch of groups of types consumer and share.
	Epoch int32 `json:"epoch,omitempty"`
	// Coordinator is the broker that was asked, -1 if there was none.
	Coordinator int32         `json:"coordinator"`
	Members     []GroupMember `json:"members"` // by their ids
	Offsets     []GroupOffset `json:"offsets"` // by topic and partition
}

// GroupMember is one member of a [GroupState].
type GroupMember struct {
	ID string `json:"id"`
	// InstanceID is a static member's group.instance.id, "" for others.
	InstanceID string `json:"instance_id,omitempty"`
	ClientID   string `json:"client_id"`
	Host       string `json:"host"`
	// Epoch is the member epoch in groups of types consumer and share.
	Epoch int32 `json:"epoch,omitempty"`
	// Assigned are the partitions the member has been given, by topic, in order.
	Assigned map[string][]int32 `json:"assigned"`
}

// GroupOffset is a committed offset of a [GroupState].
type GroupOffset struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	LeaderEpoch int32  `json:"leader_epoch"` // -1: not given
	Metadata    string `json:"metadata,omitempty"`
}

// Offset is what the group has committed for a partition, -1 if nothing.
func (g GroupState) Offset(topic string, partition int32) int64 {
	for _, o := range g.Offsets {
		if o.Topic == topic && o.Partition == partition {
			return o.Offset
		}
	}
	return -1
}

// Owner is the id of the member that has been given a partition, "" if none has.
func (g GroupState) Owner(topic string, partition int32) string {
	for _, m := range g.Members {
		if slices.Contains(m.Assigned[topic], partition) {
			return m.ID
		}
	}
	return ""
}

// Groups are all groups whose coordinators can be asked, by their ids.
func (c *Cluster) Groups() []GroupState {
	c.tb.Helper()
	c.checkOpen()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	list := []GroupState{}
	for _, id := range c.cluster.groupIDs(ctx) {
		if g := c.cluster.group(ctx, id); g.State != DeadGroup {
			list = append(list, g)
		}
	}
	return list
}

// Group tells about one group. It need not exist: then its state is [DeadGroup].
func (c *Cluster) Group(id string) GroupState {
	c.tb.Helper()
	c.checkOpen()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	return c.cluster.group(ctx, id)
}

// Coordinator is the broker that coordinates a group, whether or not the group
// exists. It waits until there is one that has loaded its state, and has
// __consumer_offsets created if nobody has used a group yet.
func (c *Cluster) Coordinator(group string) *Broker {
	c.tb.Helper()
	return c.waitCoordinator("group "+group, consumerOffsets, group)
}

// TransactionCoordinator is the broker that coordinates the transactions of a
// producer, by its transactional id, whether or not that has been used. It waits
// and creates as [Cluster.Coordinator] does.
func (c *Cluster) TransactionCoordinator(transactionalID string) *Broker {
	c.tb.Helper()
	return c.waitCoordinator("transactional id "+transactionalID, transactionState, transactionalID)
}

func (c *Cluster) waitCoordinator(of, topic, key string) *Broker {
	c.tb.Helper()
	var n *brokerNode
	c.Wait("a coordinator of "+of, func() bool {
		c.cluster.needInternal(topic)
		var p int32
		n, p = c.cluster.coordinator(topic, key)
		return n != nil && n.coordinates(topic, p)
	})
	return c.brokerAt(n)
}

// needInternal has some broker create an internal topic where it is missing.
func (c *cluster) needInternal(topic string) {
	if image := c.image(); image == nil || image.Topics[topic] != nil {
		return
	}
	for _, n := range c.brokers {
		if life := n.running(); life != nil && n.up() && life.Image() != nil {
			life.CreateInternal(topic)
			return
		}
	}
}

// coordinator is the broker that leads a key's partition of an internal topic, nil
// when there is none that can be asked.
func (c *cluster) coordinator(topic, key string) (n *brokerNode, partition int32) {
	image := c.image()
	if image == nil || image.Topics[topic] == nil {
		return nil, -1
	}
	partition = server.CoordinatorPartition(key, int32(len(image.Topics[topic].Partitions)))
	n, _ = c.leading(topic, partition)
	return n, partition
}

// coordinates tells whether the broker has loaded the state in a partition.
func (n *brokerNode) coordinates(topic string, partition int32) bool {
	life := n.running()
	return life != nil && life.Coordinates(topic, partition)
}

// groupIDs are the groups whose coordinators can be asked, in order.
func (c *cluster) groupIDs(ctx context.Context) []string {
	var ids []string
	for _, n := range c.brokers {
		q := kmsg.NewPtrListGroupsRequest()
		q.Version = 5
		resp, ok := ask[*kmsg.ListGroupsResponse](ctx, n, q)
		if !ok {
			continue
		}
		for _, g := range resp.Groups {
			if by, _ := c.coordinator(consumerOffsets, g.Group); by == n {
				ids = append(ids, g.Group)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// ask has a broker answer a request as it would answer a client's.
func ask[R kmsg.Response](ctx context.Context, n *brokerNode, q kmsg.Request) (resp R, ok bool) {
	life := n.running()
	if life == nil || !n.up() {
		return resp, false
	}
	answer, err := life.Ask(ctx, q)
	if err != nil {
		return resp, false
	}
	resp, ok = answer.(R)
	return resp, ok
}

// group describes a group.
func (c *cluster) group(ctx context.Context, id string) GroupState {
	g := GroupState{ID: id, State: DeadGroup, Coordinator: -1, Members: []GroupMember{}, Offsets: []GroupOffset{}}
	if image := c.image(); image != nil && image.Topics[consumerOffsets] == nil {
		return g // there are no groups
	}
	n, _ := c.coordinator(consumerOffsets, id)
	if n == nil {
		g.State = ""
		return g
	}
	g.Coordinator = n.plan.id
	if !g.classic(ctx, n) {
		g.State = ""
	}
	if g.State == DeadGroup {
		g.consumer(ctx, n)
	}
	if g.State == DeadGroup {
		g.share(ctx, n)
	}
	slices.SortFunc(g.Members, func(a, b GroupMember) int { return cmp.Compare(a.ID, b.ID) })
	if g.State != "" {
		g.committed(ctx, n)
	}
	return g
}

// classic describes a group of the classic protocol; ok is false when the
// coordinator cannot be asked.
func (g *GroupState) classic(ctx context.Context, n *brokerNode) (ok bool) {
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Version, q.Groups = 5, []string{g.ID}
	resp, ok := ask[*kmsg.DescribeGroupsResponse](ctx, n, q)
	if !ok || resp.Groups[0].ErrorCode != 0 {
		return false
	}
	d := resp.Groups[0]
	if g.State = d.State; d.State == DeadGroup {
		return true
	}
	g.Type, g.ProtocolType, g.Protocol = "classic", d.ProtocolType, d.Protocol
	for _, m := range d.Members {
		g.Members = append(g.Members, GroupMember{
			ID: m.MemberID, InstanceID: deref(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost,
			Assigned: assigned(m.MemberAssignment),
		})
	}
	return true
}

// assigned reads what consumers of the classic protocol are given; of others only
// their clients know.
func assigned(encoded []byte) map[string][]int32 {
	var a kmsg.ConsumerMemberAssignment
	if len(encoded) == 0 || a.ReadFrom(encoded) != nil {
		return nil
	}
	out := map[string][]int32{}
	for _, t := range a.Topics {
		out[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
	}
	return out
}

// consumer describes a group of the new protocol. One that does not exist stays
// dead; the state is empty when the coordinator cannot be asked.
func (g *GroupState) consumer(ctx context.Context, n *brokerNode) {
	q := kmsg.NewPtrConsumerGroupDescribeRequest()
	q.Groups = []string{g.ID}
	resp, ok := ask[*kmsg.ConsumerGroupDescribeResponse](ctx, n, q)
	if !ok || len(resp.Groups) == 0 {
		g.State = ""
		return
	}
	d := resp.Groups[0]
	if !g.found(d.ErrorCode) {
		return
	}
	g.Type, g.State, g.Protocol, g.Epoch = "consumer", d.State, d.AssignorName, d.Epoch
	for _, m := range d.Members {
		member := GroupMember{
			ID: m.MemberID, InstanceID: deref(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Epoch: m.MemberEpoch,
			Assigned: map[string][]int32{},
		}
		for _, t := range m.Assignment.TopicPartitions {
			member.Assigned[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
		}
		g.Members = append(g.Members, member)
	}
}

// found tells whether a description describes the group: it may not exist, or not be
// known now.
func (g *GroupState) found(code int16) bool {
	if code != 0 && code != kerr.GroupIDNotFound.Code {
		g.State = ""
	}
	return code == 0
}

// share describes a share group, as consumer does others.
func (g *GroupState) share(ctx context.Context, n *brokerNode) {
	q := kmsg.NewPtrShareGroupDescribeRequest()
	q.Version, q.GroupIDs = 1, []string{g.ID}
	resp, ok := ask[*kmsg.ShareGroupDescribeResponse](ctx, n, q)
	if !ok || len(resp.Groups) == 0 {
		g.State = ""
		return
	}
	d := resp.Groups[0]
	if !g.found(d.ErrorCode) {
		return
	}
	g.Type, g.State, g.Protocol, g.Epoch = "share", d.GroupState, d.Assignor, d.GroupEpoch
	for _, m := range d.Members {
		member := GroupMember{
			ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Epoch: m.MemberEpoch, Assigned: map[string][]int32{},
		}
		for _, t := range m.Assignment.TopicPartitions {
			member.Assigned[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
		}
		g.Members = append(g.Members, member)
	}
}

// committed adds the offsets.
func (g *GroupState) committed(ctx context.Context, n *brokerNode) {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version = 8
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = g.ID
	q.Groups = append(q.Groups, of)
	resp, ok := ask[*kmsg.OffsetFetchResponse](ctx, n, q)
	if !ok || len(resp.Groups) == 0 || resp.Groups[0].ErrorCode != 0 {
		return
	}
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				g.Offsets = append(g.Offsets, GroupOffset{t.Topic, p.Partition, p.Offset, p.LeaderEpoch, deref(p.Metadata)})
			}
		}
	}
	slices.SortFunc(g.Offsets, func(a, b GroupOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// String tells the group in a few lines.
func (g GroupState) String() string {
	state := g.State
	if state == "" {
		state = "unknown"
	}
	text := fmt.Sprintf("%s: %s", g.ID, state)
	for _, word := range []string{g.Type, g.Protocol} {
		if word != "" {
			text += ", " + word
		}
	}
	if g.Coordinator >= 0 {
		text += fmt.Sprintf(", coordinated by broker %d", g.Coordinator)
	}
	for _, m := range g.Members {
		text += "\n  " + m.ID
		if m.InstanceID != "" {
			text += " (" + m.InstanceID + ")"
		}
		for _, topic := range slices.Sorted(maps.Keys(m.Assigned)) {
			text += fmt.Sprintf(" %s%v", topic, m.Assigned[topic])
		}
	}
	for _, o := range g.Offsets {
		text += fmt.Sprintf("\n  %s/%d: %d", o.Topic, o.Partition, o.Offset)
	}
	return text
}
