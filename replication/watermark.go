package replication

import "slices"

// member is what the high watermark depends on of one other replica.
type member struct {
	inISR bool // of the maximal ISR: committed, or proposed to join
	// candidate is a replica outside the ISR that is caught up and may join it:
	// the high watermark waits for it, so that it can reach it.
	candidate bool
	end       int64 // its log end; -1: not known in this epoch
}

// nextHighWatermark is Kafka's rule (Partition.maybeIncrementLeaderHW): the
// lowest log end over the maximal ISR and its candidates, and no move at all
// while the committed ISR is smaller than the minimum, or while a member's end is
// unknown. A leader's high watermark never goes back.
func nextHighWatermark(current, leaderEnd int64, committedISR, minISR int, others []member) int64 {
	if committedISR < minISR {
		return current
	}
	next := leaderEnd
	for _, m := range others {
		if m.inISR || m.candidate {
			next = min(next, m.end)
		}
	}
	return max(current, next)
}

// isrState is the ISR as a leader sees it (Partition's PartitionState). The
// committed ISR is what the controller has confirmed. While a change is under
// way the maximal ISR is what counts for the high watermark: a member that is to
// leave counts until that is confirmed, one that is to join counts at once.
type isrState struct {
	committed []int32
	pending   []int32 // nil: no change under way
}

func (s *isrState) commit(isr []int32) { s.committed, s.pending = isr, nil }

// revert drops a refused proposal.
func (s *isrState) revert() { s.pending = nil }

func (s *isrState) inFlight() bool { return s.pending != nil }

func (s *isrState) has(broker int32) bool { return slices.Contains(s.committed, broker) }

// maximalHas tells whether the broker counts for the high watermark.
func (s *isrState) maximalHas(broker int32) bool {
	return slices.Contains(s.committed, broker) || slices.Contains(s.pending, broker)
}

// maximalSize is the size of the maximal ISR.
func (s *isrState) maximalSize() int {
	n := len(s.committed)
	for _, b := range s.pending {
		if !slices.Contains(s.committed, b) {
			n++
		}
	}
	return n
}
