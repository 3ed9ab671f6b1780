package scenario

// Scenario is one row of the table.
type Scenario struct {
	// Name tells what happens and what comes of it.
	Name string
	// Needs are what a library must be able to do to take part.
	Needs []Feature
	// Virtual ones run in a testing/synctest bubble, see [Env.Virtual].
	Virtual bool
	Run     func(*Env)
}

// For are the scenarios that a library can take part in.
func For(c Client) []Scenario {
	var out []Scenario
	for _, s := range all() {
		fits := true
		for _, f := range s.Needs {
			fits = fits && c.Has(f)
		}
		if fits {
			out = append(out, s)
		}
	}
	return out
}

func all() []Scenario {
	return []Scenario{
		{Name: "AcksOneIsLostWithTheLeader", Run: acksOneIsLost},
		{Name: "AcksAllIsKept", Run: acksAllIsKept},
		{Name: "AcksNoneLosesWithoutNotice", Run: acksNoneLosesWithoutNotice},
		{Name: "MinInSyncReplicas", Run: minInSyncReplicas},
		{Name: "TwoReplicasSurviveOne", Run: twoReplicasSurviveOne},
		{Name: "InFlightWithoutRetryIsLost", Run: inFlightIsLost},
		{Name: "InFlightWithRetryIsKept", Run: inFlightIsKept},
		{Name: "LostAnswerWithoutRetryIsPerhaps", Run: lostAnswerIsPerhaps},
		{Name: "LostAnswerWithRetryIsTwice", Run: lostAnswerIsTwice},
		{Name: "LostAnswerWithIdempotenceIsOnce", Needs: []Feature{Idempotence}, Run: lostAnswerIsOnce},
		{Name: "FaultLosesAnswer", Virtual: true, Run: faultLosesAnswer},
		{Name: "FaultLosesAnswerOfIdempotent", Needs: []Feature{Idempotence}, Virtual: true, Run: faultLosesAnswerOnce},
		{Name: "RefusedFirstIsReordered", Needs: []Feature{InFlight}, Virtual: true, Run: refusedFirstIsReordered},
		{Name: "RefusedFirstIsFirst", Virtual: true, Run: refusedFirstIsFirst},
		{Name: "StreamThroughLeaderCrashes", Run: stream},
		{Name: "NoLeaderUntilOneInSyncReturns", Run: noLeaderUntilInSync},
		{Name: "UncleanElectionLosesRecords", Run: uncleanElectionLoses},
		{Name: "SlowFollowerLeavesAndReturns", Run: slowFollower},
		{Name: "LeaderCollectsGarbage", Virtual: true, Run: leaderCollectsGarbage},
		{Name: "LeaderCollectsGarbageForLong", Virtual: true, Run: leaderCollectsGarbageForLong},
		{Name: "FollowerCollectsGarbage", Virtual: true, Run: followerCollectsGarbage},
		{Name: "FlappingISR", Virtual: true, Run: flappingISR},
		{Name: "LeaderOnTheWrongSide", Virtual: true, Run: leaderOnTheWrongSide},
		{Name: "DiskOfLeaderFails", Virtual: true, Run: diskOfLeaderFails},
		{Name: "LossyNetwork", Virtual: true, Run: lossyNetwork},
		{Name: "ControllerCrash", Run: controllerCrash},
		{Name: "LingerMakesBatches", Run: lingerMakesBatches},
		{Name: "BatchBytesSplitBatches", Needs: []Feature{BatchBytes}, Run: batchBytesSplit},
	}
}
