package configs

// effects says what the configs that have an effect do here, in our own words.
func effects() map[key]string {
	m := map[key]string{}
	for name, what := range topicEffects() {
		m[key{Topic, name}] = what
	}
	for name, what := range brokerEffects() {
		m[key{Broker, name}] = what
	}
	for name, what := range groupEffects() {
		m[key{Group, name}] = what
	}
	return m
}

func topicEffects() map[string]string {
	return map[string]string{
		"cleanup.policy":                  "Whether old records are deleted, compacted, or both.",
		"compression.type":                "Batches are stored as the producer sent them with producer; recompressed otherwise.",
		"delete.retention.ms":             "How long a compacted log keeps tombstones.",
		"flush.messages":                  "The file is synced after so many records; with 1 an append is answered after its sync.",
		"flush.ms":                        "The file is synced after so long.",
		"max.compaction.lag.ms":           "A record is compacted after so long at the latest.",
		"max.message.bytes":               "The largest batch that is accepted, as sent.",
		"message.timestamp.after.max.ms":  "How far in the future a record's timestamp may lie.",
		"message.timestamp.before.max.ms": "How far in the past a record's timestamp may lie.",
		"message.timestamp.type":          "Whether records keep the producer's time or get the broker's.",
		"min.cleanable.dirty.ratio":       "How much of a log must be new before it is compacted.",
		"min.compaction.lag.ms":           "How long a record stays uncompacted.",
		"min.insync.replicas":             "How many replicas must be in sync for acks=all, and for the high watermark to move.",
		"retention.bytes":                 "The size above which the oldest batches are deleted.",
		"retention.ms":                    "The age above which batches are deleted.",
		"unclean.leader.election.enable":  "Whether a replica that is not in sync may lead when none that is can.",
	}
}

func brokerEffects() map[string]string {
	return map[string]string{
		"auto.create.topics.enable":  "Whether asking for an unknown topic's metadata creates it.",
		"default.replication.factor": "The replication factor of topics that are created with -1.",
		"delete.topic.enable":        "Whether topics can be deleted.",
		"num.partitions":             "The partitions of topics that are created with -1.",
		partitionSizeLimit:           "The most partitions in one answer of DescribeTopicPartitions.",
	}
}

const partitionSizeLimit = "max.request.partition.size.limit"

func groupEffects() map[string]string { return map[string]string{} }
