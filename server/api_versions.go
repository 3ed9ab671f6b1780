package server

import (
	"maps"
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// ApiVersions (18), versions 0-5.
//
// An unknown version is answered in version 0, and the connection goes on. From
// v3 on the client names its software; v4 shows features whose lowest level is 0,
// which v3 hides. v5 tells whom the client believes to speak to (KIP-1242).

// softwareName is what names and versions of client software look like (KIP-511).
const softwareName = `^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`

func apiVersions(r *request, q *kmsg.ApiVersionsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ApiVersionsResponse)
	if err := r.broker.checkApiVersions(q); err != nil {
		resp.ErrorCode = errorCode(err)
		return resp, nil
	}
	for _, a := range r.broker.versions {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(a.key), a.min, a.max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	supported := election.SupportedFeatures()
	for _, name := range slices.Sorted(maps.Keys(supported)) {
		f := kmsg.NewApiVersionsResponseSupportedFeature()
		f.Name, f.MinVersion, f.MaxVersion = name, supported[name].Min, supported[name].Max
		if q.Version >= 4 || f.MinVersion > 0 {
			resp.SupportedFeatures = append(resp.SupportedFeatures, f)
		}
	}
	image := r.broker.image()
	resp.FinalizedFeaturesEpoch = image.FeaturesEpoch
	for _, name := range slices.Sorted(maps.Keys(image.Features)) {
		f := kmsg.NewApiVersionsResponseFinalizedFeature()
		f.Name, f.MinVersionLevel, f.MaxVersionLevel = name, image.Features[name], image.Features[name]
		if f.MaxVersionLevel > 0 {
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
		}
	}
	return resp, nil
}

func (b *broker) checkApiVersions(q *kmsg.ApiVersionsRequest) error {
	if q.Version >= 3 {
		// Once for a connection, so compiling each time does not matter.
		name := regexp.MustCompile(softwareName)
		if !name.MatchString(q.ClientSoftwareName) || !name.MatchString(q.ClientSoftwareVersion) {
			return kerr.InvalidRequest
		}
	}
	if q.Version < 5 {
		return nil
	}
	switch {
	case q.ClusterID == nil && q.NodeID == -1:
		return nil
	case q.ClusterID == nil || q.NodeID == -1:
		return kerr.InvalidRequest
	case *q.ClusterID != b.config.ClusterID || q.NodeID != b.config.ID:
		return kerr.RebootstrapRequired
	}
	return nil
}

// unsupportedApiVersions answers a request of a version that is not known: in
// version 0, with the versions of ApiVersions alone.
func unsupportedApiVersions(a *api) kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = 0
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = int16(kmsg.ApiVersions), a.min, a.max
	resp.ApiKeys = append(resp.ApiKeys, k)
	return resp
}
