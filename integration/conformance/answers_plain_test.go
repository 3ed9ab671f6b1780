package conformance_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/minikafka/minikafka/integration/conformance"
)

// plain replaces what differs from run to run by a word that keeps what matters of it, such as whether it is there at all, and
// sorts what Kafka answers in no particular order.
func plain(field string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if name != "UnknownTags" && name != "Version" {
				out[name] = plain(name, value)
			}
		}
		return nodeConfig(out)
	case []any:
		return plainList(field, v)
	}
	if word, ok := placeholder(field, text(v)); ok {
		return word
	}
	return v
}

func plainList(field string, list []any) any {
	if field == "TopicID" { // kmsg has it as an array of bytes.
		if slices.ContainsFunc(list, func(b any) bool { return text(b) != "0" }) {
			return "<id>"
		}
		return "none"
	}
	out := []any{}
	for _, v := range list {
		out = append(out, plain(field, v))
	}
	if len(out) > 0 {
		if _, ok := out[0].(map[string]any); ok || field == "Partitions" {
			slices.SortFunc(out, func(a, b any) int { return strings.Compare(text(a), text(b)) })
		}
	}
	return out
}

// madeID matches an id that a coordinator made: of a classic member, or of one of the consumer protocol.
func madeID() *regexp.Regexp {
	return regexp.MustCompile(`^"(conformance-)?([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\w-]{22})"$`)
}

// placeholder returns the word for a field whose value differs from run to run. Values that say "none" stay.
func placeholder(field, value string) (string, bool) {
	switch value {
	case "null", "-1", "0", `""`:
		return "", false
	}
	switch field {
	case "Host", "Port", "Dir", "ClusterID", "LogAppendTime", "SessionID", "FinalizedFeaturesEpoch", "TotalBytes", "UsableBytes", "ErrorMessage", "AcknowledgeErrorMessage", "Documentation", "LastTimestamp", "StartTimestamp":
		return "<" + field + ">", true
	case "MemberID", "LeaderID":
		if id := madeID(); id.MatchString(value) {
			return id.ReplaceAllString(value, "${1}<uuid>"), true
		}
	case "ControllerID":
		return "<broker>", true
	case "ProducerID":
		return "<id>", value != fmt.Sprint(producerID)
	}
	return "", false
}

// nodeConfig replaces a config that says where a node is, or that the reference is started with to be small.
func nodeConfig(m map[string]any) map[string]any {
	name, _ := m["Name"].(string)
	if _, ok := m["Value"]; !ok {
		return m
	}
	switch name {
	case "listeners", "advertised.listeners", "log.dirs", "log.dir", "controller.quorum.bootstrap.servers", "controller.quorum.voters", "metadata.log.dir",
		"process.roles", "controller.listener.names", "listener.security.protocol.map", "inter.broker.listener.name", "log.cleaner.dedupe.buffer.size":
		return map[string]any{"Name": name, "Value": "<node>"}
	}
	return m
}

// exception is a difference that is known.
type exception struct {
	software string
	call     string   // a pattern of path.Match
	paths    []string // patterns of path.Match
	why      string
}

func exceptions() []exception {
	return []exception{
		{"minikafka", "ApiVersions v*", keys(17, 29, 30, 31, 36, 38, 39, 40, 41, 48, 49, 50, 51), "authentication, authorization and quotas are not served yet"},
		{"minikafka", "ApiVersions v*", keys(34, 80, 81, 94), "a broker has one directory, and voters of the controller's quorum stay what they are"},
		{"minikafka", "ApiVersions v*", keys(88, 89, 93), "streams groups are not served"},
		{"minikafka", "DescribeLogDirs v5*", []string{"Dirs/*/TotalBytes", "Dirs/*/UsableBytes"}, "the files of a cluster without a data directory are in memory"},
	}
}

// keys names API keys that are not offered. One that is offered in other versions is no exception.
func keys(ids ...int) (paths []string) {
	for _, id := range ids {
		paths = append(paths, fmt.Sprintf("ApiKeys/%d", id))
	}
	return paths
}

// tolerated returns the exception that a difference falls under, or -1.
func tolerated(target conformance.Target, call, at string) int {
	return slices.IndexFunc(exceptions(), func(e exception) bool {
		inCall, _ := path.Match(e.call, call) // The patterns are well-formed.
		inPath := slices.ContainsFunc(e.paths, func(p string) bool {
			ok, _ := path.Match(p, at)
			return ok
		})
		return e.software == target.Software && inCall && inPath
	})
}
