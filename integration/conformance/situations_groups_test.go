package conformance_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance"
)

// groupSituations are what is done to clusters for the rows about groups.
func groupSituations() []situation {
	verbs := []conformance.Verb{conformance.Kill, conformance.Start}
	return []situation{
		{
			name:  aCoordinatorIsKilled,
			kind:  true,
			needs: verbs,
			steps: []step{
				{"C coordinates", func(e *env) {
					e.coordinate([]int32{e.C, e.A, e.B}, []int32{e.C}, []int32{e.A, e.B, e.C})
				}},
				{"C is killed", func(e *env) { e.do(conformance.Kill, e.C) }},
				{"C is fenced", func(e *env) { e.waitLive(e.A, e.B) }},
				{"C is back", func(e *env) {
					e.startAgain(e.C)
					e.coordinate([]int32{e.A, e.B, e.C}, []int32{e.B, e.C, e.A}, []int32{e.C, e.A, e.B})
				}},
			},
		},
		{
			name:  offsetsAreShort,
			needs: verbs,
			steps: []step{
				{"C is killed", func(e *env) {
					e.coordinate([]int32{e.A, e.B, e.C}, []int32{e.A, e.B, e.C}, []int32{e.A, e.B, e.C})
					e.do(conformance.Kill, e.C)
					e.waitLive(e.A, e.B)
				}},
				{"the offsets topic is below its minimum", func(e *env) {
					// Brokers take changes over in their order: when the second is in force, so is the first.
					later := e.topic(on(e.A, e.B))
					e.setConfig(topic{name: offsetsTopic}, "min.insync.replicas", "3")
					e.refusesAll(writing(later, "too large"))
				}},
				{"the minimum is met", func(e *env) {
					check(e, "resetting the minimum", e.alterConfig(topic{name: offsetsTopic}, "min.insync.replicas", nil, kmsg.IncrementalAlterConfigOpDelete), none)
					// Kafka looks at the high watermark of an idle partition again when something is appended.
					for partition := range int32(offsetsPartitions) {
						g := e.groupOn(partition)
						e.wait("a commit to count", func() error {
							return is("answer", e.commitOffset(g, topic{name: offsetsTopic}, simple(1)), none)
						})
					}
				}},
				{"C is back", func(e *env) { e.startAgain(e.C) }},
			},
		},
		{
			name:  aNewCluster,
			needs: verbs,
			steps: []step{
				{"B and C are gone for good", func(e *env) {
					for _, broker := range []int32{e.B, e.C} {
						e.do(conformance.Kill, broker)
						e.unregister(broker)
					}
					e.waitLive(e.A)
				}},
				{"B and C are back", func(e *env) {
					e.do(conformance.Start, e.B)
					e.do(conformance.Start, e.C)
					e.waitLive(e.A, e.B, e.C)
				}},
				{"the offsets topic is there", func(*env) {}},
			},
		},
	}
}

// unregister makes the cluster forget a dead broker.
func (e *env) unregister(broker int32) {
	req := request(kmsg.NewPtrUnregisterBrokerRequest(), 0)
	req.BrokerID = broker
	check(e, "unregistering "+e.name(broker), code(ask[*kmsg.UnregisterBrokerResponse](e, e.A, req).ErrorCode), none)
}
