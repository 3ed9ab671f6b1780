package server

const (
	clusterMetadata    = "__cluster_metadata"
	consumerOffsets    = "__consumer_offsets"
	transactionState   = "__transaction_state"
	shareGroupState    = "__share_group_state"
	allTopicOperations = 3576 // every AclOperation that topics have, as bits
)

// internalTopic tells whether clients see the topic as internal
// (Topic.isInternal).
func internalTopic(name string) bool {
	return name == consumerOffsets || name == transactionState || name == shareGroupState
}
