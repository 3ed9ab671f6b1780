package groups

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// Config configures the shards of a broker.
type Config struct {
	// Settings are the broker's configs; those of groups cannot change while it
	// runs.
	Settings configs.BrokerSettings
	// Group gives the configs of one group (resource type GROUP).
	Group func(id string) configs.GroupValues
}

// Client is who sent a request.
type Client struct {
	// ID is the client id, "" where the client sent null.
	ID string
	// Host is the client's address as groups show it, such as /127.0.0.1.
	Host string
	// Version is the request's.
	Version int16
}

// Shard is the groups of one partition of __consumer_offsets, and their offsets.
// It is a [coordinator.Shard].
type Shard struct {
	ctx     coordinator.Context
	config  Config
	groups  *timeline.Map[string, group]
	offsets *offsetStore
	// image is the newest one whose deleted topics have been seen to.
	image     *election.Image
	deletions int // how often topics were deleted; names a timer
	topics    seenTopics
	// asked is when the share coordinator was last asked to initialize partitions
	// of a share group.
	asked map[string]time.Time
}

// New returns a shard without groups.
func New(ctx coordinator.Context, c Config) *Shard {
	r := ctx.Timeline()
	return &Shard{ctx: ctx, config: c, groups: timeline.NewMap[string, group](r), offsets: newOffsetStore(r)}
}

// kind is a group's type (Group.GroupType).
type kind string

const (
	classic  kind = "classic"
	consumer kind = "consumer"
	share    kind = "share"
)

// group is one group, whatever its protocol (Kafka's Group). An epoch is one of
// the timeline: the state as of the last committed record, or timeline.Latest.
//
//nolint:interfacebloat // It is what Kafka's Group is.
type group interface {
	id() string
	kind() kind
	// state is the state's name as ListGroups shows it.
	state(epoch int64) string
	// protocol is the protocol type, "" where there is none.
	protocol() string
	// empty tells whether the group has no members.
	empty() bool
	// subscribed tells whether members are subscribed to a topic, or may be.
	subscribed(topic string) bool
	// checkCommit refuses commits of wrong members. The check it returns is asked
	// for each partition; nil allows all.
	checkCommit(c commit) (partitionCheck, error)
	// checkFetch refuses to show offsets to wrong members; nil stands for nobody.
	checkFetch(memberID *string, memberEpoch int32, epoch int64) error
	checkOffsetDelete() error
	checkDelete() error
	// tombstones adds the records that remove the group.
	tombstones(to []coordinator.Record) []coordinator.Record
	// expiry tells from when an offset's retention counts (Unix ms); nil means
	// that the group's offsets do not expire now.
	expiry() func(committed) int64
	// loaded schedules what timers the group needs once the log has been replayed.
	loaded(s *Shard)
	// unloaded tells everybody who waits that the coordinator is gone.
	unloaded()
	// cancelTimers ends the group's timers: it is deleted.
	cancelTimers(s *Shard)
}

// commit is who commits offsets.
type commit struct {
	memberID      string
	instanceID    *string
	generation    int32 // or member epoch
	transactional bool
	version       int16 // of the request
}

// partitionCheck refuses a commit of one partition, and with it the whole request
// (CommitPartitionValidator).
type partitionCheck func(topic string, topicID [16]byte, partition int32) error

// group finds a group as of an epoch; GROUP_ID_NOT_FOUND.
func (s *Shard) group(id string, epoch int64) (group, error) {
	g, ok := s.groups.GetAt(epoch, id)
	if !ok {
		return nil, fmt.Errorf("groups: group %q not found: %w", id, kerr.GroupIDNotFound)
	}
	return g, nil
}

// Replay applies a record (GroupCoordinatorShard.replay). Records of types that
// nobody knows are skipped, as Kafka does.
func (s *Shard) Replay(at coordinator.Position, r coordinator.Record) error {
	kind, err := recordType(r.Key)
	if err != nil {
		return err
	}
	switch kind {
	case offsetCommitV0, offsetCommit:
		return s.replayOffset(at, r)
	case groupMetadata:
		return s.replayClassic(r)
	case consumerGroupMetadata, consumerPartitionMetadata, consumerMemberMetadata, consumerTargetMetadata,
		consumerTargetMember, consumerCurrentMember, consumerRegex:
		return s.replayConsumer(kind, r)
	case shareMemberMetadata, shareGroupMetadata, shareTargetMetadata, shareTargetMember, shareCurrentMember, shareStateMetadata:
		return s.replayShare(kind, r)
	}
	s.ctx.Logger().Warn("a record of an unknown type is skipped", "type", kind, "offset", at.Offset)
	return nil
}

// ReplayMarker ends a producer's transaction.
func (s *Shard) ReplayMarker(producerID int64, _ int16, commit bool) error {
	s.offsets.end(producerID, commit)
	return nil
}

// Loaded starts timers (GroupCoordinatorShard.onLoaded).
func (s *Shard) Loaded() {
	s.image = s.ctx.Image()
	for _, g := range s.groups.All() {
		g.loaded(s)
	}
	s.scheduleExpiry()
}

// Unloaded tells all who wait that they have to look for another coordinator.
func (s *Shard) Unloaded() {
	for _, g := range s.groups.All() {
		g.unloaded()
	}
}

// Changed sees to the offsets of deleted topics, and has consumer groups look at
// their topics.
func (s *Shard) Changed(m *election.Image) {
	old := s.image
	s.image = m
	s.lookAgainAtTopics(old, m)
	s.forgetShares(m)
	if old == nil || m == nil || s.offsets.empty() {
		return
	}
	var gone []deletedTopic
	for id, t := range old.TopicsByID {
		if m.TopicsByID[id] == nil {
			gone = append(gone, deletedTopic{t.Name, id})
		}
	}
	if len(gone) > 0 {
		s.topicsDeleted(gone)
	}
}

// longestPrefix has a member's id fit into the records' strings.
const longestPrefix = 1<<15 - 1 - len("-00000000-0000-0000-0000-000000000000")

// newMemberID makes a member's id of its client's or its instance's.
func newMemberID(prefix string) string {
	prefix = prefix[:min(len(prefix), longestPrefix)]
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails.
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", prefix, b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// listed is a group as ListGroups shows it.
func listed(g group, epoch int64) kmsg.ListGroupsResponseGroup {
	l := kmsg.NewListGroupsResponseGroup()
	l.Group, l.ProtocolType, l.GroupState, l.GroupType = g.id(), g.protocol(), g.state(epoch), string(g.kind())
	return l
}
