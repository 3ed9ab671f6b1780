package robust_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/internal/scenario"
)

// produceRequest sends one batch to the topic under attack, acks=1.
func produceRequest(batch []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks, req.TimeoutMillis = 1, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = "target"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// samples are requests that are right as they are, of all shapes.
func samples() []kmsg.Request {
	text := kmsg.StringPtr
	var out []kmsg.Request
	add := func(req kmsg.Request, version int16) {
		req.SetVersion(version)
		out = append(out, req)
	}
	add(produceRequest(scenario.NewBatch("a", "b").Bytes()), 9)

	fetch := kmsg.NewPtrFetchRequest()
	fetch.MaxBytes, fetch.SessionEpoch = 1000, -1
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic = "target"
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.PartitionMaxBytes, fp.CurrentLeaderEpoch = 1000, -1
	ft.Partitions = append(ft.Partitions, fp)
	fetch.Topics = append(fetch.Topics, ft)
	add(fetch, 12)

	list := kmsg.NewPtrListOffsetsRequest()
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = "target"
	lt.Partitions = append(lt.Partitions, kmsg.NewListOffsetsRequestTopicPartition())
	list.Topics = append(list.Topics, lt)
	add(list, 7)

	meta := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = text("target")
	meta.Topics = append(meta.Topics, mt)
	add(meta, 12)

	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group = "group"
	ct := kmsg.NewOffsetCommitRequestTopic()
	ct.Topic = "target"
	cp := kmsg.NewOffsetCommitRequestTopicPartition()
	cp.Metadata = text("note")
	ct.Partitions = append(ct.Partitions, cp)
	commit.Topics = append(commit.Topics, ct)
	add(commit, 8)

	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType = "group", "consumer"
	jp := kmsg.NewJoinGroupRequestProtocol()
	jp.Name, jp.Metadata = "range", []byte("metadata")
	join.Protocols = append(join.Protocols, jp)
	add(join, 9)

	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"group"}
	add(find, 4)

	describe := kmsg.NewPtrDescribeConfigsRequest()
	dr := kmsg.NewDescribeConfigsRequestResource()
	dr.ResourceType, dr.ResourceName, dr.ConfigNames = kmsg.ConfigResourceTypeTopic, "target", []string{"retention.ms"}
	describe.Resources = append(describe.Resources, dr)
	add(describe, 4)

	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.ValidateOnly = true
	ar := kmsg.NewIncrementalAlterConfigsRequestResource()
	ar.ResourceType, ar.ResourceName = kmsg.ConfigResourceTypeTopic, "target"
	ac := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	ac.Name, ac.Value = "retention.ms", text("1000000")
	ar.Configs = append(ar.Configs, ac)
	alter.Resources = append(alter.Resources, ar)
	add(alter, 1)

	epoch := kmsg.NewPtrOffsetForLeaderEpochRequest()
	et := kmsg.NewOffsetForLeaderEpochRequestTopic()
	et.Topic = "target"
	et.Partitions = append(et.Partitions, kmsg.NewOffsetForLeaderEpochRequestTopicPartition())
	epoch.Topics = append(epoch.Topics, et)
	add(epoch, 4)

	add(kmsg.NewPtrInitProducerIDRequest(), 4)
	add(kmsg.NewPtrDescribeClusterRequest(), 1)
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "hostile", "1"
	add(versions, 3)
	return out
}
