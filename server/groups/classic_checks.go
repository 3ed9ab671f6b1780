package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
)

// checkCommit is ClassicGroup.validateOffsetCommit.
func (g *classicGroup) checkCommit(c commit) (partitionCheck, error) {
	switch {
	case g.in(stateDead):
		return nil, kerr.CoordinatorNotAvailable
	case c.generation < 0 && g.in(stateEmpty):
		// An admin, or a consumer that assigns itself.
		return nil, nil
	}
	if c.generation >= 0 || c.memberID != "" || c.instanceID != nil {
		if err := g.checkMember(c.memberID, c.instanceID); err != nil {
			return nil, err
		}
		if c.generation != g.generation {
			return nil, kerr.IllegalGeneration
		}
	} else if !c.transactional && !g.in(stateEmpty) {
		return nil, kerr.UnknownMemberID
	}
	// Transactions are not held up: nobody told them of the group's state.
	if !c.transactional && g.in(stateCompleting) {
		return nil, kerr.RebalanceInProgress
	}
	return nil, nil
}

func (g *classicGroup) checkFetch(*string, int32, int64) error {
	if g.in(stateDead) {
		return kerr.GroupIDNotFound
	}
	return nil
}

func (g *classicGroup) checkOffsetDelete() error {
	switch g.state_ {
	case stateDead:
		return kerr.GroupIDNotFound
	case stateStable, statePreparing, stateCompleting:
		if g.protocolType != consumerProtocol {
			return kerr.NonEmptyGroup
		}
	case stateEmpty:
	}
	return nil
}

func (g *classicGroup) checkDelete() error {
	switch g.state_ {
	case stateDead:
		return kerr.GroupIDNotFound
	case stateStable, statePreparing, stateCompleting:
		return kerr.NonEmptyGroup
	case stateEmpty:
	}
	return nil
}

// expiry is ClassicGroup.offsetExpirationCondition.
func (g *classicGroup) expiry() func(committed) int64 {
	sinceCommit := func(o committed) int64 { return o.timestamp }
	switch {
	case g.protocolType == "":
		return sinceCommit // It only commits.
	case g.in(stateEmpty):
		if g.since < 0 {
			return sinceCommit
		}
		return func(committed) int64 { return g.since }
	case g.protocolType == consumerProtocol && g.topics != nil && g.in(stateStable):
		return sinceCommit
	}
	return nil
}
