package configs

import "maps"

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
		"compression.gzip.level":          "How hard the broker compresses, where it does, when compression.type is gzip.",
		"compression.lz4.level":           "The same for lz4: 9 is the fast compressor, as in Kafka; the others are nine levels, 10 to 17 the hardest.",
		"compression.type":                "Batches are stored as the producer sent them with producer; recompressed otherwise.",
		"compression.zstd.level":          "The same for zstd, in four levels: below 3, 3 to 5, 6 to 9, 10 and above.",
		"delete.retention.ms":             "How long a compacted log keeps tombstones.",
		"flush.messages":                  "The file is synced after so many records; with 1 an append is answered after its sync.",
		"flush.ms":                        "The file is synced after so long.",
		"max.compaction.lag.ms":           "A record is compacted after so long at the latest.",
		"max.decompressed.message.bytes":  "How large a compressed batch may get.",
		"max.message.bytes":               "The largest batch that is accepted, as sent.",
		"message.timestamp.after.max.ms":  "How far in the future a record's timestamp may lie.",
		"message.timestamp.before.max.ms": "How far in the past a record's timestamp may lie.",
		"message.timestamp.type":          "Whether records keep the producer's time or get the broker's.",
		"min.cleanable.dirty.ratio":       "How much of a log must be new before it is compacted.",
		"min.compaction.lag.ms":           "How long a record stays uncompacted.",
		"min.insync.replicas":             "How many replicas must be in sync for acks=all, and for the high watermark to move.",
		"retention.bytes":                 "The size above which the oldest batches are deleted.",
		"retention.ms":                    "The age above which batches are deleted.",
		"segment.bytes":                   "How much is deleted or compacted at a time; a batch may not be larger.",
		"segment.ms":                      "After how long records can be deleted or compacted though segment.bytes are not full.",
		"unclean.leader.election.enable":  "Whether a replica that is not in sync may lead when none that is can.",
	}
}

func brokerEffects() map[string]string {
	m := map[string]string{}
	for _, part := range []map[string]string{nodeEffects(), connectionEffects(), logEffects(), groupsEffects(), shareEffects(), transactionEffects()} {
		maps.Copy(m, part)
	}
	return m
}

// nodeEffects are about which node it is, and who leads the cluster.
func nodeEffects() map[string]string {
	const told = "Told; the cluster itself sets it."
	m := map[string]string{
		"replica.selector.class":                        "Whether consumers are sent to a replica in their rack: org.apache.kafka.common.replica.RackAwareReplicaSelector.",
		"auto.leader.rebalance.enable":                  "Whether preferred leaders are elected now and then.",
		"broker.heartbeat.interval.ms":                  "How often a broker tells the controller that it lives.",
		"broker.rack":                                   "Where a broker stands: replicas are spread over racks.",
		"broker.session.timeout.ms":                     "A broker that is silent for so long is fenced.",
		"controller.quorum.election.timeout.ms":         "A controller that hears nothing of a leader for so long stands for election.",
		"leader.imbalance.check.interval.seconds":       "How often preferred leaders are elected.",
		"replica.high.watermark.checkpoint.interval.ms": "How often high watermarks are written down.",
		"replica.lag.time.max.ms":                       "A follower that has not caught up for so long leaves the ISR.",
	}
	for _, name := range []string{
		"advertised.listeners", "broker.id", "controller.listener.names", "controller.quorum.bootstrap.servers",
		"controller.quorum.voters", "inter.broker.listener.name", "listener.security.protocol.map", "listeners",
		"log.dir", "log.dirs", "metadata.log.dir", "node.id", "process.roles",
	} {
		m[name] = told
	}
	return m
}

func connectionEffects() map[string]string {
	return map[string]string{
		"connection.failed.authentication.delay.ms": "How long a connection stays open after its authentication has failed.",
		"connections.max.idle.ms":                   "A connection is closed after so long without a request.",
		"controlled.shutdown.enable":                "Whether leaderships move before a broker shuts down.",
		"max.connections":                           "How many connections a broker has at most.",
		"max.connections.per.ip":                    "How many connections a broker has at most from one address.",
		"queued.max.request.bytes":                  "How much memory large requests hold at most; others wait.",
		"socket.request.max.bytes":                  "The largest request; a connection with a larger one is closed.",
	}
}

func logEffects() map[string]string {
	return map[string]string{
		"auto.create.topics.enable":                 "Whether asking for an unknown topic's metadata creates it.",
		"default.replication.factor":                "The replication factor of topics that are created with -1.",
		"delete.topic.enable":                       "Whether topics can be deleted.",
		"fetch.max.bytes":                           "The most records in one answer of Fetch.",
		"log.cleaner.backoff.ms":                    "How often logs are looked through for something to compact.",
		"log.cleaner.enable":                        "Whether logs are compacted.",
		"log.retention.check.interval.ms":           "How often logs are looked through for something to delete.",
		"max.incremental.fetch.session.cache.slots": "How many fetch sessions a broker remembers.",
		"max.request.partition.size.limit":          "The most partitions in one answer of DescribeTopicPartitions.",
		"num.partitions":                            "The partitions of topics that are created with -1.",
		"producer.id.expiration.ms":                 "A producer is forgotten after so long without a batch.",
	}
}

func groupsEffects() map[string]string {
	return map[string]string{
		"group.consumer.assignment.interval.ms":    "The least time between two assignments of a group of the new protocol.",
		"group.consumer.assignors":                 "The assignors for consumer groups of the new protocol; the first is the default.",
		"group.consumer.heartbeat.interval.ms":     "How often members of the new protocol are told to send heartbeats.",
		"group.consumer.max.heartbeat.interval.ms": "The most that a group may set for the above.",
		"group.consumer.max.session.timeout.ms":    "The most that a group may set for its session timeout.",
		"group.consumer.max.size":                  "How many members a group of the new protocol has at most.",
		"group.consumer.migration.policy":          "Which way groups may change between the protocols while they have members.",
		"group.consumer.min.heartbeat.interval.ms": "The least that a group may set for its heartbeat interval.",
		"group.consumer.min.session.timeout.ms":    "The least that a group may set for its session timeout.",
		"group.consumer.regex.refresh.interval.ms": "How old the topics that a group's regular expressions match may be when a member sends a heartbeat.",
		"group.consumer.session.timeout.ms":        "A member of the new protocol is removed after so long without a heartbeat.",
		"group.coordinator.append.linger.ms":       "How long a group coordinator waits for more records to write together; -1: no longer than the write before takes.",
		"group.coordinator.rebalance.protocols":    "Which group protocols are served.",
		"group.initial.rebalance.delay.ms":         "How long an empty group waits for more members before its first rebalance.",
		"group.max.session.timeout.ms":             "The longest session timeout that a member may ask for.",
		"group.max.size":                           "How many members a group has at most.",
		"group.min.session.timeout.ms":             "The shortest session timeout that a member may ask for.",
		"offset.metadata.max.bytes":                "The longest metadata that may be committed with an offset.",
		"offsets.commit.timeout.ms":                "How long a commit waits for the replicas of __consumer_offsets.",
		"offsets.load.buffer.size":                 "How much is read at a time when a group coordinator loads its state.",
		"offsets.retention.check.interval.ms":      "How often committed offsets are looked through for expired ones.",
		"offsets.retention.minutes":                "An offset is forgotten so long after its group became empty.",
		"offsets.topic.compression.codec":          "How group coordinators compress what they write (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd).",
		"offsets.topic.num.partitions":             "The partitions of __consumer_offsets.",
		"offsets.topic.segment.bytes":              "segment.bytes of __consumer_offsets.",
		"offsets.topic.replication.factor":         "The replication factor of __consumer_offsets.",
	}
}

func shareEffects() map[string]string {
	return map[string]string{
		"group.share.assignment.interval.ms":                     "The least time between two assignments of a share group.",
		"group.share.delivery.count.limit":                       "How often a record is delivered to a share group at most.",
		"group.share.heartbeat.interval.ms":                      "How often members of share groups are told to send heartbeats.",
		"group.share.max.assignment.interval.ms":                 "The most that a group may set for its assignment interval.",
		"group.share.max.delivery.count.limit":                   "The most that a group may set for its delivery count limit.",
		"group.share.max.heartbeat.interval.ms":                  "The most that a group may set for its heartbeat interval.",
		"group.share.max.partition.max.record.locks":             "The most that a group may set for its record locks.",
		"group.share.max.record.lock.duration.ms":                "The most that a group may set for its lock duration.",
		"group.share.max.session.timeout.ms":                     "The most that a group may set for its session timeout.",
		"group.share.max.share.sessions":                         "How many share sessions a broker has at most.",
		"group.share.max.size":                                   "How many members a share group has at most.",
		"group.share.min.assignment.interval.ms":                 "The least that a group may set for its assignment interval.",
		"group.share.min.delivery.count.limit":                   "The least that a group may set for its delivery count limit.",
		"group.share.min.heartbeat.interval.ms":                  "The least that a group may set for its heartbeat interval.",
		"group.share.min.partition.max.record.locks":             "The least that a group may set for its record locks.",
		"group.share.min.record.lock.duration.ms":                "The least that a group may set for its lock duration.",
		"group.share.min.session.timeout.ms":                     "The least that a group may set for its session timeout.",
		"group.share.partition.max.record.locks":                 "How many records of a partition are in flight for a share group at most.",
		"group.share.record.lock.duration.ms":                    "How long a member of a share group may hold a record.",
		"group.share.session.timeout.ms":                         "A member of a share group is removed after so long without a heartbeat.",
		"share.coordinator.append.linger.ms":                     "How long a share coordinator waits for more records to write together; -1: no longer than the write before takes.",
		"share.coordinator.load.buffer.size":                     "How much is read at a time when a share coordinator loads its state.",
		"share.coordinator.snapshot.update.records.per.snapshot": "After how many changes a share coordinator writes a partition's whole state.",
		"share.coordinator.state.topic.compression.codec":        "How share coordinators compress what they write (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd).",
		"share.coordinator.state.topic.min.isr":                  "min.insync.replicas of __share_group_state.",
		"share.coordinator.state.topic.num.partitions":           "The partitions of __share_group_state.",
		"share.coordinator.state.topic.replication.factor":       "The replication factor of __share_group_state.",
		"share.coordinator.state.topic.segment.bytes":            "segment.bytes of __share_group_state.",
		"share.coordinator.write.timeout.ms":                     "How long a write waits for the replicas of __share_group_state.",
	}
}

func transactionEffects() map[string]string {
	return map[string]string{
		"add.partitions.to.txn.retry.backoff.ms":                      "How soon a partition is added again to a transaction whose producer has one that is being completed.",
		"add.partitions.to.txn.retry.backoff.max.ms":                  "For how long that is tried.",
		"transaction.state.log.load.buffer.size":                      "How many bytes are read at a time when a coordinator loads.",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "How often transactions are looked through for those that timed out.",
		"transaction.max.timeout.ms":                                  "The longest timeout that a producer may ask for.",
		"transaction.partition.verification.enable":                   "Whether a partition asks if a transaction is under way before it takes its records.",
		"transaction.remove.expired.transaction.cleanup.interval.ms":  "How often transactional ids are looked through for expired ones.",
		"transaction.state.log.min.isr":                               "min.insync.replicas of __transaction_state.",
		"transaction.state.log.num.partitions":                        "The partitions of __transaction_state.",
		"transaction.state.log.segment.bytes":                         "segment.bytes of __transaction_state.",
		"transaction.state.log.replication.factor":                    "The replication factor of __transaction_state.",
		"transactional.id.expiration.ms":                              "A transactional id is forgotten after so long without use.",
	}
}

func groupEffects() map[string]string {
	return map[string]string{
		"consumer.assignment.interval.ms": "The least time between two assignments of a group of the new protocol.",
		"consumer.heartbeat.interval.ms":  "How often members of the new protocol are told to send heartbeats.",
		"consumer.session.timeout.ms":     "A member of the new protocol is removed after so long without a heartbeat.",

		"share.assignment.interval.ms":     "The least time between two assignments of a share group.",
		"share.auto.offset.reset":          "Where a share group begins: latest, earliest, or by_duration and how long ago.",
		"share.delivery.count.limit":       "How often a record is delivered at most.",
		"share.heartbeat.interval.ms":      "How often members of a share group are told to send heartbeats.",
		"share.isolation.level":            "Whether members get records of transactions that are under way or aborted.",
		"share.partition.max.record.locks": "How many records of a partition are in flight at most.",
		"share.record.lock.duration.ms":    "How long a member may hold a record.",
		"share.renew.acknowledge.enable":   "Whether members may renew the locks of records.",
		"share.session.timeout.ms":         "A member of a share group is removed after so long without a heartbeat.",
	}
}

// inherit gives the broker configs that are the defaults of topic configs with
// an effect an effect too.
func (t *table) inherit() {
	for _, c := range t.told[Topic] {
		if c.Effect == "" || c.Broker == "" {
			continue
		}
		names := synonyms(c.Broker)
		if names == nil {
			names = []synonym{{c.Broker, 0}}
		}
		for _, s := range names {
			if b := t.byName[key{Broker, s.name}]; b.Effect == "" {
				b.Effect = "The default of the topics' " + c.Name + "."
			}
		}
	}
}
