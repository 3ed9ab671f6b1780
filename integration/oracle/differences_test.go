package oracle_test

// differences are all that kfake and minikafka answer differently, in the order of the scripts.
func differences() []difference {
	const (
		refused   = "INVALID_TOPIC_EXCEPTION, -1 partitions, -1 replicas"
		badConfig = "INVALID_CONFIG, -1 partitions, -1 replicas"
		created   = "NONE, 1 partitions, 1 replicas"
		names     = "Kafka checks names (Topic.validate)"
		values    = "Kafka checks names and values of configs (LogConfig)"
		batches   = "Kafka finds this before it looks at the checksum (ProduceRequest.validateRecords)"
		counts    = "the checksum is right: Kafka finds that the records are not what the batch says (LogValidator)"
		start     = "Kafka tells the log start of a duplicate, too"
		window    = "message.timestamp.before.max.ms and message.timestamp.after.max.ms"
		elr       = "with eligible leader replicas Kafka keeps it as a config of the cluster"
		none      = "an error has no low watermark"
		appended  = "LogAppendTime"
		ended     = "a transaction that is complete stays so until the next begins (TransactionMetadata)"
		bumped    = "the epochs before are others already"
		nobody    = "a group that is not there has no offsets, which is no error (OffsetMetadataManager.fetchOffsets)"
		exist     = "partitions that are not there are refused before the group is asked (KafkaApis.handleOffsetCommitRequest)"
	)
	return []difference{
		{"topics", `create 2 "defaults"`, "NONE, 1 partitions, 3 replicas", created, "default.replication.factor is 1"},
		{"topics", `create 5 ""`, created, refused, names},
		{"topics", `create 6 "."`, created, refused, names},
		{"topics", `create 7 "a/b"`, created, refused, names},
		{"topics", `create 8 "250 letters"`, created, refused, names},
		{"topics", `create 10 "negative"`, created, "INVALID_PARTITIONS, -1 partitions, -1 replicas", "only -1 means the default"},
		{"topics", `create 11 "no-replicas"`, "NONE, 1 partitions, 0 replicas", "INVALID_REPLICATION_FACTOR, -1 partitions, -1 replicas", "a partition has a replica"},
		{"topics", `create 14 "bad-value"`, created, badConfig, values},
		{"topics", `create 15 "bad-name"`, created, badConfig, values},
		{"partitions", "1: to 4", "NONE", "INVALID_PARTITIONS", "as many partitions as there are is no growth"},
		{"produce", "no records", "CORRUPT_MESSAGE", "INVALID_RECORD", batches + "; Kafka never answers null records"},
		{"produce", "two batches", "CORRUPT_MESSAGE", "INVALID_RECORD", batches},
		{"produce", "truncated", "CORRUPT_MESSAGE", "INVALID_RECORD", batches},
		{"produce", "magic 1", "CORRUPT_MESSAGE", "INVALID_RECORD", batches},
		{"produce", "base offset 7", "CORRUPT_MESSAGE", "INVALID_RECORD", batches},
		{"produce", "record count too high", "CORRUPT_MESSAGE", "INVALID_RECORD", counts},
		{"produce", "last offset delta wrong", "CORRUPT_MESSAGE", "INVALID_RECORD", counts},
		{"produce", "codec 5", "CORRUPT_MESSAGE", "UNKNOWN_SERVER_ERROR", "Kafka's validator fails on a codec that there is not"},
		{"produce", "no key where compacted", "NONE, base offset 0, log start 0", "INVALID_RECORD", "a compacted topic needs keys"},
		{"produce", "a refused batch", "base offset 0, log start -1, with a message true", "base offset -1, log start -1, with a message false", "what was not stored has no offset, and Kafka says no more about a wrong checksum"},
		{"timestamps", "long ago", "NONE, base offset 0, log start 0", "INVALID_TIMESTAMP", window},
		{"timestamps", "in an hour", "NONE, base offset 1, log start 0", "INVALID_TIMESTAMP", window},
		{"timestamps", "now", "NONE, base offset 2, log start 0", "NONE, base offset 0, log start 0", "the two before it were refused"},
		{"timestamps", "broker's time", "NONE, told false", "NONE, told true", appended},
		{"timestamps", "read back", "type 0, broker's time false", "type 1, broker's time true", appended},
		{"delete records", "1: before 1", "OFFSET_OUT_OF_RANGE, low watermark 0", "NONE, low watermark 2", "to delete what is deleted is fine (Partition.deleteRecordsOnLeader)"},
		{"delete records", "2: before 9", "OFFSET_OUT_OF_RANGE, low watermark 0", "OFFSET_OUT_OF_RANGE, low watermark -1", none},
		{"delete records", "3: before -2", "OFFSET_OUT_OF_RANGE, low watermark 0", "OFFSET_OUT_OF_RANGE, low watermark -1", none},
		{"metadata", "topic bad/name", "UNKNOWN_TOPIC_OR_PARTITION, 0 partitions, internal false, id false", "INVALID_TOPIC_EXCEPTION, 0 partitions, internal false, id false", names},
		{"metadata", "unknown topic, to be created: true", "NONE", "UNKNOWN_TOPIC_OR_PARTITION", "Kafka creates it behind this answer, and the next one has it"},
		{"configs", "topic: min.insync.replicas", "1 from default_config, read only false", "1 from dynamic_default_broker_config, read only false", elr},
		{"configs", "topic: segment.bytes", "104857600 from default_config, read only false", "1073741824 from default_config, read only false", "log.segment.bytes is 1 GiB"},
		{"configs", "topic: flush.messages", missing, "9223372036854775807 from default_config, read only false", "kfake knows a part of the configs"},
		{"configs", "broker 0: min.insync.replicas", "1 from default_config, read only false", "1 from dynamic_default_broker_config, read only false", elr},
		{"configs", "broker 0: log.retention.ms", "604800000 from default_config, read only false", "null from default_config, read only false", "Kafka's default is log.retention.hours"},
		{"configs", "set to nothing", "NONE", "INVALID_REQUEST", "to set a config needs a value"},
		{"configs", "set to a wrong value", "NONE", "INVALID_CONFIG", values},
		{"configs", "set a wrong name", "NONE", "INVALID_CONFIG", values},
		{"configs", "append to what is no list", "INVALID_REQUEST", "INVALID_CONFIG", "ConfigurationControlManager"},
		{"configs", "afterwards: max.message.bytes", "many from dynamic_topic_config, read only false", "5000 from dynamic_topic_config, read only false", "the wrong value was refused"},
		{"idempotence", "again", "NONE, base offset 0, log start -1", "NONE, base offset 0, log start 0", start},
		{"idempotence", "first once more", "NONE, base offset 0, log start -1", "NONE, base offset 0, log start 0", start},
		{"idempotence", "negative sequence", "OUT_OF_ORDER_SEQUENCE_NUMBER", "INVALID_RECORD", "the batch is checked before the producer's state (LogValidator)"},
		{"idempotence", "the fifth last again", "NONE, base offset 4, log start -1", "NONE, base offset 4, log start 0", start},
		{"leader epochs", "end of -1", "NONE, epoch -1, offset 0", "NONE, epoch -1, offset -1", "an unknown epoch ends nowhere"},
		{"groups", "commit without being a member to no-such-topic", "UNKNOWN_MEMBER_ID", "UNKNOWN_TOPIC_OR_PARTITION", exist},
		{"groups", "commit of a generation that is not there to no-such-topic", "ILLEGAL_GENERATION", "UNKNOWN_TOPIC_OR_PARTITION", exist},
		{"groups", "commit of a generation that is not there to shared", "ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "the member is looked at before its generation (ClassicGroup.validateOffsetCommit)"},
		{"groups", "offsets of an unknown group", "GROUP_ID_NOT_FOUND", "NONE, -1, with a note false", nobody},
		{"older transactions", "init in an epoch that is gone", "NONE, the same id true, epoch 2", "NONE, the same id true, epoch 1", "the epoch before the last one is the same request again (TransactionMetadata.prepareIncrementProducerEpoch)"},
		{"older transactions", "init with another id", "INVALID_PRODUCER_ID_MAPPING", "PRODUCER_FENCED", "Kafka takes another producer id for that of a former producer (TransactionCoordinator.handleInitProducerId)"},
		{"older transactions", "init with half of it", "NONE, the same id true, epoch 3", "INVALID_REQUEST", "a producer id and an epoch come together (KIP-360)"},
		{"older transactions", "abort nothing", "NONE", "INVALID_TXN_STATE", "only clients with an epoch for each transaction may abort without one (KIP-890)"},
		{"older transactions", "produce to what is not in it", "INVALID_TXN_STATE", "TRANSACTION_ABORTABLE", "the code that Produce has for it from v11 on"},
		{"older transactions", "described after it", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteCommit, timeout 60000, begun true, []", ended},
		{"older transactions", "described after the abort", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteAbort, timeout 60000, begun true, []", ended},
		{"older transactions", "init while it is open", "NONE, the same id true, epoch 4", "NONE, the same id true, epoch 3", bumped},
		{"older transactions", "the former one produces", "INVALID_TXN_STATE", "INVALID_PRODUCER_EPOCH", "an older epoch is told before the state of the transaction"},
		{"older transactions", "the former one begins again", "NONE, the same id true, epoch 5", "PRODUCER_FENCED", "a producer that has been replaced may not come back by its epoch (KIP-360)"},
		{"older transactions", "a timeout is kept", "NONE, the same id true, epoch 6", "NONE, the same id true, epoch 4", bumped},
		{"newer transactions", "described in the end", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteAbort, timeout 60000, begun true, []", ended},
		{"offsets in transactions", "stable offsets while it is open", "GROUP_ID_NOT_FOUND, of no partition", "NONE, UNSTABLE_OFFSET_COMMIT", "an offset in an open transaction is told, also of a group that has no other (KIP-447)"},
		{"offsets in transactions", "offsets while it is open", "GROUP_ID_NOT_FOUND", "NONE, -1, with a note false", nobody},
		{"offsets in transactions", "described after the abort", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteAbort, timeout 60000, begun true, []", ended},
		{"offsets in transactions", "offsets after the abort", "GROUP_ID_NOT_FOUND", "NONE, -1, with a note false", nobody},
		{"offsets in transactions", "described after the commit", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteCommit, timeout 60000, begun true, []", ended},
		{"offsets in transactions", "commit offsets in the epoch before", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "Kafka translates what the coordinator of the transaction says (AddPartitionsToTxnManager)"},
		{"offsets in transactions", "described in the end", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteCommit, timeout 60000, begun true, []", ended},
		{"list transactions", "list-done: described", "NONE, Empty, timeout 60000, begun false, []", "NONE, CompleteCommit, timeout 60000, begun true, []", ended},
		{"list transactions", "all", "[list-done Empty list-done Empty list-done Empty list-open Ongoing list-open Ongoing list-open Ongoing], unknown []", "[list-done CompleteCommit list-open Ongoing], unknown []", "a broker lists those that it coordinates; " + ended},
		{"list transactions", "ongoing", "[list-open Ongoing list-open Ongoing list-open Ongoing], unknown []", "[list-open Ongoing], unknown []", "a broker lists those that it coordinates"},
		{"list transactions", "of an unknown state", "[], unknown []", "[], unknown [Walking]", "states that there are not are told"},
		{"list transactions", "open for an hour", "[list-done Empty list-done Empty list-done Empty], unknown []", "[], unknown []", "only open transactions have a duration"},
		{"cluster", "cluster, asked for controllers", "NONE", "MISMATCHED_ENDPOINT_TYPE", "controllers are not to be found on a broker's listener"},
		{"cluster", "elect a leader of looked-at, kind 0", "NONE", "ELECTION_NOT_NEEDED", "the preferred leader leads"},
		{"cluster", "elect a leader of looked-at, kind 1", "NONE", "ELECTION_NOT_NEEDED", "there is a leader"},
	}
}
