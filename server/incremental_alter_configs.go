package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// IncrementalAlterConfigs (44), versions 0-1, which differ in nothing but their
// encoding. A broker's own configs are altered at that broker, those of all
// brokers (resource name "") at any. Each resource is altered all or nothing.

func incrementalAlterConfigs(r *request, q *kmsg.IncrementalAlterConfigsRequest) (kmsg.Response, error) {
	return r.broker.admin().incrementalAlterConfigs(r.ctx, q), nil
}

func (a *adminAPI) incrementalAlterConfigs(
	ctx context.Context, req *kmsg.IncrementalAlterConfigsRequest,
) *kmsg.IncrementalAlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	alterations := make([]alteration, 0, len(req.Resources))
	for _, r := range req.Resources {
		alt := alteration{kind: configs.Scope(r.ResourceType), name: r.ResourceName}
		for _, c := range r.Configs {
			alt.changes = append(alt.changes, election.ConfigChange{
				Name: c.Name, Op: election.ConfigOp(c.Op), Value: c.Value,
			})
		}
		alterations = append(alterations, alt)
	}
	errs := a.alter(ctx, alterations, alterOptions{validateOnly: req.ValidateOnly})
	for i, r := range req.Resources {
		answer := kmsg.NewIncrementalAlterConfigsResponseResource()
		answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
		e := toAPIError(errs[i])
		answer.ErrorCode, answer.ErrorMessage = e.code, e.message
		resp.Resources = append(resp.Resources, answer)
	}
	return resp
}
