package server

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
)

// Metadata (3), versions 0-13.
//
// v0 takes an empty list for all topics; v4 says whether unknown topics may be
// created; v8-10 can ask for authorized operations of the cluster, which are all,
// as there is no authorizer; v10 has topic ids, by which v12 may ask. Unlike
// Kafka's, a broker that names itself leader leads already.

const (
	// clusterOperations are all operations that the cluster has, as bits
	// (AclEntry.supportedOperations).
	clusterOperations = 8096
	// noOperations is what stands there when nobody asked.
	noOperations = math.MinInt32
)

// noUUID is Kafka's Uuid.ZERO_UUID.
func noUUID() log.TopicID { return log.TopicID{} }

func metadata(r *request, q *kmsg.MetadataRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.MetadataResponse)
	if err := checkMetadata(q); err != nil {
		return refuseMetadata(resp, q, err), nil
	}
	m := r.broker.image()
	resp.ClusterID = &r.broker.config.ClusterID
	resp.ControllerID = -1
	for _, b := range aliveBrokers(m) {
		n := kmsg.NewMetadataResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack = b.ID, b.Host, b.Port, rack(b)
		resp.Brokers = append(resp.Brokers, n)
	}
	if n := len(resp.Brokers); n > 0 {
		// Not the active controller: any broker forwards (KRaftMetadataCache).
		resp.ControllerID = resp.Brokers[rand.IntN(n)].NodeID
	}
	r.broker.metadataTopics(m, resp, q)
	resp.AuthorizedOperations = noOperations
	if q.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	for i := range resp.Topics {
		resp.Topics[i].AuthorizedOperations = noOperations
		if q.IncludeTopicAuthorizedOperations {
			resp.Topics[i].AuthorizedOperations = allTopicOperations
		}
	}
	return resp, nil
}

func rack(b *election.Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return &b.Rack
}

// aliveBrokers are the brokers that clients are told of, by id.
func aliveBrokers(m *election.Image) []*election.Broker {
	alive := make([]*election.Broker, 0, len(m.Brokers))
	for _, id := range slices.Sorted(maps.Keys(m.Brokers)) {
		if b := m.Brokers[id]; !b.Fenced {
			alive = append(alive, b)
		}
	}
	return alive
}

func allTopics(q *kmsg.MetadataRequest) bool {
	return q.Topics == nil || (q.Version == 0 && len(q.Topics) == 0)
}

func checkMetadata(q *kmsg.MetadataRequest) error {
	for i := range q.Topics {
		t := &q.Topics[i]
		switch {
		case q.Version < 12 && (t.Topic == nil || t.TopicID != noUUID()):
			return kerr.InvalidRequest
		case t.Topic == nil && t.TopicID == noUUID():
			return kerr.UnknownServerError // Kafka's handler fails on it
		}
	}
	return nil
}

// refuseMetadata answers a request as a whole (MetadataRequest.getErrorResponse).
func refuseMetadata(resp *kmsg.MetadataResponse, q *kmsg.MetadataRequest, err error) kmsg.Response {
	resp.ControllerID = -1
	resp.AuthorizedOperations = noOperations
	for i := range q.Topics {
		t := metadataTopic(q.Topics[i].Topic, q.Topics[i].TopicID, err)
		if t.Topic == nil {
			t.Topic = new(string)
		}
		t.IsInternal = false
		t.AuthorizedOperations = noOperations
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func metadataTopic(name *string, id log.TopicID, err error) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode = name, id, errorCode(err)
	t.IsInternal = name != nil && internalTopic(*name)
	t.Partitions = []kmsg.MetadataResponseTopicPartition{}
	return t
}

// metadataTopics fills in the topics that were asked for. When some are asked
// for by id, names are ignored.
func (b *broker) metadataTopics(m *election.Image, resp *kmsg.MetadataResponse, q *kmsg.MetadataRequest) {
	if allTopics(q) {
		for _, name := range slices.Sorted(maps.Keys(m.Topics)) {
			resp.Topics = append(resp.Topics, describeMetadata(m, m.Topics[name], q.Version))
		}
		return
	}
	byID := slices.ContainsFunc(q.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.TopicID != noUUID() })
	seen := make(map[string]bool, len(q.Topics))
	seenID := map[log.TopicID]bool{}
	var unknown []string
	for i := range q.Topics {
		t := &q.Topics[i]
		switch id := log.TopicID(t.TopicID); {
		case byID && (id == noUUID() || seenID[id]):
		case byID && m.TopicsByID[id] == nil:
			seenID[id] = true
			resp.Topics = append(resp.Topics, metadataTopic(nil, id, kerr.UnknownTopicID))
		case byID:
			seenID[id] = true
			resp.Topics = append(resp.Topics, describeMetadata(m, m.TopicsByID[id], q.Version))
		case seen[*t.Topic]:
		case m.Topics[*t.Topic] != nil:
			seen[*t.Topic] = true
			resp.Topics = append(resp.Topics, describeMetadata(m, m.Topics[*t.Topic], q.Version))
		default:
			seen[*t.Topic] = true
			unknown = append(unknown, *t.Topic)
		}
	}
	b.unknownTopics(m, resp, q, unknown)
}

// unknownTopics answers for topics that do not exist, and has them created where
// client and broker allow it.
func (b *broker) unknownTopics(m *election.Image, resp *kmsg.MetadataResponse, q *kmsg.MetadataRequest, names []string) {
	if len(names) == 0 {
		return
	}
	var create []string
	for _, name := range names {
		err := election.ValidateTopicName(name)
		if err == nil {
			create = append(create, name)
			err = kerr.UnknownTopicOrPartition
		}
		resp.Topics = append(resp.Topics, metadataTopic(&name, noUUID(), err))
	}
	// Before v4 the client cannot forbid it.
	if (q.Version < 4 || q.AllowAutoTopicCreation) && b.values(m).Bool("auto.create.topics.enable") {
		b.autoCreate(create)
	}
}

func describeMetadata(m *election.Image, t *election.Topic, version int16) kmsg.MetadataResponseTopic {
	out := metadataTopic(&t.Name, t.ID, nil)
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for n, p := range t.Partitions {
		out.Partitions[n] = describeMetadataPartition(m, int32(n), p, version)
	}
	return out
}

// describeMetadataPartition is KRaftMetadataCache.getPartitionMetadata. v0 hides
// brokers that are not alive, and says so with an error.
func describeMetadataPartition(m *election.Image, n int32, p *election.Partition, version int16) kmsg.MetadataResponseTopicPartition {
	out := kmsg.NewMetadataResponseTopicPartition()
	out.Partition, out.Leader, out.LeaderEpoch = n, p.Leader, p.LeaderEpoch
	out.Replicas, out.ISR = nonNil(p.Replicas), nonNil(p.ISR)
	out.OfflineReplicas = fenced(m, p.Replicas)
	if version == 0 {
		out.Replicas, out.ISR = unfenced(m, p.Replicas), unfenced(m, p.ISR)
	}
	leader := m.Brokers[p.Leader]
	switch {
	case leader == nil:
		out.ErrorCode, out.Leader = kerr.LeaderNotAvailable.Code, -1
	case leader.Fenced && version >= 6:
		out.ErrorCode, out.Leader = kerr.ListenerNotFound.Code, -1
	case leader.Fenced:
		out.ErrorCode, out.Leader = kerr.LeaderNotAvailable.Code, -1
	case len(out.Replicas) < len(p.Replicas), len(out.ISR) < len(p.ISR):
		out.ErrorCode = kerr.ReplicaNotAvailable.Code
	}
	return out
}

func fenced(m *election.Image, ids []int32) []int32 {
	out := []int32{}
	for _, id := range ids {
		if b := m.Brokers[id]; b == nil || b.Fenced {
			out = append(out, id)
		}
	}
	return out
}

func unfenced(m *election.Image, ids []int32) []int32 {
	out := []int32{}
	for _, id := range ids {
		if b := m.Brokers[id]; b != nil && !b.Fenced {
			out = append(out, id)
		}
	}
	return out
}

// nonNil makes an empty list of none: kmsg writes a nil slice as null, which
// clients do not expect there.
func nonNil(ids []int32) []int32 {
	if ids == nil {
		return []int32{}
	}
	return ids
}
