package conformance_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/minikafka/minikafka/integration/conformance"
)

// The names of the situations, for the rows.
const (
	aBrokerIsKilled      = "a broker is killed"
	aBrokerIsPaused      = "a broker is paused"
	twoBrokersAreKilled  = "two brokers are killed"
	twoBrokersStop       = "two brokers are shut down"
	allBrokersAreKilled  = "all brokers are killed"
	noController         = "there is no controller"
	aBrokerIsIsolated    = "a broker is cut off from the others"
	noHeartbeats         = "a broker is cut off from the controllers"
	noReplication        = "a broker copies nothing"
	aCoordinatorIsKilled = "a coordinator is killed"
	offsetsAreShort      = "the offsets topic cannot be replicated"
	anExpansionHangs     = "an expansion of the ISR is under way"
	aDiskFails           = "a disk fails"
	aNewCluster          = "the cluster is new"

	aTransactionCoordinatorIsKilled = "a coordinator of transactions is killed"
	transactionsAreShort            = "the transactions topic cannot be replicated"
)

// situations returns what is done to clusters, in the order in which it is done.
func situations() []situation {
	return append(append(groupSituations(), transactionSituations()...), []situation{
		{
			name:  aBrokerIsKilled,
			kind:  true,
			needs: []conformance.Verb{conformance.Kill, conformance.Start},
			steps: []step{
				{"C is killed", func(e *env) { e.do(conformance.Kill, e.C) }},
				{"C is fenced", func(e *env) { e.waitLive(e.A, e.B) }},
				{"C is back", func(e *env) { e.startAgain(e.C) }},
				{"C crashes and starts at once", func(e *env) {
					e.do(conformance.Kill, e.C)
					e.startAgain(e.C)
				}},
			},
		},
		{
			name:  aBrokerIsPaused,
			kind:  true,
			needs: []conformance.Verb{conformance.Pause, conformance.Resume},
			steps: []step{
				{"C is paused", func(e *env) { e.do(conformance.Pause, e.C) }},
				{"C is fenced", func(e *env) { e.waitLive(e.A, e.B) }},
				{"C goes on", func(e *env) {
					e.do(conformance.Resume, e.C)
					e.waitLive(e.A, e.B, e.C)
				}},
			},
		},
		{
			name:  twoBrokersAreKilled,
			needs: []conformance.Verb{conformance.Kill, conformance.Start},
			steps: []step{
				{"C is killed", func(e *env) {
					e.do(conformance.Kill, e.C)
					e.waitLive(e.A, e.B)
				}},
				{"B is killed", func(e *env) {
					e.do(conformance.Kill, e.B)
					e.waitLive(e.A)
				}},
				{"C is back", func(e *env) { e.startAgain(e.C, e.A) }},
				{"B is back", func(e *env) { e.startAgain(e.B) }},
			},
		},
		{
			name:  twoBrokersStop,
			kind:  true,
			needs: []conformance.Verb{conformance.Stop, conformance.Start},
			steps: []step{
				{"C is shut down", func(e *env) { e.do(conformance.Stop, e.C) }},
				{"B is shut down", func(e *env) { e.do(conformance.Stop, e.B) }},
				{"C is back", func(e *env) { e.startAgain(e.C, e.A) }},
				{"B is back", func(e *env) { e.startAgain(e.B) }},
			},
		},
		{
			name:  allBrokersAreKilled,
			needs: []conformance.Verb{conformance.Kill, conformance.Start},
			steps: []step{
				{"A is killed", func(e *env) {
					e.do(conformance.Kill, e.A)
					e.waitLive(e.B, e.C)
				}},
				{"A alone is back", func(e *env) {
					e.do(conformance.Kill, e.B)
					e.do(conformance.Kill, e.C)
					e.do(conformance.Start, e.A)
					e.waitLive(e.A)
				}},
				{"C is back", func(e *env) { e.startAgain(e.C, e.A) }},
				{"B is back", func(e *env) { e.startAgain(e.B) }},
			},
		},
		{
			name:  noController,
			kind:  true,
			needs: []conformance.Verb{conformance.Kill, conformance.Start},
			steps: []step{
				{"the controller is killed", func(e *env) { e.doControllers(conformance.Kill) }},
				{"C is killed", func(e *env) { e.do(conformance.Kill, e.C) }},
				{"the controller is back", func(e *env) {
					e.doControllers(conformance.Start)
					e.waitLive(e.A, e.B)
				}},
				{"C is back", func(e *env) { e.startAgain(e.C) }},
			},
		},
		cutOff(aBrokerIsIsolated, conformance.Isolate),
		cutOff(noHeartbeats, conformance.CutController),
		{
			name:  noReplication,
			kind:  true,
			needs: []conformance.Verb{conformance.HoldReplication, conformance.Rejoin},
			steps: []step{
				{"C copies nothing", func(e *env) { e.do(conformance.HoldReplication, e.C) }},
				{"C copies again", func(e *env) { e.do(conformance.Rejoin, e.C) }},
			},
		},
		expansion(),
		{
			name:  aDiskFails,
			kind:  true,
			needs: []conformance.Verb{conformance.FailDisk, conformance.MendDisk, conformance.Start},
			steps: []step{
				{"C's disk fails", func(e *env) { e.do(conformance.FailDisk, e.C) }},
				{"C is fenced", func(e *env) { e.waitLive(e.A, e.B) }},
				{"C is back", func(e *env) {
					e.do(conformance.MendDisk, e.C)
					e.startAgain(e.C)
				}},
			},
		},
	}...)
}

// expansion is a situation in which a leader cannot tell the controller that C is in sync again.
func expansion() situation {
	return situation{
		name:  anExpansionHangs,
		needs: []conformance.Verb{conformance.HoldReplication, conformance.Rejoin, conformance.Kill, conformance.Start},
		steps: []step{
			{"C copies nothing", func(e *env) { e.do(conformance.HoldReplication, e.C) }},
			{"the controller is killed", func(e *env) { e.doControllers(conformance.Kill) }},
			{"C copies again", func(e *env) { e.do(conformance.Rejoin, e.C) }},
			{"C copies nothing once more", func(e *env) { e.do(conformance.HoldReplication, e.C) }},
			{"the controller is back", func(e *env) {
				e.doControllers(conformance.Start)
				e.do(conformance.Rejoin, e.C)
				e.waitLive(e.A, e.B, e.C)
			}},
		},
	}
}

// cutOff is a situation in which C is out of the controllers' sight while clients still reach it.
func cutOff(name string, verb conformance.Verb) situation {
	return situation{
		name:  name,
		kind:  true,
		needs: []conformance.Verb{verb, conformance.Rejoin},
		steps: []step{
			{"C is cut off", func(e *env) { e.do(verb, e.C) }},
			{"C is fenced", func(e *env) {
				e.waitSession("C to be fenced", func() error {
					live, err := e.liveAccordingTo(e.A)
					if err != nil {
						return err
					}
					return is("is C among A's brokers", live[e.C], false)
				})
			}},
			{"C is connected again", func(e *env) {
				e.do(conformance.Rejoin, e.C)
				e.waitLive(e.A, e.B, e.C)
			}},
		},
	}
}

// do applies a verb to a node.
func (e *env) do(verb conformance.Verb, node int32) {
	if err := e.cluster.Do(verb, node); err != nil {
		e.fatalf("%s %s: %v", verb, e.name(node), err)
	}
}

// doControllers applies a verb to all controllers.
func (e *env) doControllers(verb conformance.Verb) {
	for _, id := range e.cluster.Controllers() {
		if err := e.cluster.Do(verb, id); err != nil {
			e.fatalf("%s controller %d: %v", verb, id, err)
		}
	}
}

// startAgain starts a broker and waits until it is alive beside the others, which are all other brokers when none is named.
func (e *env) startAgain(broker int32, others ...int32) {
	e.do(conformance.Start, broker)
	if len(others) == 0 {
		others = []int32{e.A, e.B, e.C}
		others = slices.DeleteFunc(others, func(id int32) bool { return id == broker })
	}
	e.waitLive(append(others, broker)...)
}

// waitLive waits until all of these brokers answer, and each of them believes exactly these alive.
func (e *env) waitLive(want ...int32) {
	for _, broker := range want {
		e.waitSession(fmt.Sprintf("%v to be the live brokers", e.names(want)), func() error {
			live, err := e.liveAccordingTo(broker)
			if err != nil {
				return err
			}
			if ids := slices.Collect(maps.Keys(live)); !sameSet(ids, want) {
				return fmt.Errorf("according to %s they are %v", e.name(broker), e.names(ids))
			}
			return nil
		})
	}
}
