package server

import (
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
	"github.com/minikafka/minikafka/server/groups"
)

// OffsetFetch (9), versions 1-10.
//
// Up to v7 it is about one group, since v8 about a list of them. v2 asks for all
// offsets with null topics, and has an error of the group, where v1 repeats it for
// every partition; v5 has leader epochs; v7 may require stable offsets; v9 names
// the member; v10 names topics by their ids. What is shown is what is replicated;
// who requires stable offsets waits until all is.

const (
	fetchesGroups    = 8  // The first version with a list of groups,
	fetchesByID      = 10 // with topic ids,
	fetchesGroupCode = 2  // and with an error of the group.
)

func offsetFetch(r *request, q *kmsg.OffsetFetchRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.OffsetFetchResponse)
	if q.Version < fetchesGroups {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = q.Group
		if q.Topics != nil {
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
		for _, t := range q.Topics {
			n := kmsg.NewOffsetFetchRequestGroupTopic()
			n.Topic, n.Partitions = t.Topic, t.Partitions
			g.Topics = append(g.Topics, n)
		}
		oneGroup(resp, r.broker.fetchOffsets(r, q, &g))
		return resp, ended(r.ctx)
	}
	resp.Groups = make([]kmsg.OffsetFetchResponseGroup, len(q.Groups))
	var all sync.WaitGroup
	for i := range q.Groups {
		all.Go(func() { resp.Groups[i] = r.broker.fetchOffsets(r, q, &q.Groups[i]) })
	}
	all.Wait()
	return resp, ended(r.ctx)
}

// oneGroup answers as versions before the list of groups do.
func oneGroup(resp *kmsg.OffsetFetchResponse, g kmsg.OffsetFetchResponseGroup) {
	resp.ErrorCode = g.ErrorCode
	for _, t := range g.Topics {
		a := kmsg.NewOffsetFetchResponseTopic()
		a.Topic = t.Topic
		for _, p := range t.Partitions {
			b := kmsg.NewOffsetFetchResponseTopicPartition()
			b.Partition, b.Offset, b.LeaderEpoch, b.Metadata, b.ErrorCode = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode
			a.Partitions = append(a.Partitions, b)
		}
		resp.Topics = append(resp.Topics, a)
	}
}

// fetchOffsets answers for one group.
func (b *broker) fetchOffsets(r *request, q *kmsg.OffsetFetchRequest, g *kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	m := b.image()
	asked := *g
	var refused []kmsg.OffsetFetchResponseGroupTopic
	if q.Version >= fetchesByID && g.Topics != nil {
		asked.Topics, refused = namedTopics(m, g.Topics)
	}
	resp, err := b.readOffsets(r, &asked, q.RequireStable)
	if err != nil {
		return fetchError(g, errorCode(err), q.Version)
	}
	if q.Version >= fetchesByID && g.Topics == nil {
		resp.Topics = withTopicIDs(m, resp.Topics)
	}
	resp.Topics = append(resp.Topics, refused...)
	return resp
}

// readOffsets asks the coordinator.
func (b *broker) readOffsets(r *request, g *kmsg.OffsetFetchRequestGroup, stable bool) (kmsg.OffsetFetchResponseGroup, error) {
	partition := b.groupPartition(g.Group)
	if !stable {
		return readGroups(r, partition, func(s *groups.Shard, committed int64) (kmsg.OffsetFetchResponseGroup, error) {
			return s.FetchOffsets(g, committed)
		})
	}
	resp, err := writeGroups(r, partition, func(s *groups.Shard) (kmsg.OffsetFetchResponseGroup, coordinator.Outcome, error) {
		resp, err := s.FetchOffsets(g, timeline.Latest)
		return resp, coordinator.Outcome{}, err
	})
	// What was written before was not replicated in time (handleOffsetFetchException).
	if errors.Is(err, kerr.CoordinatorNotAvailable) {
		err = kerr.NotCoordinator
	}
	return resp, err
}

// namedTopics gives topics that are asked for by their ids their names; those
// that nobody knows are answered.
func namedTopics(m *election.Image, topics []kmsg.OffsetFetchRequestGroupTopic) (
	named []kmsg.OffsetFetchRequestGroupTopic, refused []kmsg.OffsetFetchResponseGroupTopic,
) {
	named = []kmsg.OffsetFetchRequestGroupTopic{}
	for _, t := range topics {
		if known := m.TopicsByID[t.TopicID]; known != nil {
			t.Topic = known.Name
			named = append(named, t)
			continue
		}
		refused = append(refused, fetchTopicError(&t, kerr.UnknownTopicID.Code))
	}
	return named, refused
}

// withTopicIDs leaves out topics that are not there any more.
func withTopicIDs(m *election.Image, topics []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseGroupTopic {
	var there []kmsg.OffsetFetchResponseGroupTopic
	for _, t := range topics {
		if known := m.Topics[t.Topic]; known != nil && known.ID != (log.TopicID{}) {
			t.TopicID = known.ID
			there = append(there, t)
		}
	}
	return there
}

// fetchError is a group's error (OffsetFetchResponse.groupError).
func fetchError(g *kmsg.OffsetFetchRequestGroup, code, version int16) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = g.Group
	if version >= fetchesGroupCode {
		resp.ErrorCode = code
		return resp
	}
	for i := range g.Topics {
		resp.Topics = append(resp.Topics, fetchTopicError(&g.Topics[i], code))
	}
	return resp
}

func fetchTopicError(t *kmsg.OffsetFetchRequestGroupTopic, code int16) kmsg.OffsetFetchResponseGroupTopic {
	a := kmsg.NewOffsetFetchResponseGroupTopic()
	a.Topic, a.TopicID = t.Topic, t.TopicID
	for _, p := range t.Partitions {
		b := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		b.Partition, b.Offset, b.LeaderEpoch, b.Metadata, b.ErrorCode = p, -1, -1, new(string), code
		a.Partitions = append(a.Partitions, b)
	}
	return a
}
