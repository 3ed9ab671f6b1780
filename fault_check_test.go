package minikafka_test

import (
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka"
)

func TestBadFaults(t *testing.T) {
	t.Parallel()
	c := minikafka.Start(t, minikafka.Brokers(2))
	kind := minikafka.ErrArgument
	for name, tc := range map[string]struct {
		want  error
		says  string
		fault minikafka.Fault
	}{
		"nothing to do":          {kind, "set Error", minikafka.Fault{APIs: []string{"Produce"}}},
		"an unknown request":     {kind, `no request "Prduce", but Produce, Fetch`, minikafka.Fault{APIs: []string{"Prduce"}, Error: "-1"}},
		"one that is not served": {kind, "Vote", minikafka.Fault{APIs: []string{"Vote"}, Error: "-1"}},
		"an unknown error":       {kind, "NOT_LEADER_OR_FOLLOWER", minikafka.Fault{Error: "NO_LEADER"}},
		"no error":               {kind, `"0"`, minikafka.Fault{Error: "0"}},
		"an unknown broker":      {minikafka.ErrUnknownNode, "broker 7: there are 0", minikafka.Fault{Brokers: []int32{0, 7}, Error: "-1"}},
		"a negative partition":   {kind, "begin at 0", minikafka.Fault{Partitions: []int32{-1}, Error: "-1"}},
		"a negative delay":       {kind, "negative", minikafka.Fault{DelayRequest: -time.Second}},
		"another":                {kind, "negative", minikafka.Fault{DelayAnswer: -1}},
		"more than certain":      {kind, "0 to 1", minikafka.Fault{Probability: 1.1, Error: "-1"}},
		"less than impossible":   {kind, "0 to 1", minikafka.Fault{Probability: -0.1, Error: "-1"}},
		"not a probability":      {kind, "0 to 1", minikafka.Fault{Probability: math.NaN(), Error: "-1"}},
		"a negative skip":        {kind, "0 or more", minikafka.Fault{Skip: -1, Error: "-1"}},
		"a negative count":       {kind, "Always", minikafka.Fault{Count: -2, Error: "-1"}},
		"an unknown effect":      {kind, "lose-answer", minikafka.Fault{Effect: "explode"}},
		"an effect of no error":  {kind, "name one", minikafka.Fault{Effect: minikafka.ErrorAfterWork}},
		"two effects":            {kind, "two faults", minikafka.Fault{Effect: minikafka.LoseAnswer, Error: "-1"}},
		"no error at the top":    {kind, "without an Error", minikafka.Fault{TopLevel: true, Effect: minikafka.LoseAnswer}},
		"a function and more": {kind, "Handle can do", minikafka.Fault{
			Effect: minikafka.LoseAnswer, Handle: func(*minikafka.FaultedRequest) (kmsg.Response, error) { return nil, nil },
		}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c, tc.want, tc.says, func(c *minikafka.Cluster) { c.Fault(tc.fault) })
		})
	}
	refused(t, c, kind, "at least one", func(c *minikafka.Cluster) { c.Fault() })
	if len(c.Faults()) != 0 {
		t.Errorf("set all the same: %v", c.Faults())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, c, minikafka.ErrClosed, "", func(c *minikafka.Cluster) { c.Fault(minikafka.Fault{Error: "-1"}) })
}
