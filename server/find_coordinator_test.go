package server_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFindCoordinatorCreatesTheTopic(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	conn := c.dial(1)
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKeys = 6, []string{"a", "b"}
	began := time.Now()
	resp := conn.ask(q).(*kmsg.FindCoordinatorResponse)
	t.Logf("%d coordinators after %v", len(resp.Coordinators), time.Since(began))
	for _, got := range resp.Coordinators {
		if got.ErrorCode != 0 || c.brokers[got.NodeID] == nil {
			t.Errorf("%s: %v, broker %d", got.Key, kerr.ErrorForCode(got.ErrorCode), got.NodeID)
		}
	}
}
