package conformance_test

import (
	"github.com/minikafka/minikafka/integration/conformance"
)

// transactionSituations are what is done to clusters for the rows about transactions.
func transactionSituations() []situation {
	return []situation{
		{
			name:  aTransactionCoordinatorIsKilled,
			kind:  true,
			needs: []conformance.Verb{conformance.Kill, conformance.Start, conformance.HoldReplication, conformance.Rejoin},
			steps: []step{
				{"C coordinates", func(e *env) {
					// Below its minimum a partition keeps replicas that it has no more as eligible leaders, and stays without one.
					e.coordinator("any", 1)
					e.setConfig(topic{name: transactionsTopic}, "min.insync.replicas", "1")
					e.coordinateTransactions([]int32{e.C, e.A, e.B}, []int32{e.C}, []int32{e.A, e.B, e.C})
				}},
				{"nobody copies from C", func(e *env) { e.do(conformance.HoldReplication, e.C) }},
				{"C is killed", func(e *env) {
					e.do(conformance.Kill, e.C)
					e.do(conformance.Rejoin, e.C)
				}},
				{"C is fenced", func(e *env) { e.waitLive(e.A, e.B) }},
				{"C is back", func(e *env) {
					e.startAgain(e.C)
					e.coordinateTransactions([]int32{e.A, e.B, e.C}, []int32{e.B, e.C, e.A}, []int32{e.C, e.A, e.B})
					e.setConfig(topic{name: transactionsTopic}, "min.insync.replicas", "2")
				}},
			},
		},
		{
			name:  transactionsAreShort,
			needs: []conformance.Verb{conformance.Kill, conformance.Start},
			steps: []step{
				{"C is killed", func(e *env) {
					e.coordinateTransactions([]int32{e.A, e.B, e.C}, []int32{e.A, e.B, e.C}, []int32{e.A, e.B, e.C})
					e.do(conformance.Kill, e.C)
					e.waitLive(e.A, e.B)
				}},
				{"the transactions topic is below its minimum", func(e *env) {
					// Brokers take changes over in their order: when the second is in force, so is the first.
					later := e.topic(on(e.A, e.B))
					e.setConfig(topic{name: transactionsTopic}, "min.insync.replicas", "3")
					e.refusesAll(writing(later, "too large"))
				}},
				{"the minimum is met", func(e *env) {
					later := e.topic(on(e.A, e.B))
					e.setConfig(topic{name: transactionsTopic}, "min.insync.replicas", "2")
					e.refusesAll(writing(later, "too large"))
				}},
				{"C is back", func(e *env) { e.startAgain(e.C) }},
			},
		},
	}
}

// refusesAll makes a topic refuse all records for their size, and waits until A refuses these.
func (e *env) refusesAll(w write) {
	e.setConfig(w.topic, "max.message.bytes", "10")
	e.wait("the largest size to be in force", func() error { return is("answer", e.produce(e.A, w).code, messageTooLarge) })
}

// coordinateTransactions is coordinate for transactions.
func (e *env) coordinateTransactions(replicas ...[]int32) {
	e.coordinator("any", 1) // Creates the topic.
	e.lead(topic{name: transactionsTopic}, replicas...)
}
