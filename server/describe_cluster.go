package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (60), versions 0-2. v1 asks for brokers or controllers, and
// controllers are not to be found on a broker's listener; v2 can ask for fenced
// brokers too.

// The types of endpoints (EndpointType).
const (
	endpointBroker     = 1
	endpointController = 2
)

func describeCluster(r *request, q *kmsg.DescribeClusterRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ControllerID = -1
	resp.ClusterAuthorizedOperations = noOperations
	resp.EndpointType = endpointBroker
	resp.Brokers = []kmsg.DescribeClusterResponseBroker{}
	if q.Version >= 1 && q.EndpointType != endpointBroker {
		err, message := kerr.UnsupportedEndpointType, fmt.Sprintf("Unsupported endpoint type %d", q.EndpointType)
		if q.EndpointType == endpointController {
			err, message = kerr.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
		}
		resp.ErrorCode, resp.ErrorMessage = err.Code, &message
		return resp, nil
	}
	m := r.broker.image()
	resp.ClusterID = r.broker.config.ClusterID
	var alive []int32
	for _, id := range slices.Sorted(maps.Keys(m.Brokers)) {
		b := m.Brokers[id]
		if b.Fenced && (q.Version < 2 || !q.IncludeFencedBrokers) {
			continue
		}
		n := kmsg.NewDescribeClusterResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack, n.IsFenced = b.ID, b.Host, b.Port, rack(b), b.Fenced
		resp.Brokers = append(resp.Brokers, n)
		if !b.Fenced {
			alive = append(alive, id)
		}
	}
	if len(alive) > 0 {
		resp.ControllerID = alive[rand.IntN(len(alive))]
	}
	if q.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	return resp, nil
}
