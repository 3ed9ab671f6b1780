package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// AlterConfigs (33), versions 0-2, which differ in nothing but their encoding.
// The given configs become all that the resource has; IncrementalAlterConfigs
// is the newer way. It does not reach loggers.

func alterConfigs(r *request, q *kmsg.AlterConfigsRequest) (kmsg.Response, error) {
	return r.broker.admin().alterConfigs(r.ctx, q), nil
}

func (a *adminAPI) alterConfigs(ctx context.Context, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	alterations := make([]alteration, 0, len(req.Resources))
	for _, r := range req.Resources {
		alt := alteration{kind: configs.Scope(r.ResourceType), name: r.ResourceName}
		for _, c := range r.Configs {
			alt.changes = append(alt.changes, election.ConfigChange{Name: c.Name, Op: election.OpSet, Value: c.Value})
		}
		alterations = append(alterations, alt)
	}
	errs := a.alter(ctx, alterations, alterOptions{replace: true, validateOnly: req.ValidateOnly})
	for i, r := range req.Resources {
		answer := kmsg.NewAlterConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
		e := toAPIError(errs[i])
		answer.ErrorCode, answer.ErrorMessage = e.code, e.message
		resp.Resources = append(resp.Resources, answer)
	}
	return resp
}
