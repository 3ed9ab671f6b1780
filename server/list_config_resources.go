package server

import (
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/configs"
)

// ListConfigResources (74), versions 0-1: what has configs. v0 knows client
// metrics subscriptions only (it was ListClientMetricsResources), v1 every type.
// Groups and subscriptions are there by having configs.

func listConfigResources(r *request, q *kmsg.ListConfigResourcesRequest) (kmsg.Response, error) {
	return r.broker.admin().listConfigResources(q), nil
}

func (a *adminAPI) listConfigResources(req *kmsg.ListConfigResourcesRequest) *kmsg.ListConfigResourcesResponse {
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	known := []configs.Scope{configs.ClientMetrics}
	if req.Version >= 1 {
		known = []configs.Scope{configs.Topic, configs.Broker, configs.BrokerLogger, configs.ClientMetrics, configs.Group}
	}
	wanted := known
	if req.Version >= 1 && len(req.ResourceTypes) > 0 {
		wanted = nil
		for _, t := range req.ResourceTypes {
			if !slices.Contains(known, configs.Scope(t)) {
				resp.ErrorCode = kerr.UnsupportedVersion.Code
				return resp
			}
			wanted = append(wanted, configs.Scope(t))
		}
		slices.Sort(wanted)
		wanted = slices.Compact(wanted)
	}
	for _, scope := range wanted {
		for _, name := range a.resourceNames(scope) {
			r := kmsg.NewListConfigResourcesResponseConfigResource()
			r.Name, r.Type = name, int8(scope)
			resp.ConfigResources = append(resp.ConfigResources, r)
		}
	}
	return resp
}

// resourceNames are the names of a scope's resources, sorted.
func (a *adminAPI) resourceNames(s configs.Scope) []string {
	image := a.image()
	var names []string
	switch s {
	case configs.Topic:
		names = slices.Collect(maps.Keys(image.Topics))
	case configs.Broker, configs.BrokerLogger:
		for id, b := range image.Brokers {
			if !b.Fenced {
				names = append(names, strconv.Itoa(int(id)))
			}
		}
	case configs.ClientMetrics, configs.Group:
		for r := range image.NamedConfigs {
			if r.Kind == int8(s) {
				names = append(names, r.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
