package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (18), versions 0-5.

func apiVersions(_ *request, q *kmsg.ApiVersionsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ApiVersionsResponse)
	return resp, nil
}
