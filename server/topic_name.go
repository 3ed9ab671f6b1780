package server

import (
	"fmt"

	"github.com/minikafka/minikafka/election"
)

const (
	maxTopicName       = 249
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

// checkTopicName refuses names that no topic can have (Topic.validate).
func checkTopicName(name string) error {
	why := ""
	switch {
	case name == "":
		why = "the empty string is not allowed"
	case name == "." || name == "..":
		why = "'" + name + "' is not allowed"
	case len(name) > maxTopicName:
		why = fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	case !legalTopicChars(name):
		why = "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
	default:
		return nil
	}
	return refuse(election.ErrInvalidTopic, "Topic name is invalid: "+why)
}

func legalTopicChars(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
