package server

import (
	"fmt"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// adminClientID may produce to internal topics (AdminUtils.ADMIN_CLIENT_ID).
const adminClientID = "__admin_client"

// newAutoTopic is a topic as the broker creates it without being told how
// (AutoTopicCreationManager.creatableTopic).
func newAutoTopic(v configs.BrokerValues, name string) election.NewTopic {
	switch name {
	case consumerOffsets:
		return newInternalTopic(v, name, "offsets.topic.num.partitions", "offsets.topic.replication.factor", map[string]string{
			"cleanup.policy": "compact", "compression.type": "producer",
			"segment.bytes": intConfig(v, "offsets.topic.segment.bytes"),
		})
	case transactionState:
		return newInternalTopic(v, name, "transaction.state.log.num.partitions", "transaction.state.log.replication.factor", map[string]string{
			"cleanup.policy": "compact", "compression.type": "uncompressed", "unclean.leader.election.enable": "false",
			"min.insync.replicas": intConfig(v, "transaction.state.log.min.isr"),
			"segment.bytes":       intConfig(v, "transaction.state.log.segment.bytes"),
		})
	case shareGroupState:
		return newInternalTopic(v, name, "share.coordinator.state.topic.num.partitions", "share.coordinator.state.topic.replication.factor", map[string]string{
			"cleanup.policy": "delete", "compression.type": "producer", "retention.ms": "-1",
			"min.insync.replicas": intConfig(v, "share.coordinator.state.topic.min.isr"),
			"segment.bytes":       intConfig(v, "share.coordinator.state.topic.segment.bytes"),
		})
	}
	return election.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1}
}

func newInternalTopic(v configs.BrokerValues, name, partitions, factor string, c map[string]string) election.NewTopic {
	return election.NewTopic{
		Name: name, Partitions: int32(v.Int(partitions)), ReplicationFactor: int16(v.Int(factor)), Configs: c,
	}
}

func intConfig(v configs.BrokerValues, name string) string { return fmt.Sprint(v.Int(name)) }
