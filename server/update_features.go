package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// UpdateFeatures (57), versions 0-2. All updates are made or none. v1 has
// upgrade types where v0 has a flag for downgrades; v2 leaves out the results by
// feature.

// The upgrade types (FeatureUpdate.UpgradeType).
const (
	upgradeOnly   = 1
	safeDowngrade = 2
)

func updateFeatures(r *request, q *kmsg.UpdateFeaturesRequest) (kmsg.Response, error) {
	return r.broker.admin().updateFeatures(r.ctx, q), nil
}

func (a *adminAPI) updateFeatures(ctx context.Context, req *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	ctx, cancel := withTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	command := election.UpdateFeatures{ValidateOnly: req.Version >= 1 && req.ValidateOnly}
	for _, u := range req.FeatureUpdates {
		update := election.FeatureUpdate{Name: u.Feature, Level: u.MaxVersionLevel, UpgradeType: u.UpgradeType}
		if req.Version == 0 {
			update.UpgradeType = upgradeOnly
			if u.AllowDowngrade {
				update.UpgradeType = safeDowngrade
			}
		}
		command.Updates = append(command.Updates, update)
	}
	results, err := result[map[string]error](ctx, a, &command)
	if err != nil {
		e := toAPIError(err).orDefault()
		resp.ErrorCode, resp.ErrorMessage = e.code, e.message
		return resp
	}
	for _, u := range req.FeatureUpdates {
		answer := kmsg.NewUpdateFeaturesResponseResult()
		e := toAPIError(results[u.Feature])
		answer.Feature, answer.ErrorCode, answer.ErrorMessage = u.Feature, e.code, e.message
		resp.Results = append(resp.Results, answer)
	}
	if !command.ValidateOnly {
		a.settle(ctx, nil)
	}
	return resp
}
