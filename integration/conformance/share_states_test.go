package conformance_test

import (
	"encoding/base64"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sharePart is a partition of a share group at its share coordinator, as brokers see it.
type sharePart struct {
	e           *env
	group       string
	topic       [16]byte
	partition   int32
	coordinator int32
}

// stateAPIs are what brokers ask share coordinators.
func stateAPIs() []kmsg.Key {
	return []kmsg.Key{
		kmsg.ShareGroupHeartbeat, kmsg.InitializeShareGroupState, kmsg.ReadShareGroupState, kmsg.WriteShareGroupState,
		kmsg.DeleteShareGroupState, kmsg.ReadShareGroupStateSummary,
	}
}

// sharePart finds the share coordinator of a group's partition 0 and waits until it serves.
func (e *env) sharePart(g group, t topic) *sharePart {
	p := &sharePart{e: e, group: g.name, topic: t.id}
	e.wait("the share coordinator to serve", func() error {
		got, broker := e.findShareCoordinator(p.key())
		if err := is("answer", got, none); err != nil {
			return err
		}
		p.coordinator = broker
		switch got := p.summary().code; got {
		case coordinatorLoadInProgress, coordinatorNotAvailable, notCoordinator:
			return fmt.Errorf("its answer is %v", got)
		default:
			return nil
		}
	})
	return p
}

// key is what FindCoordinator calls the partition.
func (p *sharePart) key() string {
	return fmt.Sprintf("%s:%s:%d", p.group, base64.RawURLEncoding.EncodeToString(p.topic[:]), p.partition)
}

// findShareCoordinator asks for the coordinator of a share-partition.
func (e *env) findShareCoordinator(key string) (code, int32) {
	req := request(kmsg.NewPtrFindCoordinatorRequest(), 6)
	req.CoordinatorType, req.CoordinatorKeys = 2, []string{key}
	resp := ask[*kmsg.FindCoordinatorResponse](e, e.A, req)
	check(e, "coordinators in the answer", len(resp.Coordinators), 1)
	return code(resp.Coordinators[0].ErrorCode), resp.Coordinators[0].NodeID
}

// shareState is the answer to a request about a share-partition.
type shareState struct {
	code                    code
	stateEpoch, leaderEpoch int32
	start                   int64
	batches                 string
	complete                int32
}

func (p *sharePart) initialize(stateEpoch int32, start int64) code {
	req := request(kmsg.NewPtrInitializeShareGroupStateRequest(), 0)
	req.GroupID = p.group
	part := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
	part.Partition, part.StateEpoch, part.StartOffset = p.partition, stateEpoch, start
	req.Topics = []kmsg.InitializeShareGroupStateRequestTopic{{TopicID: p.topic, Partitions: []kmsg.InitializeShareGroupStateRequestTopicPartition{part}}}
	resp := ask[*kmsg.InitializeShareGroupStateResponse](p.e, p.coordinator, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return unknownServerError
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

func (p *sharePart) read(leaderEpoch int32) shareState {
	req := request(kmsg.NewPtrReadShareGroupStateRequest(), 0)
	req.GroupID = p.group
	req.Topics = []kmsg.ReadShareGroupStateRequestTopic{{
		TopicID: p.topic, Partitions: []kmsg.ReadShareGroupStateRequestTopicPartition{{Partition: p.partition, LeaderEpoch: leaderEpoch}},
	}}
	resp := ask[*kmsg.ReadShareGroupStateResponse](p.e, p.coordinator, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return shareState{code: unknownServerError}
	}
	a := resp.Topics[0].Partitions[0]
	s := shareState{code: code(a.ErrorCode), stateEpoch: a.StateEpoch, start: a.StartOffset}
	for _, b := range a.StateBatches {
		s.batches += fmt.Sprintf("%d-%d state %d x%d, ", b.FirstOffset, b.LastOffset, b.DeliveryState, b.DeliveryCount)
	}
	return s
}

// stateBatch is a batch of WriteShareGroupState.
type stateBatch struct {
	first, last int64
	state       int8
	count       int16
}

func (p *sharePart) write(stateEpoch, leaderEpoch int32, start int64, batches ...stateBatch) code {
	req := request(kmsg.NewPtrWriteShareGroupStateRequest(), 1)
	req.GroupID = p.group
	part := kmsg.NewWriteShareGroupStateRequestTopicPartition()
	part.Partition, part.StateEpoch, part.LeaderEpoch, part.StartOffset, part.DeliveryCompleteCount = p.partition, stateEpoch, leaderEpoch, start, 1
	for _, b := range batches {
		s := kmsg.NewWriteShareGroupStateRequestTopicPartitionStateBatch()
		s.FirstOffset, s.LastOffset, s.DeliveryState, s.DeliveryCount = b.first, b.last, b.state, b.count
		part.StateBatches = append(part.StateBatches, s)
	}
	req.Topics = []kmsg.WriteShareGroupStateRequestTopic{{TopicID: p.topic, Partitions: []kmsg.WriteShareGroupStateRequestTopicPartition{part}}}
	resp := ask[*kmsg.WriteShareGroupStateResponse](p.e, p.coordinator, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return unknownServerError
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

func (p *sharePart) summary() shareState {
	req := request(kmsg.NewPtrReadShareGroupStateSummaryRequest(), 1)
	req.GroupID = p.group
	req.Topics = []kmsg.ReadShareGroupStateSummaryRequestTopic{{
		TopicID: p.topic, Partitions: []kmsg.ReadShareGroupStateSummaryRequestTopicPartition{{Partition: p.partition, LeaderEpoch: -1}},
	}}
	resp := ask[*kmsg.ReadShareGroupStateSummaryResponse](p.e, p.coordinator, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return shareState{code: unknownServerError}
	}
	a := resp.Topics[0].Partitions[0]
	return shareState{code: code(a.ErrorCode), stateEpoch: a.StateEpoch, leaderEpoch: a.LeaderEpoch, start: a.StartOffset, complete: a.DeliveryCompleteCount}
}

func (p *sharePart) delete() code {
	req := request(kmsg.NewPtrDeleteShareGroupStateRequest(), 0)
	req.GroupID = p.group
	req.Topics = []kmsg.DeleteShareGroupStateRequestTopic{{
		TopicID: p.topic, Partitions: []kmsg.DeleteShareGroupStateRequestTopicPartition{{Partition: p.partition}},
	}}
	resp := ask[*kmsg.DeleteShareGroupStateResponse](p.e, p.coordinator, req)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return unknownServerError
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

// of is another partition of the group, at its own coordinator.
func (p *sharePart) of(t topic, partition int32) *sharePart {
	other := *p
	other.topic, other.partition = t.id, partition
	for _, other.coordinator = range []int32{p.e.A, p.e.B, p.e.C} {
		if other.summary().code != notCoordinator {
			return &other
		}
	}
	p.e.fatalf("nobody coordinates %s", other.key())
	return nil
}
