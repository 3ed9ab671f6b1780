package groups

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/coordinator"
)

// subscription is how a member's subscriptions have changed.
type subscription struct {
	// names: those by name have changed.
	names bool
	// changed: the regular expression has; resolved: and the new one's topics are
	// known.
	changed, resolved bool
}

// updateRegex notes a new regular expression, and has those of the group resolved
// when it is time to (maybeUpdateRegularExpressions).
func (b *beat) updateRegex(change *subscription) error {
	before := b.group.regexSubscribers()
	unresolved := false
	if !same(b.member.regex, b.updated.regex) {
		var err error
		if unresolved, err = b.newRegex(before, change); err != nil {
			return err
		}
	}
	if unresolved || len(before) > 0 {
		b.refreshRegexes(unresolved)
	}
	return nil
}

// newRegex tells whether the member's new expression is new to the group.
func (b *beat) newRegex(before map[string]int, change *subscription) (unresolved bool, err error) {
	g, old, now := b.group, b.member.subscribedRegex(), b.updated.subscribedRegex()
	change.changed = true
	if old != "" && before[old] == 1 {
		b.add(consumerTombstone(consumerRegex, g.groupID, old))
	}
	switch {
	case now != "" && before[now] == 0:
		return true, checkRegex(now)
	case now != "":
		_, change.resolved = g.regexes.Get(now)
	case old != "":
		change.resolved = true
	}
	return false, nil
}

// refreshRegexes has the group's expressions resolved, if it is time to.
func (b *beat) refreshRegexes(unresolved bool) {
	g, s := b.group, b.shard
	if s.ctx.Scheduled(regexKey(g.groupID)) {
		return
	}
	last := g.lastResolved()
	since := time.Duration(math.MaxInt64)
	if last != nil {
		since = b.now.Sub(time.UnixMilli(last.timestamp))
	}
	if since <= s.regexInterval(g.groupID) {
		return
	}
	after := g.view(b.updated).subscribers()
	refresh := unresolved || len(after) != g.regexes.Len() || last == nil || last.version < s.topicsVersion() ||
		since > s.regexRefresh()
	if refresh && len(after) > 0 {
		id, expressions := g.groupID, slices.Sorted(maps.Keys(after))
		s.ctx.Schedule(regexKey(id), 0, func() (coordinator.Outcome, error) { return s.resolveRegexes(id, expressions), nil })
	}
}

// regexSubscribers counts the members of each regular expression.
func (g *consumerGroup) regexSubscribers() map[string]int {
	counts := map[string]int{}
	for _, m := range g.members.All() {
		if r := m.subscribedRegex(); r != "" {
			counts[r]++
		}
	}
	return counts
}

func regexKey(group string) string { return timerKey("regex", group) }

// regexInterval is the least time between two resolutions of a group's regular
// expressions: two heartbeats, which with Kafka's defaults is its 10 s.
func (s *Shard) regexInterval(group string) time.Duration {
	return 2 * s.consumerTimers(group).heartbeat
}

// regexRefresh is the longest time between two resolutions.
func (s *Shard) regexRefresh() time.Duration {
	return time.Duration(s.config.Settings.GroupConsumerRegexRefreshIntervalMs) * time.Millisecond
}

// lastResolved is one of the resolved regular expressions, which are resolved all
// at once; nil when there is none.
func (g *consumerGroup) lastResolved() *resolvedRegex {
	for _, r := range g.regexes.All() {
		return r
	}
	return nil
}

// topicsVersion is the version of the newest metadata seen to have a new topic
// (lastMetadataImageWithNewTopics).
func (s *Shard) topicsVersion() int64 {
	m := s.ctx.Image()
	if m == nil || m == s.topics.image {
		return s.topics.version
	}
	fresh := s.topics.image == nil
	for id := range m.TopicsByID {
		if fresh {
			break
		}
		fresh = s.topics.image.TopicsByID[id] == nil
	}
	if fresh {
		s.topics.version = int64(m.Index)
	}
	s.topics.image = m
	return s.topics.version
}

// resolveRegexes finds the topics that the expressions match as a whole, and gives
// the group a new epoch when they have changed (TopicRegexResolver,
// handleRegularExpressionsResult).
func (s *Shard) resolveRegexes(id string, expressions []string) coordinator.Outcome {
	known, _ := s.groups.Get(id)
	g, ok := known.(*consumerGroup)
	if !ok {
		return coordinator.Outcome{}
	}
	image, now := s.ctx.Image(), s.ctx.Now()
	view := g.view(nil)
	subscribers := g.regexSubscribers()
	var records []coordinator.Record
	bump := false
	for _, e := range expressions {
		if subscribers[e] == 0 {
			continue
		}
		r := resolve(e, image, now)
		old := view.regexes[e]
		bump = bump || (old == nil && len(r.topics) > 0) || (old != nil && !slices.Equal(old.topics, r.topics))
		view.regexes[e] = r
		records = append(records, consumerRegexRecord(id, e, r))
	}
	hash := metadataHash(view.topics(), image)
	if bump || hash != g.hash.Get() {
		epoch := g.epoch.Get() + 1
		records = append(records, consumerEpochRecord(id, epoch, hash))
		g.looked(now, epoch)
	}
	return coordinator.Outcome{Records: records}
}

// resolve finds the topics that an expression matches as a whole. Kafka uses RE2/J,
// whose syntax is Go's.
func resolve(expression string, image *election.Image, now time.Time) *resolvedRegex {
	r := &resolvedRegex{topics: []string{}, timestamp: now.UnixMilli()}
	re, err := regexp.Compile(expression)
	if image == nil || err != nil {
		return r
	}
	r.version = int64(image.Index)
	re.Longest()
	for name := range image.Topics {
		if at := re.FindStringIndex(name); at != nil && at[0] == 0 && at[1] == len(name) {
			r.topics = append(r.topics, name)
		}
	}
	slices.Sort(r.topics)
	return r
}

func checkRegex(expression string) error {
	if _, err := regexp.Compile(expression); err != nil {
		return refuse(kerr.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a regular expression: %v.", expression, err)
	}
	return nil
}

// seenTopics are the topics that the shard has seen, for regular expressions.
type seenTopics struct {
	image   *election.Image
	version int64
}

// lookAgainAtTopics has consumer groups look at their topics again where one of
// them has changed, or the racks of brokers have.
func (s *Shard) lookAgainAtTopics(old, m *election.Image) {
	if m == nil {
		return
	}
	racks := !sameRacks(old, m)
	for _, g := range s.groups.All() {
		c, ok := g.(*consumerGroup)
		if !ok {
			continue
		}
		for t := range c.view(nil).topics() {
			if racks || old == nil || !sameTopic(old.Topics[t], m.Topics[t]) {
				c.lookAgain()
				break
			}
		}
	}
}

func sameTopic(a, b *election.Topic) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.ID == b.ID && len(a.Partitions) == len(b.Partitions) && slices.EqualFunc(a.Partitions, b.Partitions,
		func(p, q *election.Partition) bool { return p == q || slices.Equal(p.Replicas, q.Replicas) })
}

func sameRacks(a, b *election.Image) bool {
	if a == nil || b == nil || len(a.Brokers) != len(b.Brokers) {
		return false
	}
	for id, broker := range a.Brokers {
		if o := b.Brokers[id]; o == nil || o.Rack != broker.Rack {
			return false
		}
	}
	return true
}
