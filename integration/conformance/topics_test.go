package conformance_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance"
)

// topic is a topic that a row has made for itself.
type topic struct {
	name string
	id   [16]byte
}

// topicOption adds to the request that creates a topic.
type topicOption func(*kmsg.CreateTopicsRequestTopic)

// on gives the topic one more partition, with these replicas; the first is its preferred leader.
func on(replicas ...int32) topicOption {
	return func(t *kmsg.CreateTopicsRequestTopic) {
		t.NumPartitions, t.ReplicationFactor = -1, -1
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{
			Partition: int32(len(t.ReplicaAssignment)),
			Replicas:  replicas,
		})
	}
}

// sized gives the topic so many partitions and replicas, placed by the cluster.
func sized(partitions int32, replicas int16) topicOption {
	return func(t *kmsg.CreateTopicsRequestTopic) { t.NumPartitions, t.ReplicationFactor = partitions, replicas }
}

// with sets a topic config.
func with(name, value string) topicOption {
	return func(t *kmsg.CreateTopicsRequestTopic) {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
}

// freshName returns a topic name that is not taken.
func (e *env) freshName() string {
	return strings.ToLower(e.id) + "-" + rand.Text()[:8]
}

// createTopic asks the controller for a topic and returns the answer.
func (e *env) createTopic(name string, opts ...topicOption) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1, 1
	for _, opt := range opts {
		opt(&t)
	}
	req := request(kmsg.NewPtrCreateTopicsRequest(), 7)
	req.Topics = []kmsg.CreateTopicsRequestTopic{t}
	req.TimeoutMillis = 30_000
	resp := ask[*kmsg.CreateTopicsResponse](e, e.controller(), req)
	check(e, "topics in the answer", len(resp.Topics), 1)
	return resp.Topics[0]
}

// topic creates a topic and waits until every live broker knows it and its leaders serve. Without options it has one partition
// on one broker.
func (e *env) topic(opts ...topicOption) topic {
	return e.topicCalled(e.freshName(), opts...)
}

func (e *env) topicCalled(name string, opts ...topicOption) topic {
	created := e.createTopic(name, opts...)
	check(e, "creating the topic", code(created.ErrorCode), none)
	e.place(name, opts)
	e.waitTopic(name)
	return topic{name, created.TopicID}
}

// place repeats the wanted assignment to a cluster that has not heeded it.
func (e *env) place(name string, opts []topicOption) {
	placer, ok := e.cluster.(conformance.Placer)
	if !ok {
		return
	}
	var wanted kmsg.CreateTopicsRequestTopic
	for _, opt := range opts {
		opt(&wanted)
	}
	for _, a := range wanted.ReplicaAssignment {
		if err := placer.Place(name, a.Partition, a.Replicas); err != nil {
			e.fatalf("placing partition %d: %v", a.Partition, err)
		}
	}
}

// waitTopic waits until every live broker knows the topic and its leaders serve: Metadata runs ahead of them.
func (e *env) waitTopic(name string) {
	e.wait("a new topic to be served", func() error {
		for broker := range e.liveBrokers() {
			meta, err := e.tryMetadata(broker, name)
			if err != nil {
				return err
			}
			for _, p := range meta.Partitions {
				if p.ErrorCode != 0 || p.Leader < 0 {
					return fmt.Errorf("broker %s answers %v for partition %d", e.name(broker), code(p.ErrorCode), p.Partition)
				}
				if got := e.listOffsets(p.Leader, listed{topic: topic{name: name}, partition: p.Partition, time: latest}); got.code != none {
					return fmt.Errorf("leader %s answers %v for partition %d", e.name(p.Leader), got.code, p.Partition)
				}
			}
		}
		return nil
	})
}

// liveBrokers asks for the brokers that the cluster believes alive.
func (e *env) liveBrokers() map[int32]bool {
	for _, broker := range []int32{e.A, e.B, e.C} {
		if live, err := e.liveAccordingTo(broker); err == nil {
			return live
		}
	}
	e.fatalf("no broker answers")
	return nil
}

// liveAccordingTo asks a broker which brokers it believes alive.
func (e *env) liveAccordingTo(broker int32) (map[int32]bool, error) {
	req := request(kmsg.NewPtrMetadataRequest(), 9)
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := e.try(broker, req)
	if err != nil {
		return nil, err
	}
	live := map[int32]bool{}
	for _, b := range resp.(*kmsg.MetadataResponse).Brokers {
		live[b.NodeID] = true
	}
	return live, nil
}

// controller returns a broker that takes requests that change the cluster. Apache Kafka's brokers all do, and forward them.
func (e *env) controller() int32 {
	if e.target.Forwards {
		for _, broker := range []int32{e.A, e.B, e.C} {
			if conn, err := e.dial(broker); err == nil {
				_ = conn.Close() // It was not used.
				return broker
			}
		}
		e.fatalf("no broker can be reached")
	}
	return e.namedController()
}

// namedController returns the broker that Metadata names as the controller.
func (e *env) namedController() int32 {
	req := request(kmsg.NewPtrMetadataRequest(), 9)
	req.Topics = []kmsg.MetadataRequestTopic{}
	return askAny[*kmsg.MetadataResponse](e, req).ControllerID
}

// tryMetadata asks a broker about one topic, without creating it.
func (e *env) tryMetadata(broker int32, name string) (kmsg.MetadataResponseTopic, error) {
	req := request(kmsg.NewPtrMetadataRequest(), 9)
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	resp, err := e.try(broker, req)
	if err != nil {
		return kmsg.MetadataResponseTopic{}, err
	}
	topics := resp.(*kmsg.MetadataResponse).Topics
	if len(topics) != 1 {
		return kmsg.MetadataResponseTopic{}, fmt.Errorf("metadata of %d topics, want 1", len(topics))
	}
	if topics[0].ErrorCode != 0 {
		return topics[0], fmt.Errorf("metadata of the topic is %v", code(topics[0].ErrorCode))
	}
	return topics[0], nil
}

// partition is what the cluster says of a partition.
type partition struct {
	code                   code
	leader, epoch          int32
	replicas, isr, offline []int32
}

// tryPartition asks the first broker that answers, and only it: brokers learn of a change at slightly different times.
func (e *env) tryPartition(t topic, index int32) (partition, error) {
	var last error
	for _, broker := range []int32{e.A, e.B, e.C} {
		meta, err := e.tryMetadata(broker, t.name)
		if err != nil {
			last = err
			continue
		}
		for _, p := range meta.Partitions {
			if p.Partition == index {
				return partition{code(p.ErrorCode), p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas}, nil
			}
		}
		last = errors.New("no such partition in the metadata")
	}
	return partition{}, last
}

// partition asks for the state of partition 0.
func (e *env) partition(t topic) partition {
	p, err := e.tryPartition(t, 0)
	if err != nil {
		e.fatalf("asking for the partition: %v", err)
	}
	return p
}

// waitPartition waits until partition 0 is as cond wants it and returns it.
func (e *env) waitPartition(t topic, what string, cond func(partition) error) (p partition) {
	e.waitSession(what, func() (err error) {
		if p, err = e.tryPartition(t, 0); err != nil {
			return err
		}
		return cond(p)
	})
	return p
}

// waitISR waits until partition 0 has these in-sync replicas.
func (e *env) waitISR(t topic, want ...int32) partition {
	return e.waitPartition(t, "the in-sync replicas to change", func(p partition) error {
		if !sameSet(p.isr, want) {
			return fmt.Errorf("they are %v, want %v", e.names(p.isr), e.names(want))
		}
		return nil
	})
}

// waitLeader waits until partition 0 is led by the broker, and until that broker serves.
func (e *env) waitLeader(t topic, want int32) partition {
	p := e.waitPartition(t, "the leader to change", func(p partition) error {
		return is("leader", e.name(p.leader), e.name(want))
	})
	if want < 0 {
		return p
	}
	e.wait("the new leader to serve", func() error {
		switch got := e.listOffsets(want, listed{topic: t, time: earliest}); got.code {
		case none, offsetNotAvailable:
			return nil
		default:
			return fmt.Errorf("it answers %v", got.code)
		}
	})
	return p
}

// eligible asks for the replicas that may lead though they are not in sync, and the last known leader (KIP-966).
func (e *env) eligible(t topic) (p kmsg.DescribeTopicPartitionsResponseTopicPartition, err error) {
	req := request(kmsg.NewPtrDescribeTopicPartitionsRequest(), 0)
	req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: t.name}}
	req.ResponsePartitionLimit = 10
	resp, err := e.tryAny(req)
	if err != nil {
		return p, err
	}
	topics := resp.(*kmsg.DescribeTopicPartitionsResponse).Topics
	if len(topics) != 1 || len(topics[0].Partitions) == 0 {
		return p, errors.New("the topic is not described")
	}
	return topics[0].Partitions[0], nil
}

// waitEligible waits until partition 0 has these in-sync and eligible replicas.
func (e *env) waitEligible(t topic, isr, elr []int32) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	var p kmsg.DescribeTopicPartitionsResponseTopicPartition
	e.waitSession("the eligible leader replicas to change", func() (err error) {
		if p, err = e.eligible(t); err != nil {
			return err
		}
		if !sameSet(p.ISR, isr) || !sameSet(p.EligibleLeaderReplicas, elr) {
			return fmt.Errorf("in sync are %v and eligible %v, want %v and %v", e.names(p.ISR), e.names(p.EligibleLeaderReplicas), e.names(isr), e.names(elr))
		}
		return nil
	})
	return p
}

// prefer puts the replicas of partition 0 into another order, so that the first becomes its preferred leader. Neither leader
// nor epoch changes by it.
func (e *env) prefer(t topic, order ...int32) {
	check(e, "reordering the replicas", e.reassign(t, order), none)
	e.waitPartition(t, "the replicas to be reordered", func(p partition) error {
		return is("first replica", e.name(p.replicas[0]), e.name(order[0]))
	})
}

// reassign asks for other replicas of partition 0; nil cancels.
func (e *env) reassign(t topic, replicas []int32) code { return e.reassignPartition(t, 0, replicas) }

func (e *env) reassignPartition(t topic, partition int32, replicas []int32) code {
	req := request(kmsg.NewPtrAlterPartitionAssignmentsRequest(), 0)
	req.TimeoutMillis = 30_000
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{
		Topic:      t.name,
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition, Replicas: replicas}},
	}}
	resp := ask[*kmsg.AlterPartitionAssignmentsResponse](e, e.controller(), req)
	if resp.ErrorCode != 0 {
		return code(resp.ErrorCode)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to a reassignment names %d topics, want one with one partition", len(resp.Topics))
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

// lead puts the replicas of a topic's partitions on these brokers, the first as the leader, and waits until it leads.
func (e *env) lead(t topic, replicas ...[]int32) {
	for i, brokers := range replicas {
		check(e, "placing "+t.name, e.reassignPartition(t, int32(i), brokers), none)
	}
	for i, brokers := range replicas {
		e.waitLed(t, int32(i), brokers)
	}
}

// leadPartition is lead for one partition.
func (e *env) leadPartition(t topic, partition int32, brokers ...int32) {
	check(e, "placing "+t.name, e.reassignPartition(t, partition, brokers), none)
	e.waitLed(t, partition, brokers)
}

// waitLed waits until these are the in-sync replicas of a partition, and has the first one lead it.
func (e *env) waitLed(t topic, partition int32, brokers []int32) {
	e.waitSession(fmt.Sprintf("partition %d of %s to be led by %s", partition, t.name, e.name(brokers[0])), func() error {
		p, err := e.tryPartition(t, partition)
		if err != nil {
			return err
		}
		if !sameSet(p.replicas, brokers) || !sameSet(p.isr, brokers) {
			return fmt.Errorf("replicas are %v and in sync %v, want %v", e.names(p.replicas), e.names(p.isr), e.names(brokers))
		}
		if p.leader != brokers[0] {
			e.electPartition(t, partition, preferred)
		}
		return is("leader", e.name(p.leader), e.name(brokers[0]))
	})
}

// The kinds of election (KIP-460).
const (
	preferred int8 = 0
	unclean   int8 = 1
)

// elect asks for an election of partition 0.
func (e *env) elect(t topic, kind int8) code { return e.electPartition(t, 0, kind) }

func (e *env) electPartition(t topic, partition int32, kind int8) code {
	req := request(kmsg.NewPtrElectLeadersRequest(), 2)
	req.ElectionType = kind
	req.TimeoutMillis = 30_000
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: t.name, Partitions: []int32{partition}}}
	resp := ask[*kmsg.ElectLeadersResponse](e, e.controller(), req)
	if resp.ErrorCode != 0 {
		return code(resp.ErrorCode)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		e.fatalf("the answer to an election names %d topics, want one with one partition", len(resp.Topics))
	}
	return code(resp.Topics[0].Partitions[0].ErrorCode)
}

// setConfig sets a topic config while the cluster runs.
func (e *env) setConfig(t topic, name, value string) {
	check(e, "setting "+name, e.alterConfig(t, name, &value, kmsg.IncrementalAlterConfigOpSet), none)
}

// alterConfig changes a topic config (KIP-339).
func (e *env) alterConfig(t topic, name string, value *string, op kmsg.IncrementalAlterConfigOp) code {
	req := request(kmsg.NewPtrIncrementalAlterConfigsRequest(), 1)
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic,
		ResourceName: t.name,
		Configs:      []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: name, Op: op, Value: value}},
	}}
	resp := ask[*kmsg.IncrementalAlterConfigsResponse](e, e.controller(), req)
	check(e, "resources in the answer", len(resp.Resources), 1)
	return code(resp.Resources[0].ErrorCode)
}

// deleteTopic deletes a topic by its name.
func (e *env) deleteTopic(t topic) code {
	req := request(kmsg.NewPtrDeleteTopicsRequest(), 4)
	req.TopicNames = []string{t.name}
	req.TimeoutMillis = 30_000
	resp := ask[*kmsg.DeleteTopicsResponse](e, e.controller(), req)
	check(e, "topics in the answer", len(resp.Topics), 1)
	return code(resp.Topics[0].ErrorCode)
}

// coordinator waits until a group (kind 0) or a transactional id (kind 1) has a coordinator that is ready, and returns it.
func (e *env) coordinator(key string, kind int8) (broker int32) {
	e.wait("a coordinator", func() error {
		req := request(kmsg.NewPtrFindCoordinatorRequest(), 3)
		req.CoordinatorKey, req.CoordinatorType = key, kind
		resp := askAny[*kmsg.FindCoordinatorResponse](e, req)
		broker = resp.NodeID
		return is("answer", code(resp.ErrorCode), none)
	})
	return broker
}
