package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
)

// UnregisterBroker (64), version 0: the controller forgets a broker, which is
// meant for one that will not come back. One that is alive registers again.

func unregisterBroker(r *request, q *kmsg.UnregisterBrokerRequest) (kmsg.Response, error) {
	return r.broker.admin().unregisterBroker(r.ctx, q), nil
}

func (a *adminAPI) unregisterBroker(ctx context.Context, req *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	if _, err := a.do(ctx, &election.UnregisterBroker{Broker: req.BrokerID}); err != nil {
		resp.ErrorCode = errorCode(err)
		return resp
	}
	a.settle(ctx, nil)
	return resp
}
