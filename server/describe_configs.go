package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// DescribeConfigs (32), versions 1-4; v3 adds types and documentation. A broker
// describes itself (its id) and the dynamic configs of all ("", only those that
// are set), any topic, group and client metrics subscription, and its own
// loggers. Documentation is in our own words: what the config does here
// (ConfigHelper).

func describeConfigs(r *request, q *kmsg.DescribeConfigsRequest) (kmsg.Response, error) {
	return r.broker.admin().describeConfigs(q), nil
}

func (a *adminAPI) describeConfigs(req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for _, r := range req.Resources {
		if !knownResource(r.ResourceType) {
			return refuseDescribeConfigs(req)
		}
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		answer := kmsg.NewDescribeConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
		answer.ErrorMessage = kmsg.StringPtr("") // Kafka's default for this field.
		entries, err := a.describeResource(r)
		if e := toAPIError(err); e.message != nil {
			answer.ErrorMessage = e.message
		}
		answer.ErrorCode = errorCode(err)
		for j := range entries {
			if wanted(r.ConfigNames, entries[j].Name) {
				answer.Configs = append(answer.Configs, configAnswer(req, &entries[j]))
			}
		}
		resp.Resources = append(resp.Resources, answer)
	}
	return resp
}

func knownResource(t kmsg.ConfigResourceType) bool {
	switch configs.Scope(t) {
	case configs.Topic, configs.Broker, configs.BrokerLogger, configs.ClientMetrics, configs.Group:
		return true
	}
	return false
}

// refuseDescribeConfigs answers a request that names a type of resource Kafka
// does not know: none of its resources is described.
func refuseDescribeConfigs(req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	e := apiError{code: kerr.InvalidRequest.Code}.orDefault()
	for _, r := range req.Resources {
		answer := kmsg.NewDescribeConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
		answer.ErrorCode, answer.ErrorMessage = e.code, e.message
		resp.Resources = append(resp.Resources, answer)
	}
	return resp
}

func (a *adminAPI) describeResource(r *kmsg.DescribeConfigsRequestResource) ([]configs.Entry, error) {
	image := a.image()
	switch configs.Scope(r.ResourceType) {
	case configs.Topic:
		if err := election.ValidateTopicName(r.ResourceName); err != nil {
			return nil, err
		}
		t := image.Topics[r.ResourceName]
		if t == nil {
			return nil, election.ErrUnknownTopicOrPartition
		}
		return a.values().DescribeTopic(t.Configs), nil
	case configs.Broker:
		if r.ResourceName == "" {
			return a.values().DescribeCluster(), nil
		}
		if err := a.checkOwnID(r.ResourceName, "Broker id must be an integer, but it is: %s",
			"Unexpected broker id, expected %d or empty string, but received %s"); err != nil {
			return nil, err
		}
		return a.values().DescribeBroker(), nil
	case configs.BrokerLogger:
		if r.ResourceName == "" {
			return nil, refuse(election.ErrInvalidRequest, "Broker id must not be empty")
		}
		if err := a.checkOwnID(r.ResourceName, "Broker id must be an integer, but it is: %s",
			"Unexpected broker id, expected %d but received %s"); err != nil {
			return nil, err
		}
		return a.loggers.describe(), nil
	case configs.ClientMetrics:
		if r.ResourceName == "" {
			return nil, refuse(election.ErrInvalidRequest, "Client metrics subscription name must not be empty")
		}
		return configs.DescribeClientMetrics(image.NamedConfigs[named(r.ResourceType, r.ResourceName)]), nil
	case configs.Group:
		if r.ResourceName == "" {
			return nil, refuse(election.ErrInvalidRequest, "Group name must not be empty")
		}
		return a.values().DescribeGroup(image.NamedConfigs[named(r.ResourceType, r.ResourceName)]), nil
	}
	return nil, fmt.Errorf("server: resource type %d", r.ResourceType) // knownResource was asked before
}

// named is a group or a client metrics subscription as the controller knows it.
func named[K ~int8](kind K, name string) election.NamedResource {
	return election.NamedResource{Kind: int8(kind), Name: name}
}

// checkOwnID refuses a broker id that is none, or another broker's.
func (a *adminAPI) checkOwnID(name, noNumber, other string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return refuse(election.ErrInvalidRequest, fmt.Sprintf(noNumber, name))
	case int32(id) != a.broker:
		return refuse(election.ErrInvalidRequest, fmt.Sprintf(other, a.broker, name))
	}
	return nil
}

// wanted tells whether a request asks for the config; no names ask for all.
func wanted(names []string, name string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

func configAnswer(req *kmsg.DescribeConfigsRequest, e *configs.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ReadOnly, c.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	c.Source = kmsg.ConfigSource(e.Source)
	c.ConfigType = kmsg.ConfigType(e.Type)
	if req.IncludeDocumentation && e.Doc != "" {
		c.Documentation = &e.Doc
	}
	if !req.IncludeSynonyms {
		return c
	}
	for _, s := range e.Synonyms {
		synonym := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		synonym.Name, synonym.Value, synonym.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
		c.ConfigSynonyms = append(c.ConfigSynonyms, synonym)
	}
	return c
}

// values are the broker's configs as of its newest metadata.
func (a *adminAPI) values() configs.BrokerValues {
	image := a.image()
	return configs.BrokerValues{
		Own:     image.BrokerConfigs[a.broker],
		Cluster: image.ClusterConfigs,
		Static:  a.static,
	}
}

// setEntries are configs that are told as they were set, and only those.
func setEntries(set map[string]string, source configs.Source) []configs.Entry {
	var entries []configs.Entry
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value := set[name]
		entries = append(entries, configs.Entry{Name: name, Value: &value, Source: source})
	}
	return entries
}
