package groups

import (
	"bytes"
	"iter"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicMember is a member of a classic group (ClassicGroupMember).
type classicMember struct {
	id                   string
	instanceID           *string // of static members
	clientID, clientHost string
	rebalanceMs          int32
	sessionMs            int32
	protocolType         string
	protocols            []kmsg.JoinGroupRequestProtocol // in the order of preference
	assignment           []byte

	// join and sync are set while the member waits in JoinGroup and SyncGroup.
	join *Promise[*kmsg.JoinGroupResponse]
	sync *Promise[*kmsg.SyncGroupResponse]
	// isNew is set until the member's first rebalance is complete.
	isNew bool
}

// Promise is an answer that comes later. It is completed once: what comes after
// the first is dropped.
type Promise[T any] struct{ answer chan T }

// NewPromise returns a promise that nobody has kept yet.
func NewPromise[T any]() *Promise[T] { return &Promise[T]{make(chan T, 1)} }

// Answer is where the answer comes.
func (p *Promise[T]) Answer() <-chan T { return p.answer }

func (p *Promise[T]) complete(answer T) {
	select {
	case p.answer <- answer:
	default:
	}
}

// excused tells whether a member that was silent for its session stays: it waits
// for the coordinator. New members do not stay for ever (hasSatisfiedHeartbeat).
func (m *classicMember) excused() bool {
	return !m.isNew && (m.join != nil || m.sync != nil)
}

// protocolNames are the names of the protocols, each once.
func (m *classicMember) protocolNames() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, p := range m.protocols {
			named := slices.ContainsFunc(m.protocols[:i], func(o kmsg.JoinGroupRequestProtocol) bool { return o.Name == p.Name })
			if !named && !yield(p.Name) {
				return
			}
		}
	}
}

// vote is the first protocol that is a candidate; the first of all when none is.
func (m *classicMember) vote(candidate func(string) bool) string {
	for _, p := range m.protocols {
		if candidate(p.Name) {
			return p.Name
		}
	}
	if len(m.protocols) > 0 {
		return m.protocols[0].Name
	}
	return ""
}

// metadata is what the member says about itself in a protocol.
func (m *classicMember) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// matches tells whether the member says the same as before.
func (m *classicMember) matches(protocols []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b kmsg.JoinGroupRequestProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// answerSync answers a member that waits in SyncGroup, and tells whether it did.
func (m *classicMember) answerSync(resp *kmsg.SyncGroupResponse) bool {
	if m.sync == nil {
		return false
	}
	m.sync.complete(resp)
	m.sync = nil
	return true
}
