package election

import (
	"fmt"
	"strings"
)

const (
	maxTopicName = 249
	// metadataTopic is Kafka's own log of the metadata; nobody may create it.
	metadataTopic = "__cluster_metadata"
)

// ValidateTopicName says whether a topic may have the name
// (org.apache.kafka.common.internals.Topic.validate). The error wraps
// ErrInvalidTopic.
func ValidateTopicName(name string) error {
	why := ""
	switch {
	case name == "":
		why = "the empty string is not allowed"
	case name == "." || name == "..":
		why = fmt.Sprintf("'%s' is not allowed", name)
	case len(name) > maxTopicName:
		why = fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	case strings.ContainsFunc(name, notInTopicName):
		why = fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	default:
		return nil
	}
	return fail(ErrInvalidTopic, "Topic name is invalid: %s", why)
}

func notInTopicName(c rune) bool {
	alphanumeric := (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
	return !alphanumeric && c != '.' && c != '_' && c != '-'
}

// unified is the name as metrics would have it: topics that are equal in it
// collide.
func unified(name string) string { return strings.ReplaceAll(name, ".", "_") }

// colliding finds an existing topic whose name collides, or "".
func (m *Image) colliding(name string) string {
	if !strings.ContainsAny(name, "._") {
		return ""
	}
	u := unified(name)
	for other := range m.Topics {
		if other != name && unified(other) == u {
			return other
		}
	}
	return ""
}

// internalName tells a topic of the brokers' own from one of a user.
func internalName(name string) bool { return strings.HasPrefix(name, "__") }
